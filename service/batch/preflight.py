"""Before the first record: models are made ready and tried; or, for --dry-run, the input is surveyed."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from models.better import Betters
from models.entry import ModelEntry
from models.errors import ModelUnavailable
from models.languages import Languages
from models.text.detect import LanguageDetector
from models.translate.translator import TranslationRequest
from service.batch.lanes import UnitWork
from service.batch.record import Content
from service.batch.store import ResultStore
from service.batch.unit import Unit
from service.batch.window import UNIT_SIZES, Window
from service.work.plan import Request

if TYPE_CHECKING:
    from service.runtime import Runtime


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


# ---------------------------------------------------------------------- the survey of a dry run

DETECT_FIRST = 2000
DETECT_ONE_IN = 100
"""The languages of the first records are detected, and of one in a hundred after them."""

SAMPLE_RECORDS = 16
SAMPLE_CHARACTERS = 20_000


@dataclass(slots=True)
class Survey:
    """An input in numbers."""

    records: int = 0
    problems: int = 0
    characters: int = 0
    found: int = 0
    """Records whose results are there from earlier."""
    repeated: int = 0
    """Records with the same content as another of their window."""
    left_characters: int = 0
    """Of what is to be made."""
    looked_at: int = 0
    languages: Counter[str] = field(default_factory=Counter)
    sample: list[Content] = field(default_factory=list)
    """Some of what is to be made, from all over the first window."""

    def as_json(self) -> dict[str, Any]:
        """All but the sample."""
        return {
            "records": self.records,
            "problems": self.problems,
            "characters": self.characters,
            "found": self.found,
            "repeated": self.repeated,
            "characters_to_do": self.left_characters,
            "languages_of": self.looked_at,
            "languages": dict(self.languages.most_common()),
        }


def survey(windows: Iterable[Window], store: ResultStore, detector: LanguageDetector) -> Survey:
    """Look through all of the input."""
    seen = Survey()
    for window in windows:
        _count(seen, window, store)
        _detect(seen, window, detector)
    return seen


def _count(seen: Survey, window: Window, store: ResultStore) -> None:
    known = store.known(window.wanted())
    todo = [place for unit in window.units(known, UNIT_SIZES["cpu"]) for place in unit]
    found = sum(key in known for key in window.keys)
    seen.records += len(window.records)
    seen.problems += len(window.problems)
    seen.found += found
    seen.repeated += len(window.records) - len(window.problems) - found - len(todo)
    seen.characters += sum(len(window.value(place)) for place in range(len(window.records)))
    seen.left_characters += sum(len(window.value(place)) for place in todo)
    if not seen.sample:
        seen.sample = list(_sample(window, todo))


def _sample(window: Window, by_length: list[int]) -> Iterator[Content]:
    """Contents of all lengths, so many characters at most, and one at least."""
    step = max(1, len(by_length) // SAMPLE_RECORDS)
    characters = 0
    for place in by_length[step // 2 :: step]:
        content = window.contents[place]
        characters += len(window.value(place))
        if content is None or (characters > SAMPLE_CHARACTERS and place != by_length[step // 2]):
            return
        yield content


def _detect(seen: Survey, window: Window, detector: LanguageDetector) -> None:
    first = seen.records - len(window.records)
    for place, content in enumerate(window.contents):
        number = first + place
        if content is not None and (number < DETECT_FIRST or number % DETECT_ONE_IN == 0):
            seen.looked_at += 1
            seen.languages[detector.detect(content.value).language] += 1


def measured_rate(sample: list[Content], work: UnitWork) -> float | None:
    """Characters a second over the sample, whose results are thrown away; None if it is empty."""
    if not sample:
        return None
    start = time.monotonic()
    work.do(Unit(0, -1, tuple(sample)))
    return sum(len(content.value) for content in sample) / max(1e-6, time.monotonic() - start)
