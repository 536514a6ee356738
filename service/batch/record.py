"""One record of an input, and what of it is worked on. Knows no format and no task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from models.errors import InvalidInput

Form = Literal["text", "html", "markdown"]

Fields = Mapping[str, Any]


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
    """The names of a record's fields."""

    text: str | None = "text"
    """None if only `html` is looked at."""
    html: str | None = "html"
    id: str = "id"
    must_exist: bool = False
    """True if a first window without any of them is the user's mistake, and not the records'."""

    def content(self, record: Record) -> Content:
        """The record's text or HTML. A field that is null is not there. Raises InvalidInput."""
        if record.problem is not None:
            raise record.problem
        names = [name for name in (self.text, self.html) if name is not None]
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

    def require_any(self, records: Sequence[Record]) -> None:
        """Raise InvalidInput if they must exist, and none of these records has one."""
        names = [name for name in (self.text, self.html) if name is not None]
        read = [record for record in records if record.problem is None]
        if not self.must_exist or not read or any(name in each.fields for each in read for name in names):
            return
        there = list(read[0].fields)
        wanted = " or ".join(repr(name) for name in names)
        raise InvalidInput(
            f"no record has a field {wanted}; line {read[0].line} has {', '.join(there) or 'none'}",
            field="--html-field" if self.text is None else "--text-field",
            allowed=there,
        )

    def check(self, record: Record, taken: tuple[str, ...]) -> None:
        """Raises InvalidInput if the record has a field that the output needs for itself."""
        for name in taken:
            if name in record.fields:
                raise InvalidInput(
                    f"the record has a field {name!r} of its own, a name that the output needs", field=name
                )
