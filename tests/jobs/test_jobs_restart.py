"""Jobs that are interrupted, by a stop or by a kill: they go on, and what was done is not done again."""

import json
import os
import signal
import sqlite3
from collections import Counter
from contextlib import closing

from server_process import ServerProcess
from waiting import until

from service.store.database import FILE

TEXTS = [f"The ferry of day {i} stayed in." for i in range(60)]
LONG = " ".join(f"The ferry of day {i} stayed in the harbour of Sark." for i in range(60))
IN_FLIGHT = 8
"""Generations that a job asks for at a time; those not answered when the process dies are asked for again."""


class JobServer(ServerProcess):
    program = "jobs_runtime.py"

    def __init__(self, folder, **given):
        self.journal, self.database = folder / "journal.txt", folder / "data" / FILE
        super().__init__(folder, journal=str(self.journal), LEASE_S=2.0, **given)

    def put(self, **body):
        response, answer = self.request("POST", "/v1/jobs", json.dumps(body))
        assert response.status == 202, answer
        return str(response.headers["Location"])

    def job(self, address):
        return json.loads(self.request("GET", address)[1])

    def wait_for_progress(self, address, done):
        until(lambda: self.job(address)["progress"]["done"] >= done)

    def end_of(self, address):
        until(lambda: self.job(address)["status"] in ("done", "failed"))
        return self.job(address)

    def asked(self):
        """How often its engine, and those before it, were asked for each text, in each way."""
        return Counter((text, how) for text, how in map(json.loads, self.journal.read_text().splitlines()))


def test_killed_jobs_go_on_and_do_nothing_twice(tmp_path):
    first = JobServer(tmp_path)
    many = first.put(task="translate", texts=TEXTS, source="en", target="fr")
    long = first.put(task="translate", text=LONG, source="en", target="fr")
    waits = first.put(task="translate", text="And what came after?", source="en", target="fr")
    for address in (many, long):
        first.wait_for_progress(address, IN_FLIGHT)
    assert first.job(long)["progress"]["total"] == 60
    assert first.job(waits)["status"] == "queued"
    os.killpg(first.process.pid, signal.SIGKILL)
    first.process.wait(10)
    first.kill()
    done = {TEXTS[i] for (i,) in _rows(first, "SELECT number FROM job_item WHERE data IS NOT NULL")}
    assert IN_FLIGHT <= len(done) < len(TEXTS)
    [(kept,)] = _rows(first, "SELECT count(*) FROM job_output")
    assert kept >= IN_FLIGHT

    second = JobServer(tmp_path)
    try:
        assert [second.end_of(address)["status"] for address in (many, long, waits)] == ["done"] * 3
        results = json.loads(second.request("GET", f"{many}/result")[1])["results"]
        assert [each["translation"] for each in results] == [text.upper() for text in TEXTS]
        result = json.loads(second.request("GET", f"{long}/result")[1])
        assert result["translation"] == LONG.upper()
        again = [text for (text, _), times in second.asked().items() if times > 1]
        assert done.isdisjoint(again)
        assert len(set(again) & set(TEXTS)) <= IN_FLIGHT
        assert len(set(again) - set(TEXTS)) <= IN_FLIGHT
    finally:
        second.kill()


def test_a_stop_leaves_what_is_not_done_waiting(tmp_path):
    server = JobServer(tmp_path)
    address = server.put(task="translate", texts=TEXTS, source="en", target="fr")
    server.wait_for_progress(address, IN_FLIGHT)
    assert server.stop() == 0
    assert "Traceback" not in server.log
    [(status, done, interruptions)] = _rows(server, "SELECT status, done, interruptions FROM job")
    assert (status, interruptions) == ("queued", 0)
    assert IN_FLIGHT <= done < len(TEXTS)


def _rows(server, query):
    with closing(sqlite3.connect(server.database)) as db:
        return db.execute(query).fetchall()
