"""Reads a command's argument: a file, a URL, `-`, or the text itself.

Documents are parsed in a child process, as in the server.
"""

import contextlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from importlib.metadata import version
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urljoin, urlsplit

import click

from models.choices import TEXT_SUFFIXES, TextFormat
from models.errors import DragomanError, InvalidInput
from service.cli.session import keep
from service.documents.formats import FORMATS as DOCUMENTS
from service.outbound import Destination, PinnedConnection, Resolve, destination, resolve

if TYPE_CHECKING:
    from service.documents.formats import Comment, DocumentArticle, DocumentText, File
    from service.settings import Settings

C = TypeVar("C", bound=click.Command)
R = TypeVar("R")

FORMATS: Mapping[str, TextFormat] = {**TEXT_SUFFIXES, ".xhtml": "html", ".xml": "xml"}
PACKED = tuple(DOCUMENTS)
"""What has to be parsed; all else is UTF-8 text of some form. `service.documents` has the readers."""
LISTED = ", ".join((".txt", ".md", ".html", *PACKED))
"""Formats, for readers."""
KNOWN = frozenset((*FORMATS, *PACKED))
ADDRESSES = ("http://", "https://")


class _Argument(click.Path):
    """A file that is there, an address, or `-`; words with a space between them stand for themselves."""

    name = "file, address or words"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if _is_address(value) or _is_words(value):
            return value
        return super().convert(value, param, ctx)


ARGUMENT = _Argument(exists=True, dir_okay=False, allow_dash=True)
FILE = click.argument("file", type=ARGUMENT)


ALLOW_PRIVATE = click.option(
    "--allow-private",
    is_flag=True,
    expose_value=False,
    callback=keep,
    help="Allow URLs that lead to this machine or a private network.",
)


def tells_formats(command: C) -> C:
    """Put the formats into a command's help, where it says {FORMATS}."""
    command.help = (command.help or "").replace("{FORMATS}", LISTED)
    return command


@dataclass(frozen=True, slots=True)
class Input:
    """What an argument stands for: its bytes, and a file's name, whose suffix says what they are."""

    name: str
    data: bytes
    settings: "Settings"
    """For the bounds of a child process."""
    address: bool = False

    @property
    def suffix(self) -> str:
        return PurePath(self.name).suffix.lower()

    @property
    def is_packed(self) -> bool:
        return self.suffix in PACKED

    def is_html(self, told: bool | None = None) -> bool:
        """What the user says, or else what the name says."""
        return FORMATS.get(self.suffix) == "html" if told is None else told

    def text(self) -> str:
        """The file's text. Raises click.BadParameter if it is not UTF-8."""
        if self.address:
            from service.documents.plain import decode

            return decode(self.data)
        try:
            return self.data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise click.BadParameter(
                f"{self.name} is not UTF-8 text (byte {error.start + 1}), nor called {', '.join(PACKED)}",
                param_hint="FILE",
            ) from error

    def article(self, *, is_html: bool | None = None, clean: bool = True) -> "DocumentArticle":
        """Return what a summary reads."""
        from service.documents.formats import DocumentArticle

        if self.is_packed and is_html is None:
            from service.documents import sandbox

            return self._apart(sandbox.article)
        return DocumentArticle(self.text(), "html" if self.is_html(is_html) else "text", clean)

    def to_translate(self, told: TextFormat | None) -> "DocumentText":
        """Return what a translation reads, in the format that the user or the name says."""
        from service.documents.formats import DocumentText

        if self.is_packed and told is None:
            from service.documents import sandbox

            return self._apart(sandbox.to_translate)
        return DocumentText(self.text(), told or FORMATS.get(self.suffix, "text"))

    def page_article(self) -> "DocumentText":
        """Return a page's article to translate, without markup; of a document, all of it."""
        from service.documents.formats import DocumentText

        return DocumentText(self.words(is_html=not self.is_packed), "text")

    def words(self, *, is_html: bool | None = None) -> str:
        """Return what a reader reads."""
        if self.is_html(is_html):
            from models.text.article.html_article import read_html

            return read_html(self.text()).content()
        return self.article().text

    def translated(self, translation: str, language: str, comments: "Sequence[Comment]" = ()) -> "File":
        """Return this document with the translation of what `to_translate` gave in its place."""
        from service.documents import sandbox

        return self._apart(sandbox.translated, translation, language, comments)

    def _apart(self, function: Callable[..., R], *arguments: Any) -> R:
        """Run one of the parsers' functions in a child process."""
        from service.children import Children

        limits = self.settings.model_copy(
            update={"max_request_characters": sys.maxsize, "max_html_characters": sys.maxsize}
        )
        timeout_s = self.settings.request_timeout_s
        given = arguments or (limits,)
        return Children(most=1).run(function, self.name, self.data, *given, field="file", timeout_s=timeout_s)


def read(argument: str, settings: "Settings", *, allow_private: bool) -> Input:
    """Return what the argument stands for. Raises InvalidInput and DragomanError, and OSError."""
    if argument == "-":
        return Input("standard input", sys.stdin.buffer.read(), settings)
    if _is_address(argument):
        name, data = fetch(argument, private=allow_private)
        return Input(name, data, settings, address=True)
    if _is_words(argument):
        return Input("the words", argument.encode("utf-8", "surrogateescape"), settings)
    return Input(argument, Path(argument).read_bytes(), settings)


def _is_address(argument: object) -> bool:
    return isinstance(argument, str) and argument.lower().startswith(ADDRESSES)


def _is_words(argument: object) -> bool:
    """Whether it cannot be meant as a file: words, none of which is there or ends as files' names do."""
    if not isinstance(argument, str) or len(argument.split()) < 2:
        return False
    try:
        return PurePath(argument).suffix.lower() not in KNOWN and not Path(argument).exists()
    except OSError:  # too long for a name
        return True


# ---------------------------------------------------------------------- web addresses

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


def fetch(url: str, *, private: bool, resolve: Resolve = resolve) -> tuple[str, bytes]:
    """Return a file name, whose suffix is one of `KNOWN`, and the bytes; those of text are UTF-8.

    Raises InvalidInput for an address that is not public, unless `private`, or has nothing to read, and
    DragomanError where the server does not answer as it should.
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
            return _named(url, media_type, charset, data)
        url = urljoin(url, found)
    raise InvalidInput(f"{url} redirects more than {MOST_REDIRECTS} times", field="FILE")


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
        raise DragomanError(f"{url} was not downloaded within {WHOLE_S:g} seconds")
    return response.headers.get_content_type(), response.headers.get_content_charset(), data


def _bytes(url: str, response: HTTPResponse) -> bytes:
    if response.getheader("Content-Encoding", "identity") != "identity":
        raise DragomanError(f"{url} sent an unrequested compressed response")
    data = response.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise InvalidInput(
            f"{url} has more than {MOST_BYTES >> 20} MB", field="FILE", allowed=f"{MOST_BYTES >> 20} MB"
        )
    if response.length:  # of a read with a size, http.client does not complain
        raise DragomanError(f"{url} broke off {response.length} bytes before its end")
    return data


def _named(url: str, media_type: str, charset: str | None, data: bytes) -> tuple[str, bytes]:
    path = PurePosixPath(urlsplit(url).path)
    suffix = _SUFFIXES.get(media_type, path.suffix.lower())
    if media_type == "text/plain" and path.suffix.lower() in KNOWN:
        suffix = path.suffix.lower()  # as servers send what they have no type for
    if suffix not in KNOWN:
        raise InvalidInput(
            f"{url} is {media_type}, which cannot be read", field="FILE", allowed=sorted(KNOWN)
        )
    if charset and charset != "utf-8" and media_type.startswith("text/"):
        with contextlib.suppress(LookupError, UnicodeDecodeError):  # else its bytes tell
            data = data.decode(charset).encode()
    return f"{path.stem or 'page'}{suffix}", data
