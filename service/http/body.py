"""Request bodies: size limits and JSON parsing."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from flask import Flask, Request, g, request
from pydantic_core import from_json
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, UnsupportedMediaType

from service.errors import InvalidJson
from service.http.quotas import Caller
from service.shared import SharedState
from service.shares import BODY, Shares

if TYPE_CHECKING:
    from service.settings import Settings

CHUNK_BYTES = 1 << 16
BYTES_PER_CHARACTER = 12
"""JSON may write a character as two \\uXXXX escapes, a form as four of %XX."""
OTHER_BYTES = 1 << 16
"""Room for a body's other fields."""
OTHER_VALUES = 20_000
"""Room in JSON for a glossary of 5,000 entries, and for other fields."""
SHORT_BYTES = 1 << 16
"""Bodies up to this length count in no share."""
LEAST_BYTES = 64 << 20
"""Room for all bodies in work together, where the longest allowed ones are short."""

_PLAIN = re.compile(rb"[^\\]")
"""Matches where JSON can be cut without cutting an escape."""


class BodyLimits:
    """Bounds each body by its endpoint, and the bytes of those in work by caller.

    `limits` are those of endpoints that have limits of their own, `most_bytes` the longest bodies of those
    that take shorter ones than their limits of texts would need.
    """

    def __init__(
        self,
        settings: "Settings",
        limits: Mapping[str, "Settings"],
        most_bytes: Mapping[str, int],
        shared: SharedState,
    ):
        self._settings = settings
        self._limits = limits
        self._most_bytes = most_bytes
        self.longest = max(max_body_bytes(each) for each in (settings, *limits.values()))
        # A caller's share is what is left free, so that one of the longest needs as much again.
        capacity, least = max(2 * self.longest, LEAST_BYTES), max_body_bytes(settings)
        self.bytes = Shares(BODY, capacity, counts=shared, least=least)

    def install(self, app: Flask) -> None:
        """To be called when hooks that refuse a caller are registered, which need no body."""
        app.before_request(self._begin)
        app.teardown_request(self._end)
        app.extensions["body_limits"] = self
        self._urls = app.url_map.bind("")

    def most_bytes(self, method: str, path: str) -> int:
        """Return the longest body that is read of such a request."""
        try:
            endpoint, _ = self._urls.match(path, method)
        except HTTPException:
            return 0
        return self._longest_of(endpoint)

    def _longest_of(self, endpoint: str) -> int:
        own = max_body_bytes(self._limits.get(endpoint, self._settings))
        return min(own, self._most_bytes.get(endpoint, own))

    def receive(self, caller: str) -> None:
        """Read the request's body into memory, unless that was done.

        Raises RequestEntityTooLarge, and Overloaded where the caller has too many long ones in work.
        """
        if g.get("body_of") is not None:
            return
        g.body_of, g.body_bytes = caller, 0
        endpoint = request.endpoint or ""
        most = request.max_content_length = self._longest_of(endpoint)
        g.max_json_values = max_json_values(self._limits.get(endpoint, self._settings))
        length = request.content_length or 0
        if length > most:
            raise RequestEntityTooLarge(f"the body is over {most} bytes")
        if length > SHORT_BYTES:
            self.bytes.take(caller, length)
            g.body_bytes = length
        request.get_data()

    def _begin(self) -> None:
        caller: Caller | None = g.get("caller")
        if caller is not None:
            self.receive(caller.name)

    def _end(self, _: BaseException | None) -> None:
        if held := g.pop("body_bytes", 0):
            self.bytes.give(g.body_of, held)


def max_body_bytes(limits: "Settings") -> int:
    """The longest body that can hold a request within the limit of characters."""
    most = max(limits.max_request_characters, limits.max_html_characters)
    return most * BYTES_PER_CHARACTER + OTHER_BYTES


def max_json_values(limits: "Settings") -> int:
    """The most values that the JSON of a request within the limits can have, and then some.

    A value takes up to 200 bytes of memory, and of a body as few as three.
    """
    return OTHER_VALUES + 4 * limits.max_texts


def read_json(request: Request) -> Any:
    """The body's value; raises InvalidJson, or werkzeug's exceptions for its type and length."""
    if not request.is_json:
        was = request.mimetype or "no Content-Type"
        raise UnsupportedMediaType(f"the body must be application/json, not {was}")
    data = request.get_data()
    _require_few_values(data, g.get("max_json_values", OTHER_VALUES))
    try:
        # jiter refuses what json.loads lets through or dies of: lone surrogates, NaN, 1,000-fold nesting.
        return from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise InvalidJson(f"the body is not valid JSON: {error}", allowed="a JSON object in UTF-8") from None


def _require_few_values(data: bytes, most: int) -> None:
    """Raise RequestEntityTooLarge for JSON of more values than `most`, before each becomes an object."""
    if data.count(b",") + data.count(b"[") + data.count(b"{") <= most:
        return
    # Most of them stand in texts, as a rule, so these are left out: slice by slice, lest others wait.
    signs = quotes = start = 0
    while start < len(data):
        end = _PLAIN.search(data, min(start + CHUNK_BYTES, len(data)) - 1)
        part = data[start : end.end() if end else len(data)]
        start += len(part)
        bare = part.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')
        outside = b"".join(bare[quotes % 2 :: 2])
        quotes += len(bare) - 1
        signs += outside.count(b",") + outside.count(b"[") + outside.count(b"{")
        if signs > most or quotes > 4 * most:  # a name and a text for each, of two quotes each
            raise RequestEntityTooLarge(f"the body has more than {most} values")
