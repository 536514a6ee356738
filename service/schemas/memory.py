"""The JSON of the translation memory."""

from pydantic import BaseModel, ConfigDict, Field

from models.errors import InvalidInput
from service.schemas.requests import LanguageCode, validated
from service.store.translation_memory import TmxPair


class MemoryBody(BaseModel):
    """Sentences for one pair of languages."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    source: LanguageCode = Field(description="The sentences' language.")
    target: LanguageCode = Field(description="The language of what they are to be.")
    entries: dict[str, str] = Field(description="Sentences, and what each is to be.")


class MemoryPart(BaseModel):
    """A pair of languages."""

    source: str
    target: str
    size: int = Field(description="How many sentences there are.")


class MemoryAnswer(BaseModel):
    """What the caller's translation memory has."""

    pairs: list[MemoryPart]


class MemoryKept(MemoryAnswer):
    """What it has after more was kept."""

    kept: int = Field(description="How many pairs the request had.")


class MemoryQuery(BaseModel):
    """A part of the memory; without these all of it is meant."""

    source: LanguageCode | None = Field(None, description="Only sentences in this language.")
    target: LanguageCode | None = Field(None, description="Only translations into this language.")


class MemoryForgetQuery(MemoryQuery):
    """What is to be forgotten; without these all of it is."""

    text: str | None = Field(None, description="Only this sentence.")


def parse_memory(data: object) -> list[TmxPair]:
    """Read pairs from JSON. Raises InvalidInput."""
    body = validated(MemoryBody, data)
    if not body.entries:
        raise InvalidInput("there are no entries", field="entries", allowed="at least one")
    return [TmxPair(body.source, body.target, *pair) for pair in body.entries.items()]
