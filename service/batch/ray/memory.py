"""The actor that remembers for all others: what units have generated, and later ones may recall."""

from collections.abc import Mapping, Sequence
from typing import Any

import ray

from models.engine.protocol import Output
from service.batch.remembered import SCHEMA, Remembered
from service.store.database import scratch


class RayMemory:
    """Runs beside the command. The outputs are in a temporary file, which ends with the actor."""

    def __init__(self) -> None:
        self._connection = scratch(SCHEMA)
        self._remembered = Remembered(self._connection)
        self._sees = -1

    def remember(self, unit: int, outputs: Mapping[bytes, Output]) -> None:
        """Keep the outputs of a unit that is done."""
        with self._connection:
            self._remembered.put(unit, outputs)

    def recall(self, keys: Sequence[bytes], sees: int) -> dict[bytes, Output]:
        """See `UnitMemory`. Forget what is too old for units that see more than those of the last window."""
        if sees > self._sees:
            with self._connection:
                self._remembered.forget(self._sees)  # and no more: the window before is in work yet
            self._sees = sees
        return self._remembered.recall(keys, sees)


class Recalled:
    """The memory as an actor elsewhere has it; see `UnitMemory`."""

    def __init__(self, memory: Any):
        self._memory = memory

    def recall(self, keys: Sequence[bytes], sees: int) -> dict[bytes, Output]:
        """See `UnitMemory`."""
        found: dict[bytes, Output] = ray.get(self._memory.recall.remote(keys, sees)) if keys else {}
        return found

    def begun(self, unit: int) -> dict[bytes, Output]:
        """Return nothing; see `keep`."""
        return {}

    def keep(self, unit: int, outputs: Mapping[bytes, Output]) -> None:
        """Keep nothing: a unit is done again whole if its actor dies."""
