"""The bodies of requests, and their way to the tasks' own requests.

A wrong field refuses the whole request; a wrong item of `texts` becomes an error in its own place.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticKnownError

from models.choices import (
    ABOUT_LENGTHS,
    DEFAULT_LENGTH,
    MAX_SENTENCES,
    MOST_ALTERNATIVES,
    Length,
    OnUnsupported,
    SummaryFormat,
    TextFormat,
)
from models.errors import InvalidInput
from models.summarize.summarizer import SummaryRequest
from models.translate.translator import TranslationRequest
from service.errors import TooManyTexts
from service.limits import check_length, too_long
from service.schemas.described import INPUTS, one_input, whole
from service.schemas.fields import json_type, require_few_unknown, wrong_fields
from service.settings import Settings

R = TypeVar("R")
B = TypeVar("B", bound=BaseModel)

Texts = Annotated[
    list[Any],  # an item that is no string fails alone, so it is looked at later
    WithJsonSchema({"type": "array", "items": {"type": "string"}, "minItems": 1}),
]
LONGEST_CODE = 40
"""Of a language: codes of more parts take more than twice the time for twice as many."""
LONGEST_TERM = 200
MOST_TERMS = 5000
MOST_PROTECTED = 1000

LanguageCode = Annotated[str, Field(min_length=1, max_length=LONGEST_CODE)]
ModelName = Annotated[str, Field(min_length=1, max_length=200)]
TermText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_TERM),
    Field(json_schema_extra={"pattern": r"\S"}),
]


def _form(value: object) -> str:
    return "name" if isinstance(value, str) else ""


def _few(entries: object) -> object:
    if isinstance(entries, dict) and len(entries) > MOST_TERMS:  # pydantic counts after it has read all
        raise PydanticKnownError(
            "too_long", {"field_type": "Dictionary", "max_length": MOST_TERMS, "actual_length": None}
        )
    return entries


Glossary = Annotated[
    Annotated[dict[TermText, TermText], Field(max_length=MOST_TERMS), BeforeValidator(_few), Tag("")]
    | Annotated[str, Tag("name")],
    Discriminator(_form),  # or a wrong value would be told as wrong in both ways
]

NamedTerms = Callable[[str, str, str], Callable[[str], Mapping[str, str]]]
"""From a kept glossary's name, a source language (or `auto`) and a target, to the terms for each text."""


class _TextsBody(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, json_schema_extra=one_input)

    text: str | None = Field(None, description="One text; the answer is one object.")
    texts: Texts | None = Field(None, description="Many texts; the answer is `results`, in the same order.")


class SummarizeBody(_TextsBody):
    """Exactly one of `text`, `html` and `texts`."""

    html: str | None = Field(None, description="One web page; its article is found and the rest left out.")
    length: Length = Field(DEFAULT_LENGTH, description=f"How long: {ABOUT_LENGTHS}.")
    max_sentences: Annotated[int, Field(ge=1, le=MAX_SENTENCES), whole] | None = Field(
        None, description="At most so many sentences."
    )
    format: SummaryFormat = Field("paragraph", description="Running text, or a line for each sentence.")
    model: ModelName | None = Field(None, description="A name from /v1/models; the default if absent.")
    target: LanguageCode | None = Field(
        None, description="The language of the summary; the article's own if absent."
    )
    clean: bool = Field(True, description="False reads all of the text, page clutter included.")
    on_unsupported: OnUnsupported = Field(
        "flag", description="A sentence that the article does not support: mark it, leave it out, write anew."
    )
    stream: bool = Field(
        False, description="Answer with events while it is worked on; for one text, not for `texts`."
    )


class TranslateBody(_TextsBody):
    """Exactly one of `text` and `texts`."""

    source: LanguageCode = Field("auto", description="The texts' language; `auto` finds it for each text.")
    target: LanguageCode = Field(description="The language to translate into; /v1/languages lists them.")
    model: ModelName | None = Field(None, description="A name from /v1/models; the default if absent.")
    format: TextFormat = Field("text", description="What the texts are; markup is kept as it is.")
    ignore_tags: list[TermText] = Field(
        [], max_length=100, description="Elements of HTML or XML that stay as they are."
    )
    protect: list[TermText] = Field([], max_length=MOST_PROTECTED, description="Terms that stay as they are.")
    glossary: Glossary = Field(
        {}, description="Terms, and what each is to be; or the name or id of a glossary that is kept here."
    )
    min_confidence: float | None = Field(
        None, ge=0, le=1, description="Segments below it come back untranslated and marked."
    )
    alternatives: Annotated[int, Field(ge=0, le=MOST_ALTERNATIVES), whole] = Field(
        0, description="So many other translations of each segment, where the model has them."
    )
    memory: bool = Field(
        True, description="Sentences that the caller's /v1/memory has are taken as they stand there."
    )
    partial: bool = Field(
        False,
        description="If time runs out, answer with what is done; the rest stays as it is, marked.",
    )
    stream: bool = Field(
        False, description="Answer with events while it is worked on; for one text, not for `texts`."
    )


class DetectBody(_TextsBody):
    """Exactly one of `text` and `texts`."""


@dataclass(frozen=True, slots=True)
class Asked(Generic[R]):
    """The items of a body, in order: each a request, or the error in its place."""

    items: tuple[R | InvalidInput, ...]
    many: bool
    """True if `texts` was given, so that the answer is `results` even for one item."""
    stream: bool = False
    """True if the one item is to be answered with events."""

    @property
    def good(self) -> list[R]:
        """The items that can be done, in order."""
        return [item for item in self.items if not isinstance(item, InvalidInput)]


def parse_summarize(data: object, limits: Settings) -> Asked[SummaryRequest]:
    """Read a /v1/summarize body (parsed JSON); raises InvalidInput where the whole of it is refused."""
    body = validated(SummarizeBody, data)
    make: Callable[..., SummaryRequest] = partial(SummaryRequest, **_options(body, SummarizeBody))
    return _asked(body, limits, lambda field, text: make(**{"html" if field == "html" else "text": text}))


def parse_translate(
    data: object, limits: Settings, named_terms: NamedTerms | None = None
) -> Asked[TranslationRequest]:
    """Read a /v1/translate body; raises InvalidInput where the whole of it is refused.

    `named_terms` looks up the glossaries that are kept; without it there are none.
    """
    body = validated(TranslateBody, data)
    terms = _terms(body, named_terms)
    make = partial(TranslationRequest, **_options(body, TranslateBody))
    return _asked(body, limits, lambda _field, text: make(text=text, glossary=terms(text)))


def _options(body: BaseModel, form: type[BaseModel]) -> dict[str, Any]:
    """Return those of the form's fields that say how the work is to be done."""
    given = {name: getattr(body, name) for name in form.model_fields if name not in (*INPUTS, "stream")}
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


def _terms(body: TranslateBody, named_terms: NamedTerms | None) -> Callable[[str], Mapping[str, str]]:
    entries = body.glossary
    if not isinstance(entries, str):
        return lambda _: entries
    if named_terms is None:
        raise InvalidInput("no glossaries are kept here", field="glossary", allowed="an object")
    return named_terms(entries, body.source, body.target)


def parse_detect(data: object, limits: Settings) -> Asked[str]:
    """Read a /v1/detect body: the texts; raises InvalidInput where the whole of it is refused."""
    return _asked(validated(DetectBody, data), limits, lambda _field, text: text)


def validated(model: type[B], data: object) -> B:
    """Return a body's fields, unless it is read already. Raises InvalidInput, or InvalidFields for many."""
    if isinstance(data, model):
        return data
    if not isinstance(data, dict):
        raise InvalidInput(
            f"the body must be a JSON object, not {json_type(data)}", allowed=list(model.model_fields)
        )
    if model.model_config.get("extra") == "forbid":
        require_few_unknown(model, data)
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise wrong_fields(model, error) from None


def _asked(body: _TextsBody, limits: Settings, request: Callable[[str, str], R]) -> Asked[R]:
    field = given_field(body)
    value = getattr(body, field)
    stream = getattr(body, "stream", False)
    if field != "texts":
        return Asked((request(field, _text(field, value, limits)),), many=False, stream=stream)
    if stream:
        raise InvalidInput("texts cannot be streamed", field="stream", allowed="false with texts")
    if not value:
        raise InvalidInput("texts is empty", field="texts", allowed="at least one text")
    if len(value) > limits.max_texts:
        raise TooManyTexts(
            f"texts has {len(value)} items", field="texts", allowed=f"at most {limits.max_texts} texts"
        )
    items = tuple(_item(i, item, limits, request) for i, item in enumerate(value))
    good = sum(
        len(text) for text, item in zip(value, items, strict=True) if not isinstance(item, InvalidInput)
    )
    if good > limits.max_request_characters:
        raise too_long("texts", good, limits.max_request_characters, " over all texts")
    return Asked(items, many=True)


def given_field(body: BaseModel) -> str:
    """The one field that holds the input. Raises InvalidInput unless it is one."""
    fields = [name for name in INPUTS if name in type(body).model_fields]
    given = [name for name in fields if getattr(body, name) is not None]
    if len(given) == 1:
        return given[0]
    was = " and ".join(given) or "none of them"
    raise InvalidInput(
        f"exactly one of {', '.join(fields)} must be given, not {was}",
        field=given[-1] if given else "text",
        allowed=fields,
    )


def _item(index: int, value: object, limits: Settings, request: Callable[[str, str], R]) -> R | InvalidInput:
    field = f"texts[{index}]"
    try:
        return request(field, _text(field, value, limits))
    except InvalidInput as error:
        return error


def _text(field: str, value: object, limits: Settings) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"{field} must be a string, not {json_type(value)}", field=field, allowed="string")
    if not value.strip():
        raise InvalidInput(f"{field} is empty", field=field, allowed="a text with at least one word")
    check_length(field, value, limits)
    return value
