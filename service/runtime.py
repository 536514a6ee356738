"""Builds and closes all objects: from settings to tasks that can run. The only place that does."""

import gc
import os
import time
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from models.better import BetterModels, Betters
from models.catalog import Catalog, ModelEntry, load_sets
from models.checker import Checker
from models.driver import CancelToken, run_all
from models.engine.gpu import Verdicts
from models.engine.protocol import BatchRecord
from models.errors import InvalidInput, ModelUnavailable
from models.languages import Languages
from models.pool import ModelPool
from models.steps import Outcome, Steps
from models.store import Store
from models.summarize.summarizer import Summarizer
from models.text.article.html_article import read_page
from models.text.detect import LanguageDetector
from models.translate.translator import Translator
from service.children import Children
from service.engine_process import EngineProcess, engine_maker
from service.settings import Settings
from service.shared import SharedLoadProgress, SharedState
from service.shares import CALLER, READERS_FOR_EACH_CORE, TextTurns, idle
from service.store.database import Database
from service.store.suggestions import Suggestions

if TYPE_CHECKING:
    from service.store.glossaries import Glossaries
    from service.store.keys import Keys
    from service.store.translation_memory import TranslationMemory

T = TypeVar("T")


class Runtime:
    """Everything that a way in (HTTP, command line, batch) needs, wired by the settings.

    `on_batch(model, record)` hears of every batch that an engine ran. `strangers` says that pages come from
    people whom the operator does not know: they are read in child processes then. `engines_apart` says that
    engines have a process of their own, as they have in a server with a GPU if nothing is said. `shared` is
    what the workers of one server share; if it names `engines`, these are kept for all of them.
    `make_better` makes what chooses better models than the set's own; if not given, none is fetched.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        on_batch: Callable[[str, BatchRecord], None] | None = None,
        strangers: bool = False,
        engines_apart: bool | None = None,
        shared: SharedState | None = None,
        make_better: Callable[[Betters, ModelPool, Store], BetterModels] | None = None,
    ):
        self.settings = settings
        workers = max(1, settings.workers)
        self.children = Children(most=max(2, READERS_FOR_EACH_CORE * (os.cpu_count() or 1) // workers))
        self.texts = TextTurns()
        self.languages = Languages.load()
        whole = self._whole = Catalog.load(self.languages, settings.catalog, settings.named_models)
        chosen = _chosen(whole, settings)  # a wrong setting ends the start
        listed = (lambda _: True) if settings.allow_models is None else chosen
        self.store = Store(settings.cache_dir, offline=settings.offline, may_fetch=chosen, may_use=listed)
        here = self.store.here
        self.catalog = whole.only(
            lambda entry: chosen(entry) or (listed(entry) and here(entry)), self.store.missing
        )
        self.detector = LanguageDetector()
        self.database = Database(settings.data_dir, settings.database)
        self.suggestions = Suggestions(settings.data_dir / "suggestions.jsonl")
        self._on_batch = on_batch
        self._maker = engine_maker(settings, self.store, on_batch)
        kept = () if shared is None else shared.engines
        if engines_apart is None:
            engines_apart = bool(kept) or (strangers and self._maker.device == "cuda")
        self._apart = EngineProcess(settings, self._maker, on_batch, kept=kept) if engines_apart else None
        self.pool = ModelPool(
            self.catalog,
            self.store,
            self.languages,
            self._apart or self._maker,
            max_loaded=settings.max_loaded_models,
            load_progress=None if shared is None else SharedLoadProgress(shared),
            idle=idle,
        )
        make_better = make_better or partial(BetterModels, in_background=False)
        fetching = Store(settings.cache_dir, offline=settings.offline)
        self.better = make_better(betters(settings, whole), self.pool, fetching)
        self._build_tasks(strangers)

    def _build_tasks(self, strangers: bool) -> None:
        settings = self.settings
        self.checker = Checker(self.pool, self.languages, self.detector, settings.entailment_model)
        self.translator = Translator(
            self.pool,
            self.languages,
            self.detector,
            default_model=settings.translate_model,
            better=self.better,
        )
        read_apart = partial(self.children.run, read_page, field="html", timeout_s=settings.request_timeout_s)
        self.summarizer = Summarizer(
            self.pool,
            self.languages,
            self.detector,
            self.translator,
            self.checker,
            default_model=settings.summarize_model,
            better=self.better,
            read_page=read_apart if strangers else read_page,
        )

    # Most commands keep nothing, and do without SQLAlchemy, whose import takes a fifth of a second.

    @cached_property
    def keys(self) -> "Keys":
        """The API keys."""
        from service.store.keys import Keys

        return Keys(self.database)

    @cached_property
    def glossaries(self) -> "Glossaries":
        """The stored glossaries."""
        from service.store.glossaries import Glossaries

        return Glossaries(self.database, self.languages)

    @cached_property
    def translation_memory(self) -> "TranslationMemory":
        """The stored translation memories."""
        from service.store.translation_memory import TranslationMemory

        return TranslationMemory(self.database, self.languages)

    @property
    def device(self) -> str:
        """Where models run: `cuda` or `cpu`."""
        return self._maker.device

    def part_engines(self, kept: Sequence[Path] = ()) -> Sequence[Path]:
        """Load models into processes of their own from now on, beside which this one's text work may be long.

        A step of an engine on a GPU takes a few milliseconds, and would wait for this process's Python. There
        is a process for each card, which has every model. They are those that another Runtime has, if `kept`
        is what this method returned there.
        """
        if self._apart is None:
            self._apart = EngineProcess(
                self.settings, self._maker, self._on_batch, kept=kept, everywhere=True
            )
            self.pool.engines = self._apart
        return self._apart.files

    def prefer_card(self, card: int) -> None:
        """Have the next work done on this card, after `part_engines`."""
        if self._apart is not None:
            self._apart.prefer(card)

    def warm_up(self) -> None:
        """Prepare and load the two default models; the first time this takes half a minute.

        A model that stands for one a language pair is loaded by pair, when one is first used.
        """
        failure = None
        for name in (self.settings.summarize_model, self.settings.translate_model):
            if self.catalog.get(name).is_pattern:
                continue
            try:
                self.pool.load(name)
            except ModelUnavailable as error:  # the other one may serve all the same
                failure = failure or error
        self.better.start()
        if failure is not None:
            raise failure
        # What is loaded stays: a collector that walks it made submitting requests eight times as slow.
        gc.collect()
        gc.freeze()

    def pull(self, name: str) -> ModelEntry:
        """Have a model of the whole catalog fetched and loaded in the background; returns its entry.

        Raises UnknownModel, also where the settings name the models that may be used and this is none, and
        ModelUnavailable where the hub may not be asked.
        """
        catalog = self._whole if self.settings.allow_models is None else self.catalog
        entry = catalog.get(name)
        if entry.is_pattern:
            example = entry.name.replace("*", "en-fr")
            raise InvalidInput(f"{name} stands for one model a language pair", field="name", allowed=example)
        store = Store(self.settings.cache_dir, offline=self.settings.offline)
        if store.offline_by and not store.here(entry):
            raise ModelUnavailable(store.missing(entry))
        if (
            entry.name not in self.pool.load_progress.stages()
        ):  # else it is there, or on its way, perhaps elsewhere
            self.pool.begin(entry, lambda tell: store.pull(entry, tell))
        return entry

    def models(self) -> list[tuple[ModelEntry, str]]:
        """Return the models that can be asked for, and those that are on their way, each with its state."""
        entries = {entry.name: entry for entry in self.catalog.entries}
        entries |= {
            name: self._whole.get(name) for name in self.pool.load_progress.stages() if name not in entries
        }
        return [(entry, self.pool.state(entry)) for entry in entries.values()]

    def unready(self) -> list[str]:
        """The reasons why requests would not be served now; empty when all is well."""
        return self.pool.unready((self.settings.summarize_model, self.settings.translate_model))

    def fallbacks(self) -> list[str]:
        """The models that run slower than this machine's GPU could have them, and how."""
        return (self._apart or self._maker).fallbacks

    def cards(self) -> list[str]:
        """Which models are on which of several cards."""
        return [] if self._apart is None else self._apart.cards()

    def races(self) -> list[str]:
        """Which engine was faster for a model on the GPU, and serves it, with both rates."""
        verdicts = Verdicts(self.settings.cache_dir).all() if self.device == "cuda" else []
        return [f"{each.about['model']}: {each.in_words()}" for each in verdicts if each.rates]

    def run_all(
        self,
        tasks: Sequence[Steps[T]],
        *,
        timeout_s: float | None = None,
        wait: bool = False,
        cancel: CancelToken | None = None,
    ) -> list[Outcome[T]]:
        """Run tasks together, each part going on when its outputs are there; see `models.driver`."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        return run_all(
            tasks,
            deadline=deadline,
            wait=wait,
            in_rounds=False,
            cancel=cancel,
            flow=CALLER.get(),
            idle=idle,
        )

    def close(self) -> None:
        """Finish what runs and free the models."""
        self.better.close()
        self.pool.close()
        if self._apart is not None:
            self._apart.close()
        self.database.close()
        gc.unfreeze()  # or libraries tell, at the very end, that what was never collected leaked


def betters(settings: Settings, catalog: Catalog) -> Betters:
    """Return the models that are taken in place of the set's own, as far as none is pinned or forbidden."""
    chosen, named = load_sets()[settings.models], settings.allow_models
    allowed = None if named is None or "*" in named else [catalog.get(name) for name in named]

    def may(entry: ModelEntry) -> bool:
        if allowed is None:
            return True
        return any(each.matches(entry.name) or entry.matches(each.name) for each in allowed)

    return Betters.of(
        () if settings.is_pinned("summarize_model") else chosen.better_summarize,
        () if settings.is_pinned("translate_model") else chosen.better_translate,
        catalog,
        may,
    )


def _chosen(catalog: Catalog, settings: Settings) -> Callable[[ModelEntry], bool]:
    """Return a function that tells if the operator chose a model, to be fetched too. Raises UnknownModel."""
    chosen = [
        catalog.get(settings.summarize_model, "summarize"),
        catalog.get(settings.translate_model, "translate"),
    ]
    if settings.entailment_model is not None:
        chosen.append(catalog.get(settings.entailment_model, "entail"))
    named = settings.allow_models or ()
    if "*" in named:
        return lambda _: True
    chosen += [catalog.get(name) for name in named]
    return lambda entry: any(each.matches(entry.name) for each in chosen)
