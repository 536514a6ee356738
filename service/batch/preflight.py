"""What is tried before the first record: names, then the input's fields, then the models."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from models.better import Betters
from models.catalog import Catalog, ModelEntry
from models.errors import ModelUnavailable
from models.languages import Languages
from models.translate.translator import TranslationRequest
from service.batch.options import BatchOptions
from service.batch.readers import LineReader, inner_suffix, open_reader
from service.batch.writers import DELIMITERS, table_columns
from service.tasks import Request

if TYPE_CHECKING:
    from service.runtime import Runtime


FIRST_RECORDS = 1024
"""Of the input: one of them must have a field with a content."""


def check_names(catalog: Catalog, languages: Languages, request: Request) -> None:
    """Raise UnknownModel or UnsupportedLanguage for a name that no record could be done with."""
    is_translation = isinstance(request, TranslationRequest)
    if request.model is not None:
        catalog.get(request.model, "translate" if is_translation else "summarize")
    if isinstance(request, TranslationRequest) and request.source != "auto":
        languages.normalize(request.source, "source")
    if request.target is not None:
        languages.normalize(request.target, "target")


def check_fields(options: BatchOptions) -> None:
    """Raise InvalidInput if the input's fields are not those that the options name. A stream is not read."""
    if options.infile == "-":
        return
    names = options.field_names()
    with open_reader(options.infile, names, options.input_format) as found:
        if found.unit != "file":  # we name the fields of a folder's texts
            names.require_any(islice(found.records(), FIRST_RECORDS))
        if isinstance(found, LineReader) and inner_suffix(Path(options.out).name) in DELIMITERS:
            table_columns(names, found.columns)


def check(runtime: "Runtime", request: Request, *, load: bool = True) -> dict[str, str]:
    """Load the models of requests like this one; return their names with the revisions in use.

    Without `load` they are only fetched, if need be; with it one word is translated, so that a wrong language
    shows now. Raises what each record would be refused with, such as UnknownModel, and ModelUnavailable.
    """
    models = {entry.name: _ready(runtime, entry, load) for entry in needed(runtime, request)}
    if isinstance(request, TranslationRequest):
        _try_translation(runtime, request, load)
    elif request.target is not None:
        _try_translation(runtime, TranslationRequest(text="", target=request.target), load)
    return models


def _try_translation(runtime: "Runtime", request: TranslationRequest, load: bool) -> None:
    (entry,) = needed(runtime, request)
    target = runtime.languages.normalize(request.target, "target")
    source = request.source
    if source == "auto":  # any language that the model reads will do
        known = [start for start, end in entry.pairs if end == target] or entry.languages
        source = next((code for code in ("en", *known) if code in known and code in entry.languages), "")
    if load and source and not entry.is_pattern:
        trial = replace(request, text="Yes.", source=source)
        runtime.run_all([runtime.translator.steps(trial)], wait=True)[0].unwrap()


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


def better(betters: Betters, languages: Languages, request: Request) -> list[tuple[ModelEntry, ...]]:
    """Return the better models that requests like this one may take, for each of its tasks the best first."""
    if isinstance(request, TranslationRequest):
        if request.model is not None:
            return []
        source = None if request.source == "auto" else languages.normalize(request.source, "source")
        return [betters.translating(source, languages.normalize(request.target, "target"))]
    found = [] if request.model is not None else [betters.summarizers]
    if request.target is not None:
        found.append(betters.translating(None, languages.normalize(request.target, "target")))
    return found


def needed(runtime: "Runtime", request: Request) -> list[ModelEntry]:
    """Return the models that the request is done by. Raises UnknownModel."""
    settings, catalog = runtime.settings, runtime.catalog
    groups = better(runtime.better.betters, runtime.languages, request)
    taken = [entry for group in groups if (entry := runtime.better.here(group)) is not None]
    translators = [entry for entry in taken if "translate" in entry.tasks]
    if isinstance(request, TranslationRequest):
        return translators or [catalog.get(request.model or settings.translate_model, "translate")]
    found = [catalog.get(request.model or settings.summarize_model, "summarize")]
    found += [entry for entry in taken if entry not in translators]
    if settings.entailment_model is not None:
        found.append(catalog.get(settings.entailment_model, "entail"))
    if request.target is not None:
        found += translators or [catalog.get(settings.translate_model, "translate")]
    return found


def _ready(runtime: "Runtime", entry: ModelEntry, load: bool) -> str:
    """Fetch a model, and with `load` load it; returns its revision, which stays the one it was pulled at.

    Which models a pattern stands for, each text's language decides. Raises ModelUnavailable.
    """
    if entry.is_pattern:
        return "by pair"
    is_here = runtime.store.state(entry) == "ready"
    found = runtime.store.revision(entry) if is_here else runtime.store.pull(entry)
    if load:
        runtime.pool.load(entry.name)
    return found
