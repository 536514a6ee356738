"""Child processes that read strangers' files: values and errors come back, and limits hold."""

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import forkserver
from pathlib import Path

import pytest

from models.errors import DeadlineExceeded, InvalidInput
from service.children import LEAST_BYTES, STOPS, Children
from service.documents.formats import FORMATS
from service.shares import CALLER

CHILDREN = Children()
LONG_S = 60.0


class GoneError(Exception):
    """Nobody waits any more."""


def shout(text):
    return text.upper()


def refuse(text):
    raise InvalidInput(f"{text} is wrong", field="file", allowed=["right"])


def stumble(text):
    raise KeyError(text)


def fill(megabytes):
    return len(b"x" * (megabytes << 20))


def hold_the_interpreter(file):
    """Match for ever in one call of C code, which no signal handler and no other thread can interrupt."""
    Path(file).write_text(str(os.getpid()))
    return re.fullmatch("(a|a)*b", "a" * 40) is not None


def die():
    os.kill(os.getpid(), signal.SIGSEGV)


def modules(_):
    return set(sys.modules)


def test_the_value_comes_back():
    assert CHILDREN.run(shout, "é", field="file", timeout_s=LONG_S) == "É"


def test_long_values_come_back_whole():
    text = "é" * 3_000_000
    assert CHILDREN.run(shout, text, field="file", timeout_s=LONG_S) == "É" * 3_000_000


def test_all_parsers_are_loaded_before_the_fork():
    loaded = CHILDREN.run(modules, "", field="file", timeout_s=LONG_S)
    readers = {f"service.documents.{each.reader.partition('.')[0]}" for each in FORMATS.values()}
    assert {*readers, "docx", "pdfminer.high_level", "trafilatura"} <= loaded


def test_an_error_of_ours_comes_back_as_it_is():
    with pytest.raises(InvalidInput, match="x is wrong") as raised:
        CHILDREN.run(refuse, "x", field="file", timeout_s=LONG_S)
    assert (raised.value.field, raised.value.allowed) == ("file", ["right"])


def test_a_bug_is_told_as_one():
    with pytest.raises(RuntimeError, match="KeyError: 'x'"):
        CHILDREN.run(stumble, "x", field="file", timeout_s=LONG_S)


def test_what_takes_too_much_memory_is_refused_and_names_the_field():
    assert CHILDREN.run(fill, 64, field="file", timeout_s=LONG_S) == 64 << 20
    with pytest.raises(InvalidInput, match="too much memory") as raised:
        CHILDREN.run(fill, 2 * LEAST_BYTES >> 20, field="file", timeout_s=LONG_S)
    assert raised.value.field == "file"


def test_a_larger_input_may_take_more():
    with_input = b"x" * (4 << 20)
    assert CHILDREN.run(fill_beside, with_input, 320, field="file", timeout_s=LONG_S)


def fill_beside(data, megabytes):
    return fill(megabytes)


def test_code_that_holds_its_interpreter_is_ended_at_the_deadline(tmp_path):
    file = tmp_path / "pid"
    with pytest.raises(DeadlineExceeded):
        CHILDREN.run(hold_the_interpreter, str(file), field="file", timeout_s=2.0)
    assert _is_gone(int(file.read_text()))


def test_a_child_nobody_waits_for_is_ended(tmp_path):
    file = tmp_path / "pid"

    def require():
        if file.exists():
            raise GoneError

    with pytest.raises(GoneError):
        CHILDREN.run(hold_the_interpreter, str(file), field="file", timeout_s=LONG_S, require=require)
    assert _is_gone(int(file.read_text()))


def test_a_child_that_dies_refuses_its_input():
    with pytest.raises(InvalidInput, match="its parser crashed"):
        CHILDREN.run(die, field="file", timeout_s=LONG_S)


def test_those_beyond_the_places_wait_and_their_time_runs(tmp_path):
    children, file = Children(most=1), tmp_path / "pid"
    first = threading.Thread(target=_until_late, args=(children, file))
    first.start()
    while not file.exists():
        time.sleep(0.01)
    with pytest.raises(DeadlineExceeded, match="before"):
        children.run(shout, "x", field="file", timeout_s=0.3)
    assert children.run(shout, "x", field="file", timeout_s=LONG_S) == "X"
    first.join()


def test_one_callers_slow_documents_do_not_hold_up_another(tmp_path: Path) -> None:
    children, over = Children(most=2), threading.Event()

    def require() -> None:
        if over.is_set():
            raise GoneError

    def slow(number: int) -> None:
        CALLER.set("a")
        file = str(tmp_path / f"{number}")
        with pytest.raises(GoneError):
            children.run(hold_the_interpreter, file, field="file", timeout_s=LONG_S, require=require)

    threads = [threading.Thread(target=slow, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    while not list(tmp_path.iterdir()):
        time.sleep(0.01)
    CALLER.set("b")
    assert children.run(shout, "x", field="file", timeout_s=LONG_S) == "X"
    CALLER.set("")
    begun = len(list(tmp_path.iterdir()))
    over.set()
    for thread in threads:
        thread.join()
    assert begun == 1


def test_a_document_has_so_much_time_of_a_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.children.READER_CPU_S", 1)
    with pytest.raises(InvalidInput, match="takes too long") as raised:
        CHILDREN.run(hold_the_interpreter, str(tmp_path / "pid"), field="file", timeout_s=LONG_S)
    assert raised.value.field == "file"


def _until_late(children, file):
    with pytest.raises(DeadlineExceeded):
        children.run(hold_the_interpreter, str(file), field="file", timeout_s=3.0)


def test_many_threads_at_once_leave_no_process_behind():
    results = []
    threads = [
        threading.Thread(
            target=lambda i=i: results.append(CHILDREN.run(shout, f"x{i}", field="file", timeout_s=LONG_S))
        )
        for i in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == sorted(f"X{i}" for i in range(12))
    assert multiprocessing.active_children() == []


def _is_gone(pid):
    """Whether the process ends within some seconds; its parent is the fork server, which collects it."""
    for _ in range(500):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_fork_server_never_hears_of_a_stop():
    Children(most=1).run(len, b"abc", field="file", timeout_s=60)
    status = Path(f"/proc/{forkserver._forkserver._forkserver_pid}/status").read_text()
    blocked = int(next(line.split()[1] for line in status.splitlines() if line.startswith("SigBlk")), 16)
    assert all(blocked & 1 << (sig - 1) for sig in STOPS)


def test_a_long_path_of_temporary_files_does_not_matter(tmp_path):
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    program = (
        "from service.children import Children; print(Children().run(len, b'abc', field='f', timeout_s=60))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("3\n", 0), done.stderr
