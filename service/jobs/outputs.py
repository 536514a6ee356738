"""What engines gave for items that are still in work, so that an interruption does not lose it."""

import json
from collections.abc import Iterable, Mapping

from models.engine.protocol import Output
from service.database import Database
from service.jobs.job import Job
from service.jobs.pace import Kept
from service.jobs.store import require_running


class Outputs:
    """The outputs kept in the jobs' file."""

    def __init__(self, database: Database):
        self._database = database

    def keep(self, job: Job, item: int, outputs: Mapping[int, Kept]) -> None:
        """Keep outputs of an item that is in work. Raises Gone if the job was cancelled."""
        with self._database.transaction() as db:
            require_running(db, job, getting_on=True)
            db.executemany(
                "INSERT OR REPLACE INTO output VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (job.number, item, i, digest, json.dumps(o.token_ids), o.score, o.finish)
                    for i, (digest, o) in outputs.items()
                ],
            )

    def recall(self, job: Job, item: int) -> dict[int, Kept]:
        """The outputs kept of an item."""
        with self._database.transaction(write=False) as db:
            rows = db.execute(
                "SELECT number, digest, token_ids, score, finish FROM output WHERE job = ? AND item = ?",
                (job.number, item),
            )
            return {
                number: (digest, Output(tuple(json.loads(ids)), score, finish))
                for number, digest, ids, score, finish in rows
            }

    def items_begun(self, job: Job) -> set[int]:
        """The items that outputs are kept of."""
        with self._database.transaction(write=False) as db:
            rows: Iterable[tuple[int]] = db.execute(
                "SELECT DISTINCT item FROM output WHERE job = ?", (job.number,)
            )
            return {item for (item,) in rows}
