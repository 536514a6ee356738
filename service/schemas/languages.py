"""The body of /v1/languages: which models have a language, and which others it reaches."""

from pydantic import BaseModel, Field

from service.schemas.absent import absent


class LanguagePart(BaseModel):
    """A language, with the ways from it that are taken where a request names no model."""

    code: str
    name: str
    models: list[str] = Field(description="The models that translate it; a `*` stands for a pair.")
    targets: list[str] | None = absent("The languages that it is translated into if no model is named.")
    via: dict[str, str] | None = absent("Of these, those that go through another language, and which one.")


class LanguageList(BaseModel):
    """All languages."""

    languages: list[LanguagePart]
    quality: str | None = absent("What the models that are taken by default are good at.")
