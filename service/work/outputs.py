"""Outputs of engines as they are kept: under keys that are equal for equal generations of equal models."""

import hashlib
from array import array
from typing import TYPE_CHECKING, Literal
from weakref import WeakKeyDictionary

from models.engine.protocol import Engine, Output
from models.tasks.flights import Wanted

if TYPE_CHECKING:
    from service.runtime import Runtime

_FINISHES: tuple[Literal["stop", "length"], ...] = ("stop", "length")


class OutputKeys:
    """Makes the keys of a runtime's generations. May be called from any thread."""

    def __init__(self, runtime: "Runtime"):
        self._runtime = runtime
        self._names: WeakKeyDictionary[Engine, str] = WeakKeyDictionary()

    def __call__(self, wanted: Wanted) -> bytes:
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
    """Return the output as bytes: its score, its finish and its ids; before these its others' and lengths."""
    code = _FINISHES.index(output.finish) + len(_FINISHES) * len(output.others)
    numbers = [_number(output.score), code]
    for other in output.others:
        numbers += [_number(other.score), _FINISHES.index(other.finish), len(other.token_ids)]
    ids = array("i", [token for each in (*output.others, output) for token in each.token_ids])
    return array("d", numbers).tobytes() + ids.tobytes()


def unpacked(body: bytes) -> Output:
    """Return the output that these bytes are."""
    score, code = array("d", body[:16])
    count, finish = divmod(int(code), len(_FINISHES))
    end = 16 + 24 * count
    numbers, ids = array("d", body[16:end]), array("i", body[end:])
    others, start = [], 0
    for i in range(0, 3 * count, 3):
        length = int(numbers[i + 2])
        others.append(_output(ids[start : start + length], numbers[i], int(numbers[i + 1])))
        start += length
    return _output(ids[start:], score, finish, tuple(others))


def _number(score: float | None) -> float:
    return float("nan") if score is None else score


def _output(ids: "array[int]", score: float, finish: int, others: tuple[Output, ...] = ()) -> Output:
    return Output(tuple(ids), None if score != score else score, _FINISHES[finish], others)
