"""The outputs of units, in a table: sentences that stand in later texts too need not be done again.

A later unit sees the outputs of units up to a number of its own, whatever is in the table by then.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from models.engine.protocol import Output
from service.store.database import rows_in
from service.store.results import packed, unpacked

REMEMBERED_UNITS = 512
"""Sentences of so many units are remembered, some hundred thousand."""

SCHEMA = """
CREATE TABLE outputs (key BLOB, unit INTEGER, body BLOB, PRIMARY KEY (key, unit)) STRICT, WITHOUT ROWID;
CREATE INDEX outputs_by_unit ON outputs (unit);
"""

_RECALL = "SELECT key, body FROM outputs WHERE unit <= ? AND unit > ? AND key IN (%s) ORDER BY unit DESC"


class Remembered:
    """The table in a database, whose transactions and locking are the owner's."""

    def __init__(self, connection: sqlite3.Connection):
        self._connection = connection

    def put(self, unit: int, outputs: Mapping[bytes, Output]) -> None:
        """Keep the outputs of a unit, in place of those it had."""
        self._connection.execute("DELETE FROM outputs WHERE unit = ?", (unit,))
        self.add(unit, outputs)

    def add(self, unit: int, outputs: Mapping[bytes, Output]) -> None:
        """Keep more outputs of a unit."""
        rows = ((key, unit, packed(output)) for key, output in outputs.items())
        self._connection.executemany("INSERT OR REPLACE INTO outputs VALUES (?, ?, ?)", rows)

    def forget(self, sees: int) -> None:
        """Drop the outputs that no unit sees any more that sees units up to `sees`, or more."""
        self._connection.execute("DELETE FROM outputs WHERE unit <= ?", (sees - REMEMBERED_UNITS,))

    def of_unit(self, unit: int) -> dict[bytes, Output]:
        """Return the outputs of a unit."""
        rows = self._connection.execute("SELECT key, body FROM outputs WHERE unit = ?", (unit,))
        return {key: unpacked(body) for key, body in rows}

    def recall(self, keys: Sequence[bytes], sees: int) -> dict[bytes, Output]:
        """See `UnitMemory`: of several outputs of one generation the oldest that still counts."""
        rows = rows_in(self._connection, _RECALL, keys, sees, sees - REMEMBERED_UNITS)
        return {key: unpacked(body) for key, body in rows}

    def units(self) -> Iterator[tuple[int, dict[bytes, Output]]]:
        """All that is in the table, unit by unit."""
        rows = self._connection.execute("SELECT unit, key, body FROM outputs ORDER BY unit")
        for unit, own in groupby(rows, key=lambda row: int(row[0])):
            yield unit, {key: unpacked(body) for _, key, body in own}
