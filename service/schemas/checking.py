"""The JSON of /v1/check and /v1/clean: what they are asked and what they answer."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from models.checker import Checked, CheckRequest, Kind
from models.errors import InvalidInput
from models.text.article import Article
from service.limits import check_length
from service.schemas.answers import DroppedPart, EvidencePart, FlagPart, made
from service.schemas.described import one_input
from service.schemas.requests import LanguageCode, given_field, validated
from service.settings import Settings

SomeText = Annotated[str, Field(pattern=r"\S")]


class CheckBody(BaseModel):
    """An output and its source, whoever made them."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    source: SomeText = Field(description="What the output was made from.")
    output: SomeText = Field(description="The summary or translation to check.")
    kind: Kind = Field(description="What the output is.")
    source_language: LanguageCode = Field("auto", description="The source's language; `auto` finds it.")
    target: LanguageCode | None = Field(None, description="The output's language; found if absent.")


class CheckedPart(BaseModel):
    """A sentence of the output."""

    text: str
    start: int = Field(description="In the output, as `end`.")
    end: int
    evidence: list[EvidencePart] = Field(description="What supports it, the best first.")
    flags: list[FlagPart] = Field(description="What the source does not support.")


class CheckAnswer(BaseModel):
    """The findings of all checks of the kind, sentence by sentence."""

    sentences: list[CheckedPart]
    kind: Kind
    source_language: str
    target: str


class CleanBody(BaseModel):
    """Exactly one of `text` and `html`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, json_schema_extra=one_input)

    text: str | None = Field(None, description="An article as it was pasted from a web page.")
    html: str | None = Field(None, description="A web page.")


class CleanAnswer(BaseModel):
    """The article alone."""

    title: str | None
    text: str = Field(description="Its paragraphs, set off by blank lines.")
    dropped: list[DroppedPart] = Field(description="What was left out, and why.")


def parse_check(data: object, limits: Settings) -> CheckRequest:
    """Read a /v1/check body (parsed JSON). Raises InvalidInput."""
    body = validated(CheckBody, data)
    for field in ("source", "output"):
        check_length(field, getattr(body, field), limits)
    return CheckRequest(**dict(body))


def parse_clean(data: object, limits: Settings) -> tuple[str, str]:
    """Read a /v1/clean body: the field that was given and its content. Raises InvalidInput."""
    body = validated(CleanBody, data)
    field = given_field(body)
    content: str = getattr(body, field)
    if not content.strip():
        raise InvalidInput(f"{field} is empty", field=field, allowed="a text with at least one word")
    check_length(field, content, limits)
    return field, content


def render_check(checked: Checked, output: str) -> CheckAnswer:
    parts = [
        made(CheckedPart, each, text=output[slice(*each.span)], start=each.span.start, end=each.span.end)
        for each in checked.sentences
    ]
    return made(CheckAnswer, checked, sentences=parts)


def render_clean(article: Article) -> CleanAnswer:
    return made(CleanAnswer, article, text=article.content())
