"""A process with a fake engine in the place of `service.engine_process`: it starts in a moment.

The engine answers with the source reversed, one token in about a millisecond. POISON ends the process, LOST
the device.
"""

import os
import pickle
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from models.engine.batching import CPU_SIZES, BatchingEngine
from models.engine.process import EngineServer, serve_until_closed
from models.engine.protocol import BatchRecord, Generation, Output
from models.errors import ModelUnavailable

POISON = 99
LOST = 98
STEP_S = 0.001
CARD = os.environ.get("CUDA_VISIBLE_DEVICES")


@dataclass(frozen=True)
class Entry:
    """A stand-in for a catalog entry."""

    name: str = "reversing"


class ReversingBackend:
    """Reverses; a step takes as long for one as for all."""

    max_source_tokens = 64
    workers = 1
    sizes = CPU_SIZES
    alive = True

    def is_alive(self) -> bool:
        return self.alive

    def vocabulary_size(self) -> int:
        return 100

    def run(
        self,
        batch: Sequence[Generation],
        stopped: Callable[[int], bool],
        finished: Callable[[int, Output], None] | None = None,
    ) -> list[Output]:
        outputs = [Output(tuple(reversed(generation.source_ids))) for generation in batch]
        for step in range(max(len(output.token_ids) for output in outputs)):
            time.sleep(STEP_S)
            for generation, output in zip(batch, outputs, strict=True):
                if LOST in generation.source_ids:
                    self.alive = False
                    raise RuntimeError("an illegal memory access was encountered")
                if POISON in generation.source_ids:
                    os._exit(3)
                if generation.on_token is not None and step < len(output.token_ids):
                    generation.on_token(output.token_ids[step])
        return outputs

    def close(self) -> None:
        pass


def reversing(entry: Entry, on_batch: Callable[[BatchRecord], None] | None = None) -> BatchingEngine:
    if entry.name == "missing":
        raise ModelUnavailable("there is no such model")
    if entry.name == "deadly":
        os._exit(4)
    return BatchingEngine(ReversingBackend(), on_batch=on_batch)


def main() -> None:
    start = pickle.load(sys.stdin.buffer)
    host: EngineServer = EngineServer(
        lambda entry: reversing(entry, partial(host.on_batch, entry.name)),
        lambda: ["reversing: it is a fake", *([f"card {CARD}"] if CARD else [])],
    )
    serve_until_closed(host, start.address, start.key)


if __name__ == "__main__":
    main()
