"""What every answer of the service must be, whatever was asked: the faults that one has.

Knows the forms of errors by address, and not how the service makes them.
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from wire import Reply, Sent

OWN_5XX = (503, 504)
"""What an honest service may say that is not a fault of a request's."""
LIBRE = frozenset(
    {"/translate", "/detect", "/languages", "/frontend/settings", "/health", "/translate_file", "/suggest"}
)
TRACES = (b"Traceback (most recent call last)", b'.py", line ', b"site-packages", b"/dist-packages/")


def form(target: str) -> str:
    """The form that errors have at an address.

    It is `problem`, `message` (DeepL), `error` (LibreTranslate, Hugging Face), `openai`, or `jsonrpc` (MCP),
    where the answer may be a problem too.
    """
    path = unquote(urlsplit("/" + target.lstrip("/")).path)  # waitress takes `//v2` for `/v2`
    if path.startswith(("/v2/", "/v3/")):
        return "message"
    if path.startswith(("/pipeline/", "/download_file/")) or path.rstrip("/") in LIBRE:
        return "error"
    if path.startswith(("/v1/chat/", "/v1/models/")) and path != "/v1/models/":
        return "openai"
    return "jsonrpc" if path.rstrip("/") == "/mcp" else "problem"


def faults(sent: Sent, answer: Reply, *, deadline_s: float, secrets: Sequence[bytes] = ()) -> Iterator[str]:
    """What is wrong with an answer. `secrets` are paths and the like that no answer may hold."""
    if answer.seconds > deadline_s and not sent.broken:  # the rest of a broken request is waited for
        yield f"it took {answer.seconds:.1f} s, over {deadline_s:.1f} s"
    if answer.status == 0:
        if not sent.broken and sent.ending != "close":
            yield f"there was no whole answer: {answer.error}"
        return
    if answer.status >= 500 and answer.status not in OWN_5XX:
        yield f"status {answer.status}"
    for secret in (*TRACES, *secrets):
        if secret in answer.body and secret not in sent.body:
            yield f"the answer tells {secret.decode(errors='replace')!r}"
    if sent.method == "HEAD":
        return
    if answer.status >= 400:
        yield from _error(sent, answer)
    elif answer.media_type == "application/json" and answer.body:
        yield from _json(answer.body)
    elif answer.media_type == "text/event-stream":
        yield from _stream(answer.body)


def _error(sent: Sent, answer: Reply) -> Iterator[str]:
    if "x-request-id" not in answer.headers:  # waitress's own, for what it cannot parse
        if not (sent.broken and answer.status in (400, 405, 413, 414, 417, 431, 501, 505)):
            yield f"status {answer.status} did not come from the application"
        return
    promised = form(sent.target)
    if promised == "jsonrpc" and answer.media_type == "application/problem+json":
        promised = "problem"
    wanted = "application/problem+json" if promised == "problem" else "application/json"
    if answer.media_type != wanted:
        yield f"an error as {answer.media_type or 'nothing'}, not {wanted}"
        return
    try:
        told = _parsed(answer.body)
    except ValueError as error:
        yield f"an error that is no JSON: {error}"
        return
    if promised == "problem":
        missing = [name for name in ("type", "title", "status", "detail", "request_id") if not told.get(name)]
        if missing or told["status"] != answer.status:
            yield f"a problem document without {missing or 'its own status'}"
    elif promised in ("openai", "jsonrpc"):
        if not isinstance(told.get("error"), dict) or not told["error"].get("message"):
            yield "an error without `error` and its `message`"
    elif not isinstance(told.get(promised), str):
        yield f"an error without `{promised}`"


def _json(body: bytes) -> Iterator[str]:
    try:
        _parsed(body)
    except ValueError as error:
        yield f"an answer that is no JSON: {error}"


def _parsed(body: bytes) -> Any:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    return json.loads(body.decode("utf-8"), parse_constant=refuse)


def _stream(body: bytes) -> Iterator[str]:
    frames = [frame for frame in body.split(b"\n\n") if frame and not frame.startswith(b":")]
    ends = rb"data: \[DONE\]|(?:event: (?:result|error)\ndata: |data: (?=\{\"error\"))(.+)"
    last = re.fullmatch(ends, frames[-1] if frames else b"", re.DOTALL)
    if not body.endswith(b"\n\n") or last is None:
        yield "a stream without its last event"
    elif last[1] is not None:
        yield from _json(last[1])
