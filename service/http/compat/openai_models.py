"""The models as OpenAI's clients list them: names that say a task, and those of the catalog."""

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

from models.choices import LENGTHS
from service.http.compat.family import directions

if TYPE_CHECKING:
    from service.runtime import Runtime


class OpenAIModel(BaseModel):
    """A name that OpenAI's clients may ask for: a task, or a model of the catalog."""

    id: str = Field(description="`translate:fr`, `summarize:short`, `facebook/m2m100_418M`, ...")
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "dragoman"


def listed(runtime: "Runtime") -> list[OpenAIModel]:
    """Return all that can be chosen; languages may also be put together with lengths and other models."""
    entries = runtime.catalog.entries
    has_default = any(entry.name == runtime.settings.translate_model for entry in entries)
    known = directions(runtime) if has_default else {}
    targets = dict.fromkeys(code for own in known.values() for code in own)
    names = [
        "translate",
        *(f"translate:{code}" for code in targets),
        "summarize",
        *(f"summarize:{length}" for length in LENGTHS),
        "summarize:bullets",
        *(each.name for each in entries if "*" not in each.name and "entail" not in each.tasks),
    ]
    return [OpenAIModel(id=name) for name in names]
