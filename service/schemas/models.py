"""The answer of /v1/models: the models that can be asked for, and as OpenAI's clients list them."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field


class ModelPart(BaseModel):
    name: str
    family: str
    tasks: list[str]
    languages: list[str] = Field(description="Empty where the model has no fixed list.")
    licence: str
    max_source_tokens: int | None
    description: str
    bundled: bool = Field(description="Comes with the service, so that no model hub is needed.")
    default_for: list[str] = Field(description="The tasks that take it when no model is named.")
    loaded: bool
    state: str = Field(
        description="`not here`, `on disk`, `bundled`, `at a server`, `downloading 41%`, `loading`, or "
        "`ready`."
    )


class OpenAIModel(BaseModel):
    """A name that OpenAI's clients may ask for: a task, or a model of the catalog."""

    id: str = Field(description="`translate:fr`, `summarize:short`, `facebook/m2m100_418M`, ...")
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "dragoman"


class ModelList(BaseModel):
    models: list[ModelPart]
    object: Annotated[Literal["list"], Field(description="As OpenAI's clients read it, with `data`.")] = (
        "list"
    )
    data: list[OpenAIModel] = Field([], description="The names for chat completions.")
