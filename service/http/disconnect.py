"""Notices that a request's client has closed its connection, and so waits no more."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

LOOK_EVERY_S = 0.5


@contextmanager
def watching(environ: Mapping[str, Any], on_gone: Callable[[], None]) -> Iterator[None]:
    """Call `on_gone`, from another thread, if the request's client closes its connection meanwhile.

    waitress tells; under another server nothing is watched.
    """
    is_gone: Callable[[], bool] | None = environ.get("waitress.client_disconnected")
    if is_gone is None:
        yield
        return
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK_EVERY_S):
            if is_gone():
                on_gone()
                break

    threading.Thread(target=look, name="watch-client", daemon=True).start()
    try:
        yield
    finally:
        over.set()
