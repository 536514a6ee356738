"""The table of document formats, which every interface reads, and what each reader provides.

Imports nothing heavy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal, Protocol

from models.choices import TEXT_SUFFIXES, TextFormat


@dataclass(frozen=True, slots=True)
class DocumentText:
    """A document's text, as a translation reads it."""

    text: str
    format: TextFormat


@dataclass(frozen=True, slots=True)
class DocumentArticle:
    """A document's content, as a summary reads it."""

    text: str
    field: Literal["text", "html"] = "text"
    """Of a summary's request."""
    clean: bool = False
    """True if it may hold what a web page puts around an article."""


@dataclass(frozen=True, slots=True)
class File:
    """A file to give back."""

    suffix: str
    """Of its name, with the dot."""
    media_type: str
    data: bytes

    def name(self, original: str, language: str) -> str:
        """Return its name, after the file that it translates."""
        return f"{PurePath(original).stem}.{language}{self.suffix}"


@dataclass(frozen=True, slots=True)
class Comment:
    """A remark on a sentence of a translation."""

    place: int
    """Where the sentence's source begins in `to_translate`'s text."""
    sentence: str
    """As it is translated."""
    text: str


class Document(Protocol):
    """One document, read."""

    def article(self) -> DocumentArticle:
        """Return the article that a summary reads."""

    def to_translate(self) -> DocumentText:
        """Return the text that a translation reads."""

    def translated(self, translation: str, language: str, comments: Sequence[Comment] = ()) -> File:
        """Return the document with this translation, into `language`, in place of `to_translate`'s text.

        Comments go to documents of `formats.COMMENTED` alone.
        """


_OFFICE = "application/vnd.openxmlformats-officedocument"

_OPEN = "application/vnd.oasis.opendocument"


@dataclass(frozen=True, slots=True)
class Format:
    """A format that has a reader of its own."""

    media_type: str
    reader: str
    """Module and class in this folder; the class takes the file's bytes."""
    is_text: bool = False
    """True if the translated file can be read in a terminal."""


FORMATS: Mapping[str, Format] = {
    ".docx": Format(f"{_OFFICE}.wordprocessingml.document", "office.WordDocument"),
    ".pptx": Format(f"{_OFFICE}.presentationml.presentation", "office.SlideDocument"),
    ".xlsx": Format(f"{_OFFICE}.spreadsheetml.sheet", "office.SheetDocument"),
    ".odt": Format(f"{_OPEN}.text", "opendocument.TextDocument"),
    ".odp": Format(f"{_OPEN}.presentation", "opendocument.PresentationDocument"),
    ".ods": Format(f"{_OPEN}.spreadsheet", "opendocument.SpreadsheetDocument"),
    ".epub": Format("application/epub+zip", "epub.EpubDocument"),
    ".pdf": Format("application/pdf", "pdf.PdfDocument", is_text=True),
    ".srt": Format("application/x-subrip", "subtitles.Subtitles", is_text=True),
    ".po": Format("text/x-gettext-translation", "localization.MessageDocument", is_text=True),
    ".xliff": Format("application/xliff+xml", "localization.XliffDocument", is_text=True),
    ".xlf": Format("application/x-xliff+xml", "localization.XlfDocument", is_text=True),
    ".vtt": Format("text/vtt", "subtitles.WebSubtitles", is_text=True),
}
"""By the suffix of a file's name."""
SUFFIXES = (*TEXT_SUFFIXES, *FORMATS)
"""Of all that is read: text in some form, and documents."""
BINARY = tuple(suffix for suffix, each in FORMATS.items() if not each.is_text)
COMMENTED = (".docx",)
"""Documents that can carry comments on a translation."""
