"""Fetches what a web address has, within bounds of size, time and place."""

import contextlib
import time
from http.client import HTTPException, HTTPResponse
from importlib.metadata import version
from pathlib import PurePosixPath
from urllib.parse import quote, urljoin, urlsplit

from models.errors import DragomanError, InvalidInput
from service.documents.formats import FORMATS
from service.outbound import Destination, PinnedConnection, Resolve, destination, resolve

MOST_BYTES = 20 << 20
WHOLE_S = 30.0
"""For all of it, redirects included."""
MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_UNRESERVED = "%/:=&?~#+!$,;'@()*[]"
"""What stays as it is in an address, beside letters and digits."""
SUFFIXES = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/plain": ".txt",
    "text/markdown": ".md",
    **{each.media_type: suffix for suffix, each in FORMATS.items()},
}


def fetch(url: str, *, private: bool, known: frozenset[str], resolve: Resolve = resolve) -> tuple[str, bytes]:
    """Return a file name, whose suffix is one of `known`, and the bytes; those of text are UTF-8.

    Raises InvalidInput for an address that is not public, unless `private`, or has nothing to read, and
    DragomanError where the other side does not answer as it should.
    """
    end = time.monotonic() + WHOLE_S
    for _ in range(MOST_REDIRECTS + 1):
        url = quote(url, safe=_UNRESERVED)
        try:
            to = destination(url, "FILE", private=private, resolve=resolve)
        except InvalidInput as error:
            if not private and "not public" in error.message:
                error.allowed = "a public address, or any with --allow-private"
            raise
        found = _get(url, to, end)
        if isinstance(found, tuple):
            media_type, charset, data = found
            return _named(url, media_type, charset, data, known)
        url = urljoin(url, found)
    raise InvalidInput(f"{url} leads on more than {MOST_REDIRECTS} times", field="FILE")


def _get(url: str, to: Destination, end: float) -> str | tuple[str, str | None, bytes]:
    """Return where the address leads on to, or its media type, charset and bytes."""
    connection = PinnedConnection(to, None)
    try:
        with connection.cut_off_after(max(0.1, end - time.monotonic())):
            agent = f"dragoman/{version('dragoman')}"
            headers = {"User-Agent": agent, "Accept": "text/html, */*;q=0.8", "Accept-Encoding": "identity"}
            connection.request("GET", to.path, headers=headers)
            response = connection.getresponse()
            onward = response.getheader("Location")
            if response.status in _REDIRECTS and onward:
                return onward
            if response.status != 200:
                raise DragomanError(f"{url} answers {response.status} {response.reason}")
            data = _bytes(url, response)
    except (OSError, HTTPException) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if not connection.late:
            raise DragomanError(f"{url} cannot be fetched: {why}") from error
    finally:
        connection.close()
    if connection.late:  # what came then may be a part
        raise DragomanError(f"{url} did not come whole within {WHOLE_S:g} seconds")
    return response.headers.get_content_type(), response.headers.get_content_charset(), data


def _bytes(url: str, response: HTTPResponse) -> bytes:
    if response.getheader("Content-Encoding", "identity") != "identity":
        raise DragomanError(f"{url} answers compressed, which was not asked for")
    data = response.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise InvalidInput(
            f"{url} has more than {MOST_BYTES >> 20} MB", field="FILE", allowed=f"{MOST_BYTES >> 20} MB"
        )
    if response.length:  # of a read with a size, http.client does not complain
        raise DragomanError(f"{url} broke off {response.length} bytes before its end")
    return data


def _named(
    url: str, media_type: str, charset: str | None, data: bytes, known: frozenset[str]
) -> tuple[str, bytes]:
    path = PurePosixPath(urlsplit(url).path)
    suffix = SUFFIXES.get(media_type, path.suffix.lower())
    if media_type == "text/plain" and path.suffix.lower() in known:
        suffix = path.suffix.lower()  # as servers send what they have no type for
    if suffix not in known:
        raise InvalidInput(
            f"{url} is {media_type}, which cannot be read", field="FILE", allowed=sorted(known)
        )
    if charset and charset != "utf-8" and media_type.startswith("text/"):
        with contextlib.suppress(LookupError, UnicodeDecodeError):  # else its bytes tell
            data = data.decode(charset).encode()
    return f"{path.stem or 'page'}{suffix}", data
