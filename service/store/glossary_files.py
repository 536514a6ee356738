"""Glossary entries as text, TSV or CSV, and what a term may be."""

import csv
import io
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Literal

from models.errors import InvalidInput

LONGEST_TERM = 1024
"""Characters."""

TextForm = Literal["tsv", "csv"]


def read_entries(text: str, form: TextForm, field: str = "entries") -> dict[str, str]:
    """Read one entry a line: a term and its translation. Empty lines are skipped.

    A term that comes twice, or a line without two columns, refuses the whole text, so that no entry is lost
    unnoticed: raises InvalidInput, naming `field` and the line.
    """
    return _entries(_tsv(text) if form == "tsv" else _csv(text, field), field)


def checked_entries(entries: Mapping[str, str]) -> dict[str, str]:
    """Return the entries without the spaces around them. Raises InvalidInput for what is no term."""
    rows = ((f"the term {term[:40]!r}", [term, translation]) for term, translation in entries.items())
    return _entries(rows, "entries")


def write_tsv(entries: Mapping[str, str]) -> str:
    """Write one line an entry."""
    return "".join(f"{term}\t{translation}\n" for term, translation in entries.items())


def _tsv(text: str) -> Iterable[tuple[str, list[str]]]:
    lines = text.removeprefix("\ufeff").split("\n")
    return ((f"line {i}", line.split("\t")) for i, line in enumerate(lines, 1) if line.strip())


def _csv(text: str, field: str) -> Iterable[tuple[str, list[str]]]:
    reader = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""), strict=True)
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                # DeepL's own files may name the two languages in a third and a fourth column.
                yield f"line {reader.line_num}", row[:2] if len(row) == 4 else row
    except csv.Error as error:
        raise InvalidInput(
            f"line {reader.line_num} is not CSV: {error}", field=field, allowed="term,translation"
        ) from None


def _entries(rows: Iterable[tuple[str, list[str]]], field: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for place, row in rows:
        if len(row) != 2:
            raise InvalidInput(
                f"{place} has {len(row)} columns", field=field, allowed="two columns: term, translation"
            )
        term, translation = (_checked_term(cell, place, field) for cell in row)
        if term in found:
            raise InvalidInput(f"{place}: {term!r} appears twice", field=field, allowed="each term once")
        found[term] = translation
    if not found:
        raise InvalidInput("there are no entries", field=field, allowed="at least one entry")
    return found


def _checked_term(cell: str, place: str, field: str) -> str:
    term = cell.strip()
    if not term:
        raise InvalidInput(f"{place} has an empty side", field=field, allowed="a term and its translation")
    if len(term) > LONGEST_TERM:
        raise InvalidInput(
            f"{place} has a term of {len(term)} characters", field=field, allowed=f"at most {LONGEST_TERM}"
        )
    if any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in term):
        raise InvalidInput(
            f"{place} has a control character", field=field, allowed="characters that can be printed"
        )
    return term
