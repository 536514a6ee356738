"""The forms of /v1/documents: a file, and in fields beside it what is asked. Form fields are strings."""

from pathlib import PurePath
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from models.choices import (
    ABOUT_LENGTHS,
    DEFAULT_LENGTH,
    MAX_SENTENCES,
    Length,
    OnUnsupported,
    SummaryFormat,
)
from models.errors import InvalidInput
from service.documents.formats import COMMENTED, SUFFIXES
from service.schemas.fields import wrong_fields
from service.schemas.requests import LONGEST_TERM, MOST_PROTECTED, LanguageCode, ModelName

F = TypeVar("F", bound=BaseModel)

FileField = Annotated[Any, WithJsonSchema({"type": "string", "format": "binary"})]
Term = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_TERM)]


class DocumentForm(BaseModel):
    """A document; its name's suffix says what it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: FileField = Field(description=f"One of {' '.join(SUFFIXES)}")
    model: ModelName | None = Field(None, description="A name from /v1/models; the default if absent.")


class SummarizeForm(DocumentForm):
    """The form of a document's summary: the fields of /v1/summarize."""

    length: Length = Field(DEFAULT_LENGTH, description=f"How long: {ABOUT_LENGTHS}.")
    max_sentences: int | None = Field(None, ge=1, le=MAX_SENTENCES, description="At most so many sentences.")
    format: SummaryFormat = Field("paragraph", description="Running text, or a line for each sentence.")
    target: LanguageCode | None = Field(None, description="The language of the summary.")
    on_unsupported: OnUnsupported = Field("flag", description="As in /v1/summarize.")


class TranslateForm(DocumentForm):
    """The form of a document's translation: the fields of /v1/translate."""

    target: LanguageCode = Field(description="The language to translate into.")
    source: LanguageCode = Field("auto", description="The document's language.")
    protect: list[Term] = Field(
        [], max_length=MOST_PROTECTED, description="Terms that stay as they are; may repeat."
    )
    min_confidence: float | None = Field(None, ge=0, le=1, description="As in /v1/translate.")
    comments: bool = Field(
        False,
        description=f"Put what the checks found into the document as comments: {' '.join(COMMENTED)} only.",
    )
    report: bool = Field(
        False,
        description="Answer with a ZIP file of the document and its report, the JSON of /v1/translate.",
    )

    @model_validator(mode="after")
    def _can_carry_comments(self) -> Self:
        if self.comments and PurePath(str(self.file)).suffix.lower() not in COMMENTED:
            raise InvalidInput(
                "the document cannot carry comments",
                field="comments",
                allowed=f"files of {' '.join(COMMENTED)}",
            )
        return self


def parse_form(form: type[F], fields: dict[str, Any]) -> F:
    """A form's fields, `file` among them. Raises InvalidInput."""
    try:
        return form.model_validate(fields)
    except ValidationError as error:
        raise wrong_fields(form, error) from None
