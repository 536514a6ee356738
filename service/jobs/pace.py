"""Long tasks in small steps: a call of thousands of generations becomes many calls of a few.

So bulk work leaves the engines' queues to those who wait, can be stopped between steps, and says how far it
is. What engines gave in such steps is kept, and after an interruption it is not asked for again.
"""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import Protocol, TypeVar

from models.engine.protocol import Generation, Output
from models.tasks.steps import Call, Steps

T = TypeVar("T")

Kept = tuple[bytes, Output]
"""An output, with the digest of the generation that it belongs to."""


class ItemMemory(Protocol):
    """Remembers outputs of an item's generations, by their numbers in the order in which they are asked."""

    def recall(self, item: int) -> Mapping[int, Kept]: ...

    def keep(self, item: int, outputs: Mapping[int, Kept]) -> None: ...

    def progress(self, done: int, total: int) -> None:
        """Note that `done` of the `total` generations known so far are done."""


class Pace:
    """Paces tasks that run together: in a round they have about `size` generations between them."""

    def __init__(self, size: int, memory: ItemMemory):
        self._size = size
        self._memory = memory
        self._active = 0

    def steps(self, item: int, task: Steps[T]) -> Steps[T]:
        """Return the same task in small steps. Its outcome is the same, unless batches differ."""
        self._active += 1  # now, not when it begins: those that begin first would take too much
        return self._paced(item, task)

    def _paced(self, item: int, task: Steps[T]) -> Steps[T]:
        asked = 0
        try:
            known = self._memory.recall(item)
            call = next(task)
            while True:
                if call is None:
                    outputs = yield None
                else:
                    outputs = yield from self._in_pieces(item, asked, call, known)
                    asked += len(call.generations)
                call = task.send(outputs)
        except StopIteration as end:
            value: T = end.value
            return value
        finally:
            self._active -= 1
            task.close()

    def _in_pieces(self, item: int, first: int, call: Call, known: Mapping[int, Kept]) -> Steps[list[Output]]:
        generations = call.generations
        digests = [_digest(each) for each in generations]
        outputs = {
            i: known[first + i][1]
            for i, digest in enumerate(digests)
            if first + i in known and known[first + i][0] == digest
        }
        left = [i for i in range(len(generations)) if i not in outputs]
        left.sort(key=lambda i: len(generations[i].source_ids), reverse=True)  # alike ones share a batch
        worth_keeping = len(left) > self._share
        if left:
            self._memory.progress(first + len(outputs), first + len(generations))
        while left:
            piece, left = left[: self._share], left[self._share :]
            done = yield replace(call, generations=[generations[i] for i in piece])
            outputs.update(zip(piece, done, strict=True))
            if worth_keeping:
                self._memory.keep(item, {first + i: (digests[i], outputs[i]) for i in piece})
            self._memory.progress(first + len(outputs), first + len(generations))
        return [outputs[i] for i in range(len(generations))]

    @property
    def _share(self) -> int:
        return max(1, self._size // self._active)


def _digest(generation: Generation) -> bytes:
    asked = repr((generation.source_ids, generation.decoding))
    return blake2b(asked.encode(), digest_size=16).digest()
