"""The arrival of requests' bodies: each is read whole before anything is done, outside the places for work.

A body may take as long as it comes at a fair rate (`worker.py`). Whoever sends many or slowly uses up a share
of his own, of threads and of bytes, and is refused beyond it.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import cast

from flask import Flask, g, request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge, RequestTimeout

from service.http.admission import Shares
from service.http.allowance import Caller
from service.http.body import WHOLE_BYTES, TooSlow, max_body_bytes, max_json_values
from service.http.forms import BoundedRequest
from service.settings import Settings
from service.shared import SharedState

READ_BYTES = 1 << 20
LEAST_BYTES = 64 << 20
"""Room for all bodies together, where the longest allowed ones are short."""


class Arrivals:
    """Reads the bodies of requests. `limits` are those of endpoints that have limits of their own."""

    def __init__(
        self, arriving: Shares, settings: Settings, limits: Mapping[str, Settings], shared: SharedState
    ):
        self._arriving = arriving
        self._settings = settings
        self._limits = limits
        longest = max(max_body_bytes(each) for each in (settings, *limits.values()))
        # A caller's share is what is left free, so that one of the longest needs as much again.
        self._bytes = Shares(max(2 * longest, LEAST_BYTES), name="bytes", shared=shared)

    def install(self, app: Flask) -> None:
        """To be called when hooks that refuse a caller are registered, which need no body."""
        app.before_request(self._begin)
        app.teardown_request(self._end)

    def receive(self, caller: str) -> None:
        """Read the request's body, unless it was read already.

        Raises RequestEntityTooLarge, RequestTimeout for a body that comes too slowly, ClientDisconnected for
        one that ends before its end, and Overloaded where the caller sends too many at once.
        """
        if g.get("body_of") is not None:
            return
        g.body_of, g.body_bytes = caller, 0
        limits = self._limits.get(request.endpoint or "", self._settings)
        request.max_content_length, g.max_json_values = max_body_bytes(limits), max_json_values(limits)
        length = request.content_length or None
        if length is None and not request.environ.get("wsgi.input_terminated"):
            return  # there is no body
        # The worker has all of a short one before it spends a thread on the request.
        is_short = (length or 0) <= WHOLE_BYTES
        if length is not None and not is_short:
            self._hold(length)
        waits = not is_short or "Transfer-Encoding" in request.headers or "Expect" in request.headers
        with self._arriving.enter(caller) if waits else nullcontext():
            cast(BoundedRequest, request).keep(self._read(length))

    def _begin(self) -> None:
        caller: Caller | None = g.get("caller")
        if caller is not None:
            self.receive(caller.name)

    def _end(self, _: BaseException | None) -> None:
        if held := g.pop("body_bytes", 0):
            self._bytes.give(g.body_of, held)

    def _hold(self, size: int) -> None:
        most = request.max_content_length or 0
        if g.body_bytes + size > most:
            raise RequestEntityTooLarge(f"the body is over {most} bytes")
        self._bytes.take(g.body_of, size)
        g.body_bytes += size

    def _read(self, length: int | None) -> bytes:
        stream = request.environ["wsgi.input"]
        pieces = []
        left = length
        try:
            while left != 0 and (piece := stream.read(READ_BYTES if left is None else min(left, READ_BYTES))):
                if left is None:
                    self._hold(len(piece))
                else:
                    left -= len(piece)
                pieces.append(piece)
        except TooSlow:
            raise RequestTimeout("the body comes too slowly") from None
        except OSError:
            raise ClientDisconnected() from None
        if left:
            raise ClientDisconnected()
        return b"".join(pieces)
