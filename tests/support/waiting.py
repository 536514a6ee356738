"""Waits for what comes of other threads and processes."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def until(holds: Callable[[], Found], within_s: float = 120.0) -> Found:
    """Wait until it holds; what it then says. The limit is for what hangs, not for a busy machine."""
    end = time.monotonic() + within_s
    while True:
        asked = time.monotonic()
        if found := holds():
            return found
        assert asked < end, "it does not come to that"
        # What is waited for needs the processor too, of which asking a server over HTTP takes much.
        time.sleep(min(max(0.02, 2 * (time.monotonic() - asked)), 0.3))
