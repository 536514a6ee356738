"""An actor between the driver and the workers: holds the units that wait, and the outputs remembered.

Reading is by place and can be repeated, so whoever reads may be killed and started again.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

from models.engine.protocol import Output
from service.batch.remembered import SCHEMA, Remembered
from service.database import scratch

DONE = b""
"""What is read in the place of a unit that is done."""


class UnitQueue:
    """Runs in one event loop. The outputs remembered are in a temporary file, which ends with it."""

    def __init__(self) -> None:
        self._units: list[bytes] = []
        self._begun: Counter[int] = Counter()
        self._closed = False
        self._news = asyncio.Condition()
        self._connection = scratch(SCHEMA)
        self._remembered = Remembered(self._connection)
        self._sees = -1
        self._tokens: dict[str, int] = {}

    # ------------------------------------------------------------------ the driver

    async def put(self, unit: bytes, sees: int) -> int:
        """Add a unit, and forget what it and later ones don't see; returns its place."""
        if sees > self._sees:
            with self._connection:
                self._remembered.forget(self._sees)  # and no more: a window that sees this is in work yet
            self._sees = sees
        async with self._news:
            self._units.append(unit)
            self._news.notify_all()
        return len(self._units) - 1

    async def done(self, place: int, unit: int) -> None:
        """The unit in this place, of this number, need not be kept."""
        self._units[place] = DONE
        del self._begun[unit]

    async def remember(self, unit: int, outputs: Mapping[bytes, Output]) -> None:
        """What the unit of this number has generated."""
        with self._connection:
            self._remembered.put(unit, outputs)

    async def tokens(self) -> tuple[int, int]:
        """Output tokens made so far, and by how many workers."""
        return sum(self._tokens.values()), len(self._tokens)

    async def close(self) -> None:
        """No more units will come, and those that are not done are given up."""
        async with self._news:
            self._closed = True
            self._news.notify_all()

    # ------------------------------------------------------------------ those who work

    async def read(self, place: int) -> bytes | None:
        """The unit in this place, as soon as there is one; None if none will come."""
        async with self._news:
            await self._news.wait_for(lambda: self._closed or place < len(self._units))
        return None if self._closed else self._units[place]

    async def begin(self, unit: int) -> int:
        """A worker begins a unit; returns for which time that is, as workers die and units are done again."""
        self._begun[unit] += 1
        return self._begun[unit]

    async def recall(self, keys: Sequence[bytes], sees: int) -> dict[bytes, Output]:
        """See `UnitMemory`."""
        return self._remembered.recall(keys, sees)

    async def tell(self, worker: str, tokens: int) -> bool:
        """How many tokens a worker has made; returns whether it is to go on."""
        self._tokens[worker] = tokens
        return not self._closed
