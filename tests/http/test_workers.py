"""Two workers of one server keep its promises as one would, and one that is killed takes nothing along."""

import gc
import json
import os
import re
import signal
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest
from server_process import CallbackReceiver
from worker_servers import SLEEP, WITHIN_S, ReversingWorkers, Workers, answer_to, until

from service.store.database import Database
from service.store.keys import Keys


@pytest.fixture(autouse=True)
def _broken_lines() -> Iterator[None]:
    """Collect the sockets of answers that a killed worker broke off, which would be told as left open."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """No test kills anything of it."""
    folder = tmp_path_factory.mktemp("workers")
    server = ReversingWorkers(folder, anonymous_daily_characters=400, rate_limit="3/hour")
    yield server
    server.kill()


@pytest.fixture(scope="module")
def reader(server: Workers) -> dict[str, str]:
    """The header of somebody who may ask often."""
    _, secret = Keys(Database(server.data_dir)).create("a reader", rate="1000/hour")
    for worker in (0, 1):
        until(
            lambda worker=worker: (
                server.by(worker, "GET", "/v1/jobs", None, **{"X-API-Key": secret})[0] == 200
            )
        )
    return {"X-API-Key": secret}


@pytest.fixture(scope="module")
def receiver() -> Iterator[CallbackReceiver]:
    with CallbackReceiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """One whose processes are killed."""
    folder = tmp_path_factory.mktemp("mortal")
    server = ReversingWorkers(
        folder,
        callback_secret="0123456789abcdef",
        callback_private=True,
        hampers=str(folder / "hampers"),
        LEASE_S=3.0,
    )
    yield server
    server.kill()


# ------------------------------------------------------------------------------------- what they share


def test_both_answer_with_one_engine(server: Workers) -> None:
    for worker in (0, 1):
        status, answer = server.by(worker, "POST", "/v1/summarize", {"text": "!reverse abc"})
        assert (status, json.loads(answer)["summary"]) == (200, "cba")
        assert server.by(worker, "GET", "/readyz") == (200, b'{"status":"ready"}\n')


def test_places_are_those_of_all(server: Workers) -> None:
    ask: Any = ("POST", "/v1/detect", {"text": "Good morning."})
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(answer_to, server.line(0), *SLEEP)
        server.wait_for_work(1)
        assert server.by(1, *ask)[0] == 200
        second = pool.submit(answer_to, server.line(1), *SLEEP)
        server.wait_for_work(2)
        assert [server.by(worker, *ask)[0] for worker in (0, 1)] == [429, 429]
        assert [each.result(20)[0] for each in (first, second)] == [200, 200]
    server.wait_for_work(0)


def test_rates_and_keys_are_those_of_all(server: Workers) -> None:
    key, secret = Keys(Database(server.data_dir)).create("somebody")
    ask: Any = ("POST", "/v1/detect", {"text": "Good morning."})
    header = {"X-API-Key": secret}
    assert [server.by(i % 2, *ask, **header)[0] for i in range(4)] == [200, 200, 200, 429]
    Keys(Database(server.data_dir)).revoke(key.id)
    for worker in (0, 1):
        until(lambda worker=worker: b"revoked" in server.by(worker, *ask, **header)[1])


def test_characters_of_the_day_are_those_of_all(server: Workers) -> None:
    ask: Any = ("POST", "/v1/detect", {"text": "Good day. " * 10})
    statuses = [server.by(i % 2, *ask)[0] for i in range(5)]
    assert statuses.count(200) in (2, 3)  # what other tests used is counted too
    assert statuses[-2:] == [429, 429]


def test_glossaries_are_those_of_all(server: Workers, reader: dict[str, str]) -> None:
    made = {"name": "names", "source": "en", "target": "fr", "entries": {"Rome": "Rome"}}
    status, answer = server.by(0, "POST", "/v1/glossaries", made, **reader)
    assert status == 201, answer
    assert json.loads(answer)["id"].encode() in server.by(1, "GET", "/v1/glossaries", None, **reader)[1]


def test_a_job_is_done_and_cancelled_from_either(server: Workers, reader: dict[str, str]) -> None:
    def handed_in(worker: int, *texts: str) -> str:
        job = {"task": "summarize", "texts": texts}
        return str(json.loads(server.by(worker, "POST", "/v1/jobs", job, **reader)[1])["id"])

    def is_so(job: str, status: bytes) -> bool:
        return status in server.request("GET", f"/v1/jobs/{job}", headers=reader)[1]

    for worker in (0, 1):
        job = handed_in(worker, "abc")
        until(lambda job=job: is_so(job, b'"status":"done"'))
        assert server.by(1 - worker, "GET", f"/v1/jobs/{job}/result", None, **reader)[0] == 200
        job = handed_in(worker, *["!sleep"] * 20)
        until(lambda job=job: is_so(job, b'"status":"running"'))
        assert server.by(1 - worker, "DELETE", f"/v1/jobs/{job}", None, **reader)[0] == 204
        assert b'"cancelled"' in server.by(worker, "GET", f"/v1/jobs/{job}", None, **reader)[1]


def test_one_scrape_counts_for_all(server: Workers) -> None:
    def counted(worker: int) -> int:
        _, metrics = server.by(worker, "GET", "/metrics")
        found = re.findall(rb'^dragoman_http_requests_total{.*route="/v1/languages".*} (\S+)', metrics, re.M)
        return int(float(found[0])) if found else 0

    before = counted(0)
    for worker in (0, 1):
        assert server.by(worker, "GET", "/v1/languages")[0] == 200
    assert [counted(0), counted(1)] == [before + 2, before + 2]
    server.summarize("!reverse abc")
    for worker in (0, 1):
        _, metrics = server.by(worker, "GET", "/metrics")
        assert re.search(rb'^dragoman_batch_size_count{model="reversing"} [1-9]', metrics, re.M)


# ------------------------------------------------------------------------------------- what ends


def test_a_killed_worker_takes_nothing_along(mortal: Workers) -> None:
    counts = {"right": 0, "refused": 0, "lost": 0}
    ended = False

    def work(seed: int) -> None:
        text = "".join(chr(97 + (seed * 7 + n) % 26) for n in range(20))
        while not ended:
            try:
                line = HTTPConnection("127.0.0.1", mortal.port, timeout=WITHIN_S)
                status, answer = answer_to(line, "POST", "/v1/summarize", {"text": f"!reverse {text}"})
            except (OSError, HTTPException):
                counts["lost"] += 1
                continue
            if status == 200:
                assert json.loads(answer)["summary"] == text[::-1]
                counts["right"] += 1
            else:
                assert status == 429
                counts["refused"] += 1
                time.sleep(0.01)

    with ThreadPoolExecutor(3) as pool:
        working = [pool.submit(work, seed) for seed in range(3)]
        for _ in range(3):
            right = counts["right"]
            until(lambda right=right: counts["right"] > right + 2)
            victim = mortal.workers()[0]
            os.kill(victim, signal.SIGKILL)
            until(lambda victim=victim: victim not in mortal.workers() and len(mortal.workers()) == 2)
        ended = True
        for each in working:
            each.result(20)
    assert counts["right"] > 5
    assert counts["lost"] <= 9  # what the killed ones had
    mortal.wait_for_work(0)
    with ThreadPoolExecutor(2) as pool:  # both places are free
        both = [pool.submit(mortal.summarize, "!sleep") for _ in range(2)]
        mortal.wait_for_work(2)
        assert [each.result(20)[0].status for each in both] == [200, 200]


def test_work_of_a_worker_killed_in_its_midst_leaves_its_place(mortal: Workers) -> None:
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(answer_to, mortal.line(0), *SLEEP)
        mortal.wait_for_work(1)
        os.kill(sorted(mortal.workers())[0], signal.SIGKILL)
        with pytest.raises((OSError, HTTPException)):
            asked.result(20)
    mortal.wait_for_work(0)
    until(lambda: len(mortal.workers()) == 2)
    for worker in (0, 1):  # both serve again
        mortal.line(worker).close()


def test_one_that_cannot_start_in_its_place_ends_nobody(mortal: Workers) -> None:
    (mortal.data_dir.parent / "hampers").write_text("broken")
    victim, left = sorted(mortal.workers())
    os.kill(victim, signal.SIGKILL)
    until(lambda: "could not start" in mortal.log)
    assert mortal.summarize("!reverse abc")[0].status == 200
    (mortal.data_dir.parent / "hampers").unlink()
    until(lambda: len(mortal.workers()) == 2)
    other = 1 - sorted(mortal.workers()).index(left)
    assert mortal.by(other, "POST", "/v1/summarize", {"text": "!reverse abc"})[0] == 200


def test_a_killed_engine_is_a_clear_error_from_both_and_comes_back(mortal: Workers) -> None:
    engine = mortal.engine()
    os.kill(engine, signal.SIGKILL)
    for worker in (0, 1):
        ask = {"text": "!reverse abc"}

        def answered(worker: int = worker, ask: Any = ask) -> bool:
            status, answer = mortal.by(worker, "POST", "/v1/summarize", ask)
            assert status == 200 or (status == 503 and b"restarting" in answer)
            return status == 200

        until(answered)
    assert mortal.engine() != engine


def test_jobs_of_a_killed_worker_are_done_by_the_other(mortal: Workers, receiver: CallbackReceiver) -> None:
    job = {"task": "summarize", "texts": ["!sleep", "abc"], "callback": receiver.url}
    victim, other = sorted(mortal.workers())
    line = mortal.line(0)
    os.kill(other, signal.SIGSTOP)  # so that the victim claims it
    try:
        line.request("POST", "/v1/jobs", json.dumps(job), {"Content-Type": "application/json"})
        made = json.loads(line.getresponse().read())["id"]

        def is_running() -> bool:
            line.request("GET", f"/v1/jobs/{made}")
            return b'"status":"running"' in line.getresponse().read()

        until(is_running)
    finally:
        os.kill(other, signal.SIGCONT)
    os.kill(victim, signal.SIGKILL)
    line.close()
    until(lambda: b'"status":"done"' in mortal.request("GET", f"/v1/jobs/{made}")[1])
    until(lambda: receiver.told(made))
    until(lambda: len(mortal.workers()) == 2)


def test_all_workers_finish_what_is_in_work(mortal: Workers) -> None:
    opened = _opened(mortal.workers()[0])
    folder = next(file.parent for file in opened if file.name == "shared.sqlite")
    with ThreadPoolExecutor(2) as pool:
        asked = []
        for worker in (0, 1):
            asked.append(pool.submit(answer_to, mortal.line(worker), *SLEEP))
            mortal.wait_for_work(worker + 1)
        engine = mortal.engine()
        assert mortal.stop(signal.SIGINT) == 0
        assert [each.result(20)[0] for each in asked] == [200, 200]
    assert not Path(f"/proc/{engine}").exists()
    assert not folder.exists()


def _opened(pid: int) -> list[Path]:
    """The files that a process has open."""
    return [each.readlink() for each in Path(f"/proc/{pid}/fd").iterdir() if each.is_symlink()]
