"""A record of the input, its content, and its row of the output. Knows no format and no task."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from models.errors import DragomanError, InvalidInput
from service.problems import kind_of

Form = Literal["text", "html", "markdown"]

Fields = Mapping[str, Any]

TEXT_OF_RESULT = ("summary", "translation")


@dataclass(frozen=True, slots=True)
class Record:
    """One record of the input."""

    line: int
    """Its line, row or file, counted from 1."""
    fields: Fields = field(default_factory=dict)
    problem: InvalidInput | None = None
    """Why it could not be read; `fields` are then empty, or hold its id."""
    is_markdown: bool = False
    """True if the format tells that its text is Markdown."""


@dataclass(frozen=True, slots=True)
class Content:
    """The part of a record that is worked on: records with equal contents have equal results."""

    form: Form
    value: str


@dataclass(frozen=True, slots=True)
class FieldNames:
    """The names of a record's fields, and of what its row has beside them."""

    text: str | None = "text"
    """None if only `html` is looked at."""
    html: str | None = "html"
    id: str = "id"
    result: str = "result"
    """The row's field for the result."""
    omit_text: bool = False
    """True if the row is without the text or HTML."""

    @property
    def contents(self) -> list[str]:
        """The names of fields that hold a content."""
        return [name for name in (self.text, self.html) if name is not None]

    def content(self, record: Record) -> Content:
        """Return the record's text or HTML. A field that is null is not there.

        Raises InvalidInput, also if the record has a field that the row needs for itself.
        """
        for name in (self.result, "error"):
            if name in record.fields:
                raise InvalidInput(
                    f"the record has a field {name!r} of its own, a name that the output needs", field=name
                )
        if record.problem is not None:
            raise record.problem
        names = self.contents
        given = [name for name in names if record.fields.get(name) is not None]
        if len(given) != 1:
            needed = f"one of {' and '.join(names)}" if len(names) > 1 else f"a field {names[0]!r}"
            was = ("both" if given else "neither") if len(names) > 1 else "none"
            raise InvalidInput(f"the record needs {needed} and has {was}", field=names[0], allowed=names)
        name, value = given[0], record.fields[given[0]]
        if not isinstance(value, str):
            raise InvalidInput(f"{name} is not a string", field=name, allowed="a string")
        if not value.strip():
            raise InvalidInput(f"{name} is empty", field=name, allowed="at least one word")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise InvalidInput(f"{name} holds a lone surrogate", field=name, allowed="valid Unicode")
        if name == self.html:
            return Content("html", value)
        return Content("markdown" if record.is_markdown else "text", value)

    def require_any(self, records: Iterable[Record]) -> None:
        """Raise InvalidInput if none of these records has a content's field: that is the user's mistake.

        Reads no further than the first one that has.
        """
        first = None
        for record in records:
            if record.problem is None:
                first = first or record
                if any(name in record.fields for name in self.contents):
                    return
        if first is not None:
            wanted = " or ".join(repr(name) for name in self.contents)
            raise InvalidInput(
                f"IN has no field {wanted}; it has {', '.join(first.fields) or 'none'} "
                "(--text-field or --html-field names yours)"
            )


def name_of(fields: Fields, id_field: str) -> str:
    """Return a record's id as people are told it."""
    return str(fields.get(id_field, ""))[:80]


@dataclass(frozen=True, slots=True)
class Row:
    """One record of the output: with a result, or with an error."""

    fields: Fields
    id_field: str
    result_field: str
    result: str | None = None
    """JSON."""
    error: Mapping[str, Any] | None = None
    flags: tuple[str, ...] = ()
    """The kinds of the result's flags."""

    @property
    def name(self) -> str:
        """The record's id as people are told it."""
        return name_of(self.fields, self.id_field)

    def text(self) -> str | None:
        """Return the summary or the translation itself."""
        if self.result is None:
            return None
        result = json.loads(self.result)
        return next((result[name] for name in TEXT_OF_RESULT if name in result), None)


def row_error(error: Exception) -> dict[str, Any]:
    """Return the `error` of a row: its kind, as problem documents have it, and its words."""
    told: dict[str, Any] = {"type": kind_of(error).slug}
    if not isinstance(error, DragomanError):
        return told | {"message": f"{type(error).__name__}: {error}"}
    told["message"] = error.message
    if error.field is not None:
        told["field"] = error.field
    if error.allowed is not None:
        told["allowed"] = error.allowed
    return told
