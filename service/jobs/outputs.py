"""Outputs of engines for items that are still in work, so that an interruption does not lose them."""

from collections.abc import Callable, Mapping, Sequence

from models.driver import PendingGeneration
from models.engine.protocol import Output
from service.database import Database, rows_in
from service.jobs.job import Job
from service.jobs.store import require_running
from service.work.outputs import OutputKeys, packed, unpacked


class JobOutputs:
    """The outputs of one job; see `models.driver.OutputCache`. `on_kept` hears of each keeping."""

    def __init__(self, database: Database, keys: OutputKeys, job: Job, on_kept: Callable[[], None]):
        self._database = database
        self._keys = keys
        self._job = job
        self._on_kept = on_kept

    def recall(self, wanted: Sequence[PendingGeneration]) -> dict[PendingGeneration, Output]:
        """Return those that are kept."""
        keys = {self._keys(each): each for each in wanted}
        query = "SELECT key, body FROM kept WHERE job = ? AND key IN (%s)"
        with self._database.transaction(write=False) as db:
            rows = rows_in(db, query, list(keys), self._job.number)
            return {keys[key]: unpacked(body) for key, body in rows}

    def keep(self, made: Mapping[PendingGeneration, Output], failed: int) -> None:
        """Keep outputs. Raises Gone if the job was cancelled."""
        with self._database.transaction() as db:
            require_running(db, self._job, getting_on=True)
            db.executemany(
                "INSERT OR REPLACE INTO kept VALUES (?, ?, ?)",
                [(self._job.number, self._keys(each), packed(output)) for each, output in made.items()],
            )
        self._on_kept()
