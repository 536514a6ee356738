"""Outputs of engines as they are kept: under keys that are equal for equal generations of equal models."""

import hashlib
import json
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from pydantic import TypeAdapter

from models.driver import PendingGeneration
from models.engine.protocol import Engine, Output

if TYPE_CHECKING:
    from service.runtime import Runtime

_OUTPUT = TypeAdapter(Output)


class OutputKeys:
    """Makes the keys of a runtime's generations. May be called from any thread."""

    def __init__(self, runtime: "Runtime"):
        self._runtime = runtime
        self._names: WeakKeyDictionary[Engine, str] = WeakKeyDictionary()

    def __call__(self, wanted: PendingGeneration) -> bytes:
        """Return a key that no other model's, or revision's, generation has."""
        generation = wanted.generation
        head = f"{self._name(wanted.engine)}\0{generation.decoding}\0"
        digest = hashlib.blake2b(head.encode(), digest_size=16)
        digest.update(",".join(map(str, generation.source_ids)).encode())
        return digest.digest()

    def _name(self, engine: Engine) -> str:
        name = self._names.get(engine)
        if name is None:
            entry = self._runtime.pool.owner(engine)
            name = "" if entry is None else f"{entry.name} {self._runtime.store.revision(entry)}"
            self._names[engine] = name
        return name


def packed(output: Output) -> bytes:
    """Return the output as bytes."""
    fields = _OUTPUT.dump_python(output, exclude_defaults=True)
    return json.dumps(fields, separators=(",", ":")).encode()  # by pydantic an infinite score would be null


def unpacked(body: bytes) -> Output:
    """Return the output that these bytes are."""
    return _OUTPUT.validate_json(body)
