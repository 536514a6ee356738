"""Tasks as steps: a task yields what it wants generated and is sent the outputs.

A task is a generator of `Call`s. It never waits itself, so one driver can run one task, or many in rounds
whose calls are submitted together: the items of an array share batches, and the batches of a file
depend on the file alone.
"""

import time
from collections import defaultdict
from collections.abc import Generator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import TypeVar

from models.engine.protocol import Engine, Generation, Output
from models.errors import DeadlineExceeded, DragomanError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """Generations that a task wants done, and the engine to do them."""

    engine: Engine
    generations: Sequence[Generation]


Steps = Generator[Call, list[Output], T]
