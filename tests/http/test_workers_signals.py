"""What signals do to a server of several processes: it finishes its work and is gone, or goes on."""

import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from worker_servers import ReversingWorkers, Workers, answer_to, until

PAGE = "".join(f"<p>Minister {i} said on Sunday that the border would be open.</p>" for i in range(4000))
CLEAN: Any = ("POST", "/v1/clean", {"html": f"<html><body><article>{PAGE}</article></body></html>"})
"""A child process parses it for half a second."""
NAP: Any = ("POST", "/v1/summarize", {"text": "!nap"})
SMALL: Any = ("POST", "/v1/clean", {"html": "<p>Good morning.</p>"})


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Workers]:
    server = ReversingWorkers(tmp_path, max_html_characters=1_000_000, hampers=str(tmp_path / "hampers"))
    yield server
    server.kill()
    assert "Traceback" not in server.log


def test_a_stop_that_every_process_hears_finishes_what_is_in_work(server: Workers) -> None:
    """As a unit of systemd, or a terminal that is closed, sends it."""
    with ThreadPoolExecutor(2) as pool:
        lines = [server.line(worker) for worker in (0, 1)]
        assert {status for status, _ in pool.map(lambda line: answer_to(line, *SMALL), lines)} == {200}
        idle = len(server.processes())
        asked = []
        for worker, ask in enumerate((NAP, CLEAN)):
            asked.append(pool.submit(answer_to, server.line(worker), *ask))
            server.wait_for_work(worker + 1)
        until(lambda: len(server.processes()) == idle + 1)  # the page is being parsed
        for pid in server.processes():
            for sig in (signal.SIGTERM, signal.SIGHUP):
                with suppress(ProcessLookupError):
                    os.kill(pid, sig)
        assert [each.result(20)[0] for each in asked] == [200, 200]
    assert server.process.wait(20) == 0
    assert "the process that runs the models ended" not in server.log
    until(lambda: not server.processes())


def test_signals_of_other_meanings_change_nothing(server: Workers, tmp_path: Path) -> None:
    before = server.workers()
    for name in ("USR1", "WINCH", "TTIN", "TTOU", "USR2"):
        server.process.send_signal(getattr(signal, f"SIG{name}"))
        assert server.request("GET", "/healthz")[0].status == 200
    time.sleep(0.1)
    assert server.workers() == before
    # Two interruptions are as good as one, and no stop waits for a worker that still loads its models.
    (tmp_path / "hampers").write_text("slow")
    os.kill(before[1], signal.SIGKILL)
    until(lambda: len(server.workers()) == 2 and before[1] not in server.workers())
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(server.request, *NAP[:2], json.dumps(NAP[2]))
        server.wait_for_work(1)
        begun = time.monotonic()
        for _ in range(2):
            server.process.send_signal(signal.SIGINT)
            time.sleep(0.2)
        assert asked.result(20)[0].status == 200
    assert server.process.wait(20) == 0
    assert time.monotonic() < begun + 10
    until(lambda: not server.processes())


def test_nothing_outlives_a_first_process_that_is_killed(server: Workers) -> None:
    opened = {each.readlink() for each in Path(f"/proc/{server.workers()[0]}/fd").iterdir()}
    (shared,) = {each for each in opened if each.name == "shared.sqlite"}
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(answer_to, server.line(0), *NAP)
        server.wait_for_work(1)
        os.kill(server.process.pid, signal.SIGKILL)
        assert asked.result(20)[0] == 200, "what was in work is answered"
    server.process.wait()
    until(lambda: not server.processes())
    assert not shared.exists(), "it has files of callers"
