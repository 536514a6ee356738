"""Reads a command's argument: a file, a URL, `-`, or the text itself.

Documents are parsed in a child process, as in the server.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, TypeVar

import click

from models.choices import TextFormat
from models.errors import InvalidInput
from service.cli.session import keep
from service.documents.formats import FORMATS as DOCUMENTS
from service.fetch import FORMATS, KNOWN, fetch

if TYPE_CHECKING:
    from service.documents.formats import Comment, DocumentArticle, DocumentText, File
    from service.settings import Settings

C = TypeVar("C", bound=click.Command)
R = TypeVar("R")

PACKED = tuple(DOCUMENTS)
"""What has to be parsed; all else is UTF-8 text of some form. `service.documents` has the readers."""
LISTED = ", ".join((".txt", ".md", ".html", *PACKED))
"""Formats, for readers."""
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
        try:
            name, data = fetch(argument, "FILE", private=allow_private)
        except InvalidInput as error:
            if not allow_private and "not public" in error.message:
                error.allowed = "a public address, or any with --allow-private"
            raise
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
