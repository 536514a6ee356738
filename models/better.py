"""Better models than the bundled ones, chosen automatically: the set `auto`.

In a server, requests that name no model start with the bundled ones. Meanwhile the model that suits their
language pair, or English summaries, is downloaded, converted and loaded in the background, one at a time;
later requests use it. The command line and batches download nothing here and use what the cache has.
"""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from models import cpu, hub
from models.catalog import CONVERSION_BYTES, INT8_BYTES, Catalog, ModelEntry
from models.errors import DragomanError, ModelLoading, ModelUnavailable
from models.hub import RepositoryNotFound
from models.pool import ModelPool
from models.store import Store

log = logging.getLogger(__name__)

MOST_PAIRS = 12
"""Models of one pair each that are fetched; further pairs are the many-to-many model's. So whoever asks for
all pairs does not fill the disk."""
SPARE_DISK, SPARE_MEMORY = 2_000_000_000, 500_000_000
"""Bytes that stay free."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 60.0, 3600.0
"""Between two tries of what could not be had; each pause is twice as long as the one before."""
LOOK_AGAIN_S = 60.0
"""Where neither the cache nor the hub has a model, the cache is looked into again so much later."""
RETRY_AFTER_S = 10.0
MOST_PENDING, MOST_BETTER = 16, 1000
"""Of models that wait to be fetched, and of all that requests would have taken."""


@dataclass(frozen=True, slots=True)
class Betters:
    """The models that may be taken, the best first. A pattern stands for one model a language pair.

    `may` tells whether the operator lets one be fetched and used.
    """

    summarizers: tuple[ModelEntry, ...] = ()
    translators: tuple[ModelEntry, ...] = ()
    may: Callable[[ModelEntry], bool] = lambda _: True

    @classmethod
    def of(
        cls,
        summarize: Sequence[str],
        translate: Sequence[str],
        catalog: Catalog,
        may: Callable[[ModelEntry], bool] = lambda _: True,
    ) -> "Betters":
        """Return those of these names that may be used; `may` takes a pattern too, of which one pair may."""
        summarizers = tuple(filter(may, (catalog.get(name, "summarize") for name in summarize)))
        return cls(
            summarizers, tuple(filter(may, (catalog.get(name, "translate") for name in translate))), may
        )

    def __bool__(self) -> bool:
        return bool(self.summarizers or self.translators)

    def translating(self, source: str | None, target: str) -> tuple[ModelEntry, ...]:
        """Return those for a language pair; with `source` None those that do not depend on it."""
        found = []
        for each in self.translators:
            if each.is_pattern:
                if source is not None:
                    found.append(each.for_pair(source, target))
            elif target in each.languages and (source is None or _reads(each, source)):
                found.append(each)
        return tuple(filter(self.may, found))

    def many(self) -> tuple[ModelEntry, ...]:
        """Return the translators between many languages."""
        return tuple(each for each in self.translators if not each.is_pattern)

    def pattern_of(self, entry: ModelEntry) -> ModelEntry | None:
        """Return the pattern that stands for this model, if one does."""
        return next((each for each in self.translators if each.is_pattern and each.matches(entry.name)), None)


def _reads(entry: ModelEntry, language: str) -> bool:
    return language in entry.languages or language.split("-")[0] in entry.languages


def found(
    betters: Betters, candidates: Sequence[ModelEntry], store: Store, *, ask: bool
) -> ModelEntry | None:
    """Return the first of these models that the cache has, or else the hub where it may be asked.

    The best that the hub has goes before a lesser one in the cache. Raises ModelUnavailable if the hub does
    not say whether it has one.
    """
    for entry in candidates:
        if store.state(entry) == "ready":
            return entry
        pattern = betters.pattern_of(entry)
        if not ask or (pattern is not None and len(store.pulled(pattern)) >= MOST_PAIRS):
            continue
        try:
            store.require(entry)
        except RepositoryNotFound:
            continue
        return entry
    return None


def require_room(entry: ModelEntry, store: Store) -> None:
    """Raise ModelUnavailable unless there is room on the disk to fetch and convert a model, and in memory."""
    numbers = entry.parameters_m * 1_000_000
    made = 0 if store.is_converted(entry) else INT8_BYTES * numbers
    fetched = 0 if store.state(entry) == "ready" else entry.download_mb * 1_000_000
    disk = int(made + fetched)
    if disk and disk + SPARE_DISK > (left := free_disk(store.cache)):
        raise ModelUnavailable(_no_room(entry, disk, "the cache's disk", left, SPARE_DISK))
    memory = int((INT8_BYTES + (CONVERSION_BYTES if made else 0)) * numbers)
    free = free_memory()
    if free is not None and memory + SPARE_MEMORY > free:
        raise ModelUnavailable(_no_room(entry, memory, "memory", free, SPARE_MEMORY))


def _no_room(entry: ModelEntry, needed: int, place: str, left: int, spare: int) -> str:
    needs, has, keeps = (f"{size / 1e9:.1f} GB" for size in (needed, left, spare))
    return f"{entry.name} takes up to {needs} of {place}, of which {has} are free and {keeps} are to stay so"


def free_memory() -> int | None:
    """Return the bytes of memory that are free; None where it cannot be told."""
    memory = cpu.memory()
    return None if memory is None else memory[1]


def free_disk(folder: Path) -> int:
    """Return the bytes that are free on the disk of a folder, which is yet to be made perhaps."""
    return shutil.disk_usage(next(each for each in (folder, *folder.parents) if each.exists())).free


def pause_s(tries: int) -> float:
    """Return the seconds before the next try, after so many that failed."""
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (tries - 1))


# ---------------------------------------------------------------------------------- behind requests


@dataclass(frozen=True, slots=True)
class Choice:
    """The model for a request that names none. Without an `entry` it is the set's own.

    `note` says how far a better model is; it is empty if none is on its way. Where the set's own model cannot
    do the request, the client is to come again after `retry_after_s` seconds.
    """

    entry: ModelEntry | None = None
    note: str = ""
    retry_after_s: float = RETRY_AFTER_S


@dataclass(slots=True)
class _BetterModel:
    """A better model that requests would take: one of `candidates`, the best first.

    `entry` is the one that is being fetched and loaded (`is_pending`), or that requests take (`is_taken`).
    After a `failure` it is tried again at `due`, in seconds of the monotonic clock.
    """

    candidates: tuple[ModelEntry, ...]
    entry: ModelEntry | None = None
    is_taken: bool = False
    is_pending: bool = False
    due: float = 0.0
    tries: int = 0
    failure: str = ""

    def take(self, entry: ModelEntry) -> None:
        self.entry, self.is_taken, self.is_pending, self.failure = entry, True, False, ""


class BetterModels:
    """Chooses a better model for each request that names none; any thread may ask, and none waits.

    `store` may fetch them, and `pool` loads them, in a thread of its own: what fails there is logged, told
    with the next requests, and tried again after a pause. If not `in_background`, nothing is fetched, and a
    request waits for what it takes to be loaded. `changed` is notified whenever anything is known anew.
    """

    def __init__(
        self,
        betters: Betters,
        pool: ModelPool,
        store: Store,
        *,
        in_background: bool,
    ):
        self.betters = betters
        self.has_hub = False
        """True once the hub has answered."""
        self.is_asked = store.offline
        self.changed = threading.Condition()
        self._pool = pool
        self._store = store
        self._in_background = in_background
        self._is_closed = False
        self._better: dict[tuple[str, ...], _BetterModel] = {}
        self._thread: threading.Thread | None = None
        self._in_work: _BetterModel | None = None
        self._here: dict[str, bool] = {}

    # ------------------------------------------------------------------ from requests

    def translator(self, source: str, target: str) -> Choice:
        """Return what translates this pair better."""
        return self._choice(self.betters.translating(source, target))

    def summarizer(self, language: str) -> Choice:
        """Return what summarizes this language better."""
        return self._choice(tuple(each for each in self.betters.summarizers if language in each.languages))

    def here(self, candidates: Sequence[ModelEntry]) -> ModelEntry | None:
        """Return the first of these that the cache has; it is the same whenever it is asked."""
        return next(filter(self._is_here, candidates), None)

    def reads(self, language: str) -> bool:
        """Return whether a model that is taken translates from this language.

        One that is yet to be fetched does not count: a guess at a short text's language would have it wait.
        """
        able = [each for each in self.betters.many() if _reads(each, language)]
        if not self._in_background:
            return self.here(able) is not None
        loaded = self._pool.loaded()
        return any(each.name in loaded for each in able)

    def reach(self) -> list[ModelEntry]:
        """Return the translators between many languages that could be had."""
        return list(filter(self._can_be_had, self.betters.many()))

    def start(self) -> None:
        """Ask the hub, in the background, whether it is there."""
        with self.changed:
            if self.betters and self._in_background and self._thread is None and not self._is_closed:
                # A daemon, so that a service stopped while a model is fetched does not wait for it.
                self._thread = threading.Thread(target=self._run, name="better models", daemon=True)
                self._thread.start()

    def give_up(self, entry: ModelEntry, error: ModelUnavailable) -> bool:
        """Return whether this is a better model; one that could not be loaded again is not taken for a while.

        Then it is tried again in the background. Not so one that is on its way as the deadline comes.
        """
        if isinstance(error, ModelLoading):
            return False
        with self.changed:
            known = [each for each in self._better.values() if each.entry and each.entry.name == entry.name]
            for each in known:
                if each.is_taken:
                    each.is_taken = False
                    self._put_off(each, error)
        return bool(known)

    def close(self) -> None:
        """Begin nothing any more."""
        with self.changed:
            self._is_closed = True
            self.changed.notify_all()

    # ------------------------------------------------------------------ inside

    def _is_here(self, entry: ModelEntry) -> bool:
        """Return whether the cache has it; the answer stays the same, lest a run change its model midway."""
        if entry.name not in self._here:
            self._here[entry.name] = self._store.state(entry) == "ready"
        return self._here[entry.name]

    def _can_be_had(self, entry: ModelEntry) -> bool:
        if not self._in_background:
            return self._is_here(entry)
        return self.has_hub or not self.is_asked or self._store.state(entry) == "ready"

    def _choice(self, candidates: tuple[ModelEntry, ...]) -> Choice:
        if not candidates:
            return Choice()
        if not self._in_background:
            return Choice(self.here(candidates))
        self.start()
        with self.changed:
            if len(self._better) >= MOST_BETTER:
                self._better = {
                    key: each for key, each in self._better.items() if each.is_taken or each.is_pending
                }
            better = self._better.setdefault(
                tuple(each.name for each in candidates), _BetterModel(candidates)
            )
        loaded = self._pool.loaded()
        if better.is_taken and better.entry is not None:
            # unloaded for others, it is loaded again as any model
            if better.entry.name in loaded or self._store.state(better.entry) == "ready":
                return Choice(better.entry)
            better.is_taken = False
        usable = next((each for each in candidates if each.name in loaded), None)
        if usable is candidates[0]:
            with self.changed:
                better.take(usable)
            return Choice(usable)
        return self._choice_meanwhile(better, usable)

    def _choice_meanwhile(self, better: _BetterModel, usable: ModelEntry | None) -> Choice:
        """Return what does a request, and how far the model is that would do it better, which is begun."""
        stages = self._pool.stages()
        coming = next((each for each in better.candidates if each.name in stages), None)
        now = time.monotonic()
        with self.changed:
            # One that another process fetches, or that a request has named, needs nobody else.
            if not better.is_pending and coming is None and now >= better.due:
                pending = sum(each.is_pending for each in self._better.values())
                better.is_pending = pending < MOST_PENDING
                self.changed.notify_all()
            entry, failure, due, is_pending = better.entry, better.failure, better.due, better.is_pending
            first = None if self._in_work is None or self._in_work is better else self._in_work.entry
        if coming is not None:
            note = f"downloading a better model: {coming.name} ({stages[coming.name]})"
        elif failure:
            told = f"a better model could not be loaded and will be retried: {failure}"
            return Choice(usable, told, max(1.0, due - now))
        elif not is_pending or (entry is None and self.is_asked and not self.has_hub):
            return Choice(usable)
        elif entry is not None:
            note = f"downloading a better model: {entry.name}"
        elif first is not None:
            note = f"a better model is queued after {first.name} ({stages.get(first.name, 'loading')})"
        else:
            note = "looking for a better model"
        return Choice(usable, f"{note}; it is used once it is ready")

    # ------------------------------------------------------------------ the thread

    def _run(self) -> None:
        if not self._store.offline:
            silence = hub.silence()
            self.has_hub = silence is None
            if silence is not None:
                log.info("no model hub answers (%s); using the models in the cache", silence)
        with self.changed:
            self.is_asked = True
            self.changed.notify_all()
        while (better := self._next()) is not None:
            self._have(better)
            with self.changed:
                self._in_work = None
                self.changed.notify_all()

    def _next(self) -> _BetterModel | None:
        """Wait for a better model that is due, and return it; None when this is closed."""
        with self.changed:
            while not self._is_closed:
                pending = [each for each in self._better.values() if each.is_pending]
                now = time.monotonic()
                if due := [each for each in pending if each.due <= now]:
                    self._in_work = min(due, key=lambda each: each.candidates[0].download_mb)
                    return self._in_work
                self.changed.wait(min((each.due - now for each in pending), default=None))
            return None

    def _have(self, better: _BetterModel) -> None:
        """Fetch and load the best candidate of a better model; what fails is due again later."""
        try:
            entry = found(self.betters, better.candidates, self._store, ask=self.has_hub)
            with self.changed:
                better.entry = entry
            if entry is not None:
                self._load(entry)
        except Exception as error:  # noqa: BLE001 - nobody waits for it, and others are to be had
            self._put_off(better, error)
            return
        with self.changed:
            if entry is not None:
                better.take(entry)
            else:
                better.is_pending, better.failure, better.due = False, "", time.monotonic() + LOOK_AGAIN_S
        if entry is not None:
            log.info("%s is ready for requests that name no model", entry.name)

    def _load(self, entry: ModelEntry) -> None:
        if entry.name in self._pool.loaded():
            return
        require_room(entry, self._store)
        is_here = self._store.state(entry) == "ready"
        if not is_here:
            log.info("%s: fetched in the background, about %d MB", entry.name, entry.download_mb)
        self._pool.begin(entry, None if is_here else lambda tell: self._store.pull(entry, tell)).result()

    def _put_off(self, better: _BetterModel, error: Exception) -> None:
        with self.changed:
            better.tries += 1
            pause = pause_s(better.tries)
            better.due = time.monotonic() + pause
            if isinstance(error, DragomanError):
                better.failure = error.message
                log.warning("retrying a better model in %.0f s: %s", pause, error.message)
            else:
                name = better.candidates[0].name if better.entry is None else better.entry.name
                better.failure = f"{name}: unexpected error; see the log"
                log.error("retrying a better model in %.0f s: %s", pause, name, exc_info=error)
