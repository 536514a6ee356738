"""The pool of loaded models: tracks users, and unloads the least recently used."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from models.catalog import Catalog, ModelEntry
from models.codec import codec_of
from models.driver import Idle
from models.engine.protocol import Engine, EngineStats
from models.entailment import JUDGES
from models.errors import ModelUnavailable
from models.families import FAMILIES
from models.hf_import import without_paths
from models.hub import Tell
from models.inspection import require_fit
from models.languages import Languages
from models.load_progress import LOADING, READY, LoadProgress
from models.loaded import EntailmentModel, ExtractiveModel, Model, TextModel
from models.server_model import ServerCodec, in_characters
from models.store import Store
from models.trim_memory import trim_memory

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _PoolEntry:
    """One model's place in the pool."""

    loading: Future[Model] | None = None
    """The model, loaded or on its way; None where it is to be loaded, perhaps again."""
    users: int = 0

    @property
    def model(self) -> Model | None:
        return self.loading.result() if self.loading is not None and self.loading.done() else None


class Engines(Protocol):
    """Makes engines on one device, in this process or in another."""

    @property
    def device(self) -> str: ...

    def make(self, entry: ModelEntry) -> Engine:
        """Load the entry and start its engine. Raises ModelUnavailable."""


class ModelPool:
    """Loads models on first use and keeps the `max_loaded` most recently used.

    Each model is fetched and loaded in its own thread, so that callers may wait as long as they like. A model
    in use is never unloaded, so for a while there may be more. Pools in several processes may share
    `load_progress`.
    """

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        languages: Languages,
        engines: Engines,
        *,
        max_loaded: int = 4,
        load_progress: LoadProgress | None = None,
        idle: Idle = nullcontext,
    ):
        self._idle = idle
        self.catalog = catalog
        self.store = store
        self.load_progress = load_progress or LoadProgress()
        self._languages = languages
        self.engines = engines
        """Makes the engines of models that are loaded from now on."""
        self._max_loaded = max_loaded
        self._places: dict[str, _PoolEntry] = {}  # in order of use, the last used last
        self._lock = threading.Lock()

    @contextmanager
    def use(self, entry: ModelEntry) -> Iterator[Model]:
        """The entry's model, loaded if need be, and kept while in this context.

        Raises ModelUnavailable if it cannot be loaded.
        """
        with self._place(entry) as place:
            loading = self._begin(place, entry)
            self._wait(loading)
            yield loading.result()

    def load(self, name: str) -> None:
        """Load a model ahead of its first use."""
        with self.use(self.catalog.get(name)):
            pass

    def begin(self, entry: ModelEntry, fetch: Callable[[Tell], object] | None = None) -> Future[Model]:
        """Have a model loaded, without waiting for it; `fetch` is what is done before."""
        with self._place(entry) as place:
            return self._begin(place, entry, fetch)

    def is_ready(self, entry: ModelEntry, *, wait_s: float) -> bool:
        """Have a model loaded; return whether it is, within this time. Raises ModelUnavailable."""
        loading = self.begin(entry)
        self._wait(loading, wait_s)
        return loading.done() and loading.result() is not None

    def loaded(self) -> list[str]:
        """Names of the models in memory, the last used last."""
        with self._lock:
            return [name for name, place in self._places.items() if place.model is not None]

    def stages(self) -> dict[str, str]:
        """How far the models are that are being loaded: `downloading 41%` or `loading`, by name."""
        return {name: stage for name, stage in self.load_progress.stages().items() if stage != READY}

    def state(self, entry: ModelEntry) -> str:
        """`ready`, what `stages` says, `bundled`, `on disk`, `at a server`, or `not here`."""
        if entry.weights == "elsewhere":
            return self.load_progress.stages().get(entry.name, "at a server")
        kept = "bundled" if entry.bundled else "on disk" if self.store.here(entry) else "not here"
        return self.load_progress.stages().get(entry.name, kept)

    def owner(self, engine: Engine) -> ModelEntry | None:
        """Whose engine this is; None if its model is not loaded any more."""
        with self._lock:
            models = [place.model for place in self._places.values()]
        return next((m.entry for m in models if isinstance(m, TextModel) and m.engine is engine), None)

    def stats(self) -> dict[str, EngineStats]:
        """Return the statistics of each loaded engine."""
        with self._lock:
            models = {name: place.model for name, place in self._places.items()}
        return {name: m.engine.stats() for name, m in models.items() if isinstance(m, TextModel)}

    def unready(self, names: Sequence[str]) -> list[str]:
        """Why any of these models could not serve a request; one that is not loaded yet will be when used."""
        stats, failures = self.stats(), self.load_progress.failures()
        reasons = []
        for name in names:
            if name in failures:
                reasons.append(f"{name} could not be loaded: {failures[name]}")
            elif name in stats and not stats[name].ready:
                reasons.append(f"{name}: its engine does not run")
        return reasons

    def close(self) -> None:
        """Let every engine finish, then free all models."""
        with self._lock:
            places, self._places = list(self._places.values()), {}
        for place in places:
            if (loading := place.loading) is not None:
                wait([loading])
            _close(place)

    # ------------------------------------------------------------------ inside

    @contextmanager
    def _place(self, entry: ModelEntry) -> Iterator[_PoolEntry]:
        """Yield the entry's place, which stays as long as somebody is in this context."""
        with self._lock:
            place = self._places.pop(entry.name, None) or _PoolEntry()
            self._places[entry.name] = place
            place.users += 1
        try:
            yield place
        finally:
            with self._lock:
                place.users -= 1
            self._shrink()

    def _wait(self, loading: Future[Model], timeout_s: float | None = None) -> None:
        if not loading.done():
            with self._idle():
                wait([loading], timeout_s)

    def _begin(
        self, place: _PoolEntry, entry: ModelEntry, fetch: Callable[[Tell], object] | None = None
    ) -> Future[Model]:
        """The model, whose loading is begun if need be."""
        with self._lock:
            if place.loading is not None:
                return place.loading
            self.load_progress.tell(entry.name, LOADING)
            loading = place.loading = Future[Model]()
            place.users += 1
        # A daemon, so that a service stopped while it loads does not wait for the end of the load.
        work = partial(self._run, place, entry, loading, fetch)
        threading.Thread(target=work, name=f"load {entry.name}", daemon=True).start()
        return loading

    def _run(
        self,
        place: _PoolEntry,
        entry: ModelEntry,
        loading: Future[Model],
        fetch: Callable[[Tell], object] | None,
    ) -> None:
        stage = LOADING

        def tell(done: int, total: int) -> None:
            nonlocal stage
            before, stage = stage, LOADING if done >= total else f"downloading {100 * done // total}%"
            if stage != before:
                self.load_progress.tell(entry.name, stage)

        model: Model | None = None
        try:
            if fetch is not None:
                fetch(tell)
            self._shrink()  # those that must go make room before the new one is planned
            model = self._load(entry, tell)
            trim_memory()  # what its files were read into
            with self._lock:
                self.load_progress.tell(entry.name, READY)
                self.load_progress.fail(entry.name, None)
                place.users -= 1
                loading.set_result(model)
        except BaseException as error:  # noqa: BLE001 - whoever waits for the model raises it
            if isinstance(model, TextModel):
                model.engine.close()
            is_known = any(entry.name == known.name for known in self.catalog.entries)  # of a pattern none is
            with self._lock:
                place.loading = None
                place.users -= 1
                try:
                    self.load_progress.tell(entry.name, None)
                    if isinstance(error, ModelUnavailable) and is_known:
                        self.load_progress.fail(entry.name, error.without(entry.name))
                finally:
                    loading.set_exception(error)
        self._shrink()

    def _shrink(self) -> None:
        """Unload the least lately used models beyond the limit that nobody uses."""
        with self._lock:
            idle = [name for name, place in self._places.items() if place.users == 0]
            for name in [name for name in idle if self._places[name].model is None]:
                del self._places[name]  # it could not be loaded
            loaded = [name for name in idle if name in self._places]
            over = loaded[: max(0, len(self._places) - self._max_loaded)]
            gone = [self._places.pop(name) for name in over]
            for name in over:
                self.load_progress.tell(name, None)
        for place in gone:
            _close(place)

    def _load(self, entry: ModelEntry, tell: Tell) -> Model:
        try:
            return self._load_unguarded(entry, tell)
        except ModelUnavailable as error:
            if error.folder is not None:
                log.error("%s", error.placed)
            raise
        except Exception as error:
            log.exception("%s could not be loaded", entry.name)
            told = without_paths(str(error), self.store.cache)  # the log has it whole
            raise ModelUnavailable(f"{entry.name} cannot be loaded here: {told}") from error

    def _load_unguarded(self, entry: ModelEntry, tell: Tell) -> Model:
        if entry.kind == "extractive":
            return ExtractiveModel(entry)
        if entry.kind == "server":
            if entry.weights == "gguf":
                from models.llama_server import require_package

                require_package(entry.name)  # before gigabytes are fetched
                self.store.folder(entry, tell)
            own = in_characters(entry)
            return TextModel(own, ServerCodec(own, self._languages), self.engines.make(entry))
        folder = self.store.folder(entry, tell)
        require_fit(entry, folder, self._languages)
        if entry.kind == "entailment":
            judge, window = JUDGES[FAMILIES[entry.family].judge], entry.max_source_tokens
            return EntailmentModel(entry, judge(folder, self.engines.device, max_tokens=window))
        engine = self.engines.make(entry)  # first, as a conversion writes the tokenizer down too
        try:
            tokenizer, config = self.store.plain_tokenizer(entry), self.store.generation_config(entry)
            return TextModel(entry, codec_of(entry, tokenizer, config, self._languages), engine)
        except Exception:
            engine.close()
            raise


def _close(place: _PoolEntry) -> None:
    if isinstance(model := place.model, TextModel):
        model.engine.close()
