"""What shows before the first record: which models are used, that they are here and can do the task."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from models.errors import ModelUnavailable
from models.tasks.summary import SummaryRequest
from models.tasks.translation import TranslationRequest

if TYPE_CHECKING:
    from models.entry import ModelEntry
    from service.runtime import Runtime

ANY_TEXT = "Yes."


def check_summary(runtime: "Runtime", request: SummaryRequest, *, load: bool = True) -> dict[str, str]:
    """Load the models of summaries like `request`; returns their names with the revisions in use.

    Without `load` they are only fetched, if need be. Raises what each record would be refused with, such as
    UnknownModel, and ModelUnavailable.
    """
    models = {entry.name: _ready(runtime, entry, load) for entry in summary_models(runtime, request)}
    if request.target is not None:
        check_translation(runtime, TranslationRequest(text="", target=request.target), load=load)
    return models


def check_translation(
    runtime: "Runtime", request: TranslationRequest, *, load: bool = True
) -> dict[str, str]:
    """The same for translations; with `load` one word is translated, so that a wrong language shows now."""
    entry = translation_model(runtime, request)
    target = runtime.languages.normalize(request.target, "target")
    models = {entry.name: _ready(runtime, entry, load)}
    source = request.source
    if source == "auto":  # any language that the model reads will do
        known = [start for start, end in entry.pairs if end == target] or entry.languages
        source = next((code for code in ("en", *known) if code in known and code in entry.languages), "")
    if load and source and not entry.is_pattern:
        trial = TranslationRequest(text=ANY_TEXT, source=source, target=target, model=request.model)
        runtime.run_all([runtime.translator.steps(trial)], wait=True)[0].unwrap()
    return models


def fetch(runtime: "Runtime", models: Mapping[str, str]) -> None:
    """Have these models here at the revisions that another machine uses; what is not here is fetched.

    Raises ModelUnavailable if that cannot be, or if one is here at another revision.
    """
    for name, revision in models.items():
        entry = runtime.catalog.get(name)
        if runtime.store.state(entry) == "not pulled":
            runtime.store.pull(entry.model_copy(update={"revision": revision}))
        if not entry.is_pattern and (own := runtime.store.revision(entry)) != revision:
            raise ModelUnavailable(f"{name} is here at revision {own}, and the run is of revision {revision}")


def summary_models(runtime: "Runtime", request: SummaryRequest) -> "list[ModelEntry]":
    """The models that a summary is made by. Raises UnknownModel."""
    settings, catalog = runtime.settings, runtime.catalog
    found = [catalog.get(request.model or settings.summarize_model, "summarize")]
    if settings.entailment_model is not None:
        found.append(catalog.get(settings.entailment_model, "entail"))
    if request.target is not None:
        found.append(catalog.get(settings.translate_model, "translate"))
    return found


def translation_model(runtime: "Runtime", request: TranslationRequest) -> "ModelEntry":
    """The model that a translation is made by. Raises UnknownModel."""
    return runtime.catalog.get(request.model or runtime.settings.translate_model, "translate")


def revision(runtime: "Runtime", entry: "ModelEntry") -> str:
    """A model's revision, which stays the one it was pulled at. Raises ModelUnavailable.

    Which models a pattern stands for, each text's language decides.
    """
    if entry.is_pattern:
        return "by pair"
    ready = runtime.store.state(entry) == "ready"
    return runtime.store.revision(entry) if ready else runtime.store.pull(entry)


def _ready(runtime: "Runtime", entry: "ModelEntry", load: bool) -> str:
    """Fetch a model, and with `load` load it; returns its revision."""
    found = revision(runtime, entry)
    if load and not entry.is_pattern:
        runtime.pool.load(entry.name)
    return found
