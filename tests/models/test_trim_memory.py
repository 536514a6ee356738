"""Threads share few of the C library's arenas, whose ends do not go back to the system."""

import os
import platform
import subprocess
import sys

import pytest

from models import cpu
from service.cli.session import ARENAS

CORES = cpu.whole(cpu.usable())

PROGRAM = """
import ctypes, sys, threading
from models import cpu
from service.cli.session import prepare_process

if sys.argv[1] == "prepared":
    prepare_process()
kept = []
number = cpu.whole(cpu.usable()) + 4
together = threading.Barrier(number)

def allocate():
    together.wait()  # all of them live at once, or they would take one another's arenas
    kept.append([bytes(2000) for _ in range(100)])
    together.wait()

threads = [threading.Thread(target=allocate) for _ in range(number)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
libc.malloc_info(0, ctypes.c_void_p(libc.fdopen(1, b"w")))
libc.fflush(None)
"""


def _arenas(how, **variables):
    kept = {name: value for name, value in os.environ.items() if name != ARENAS}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, how],
        env={**kept, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.count("<heap nr=")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries have no arenas")
def test_each_core_has_one_arena_unless_the_user_says_otherwise():
    assert _arenas("prepared") == CORES
    assert _arenas("prepared", **{ARENAS: "3"}) == 3
    assert _arenas("as it is") > max(CORES, 3)
