"""Work that needs torch, in a process of its own: torch's import, and the work's memory, go with it."""

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from models.errors import ModelUnavailable

R = TypeVar("R")


def apart(function: Callable[..., R], *arguments: Any) -> R:
    """Return the function's value, or raise its error, both from a new process; all are pickled.

    Where torch is loaded already the function is called here: a process would cost and not save anything.
    Raises ModelUnavailable if the process does not survive.
    """
    if "torch" in sys.modules:
        return function(*arguments)
    program = f"import sys; sys.path[:] = {sys.path!r}; from models.apart import answer; answer()"
    with subprocess.Popen(  # noqa: S603 - our own
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101 - they were asked for
        try:
            process.stdin.write(pickle.dumps((function, arguments)))
            process.stdin.flush()
            message = process.stdout.read()
        except BrokenPipeError:
            message = b""
    if process.returncode or not message:
        raise ModelUnavailable(f"the process that prepares a model ended ({process.returncode})")
    good, value = pickle.loads(message)  # noqa: S301 - our own
    if not good:
        raise value
    answered: R = value
    return answered


def answer() -> None:
    """Do in this process what stands on its standard input, and write what came of it to its output.

    Ends as soon as standard input does, so that it outlives nobody; what others print goes to stderr.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; whoever waits here is told too
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    function, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own
    threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        message = pickle.dumps((True, function(*arguments)))
    except Exception as error:  # noqa: BLE001 - told where it was asked for
        message = _told(error)
    out.write(message)
    out.flush()
    os._exit(0)  # the thread that reads still holds the input


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def _told(error: Exception) -> bytes:
    try:
        pickle.loads(message := pickle.dumps((False, error)))  # noqa: S301 - some cannot be read back
        return message
    except Exception:  # noqa: BLE001 - of libraries; their words do
        return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))
