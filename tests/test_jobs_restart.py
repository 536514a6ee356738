"""Jobs that are interrupted, by a stop or by a kill: they go on, and what was done is not done again."""

import json
import os
import signal
import sqlite3
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from test_server import ServerProcess

TEXTS = [f"The ferry of day {i} stayed in." for i in range(60)]
LONG = " ".join(f"The ferry of day {i} stayed in the harbour of Sark." for i in range(60))
IN_FLIGHT = 16
"""Generations that a job asks for at a time; those not answered when the process dies are asked for again."""


class JobServer(ServerProcess):
    program = "jobs_runtime.py"

    def __init__(self, folder: Path, **given: Any):
        self.journal, self.database = folder / "journal.txt", folder / "data" / "jobs.sqlite"
        super().__init__(folder, journal=str(self.journal), **given)

    def put(self, **body: Any) -> str:
        response, answer = self.request("POST", "/v1/jobs", json.dumps(body))
        assert response.status == 202, answer
        return str(response.headers["Location"])

    def job(self, address: str) -> dict[str, Any]:
        job: dict[str, Any] = json.loads(self.request("GET", address)[1])
        return job

    def wait_for_progress(self, address: str, done: int) -> None:
        end = time.monotonic() + 20
        while self.job(address)["progress"]["done"] < done:
            assert time.monotonic() < end, self.log
            time.sleep(0.02)

    def end_of(self, address: str) -> dict[str, Any]:
        end = time.monotonic() + 20
        while (job := self.job(address))["status"] not in ("done", "failed"):
            assert time.monotonic() < end, self.log
            time.sleep(0.05)
        return job

    def asked(self) -> Counter[tuple[str, str]]:
        """How often its engine, and those before it, were asked for each text, in each way."""
        return Counter((text, how) for text, how in map(json.loads, self.journal.read_text().splitlines()))


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM])
def test_many_texts_go_on_where_they_were_interrupted(tmp_path: Path, sig: signal.Signals) -> None:
    first = JobServer(tmp_path)
    address = first.put(task="translate", texts=TEXTS, source="en", target="fr")
    first.wait_for_progress(address, IN_FLIGHT)
    _end(first, sig)
    with sqlite3.connect(first.database) as db:
        kept = {TEXTS[i] for (i,) in db.execute("SELECT number FROM item WHERE data IS NOT NULL")}
        (status,) = db.execute("SELECT status FROM job").fetchone()
    db.close()
    assert status == ("running" if sig == signal.SIGKILL else "queued")
    assert IN_FLIGHT <= len(kept) < len(TEXTS)

    second = JobServer(tmp_path)
    try:
        assert second.end_of(address)["progress"] == {"done": 60, "total": 60}
        results = json.loads(second.request("GET", f"{address}/result")[1])["results"]
        assert [each["translation"] for each in results] == [text.upper() for text in TEXTS]
        asked = second.asked()
        assert {text for text, _ in asked} == set(TEXTS)
        again = {text for (text, _), times in asked.items() if times > 1}
        assert again.isdisjoint(kept)
        assert len(again) <= IN_FLIGHT
    finally:
        second.kill()


def test_so_does_one_long_text(tmp_path: Path) -> None:
    first = JobServer(tmp_path, job_workers=1)
    address = first.put(task="translate", text=LONG, source="en", target="fr")
    waits = first.put(task="translate", text="And what came after?", source="en", target="fr")
    first.wait_for_progress(address, IN_FLIGHT)
    assert first.job(address)["progress"]["total"] == 60
    assert first.job(waits)["status"] == "queued"
    _end(first, signal.SIGKILL)
    with sqlite3.connect(first.database) as db:
        (kept,) = db.execute("SELECT count(*) FROM output").fetchone()
    db.close()
    assert kept >= IN_FLIGHT

    second = JobServer(tmp_path)
    try:
        second.end_of(address)
        assert second.end_of(waits)["status"] == "done"
        result = json.loads(second.request("GET", f"{address}/result")[1])
        assert result["translation"] == LONG.upper()
        times = list(second.asked().values())
        assert max(times) <= 2
        assert sum(n > 1 for n in times) <= min(IN_FLIGHT, len(times) - kept)
    finally:
        second.kill()


def _end(server: JobServer, sig: signal.Signals) -> None:
    if sig == signal.SIGKILL:
        os.killpg(server.process.pid, sig)
        server.process.wait(10)
        server.kill()
    else:
        assert server.stop(sig) == 0
        assert "Traceback" not in server.log
