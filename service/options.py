"""The options of each task, in one model that every interface reads.

JSON bodies, forms, jobs, the command line, batches and MCP tools take an option's name, meaning, bounds and
default from here. A new option is one field of `SummaryOptions` or `TranslationOptions`, and one of the
task's request (`SummaryRequest`, `TranslationRequest`), which `tasks.request_maker` fills by name.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Annotated, Any, Self, get_origin

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticKnownError

from models.choices import (
    ABOUT_LENGTHS,
    DEFAULT_LENGTH,
    MAX_SENTENCES,
    MOST_ALTERNATIVES,
    CheckedKind,
    Length,
    OnUnsupported,
    Quality,
    SummaryFormat,
    TextFormat,
)
from models.errors import InvalidInput
from service.documents.formats import COMMENTED, SUFFIXES
from service.errors import TooManyTexts
from service.limits import check_length, too_long
from service.settings import Settings
from service.store.results import TaskName
from service.validation import STRICT, json_type

INPUTS = ("text", "html", "texts")
"""The fields of which a body has exactly one."""
LONGEST_CODE = 40
"""Of a language: codes of more parts take more than twice the time for twice as many."""
LONGEST_TERM = 200
MOST_TERMS = 5000
MOST_PROTECTED = 1000


# ---------------------------------------------------------------------- the options


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _few(entries: object) -> object:
    if isinstance(entries, dict) and len(entries) > MOST_TERMS:  # pydantic counts after it has read all
        raise PydanticKnownError(
            "too_long", {"field_type": "Dictionary", "max_length": MOST_TERMS, "actual_length": None}
        )
    return entries


whole = BeforeValidator(_whole)
"""Takes for an integer what JSON Schema calls one, such as 3.0. To stand last in a field's `Annotated`."""
LanguageCode = Annotated[str, Field(min_length=1, max_length=LONGEST_CODE)]
ModelName = Annotated[str, Field(min_length=1, max_length=200)]
TermText = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_TERM),
    Field(json_schema_extra={"pattern": r"\S"}),
]
Glossary = Annotated[
    Annotated[
        dict[TermText, TermText],
        # what does not match a term's pattern is refused, not passed over
        Field(max_length=MOST_TERMS, json_schema_extra={"additionalProperties": False}),
        BeforeValidator(_few),
        Tag(""),
    ]
    | Annotated[str, Tag("name")],
    # or a wrong value would be told as wrong in both ways
    Discriminator(lambda value: "name" if isinstance(value, str) else ""),
]


class SummaryOptions(BaseModel):
    """How an article is summarized."""

    model_config = STRICT

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
    memory: bool = Field(
        True,
        description="Sentences of its translation that the caller's /v1/memory has are as they stand there.",
    )


class TranslationOptions(BaseModel):
    """How a text is translated. Its format is no option: it goes with the text, or a file's name tells it."""

    model_config = STRICT

    source: LanguageCode = Field("auto", description="The texts' language; `auto` finds it for each text.")
    target: LanguageCode = Field(description="The language to translate into; /v1/languages lists them.")
    model: ModelName | None = Field(None, description="A name from /v1/models; the default if absent.")
    ignore_tags: list[TermText] = Field(
        [], max_length=100, description="Elements of HTML or XML that stay as they are."
    )
    protect: list[TermText] = Field([], max_length=MOST_PROTECTED, description="Terms that stay as they are.")
    glossary: Glossary = Field(
        {}, description="Source terms and their translations; or the name or id of a stored glossary."
    )
    min_confidence: float | None = Field(
        None, ge=0, le=1, description="Segments below it come back untranslated and marked."
    )
    alternatives: Annotated[int, Field(ge=0, le=MOST_ALTERNATIVES), whole] = Field(
        0, description="Number of alternative translations per segment, where the model has them."
    )
    quality: Quality = Field(
        "auto",
        description="How the bundled model searches: `best` with four beams, `fast` greedily; `auto` is"
        " `best` for a few sentences, and for more `fast` with a second search of those in doubt.",
    )
    memory: bool = Field(
        True, description="Sentences that the caller's /v1/memory has are taken as they stand there."
    )
    partial: bool = Field(
        False,
        description="If time runs out, answer with what is done; the rest stays untranslated and marked.",
    )


Options = SummaryOptions | TranslationOptions
OPTIONS: Mapping[TaskName, type[Options]] = {"summarize": SummaryOptions, "translate": TranslationOptions}


# ---------------------------------------------------------------------- bodies


def _one_input(schema: dict[str, Any]) -> None:
    """Make a body's JSON Schema say that one of its inputs is given, and the others are absent or null."""
    properties = schema["properties"]
    inputs = [name for name in INPUTS if name in properties]
    kinds = {name: "array" if name == "texts" else "string" for name in inputs}
    forms = schema["oneOf"] = [
        {
            "title": f"with {given}",
            "required": [given],
            "properties": {name: {"type": kinds[name] if name == given else "null"} for name in inputs},
        }
        for given in inputs
    ]
    if "stream" in properties:  # one text only
        forms[inputs.index("texts")]["properties"]["stream"] = {"const": False}


class Texts(BaseModel):
    """The text or texts of a body."""

    model_config = ConfigDict(**STRICT, json_schema_extra=_one_input)

    text: str | None = Field(None, description="One text; the answer is one object.")
    # an item that is no string fails alone, so it is looked at later
    texts: (
        Annotated[list[Any], WithJsonSchema({"type": "array", "items": {"type": "string"}, "minItems": 1})]
        | None
    ) = Field(None, description="Many texts; the answer is `results`, in the same order.")


class StreamedTexts(Texts):
    """The same, of a body that may be answered with events."""

    stream: bool = Field(
        False, description="Answer with events while it is worked on; for one text, not for `texts`."
    )


class SummarizeBody(SummaryOptions, StreamedTexts):
    """Exactly one of `text`, `html` and `texts`."""

    html: str | None = Field(None, description="One web page; its article is found and the rest left out.")


class TranslateBody(TranslationOptions, StreamedTexts):
    """Exactly one of `text` and `texts`."""

    format: TextFormat = Field("text", description="What the texts are; markup is kept as it is.")


BODIES: Mapping[TaskName, type[SummarizeBody | TranslateBody]] = {
    "summarize": SummarizeBody,
    "translate": TranslateBody,
}


class DetectBody(Texts):
    """Exactly one of `text` and `texts`."""


class CleanBody(BaseModel):
    """Exactly one of `text` and `html`."""

    model_config = ConfigDict(**STRICT, json_schema_extra=_one_input)

    text: str | None = Field(None, description="An article as it was pasted from a web page.")
    html: str | None = Field(None, description="A web page.")


class CheckBody(BaseModel):
    """An output and its source, whoever made them."""

    model_config = STRICT

    source: Annotated[str, Field(pattern=r"\S")] = Field(description="What the output was made from.")
    output: Annotated[str, Field(pattern=r"\S")] = Field(description="The summary or translation to check.")
    kind: CheckedKind = Field(description="What the output is.")
    source_language: LanguageCode = Field("auto", description="The source's language; `auto` finds it.")
    target: LanguageCode | None = Field(None, description="The output's language; found if absent.")

    def require_short(self, limits: Settings) -> None:
        """Raise TooLong."""
        check_length("source", self.source, limits)
        check_length("output", self.output, limits)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a body gives to work on: texts or a page; a wrong item of `texts` is an error in its place."""

    field: str
    """The body's field: one of `INPUTS`."""
    items: tuple[str | InvalidInput, ...]

    @property
    def kind(self) -> str:
        """`html` for a page, else `text`."""
        return "html" if self.field == "html" else "text"

    @property
    def good(self) -> list[str]:
        """The items that can be worked on, in order."""
        return [item for item in self.items if isinstance(item, str)]


def given_field(body: BaseModel) -> str:
    """Return the one field that holds the input. Raises InvalidInput unless it is one."""
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


def inputs(body: Texts | CleanBody, limits: Settings) -> Inputs:
    """Return what the body gives to work on. Raises InvalidInput where the whole request is refused."""
    field = given_field(body)
    value = getattr(body, field)
    if field != "texts":
        return Inputs(field, (_text(field, value, limits),))
    if getattr(body, "stream", False):
        raise InvalidInput("texts cannot be streamed", field="stream", allowed=["false"])
    if not value:
        raise InvalidInput("texts is empty", field="texts", allowed="at least one text")
    if len(value) > limits.max_texts:
        raise TooManyTexts(
            f"texts has {len(value)} items", field="texts", allowed=f"at most {limits.max_texts} texts"
        )
    items = list[str | InvalidInput]()
    for i, item in enumerate(value):
        try:
            items.append(_text(f"texts[{i}]", item, limits))
        except InvalidInput as error:
            items.append(error)
    sent = Inputs("texts", tuple(items))
    if (total := sum(map(len, sent.good))) > limits.max_request_characters:
        raise too_long("texts", total, limits.max_request_characters, " over all texts")
    return sent


def _text(field: str, value: object, limits: Settings) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"{field} must be a string, not {json_type(value)}", field=field, allowed="string")
    if not value.strip():
        raise InvalidInput(f"{field} is empty", field=field, allowed="a text with at least one word")
    check_length(field, value, limits)
    return value


# ---------------------------------------------------------------------- forms


class DocumentForm(BaseModel):
    """A document, beside the options; its name's suffix says what it is. The fields of forms are strings."""

    model_config = ConfigDict(extra="forbid", strict=False, frozen=True)

    file: Annotated[Any, WithJsonSchema({"type": "string", "format": "binary"})] = Field(
        description=f"One of {' '.join(SUFFIXES)}"
    )


class SummarizeForm(SummaryOptions, DocumentForm):
    """The form of a document's summary: the options of /v1/summarize."""


class TranslateForm(TranslationOptions, DocumentForm):
    """The form of a document's translation: the options of /v1/translate; a glossary's entries are JSON."""

    comments: bool = Field(
        False,
        description=f"Put what the checks found into the document as comments: {' '.join(COMMENTED)} only.",
    )
    report: bool = Field(
        False,
        description="Answer with a ZIP file of the document and its report, the JSON of /v1/translate.",
    )

    @model_validator(mode="before")
    @classmethod
    def _read_glossary(cls, fields: dict[str, Any]) -> dict[str, Any]:
        entries = fields.get("glossary")
        if not isinstance(entries, str) or not entries.lstrip().startswith("{"):
            return fields
        try:
            return {**fields, "glossary": json.loads(entries)}
        except (ValueError, RecursionError):
            raise InvalidInput(
                "glossary is not JSON", field="glossary", allowed="a JSON object, or a glossary's name or id"
            ) from None

    @model_validator(mode="after")
    def _can_carry_comments(self) -> Self:
        if self.comments and PurePath(str(self.file)).suffix.lower() not in COMMENTED:
            raise InvalidInput(
                "this format cannot carry comments",
                field="comments",
                allowed=COMMENTED,
            )
        return self


FORMS: Mapping[TaskName, type[SummarizeForm | TranslateForm]] = {
    "summarize": SummarizeForm,
    "translate": TranslateForm,
}
REPEATED = frozenset(
    name
    for form in FORMS.values()
    for name, field in form.model_fields.items()
    if get_origin(field.annotation) is list
)
"""Fields that a form may have several times."""
