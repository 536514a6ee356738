"""Waits for what comes of other threads and processes."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def until(holds: Callable[[], Found], within_s: float = 120.0) -> Found:
    """Wait until it holds; what it then says. The limit is for what hangs, not for a busy machine."""
    end = time.monotonic() + within_s
    while not (found := holds()):
        assert time.monotonic() < end, "it does not come to that"
        time.sleep(0.02)
    return found
