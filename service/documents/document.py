"""The protocol of documents of any kind: an article to summarize, a text to translate, itself translated."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal, Protocol

from models.choices import TextFormat


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
