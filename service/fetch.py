"""Fetches an article or a document by its address, for the command line and the page.

`outbound.py` checks where an address leads. What comes has a type that can be read, a limited size and time.
"""

import contextlib
import time
from collections.abc import Collection, Mapping
from http.client import HTTPException, HTTPResponse
from importlib.metadata import version
from pathlib import PurePosixPath
from urllib.parse import quote, urljoin, urlsplit

from models.choices import TEXT_SUFFIXES, TextFormat
from models.errors import InvalidInput
from service.documents.formats import FORMATS as DOCUMENTS
from service.errors import PageUnavailable
from service.outbound import Destination, PinnedConnection, Resolve, destination, resolve

FORMATS: Mapping[str, TextFormat] = {**TEXT_SUFFIXES, ".xhtml": "html", ".xml": "xml"}
"""Text, by its suffix."""
KNOWN = (*FORMATS, *DOCUMENTS)
"""Suffixes of what can be read."""
MOST_BYTES = 20 << 20
WHOLE_S = 30.0
"""For all of it, redirects included."""
MOST_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_UNRESERVED = "%/:=&?~#+!$,;'@()*[]"
"""What stays as it is in an address, beside letters and digits."""
_SUFFIXES = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/plain": ".txt",
    "text/markdown": ".md",
    **{each.media_type: suffix for suffix, each in DOCUMENTS.items()},
}


def fetch(
    url: str,
    field: str,
    *,
    private: bool = False,
    ports: Collection[int] | None = None,
    within_s: float = WHOLE_S,
    resolve: Resolve = resolve,
) -> tuple[str, bytes]:
    """Return a file name, whose suffix is one of `KNOWN`, and the bytes; those of text are UTF-8.

    Raises InvalidInput with this `field` for an address that is not public, unless `private`, or not at one
    of `ports`, if there are any, or has nothing to read, and PageUnavailable where the server does not answer
    as it should. Each redirect is looked at in the same way.
    """
    end = time.monotonic() + within_s
    for _ in range(MOST_REDIRECTS + 1):
        url = quote(url, safe=_UNRESERVED)
        to = destination(url, field, private=private, resolve=resolve)
        if ports is not None and to.port not in ports:
            raise InvalidInput(f"{field} leads to port {to.port}", field=field, allowed=list(map(str, ports)))
        try:
            found = _get(url, to, end)
            if isinstance(found, tuple):
                return _named(url, *found)
        except InvalidInput as error:
            error.field = field
            raise
        url = urljoin(url, found)
    raise InvalidInput(f"{url} redirects more than {MOST_REDIRECTS} times", field=field)


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
                raise PageUnavailable(f"{url} answers {response.status} {response.reason}")
            data = _bytes(url, response)
    except (OSError, HTTPException) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if not connection.late:
            raise PageUnavailable(f"{url} cannot be fetched: {why}") from error
    finally:
        connection.close()
    if connection.late:  # what came then may be a part
        raise PageUnavailable(f"{url} was not downloaded in time")
    return response.headers.get_content_type(), response.headers.get_content_charset(), data


def _bytes(url: str, response: HTTPResponse) -> bytes:
    if response.getheader("Content-Encoding", "identity") != "identity":
        raise PageUnavailable(f"{url} sent an unrequested compressed response")
    data = response.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise InvalidInput(
            f"{url} has more than {MOST_BYTES >> 20} MB", allowed=f"at most {MOST_BYTES >> 20} MB"
        )
    if response.length:  # of a read with a size, http.client does not complain
        raise PageUnavailable(f"{url} broke off {response.length} bytes before its end")
    return data


def _named(url: str, media_type: str, charset: str | None, data: bytes) -> tuple[str, bytes]:
    path = PurePosixPath(urlsplit(url).path)
    suffix = _SUFFIXES.get(media_type, path.suffix.lower())
    if media_type == "text/plain" and path.suffix.lower() in KNOWN:
        suffix = path.suffix.lower()  # as servers send what they have no type for
    if suffix not in KNOWN:
        raise InvalidInput(f"{url} is {media_type}, which cannot be read", allowed=sorted(KNOWN))
    if charset and charset != "utf-8" and media_type.startswith("text/"):
        with contextlib.suppress(LookupError, UnicodeDecodeError):  # else its bytes tell
            data = data.decode(charset).encode()
    return f"{path.stem or 'page'}{suffix}", data
