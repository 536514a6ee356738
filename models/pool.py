"""The pool of loaded models: tracks users, and unloads the least recently used."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
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
from models.load_progress import READY, Loading, LoadProgress
from models.loaded import EntailmentModel, ExtractiveModel, Model, TextModel
from models.server_model import ServerCodec, in_characters
from models.store import Store
from models.trim_memory import trim_memory

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _PoolEntry:
    """One model's place in the pool. `lock` is held while it loads."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    model: Model | None = None
    loading: Loading | None = None
    users: int = 0


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
        place = self._enter(entry)
        try:
            yield self._loaded(place, entry)
        finally:
            self._leave(place)

    def load(self, name: str) -> None:
        """Load a model ahead of its first use."""
        with self.use(self.catalog.get(name)):
            pass

    def begin(self, entry: ModelEntry, fetch: Callable[[Tell], object] | None = None) -> Loading | None:
        """Have a model loaded, without waiting for it; `fetch` is what is done before.

        Returns its loading, which tells when it is done; None if it is loaded.
        """
        place = self._enter(entry)
        try:
            return self._begin(place, entry, fetch)
        finally:
            self._leave(place)

    def is_ready(self, entry: ModelEntry, *, wait_s: float) -> bool:
        """Have a model loaded; return whether it is, within this time. Raises ModelUnavailable."""
        if (loading := self.begin(entry)) is None:
            return True
        with self._idle():
            is_done = loading.done.wait(wait_s)
        if loading.error is not None:
            raise loading.error
        return is_done

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
            _close(place)

    # ------------------------------------------------------------------ inside

    def _enter(self, entry: ModelEntry) -> _PoolEntry:
        with self._lock:
            place = self._places.pop(entry.name, None) or _PoolEntry()
            self._places[entry.name] = place
            place.users += 1
            return place

    def _leave(self, place: _PoolEntry) -> None:
        with self._lock:
            place.users -= 1
        self._shrink()

    def _loaded(self, place: _PoolEntry, entry: ModelEntry) -> Model:
        while (model := place.model) is None:
            if (loading := self._begin(place, entry)) is not None:
                with self._idle():
                    loading.done.wait()
                if loading.error is not None:
                    raise loading.error
        return model

    def _begin(
        self, place: _PoolEntry, entry: ModelEntry, fetch: Callable[[Tell], object] | None = None
    ) -> Loading | None:
        """The loading of a model, begun if need be; None if it is loaded."""
        with self._lock:
            if place.model is not None:
                return None
            if (loading := place.loading) is not None:
                return loading
            loading = place.loading = Loading(partial(self.load_progress.tell, entry.name))
            place.users += 1
        # A daemon, so that a service stopped while it loads does not wait for the end of the load.
        work = partial(self._run, place, entry, loading, fetch)
        threading.Thread(target=work, name=f"load {entry.name}", daemon=True).start()
        return loading

    def _run(
        self,
        place: _PoolEntry,
        entry: ModelEntry,
        loading: Loading,
        fetch: Callable[[Tell], object] | None,
    ) -> None:
        model = None
        try:
            with place.lock:
                if fetch is not None:
                    fetch(loading.tell)
                self._shrink()  # those that must go make room before the new one is planned
                model = self._load(entry, loading.tell)
                trim_memory()  # what its files were read into
                with self._lock:
                    place.model, place.loading = model, None
                    self.load_progress.tell(entry.name, READY)
                    self.load_progress.fail(entry.name, None)
        except Exception as error:  # noqa: BLE001 - whoever waits for the model raises it
            loading.error = error
            is_known = any(entry.name == known.name for known in self.catalog.entries)  # of a pattern none is
            with self._lock:
                place.loading = None
                self.load_progress.tell(entry.name, None)
                if isinstance(error, ModelUnavailable) and is_known:
                    self.load_progress.fail(entry.name, error.without(entry.name))
        finally:
            self._leave(place)
            loading.done.set()

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
    with place.lock:
        model, place.model = place.model, None
    if isinstance(model, TextModel):
        model.engine.close()
