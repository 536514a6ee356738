"""The formats of documents: the one table that every way in reads. It imports nothing heavy."""

from collections.abc import Mapping
from dataclasses import dataclass

from models.choices import TEXT_SUFFIXES

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
    ".docx": Format(f"{_OFFICE}.wordprocessingml.document", "word.WordDocument"),
    ".pptx": Format(f"{_OFFICE}.presentationml.presentation", "slides.SlideDocument"),
    ".xlsx": Format(f"{_OFFICE}.spreadsheetml.sheet", "sheets.SheetDocument"),
    ".odt": Format(f"{_OPEN}.text", "opendocument.TextDocument"),
    ".odp": Format(f"{_OPEN}.presentation", "opendocument.PresentationDocument"),
    ".epub": Format("application/epub+zip", "book.Book"),
    ".pdf": Format("application/pdf", "portable.PortableDocument", is_text=True),
    ".srt": Format("application/x-subrip", "subtitles.Subtitles", is_text=True),
    ".po": Format("text/x-gettext-translation", "messages.MessageDocument", is_text=True),
    ".xliff": Format("application/xliff+xml", "xliff.UnitDocument", is_text=True),
    ".xlf": Format("application/x-xliff+xml", "xliff.ShortUnitDocument", is_text=True),
    ".vtt": Format("text/vtt", "web_subtitles.WebSubtitles", is_text=True),
}
"""By the suffix of a file's name."""
SUFFIXES = (*TEXT_SUFFIXES, *FORMATS)
"""Of all that is read: text in some form, and documents."""
BINARY = tuple(suffix for suffix, each in FORMATS.items() if not each.is_text)
COMMENTED = (".docx",)
"""Documents that can carry comments on a translation."""
