"""Results of tasks and outputs of engines, as jobs and batches store them.

Equal generations of equal models have the same key.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from weakref import WeakKeyDictionary

from pydantic import TypeAdapter

from models.driver import PendingGeneration
from models.engine.protocol import Engine, Output

if TYPE_CHECKING:
    from models.pool import ModelPool
    from models.store import Store

TaskName = Literal["summarize", "translate"]

JSON = "application/json"
PROBLEM = "application/problem+json"
"""The media type of a result that says why there is none."""

_OUTPUT = TypeAdapter(Output)


@dataclass(frozen=True, slots=True)
class StoredResult:
    """What came of one text, page or document: JSON, a file, or a problem."""

    data: bytes
    media_type: str = JSON
    filename: str | None = None
    notes: str = ""
    """Of a translated document: a line with the counts of its flags, then what its reader should know."""
    language: str = "und"
    """Of the source; batches report it."""
    flags: Mapping[str, int] = field(default_factory=dict)
    """Counts of the checks' findings, by kind; batches report them."""
    sentences: int = 0
    """Those that have a confidence; batches report them."""
    likely_right: float = 0.0
    """The sum of their confidences."""
    seconds: float = 0.0
    """Its own text work and its share of the engine's time; 0 where an earlier run made it."""

    @property
    def failed(self) -> bool:
        """True if it is a problem."""
        return self.media_type == PROBLEM


class OutputKeys:
    """Makes the keys of generations of a pool's engines. May be called from any thread."""

    def __init__(self, pool: "ModelPool", store: "Store"):
        self._pool = pool
        self._store = store
        self._names: WeakKeyDictionary[Engine, str] = WeakKeyDictionary()

    def __call__(self, wanted: PendingGeneration) -> bytes:
        """Return a key that no other model's, or revision's, generation has."""
        name = self._names.get(wanted.engine)
        if name is None:
            entry = self._pool.owner(wanted.engine)
            name = "" if entry is None else f"{entry.name} {self._store.revision(entry)}"
            self._names[wanted.engine] = name
        generation = wanted.generation
        digest = hashlib.blake2b(f"{name}\0{generation.decoding}\0".encode(), digest_size=16)
        digest.update(",".join(map(str, generation.source_ids)).encode())
        return digest.digest()


def packed(output: Output) -> bytes:
    """Return the output as bytes."""
    fields = _OUTPUT.dump_python(output, exclude_defaults=True)
    return json.dumps(fields, separators=(",", ":")).encode()  # by pydantic an infinite score would be null


def unpacked(body: bytes) -> Output:
    """Return the output that these bytes are."""
    return _OUTPUT.validate_json(body)
