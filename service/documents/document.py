"""What any kind of document offers: an article to summarize, a text to translate, and itself translated."""

from dataclasses import dataclass
from typing import Literal, Protocol

from models.tasks.translation import TextFormat


@dataclass(frozen=True, slots=True)
class DocumentText:
    """A document's content, as the tasks take it."""

    text: str
    format: TextFormat


@dataclass(frozen=True, slots=True)
class DocumentArticle:
    """A document's content, as a summary reads it."""

    text: str
    field: Literal["text", "html"] = "text"
    """Of a summary's request."""
    clean: bool = False
    """Whether it may hold what a web page puts around an article."""


@dataclass(frozen=True, slots=True)
class File:
    """A file to give back."""

    suffix: str
    """Of its name, with the dot."""
    media_type: str
    data: bytes


class Document(Protocol):
    """One document, read."""

    def article(self) -> DocumentArticle:
        """What a summary reads."""

    def to_translate(self) -> DocumentText:
        """What a translation reads."""

    def translated(self, translation: str, language: str) -> File:
        """The document with the translation of `to_translate`'s text, into this language, in its place."""
