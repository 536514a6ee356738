"""The JSON of named glossaries."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from models.errors import InvalidInput
from service.schemas.absent import absent
from service.schemas.answers import made
from service.schemas.requests import LanguageCode, validated
from service.store.glossaries import LONGEST_NAME, Dictionary, Glossary, read_entries

Name = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME)]


class GlossaryBody(BaseModel):
    """A new glossary; its entries come in exactly one of `entries`, `tsv` and `csv`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: Name = Field(description="Requests name the glossary by this, or by its id.")
    source: LanguageCode = Field(description="The terms' language.")
    target: LanguageCode = Field(description="The language of what they are to be.")
    entries: dict[str, str] | None = Field(None, description="Terms, and what each is to be.")
    tsv: str | None = Field(None, description="The same as lines of two columns, between them a tab.")
    csv: str | None = Field(None, description="The same as lines of two columns, between them a comma.")


class DictionaryPart(BaseModel):
    """A glossary's dictionary for one pair of languages."""

    source: str
    target: str
    size: int = Field(description="How many entries there are.")
    entries: dict[str, str] | None = absent("The entries themselves, where one glossary was asked for.")


class GlossaryAnswer(BaseModel):
    """A glossary."""

    id: str
    name: str
    created: datetime
    dictionaries: list[DictionaryPart]


class GlossaryList(BaseModel):
    """All glossaries, the oldest first."""

    glossaries: list[GlossaryAnswer]


class PairQuery(BaseModel):
    """The languages of one of a glossary's dictionaries; needed where it has several."""

    source: LanguageCode | None = Field(None, description="The terms' language.")
    target: LanguageCode | None = Field(None, description="The language of what they are to be.")


def parse_glossary(data: object) -> tuple[str, Dictionary]:
    """Read a new glossary's name and entries from JSON; raises InvalidInput."""
    body = validated(GlossaryBody, data)
    forms: tuple[Literal["entries", "tsv", "csv"], ...] = ("entries", "tsv", "csv")
    given = [name for name in forms if getattr(body, name) is not None]
    if len(given) != 1:
        was = " and ".join(given) or "none of them"
        raise InvalidInput(
            f"exactly one of entries, tsv, csv must be given, not {was}",
            field=given[-1] if given else "entries",
            allowed=forms,
        )
    form, value = given[0], getattr(body, given[0])
    entries = dict(value) if form == "entries" else read_entries(value, form, form)
    return body.name, Dictionary(body.source, body.target, entries)


def render_glossary(glossary: Glossary, entries: list[dict[str, str]] | None = None) -> GlossaryAnswer:
    """The answer for a glossary; `entries` are those of its pairs, in order."""
    parts = [
        made(DictionaryPart, pair, entries=None if entries is None else entries[i])
        for i, pair in enumerate(glossary.pairs)
    ]
    return made(GlossaryAnswer, glossary, dictionaries=parts)
