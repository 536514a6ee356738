"""A pool whose models work on characters, for tests of the tasks: quick, and exact to compare.

A translation is the source in capitals, so that form, spans and order can be checked to the letter; a
written summary is the first `keep` words.
"""

import re
import string
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, cast

from models.catalog import Catalog, ModelEntry
from models.codec import Codec, Purpose
from models.engine.protocol import Decoding, EngineStats, Generation, Output
from models.errors import EngineFailed, ModelUnavailable
from models.hub import RepositoryNotFound
from models.languages import Languages
from models.load_progress import LoadProgress
from models.loaded import TextModel
from models.pool import ModelPool
from models.store import Store

LANGUAGES = Languages.load()

HUB_ONLY = "facebook/bart-large-cnn"
"""Where the hub would have it, it cannot be reached."""

CHARACTERS_A_TOKEN = 5
"""What real tokens have, about: limits that are counted in tokens are meant so."""


SHIFTED = str.maketrans(
    string.ascii_letters, string.ascii_lowercase[1:] + "a" + string.ascii_uppercase[1:] + "A"
)


def cipher(text: str) -> str:
    """A translation that the checks take for one: other letters, and names with digits as they were."""
    return re.sub(r"\w+", _shifted_after_digits, text)


def _shifted_after_digits(word: re.Match[str]) -> str:
    end = max((i for i, letter in enumerate(word[0], 1) if letter.isdecimal()), default=0)
    return word[0][:end] + word[0][end:].translate(SHIFTED)


class FakeCodec:
    """One id a character; the input is framed by two ids of its own."""

    def __init__(self, entry: ModelEntry):
        self.entry = entry

    def encode(self, text: str, purpose: Purpose) -> tuple[int, ...]:
        return (0, *map(ord, text), 1)

    def decoding(self, purpose: Purpose, *, max_new_tokens: int, min_new_tokens: int = 0) -> Decoding:
        most = min(max_new_tokens * CHARACTERS_A_TOKEN, self.entry.max_new_tokens)
        beams = self.entry.decoding.get("num_beams", 1)
        return Decoding(
            max_new_tokens=most, min_new_tokens=min_new_tokens * CHARACTERS_A_TOKEN, num_beams=beams
        )

    def decode(self, ids: tuple[int, ...]) -> str:
        return "".join(map(chr, ids))

    decode_begun = decode

    def pieces(self, ids: tuple[int, ...]) -> list[str]:
        return list(self.decode(ids))

    def has_region(self, purpose: Purpose) -> bool:
        return False


class FakeEngine:
    """Applies `change` to each text; one with ✗ in it ends in EngineFailed. Other hypotheses end in `~`."""

    def __init__(self, change: Callable[[str], str]):
        self.change = change
        self.submissions: list[list[Generation]] = []

    def submit(self, generations: Sequence[Generation], *, wait: bool = False) -> list[Future[Output]]:
        self.submissions.append(list(generations))
        return [self._answer(generation) for generation in generations]

    def _answer(self, generation: Generation) -> Future[Output]:
        future: Future[Output] = Future()
        text = "".join(map(chr, generation.source_ids[1:-1]))
        if "✗" in text:
            future.set_exception(EngineFailed("the model failed on this text"))
            return future
        best = self.change(text)
        ranked = [best + i * "~" for i in range(generation.decoding.num_return_sequences)]
        first, *others = (_output(each, generation.decoding.max_new_tokens) for each in ranked)
        future.set_result(replace(first, others=tuple(others)))
        return future

    def stats(self) -> EngineStats:
        return EngineStats()

    def close(self) -> None:
        pass


def _output(text: str, most: int) -> Output:
    ids = tuple(map(ord, text))
    finish: Literal["stop", "length"] = "length" if len(ids) > most else "stop"
    return Output(ids[:most], None, finish)


class FakeStore:
    """A cache with the bundled models, and a hub that has the repositories in `pairs` and no others."""

    offline = True
    cache = Path("/nowhere")

    def __init__(self, pairs: Sequence[str] = ()):
        self.pairs = pairs
        self.revisions: dict[str, str] = {}
        self.problems: dict[str, list[str]] = {}

    def require(self, entry: ModelEntry) -> None:
        self.folder(entry)

    def folder(self, entry: ModelEntry) -> Path:
        if not any((entry.repository or "").endswith(pair) for pair in self.pairs):
            raise RepositoryNotFound(f"the hub has no {entry.repository}")
        return Path()

    def here(self, entry: ModelEntry) -> bool:
        return entry.bundled

    def bytes_on_disk(self, entry: ModelEntry) -> int | None:
        return 10**8 if entry.bundled else None

    def is_prepared(self, entry: ModelEntry) -> bool:
        return entry.bundled

    def state(self, entry: ModelEntry) -> str:
        return "ready" if entry.bundled else "not pulled"

    def pull(self, entry: ModelEntry, tell: object = None) -> str:
        if entry.name == HUB_ONLY:
            raise ModelUnavailable(f"{entry.name} is not in the cache and the model hub cannot be reached")
        return self.revision(entry)

    def how_to_get(self, entry: ModelEntry) -> str:
        return Store(self.cache).how_to_get(entry)

    def revision(self, entry: ModelEntry) -> str:
        return self.revisions.get(entry.name, "r1")

    def found(self, entry: ModelEntry) -> None:
        return None

    def pulled(self, pattern: ModelEntry) -> list[ModelEntry]:
        return []

    def check(self, entry: ModelEntry) -> list[str]:
        return self.problems.get(entry.name, [])


@cache
def _shipped() -> tuple[ModelEntry, ...]:
    return Catalog.load(LANGUAGES).entries


class FakePool:
    """Stands where ModelPool does. `changes` are fields laid over every entry."""

    def __init__(
        self,
        languages: Languages = LANGUAGES,
        change: Callable[[str], str] = str.upper,
        pairs: Sequence[str] = (),
        *,
        engine: Any = None,
        **changes: Any,
    ):
        self.load_progress = LoadProgress()
        self.catalog = Catalog([entry.model_copy(update=changes) for entry in _shipped()])
        self.store = FakeStore(pairs)
        self.engine = engine or FakeEngine(change)
        self.used: list[str] = []

    @contextmanager
    def use(self, entry: ModelEntry) -> Iterator[TextModel]:
        self.used.append(entry.name)
        yield TextModel(entry, cast(Codec, FakeCodec(entry)), self.engine)

    def load(self, name: str) -> None:
        pass

    def loaded(self) -> list[str]:
        return []

    def stages(self) -> dict[str, str]:
        return {}

    def state(self, entry: ModelEntry) -> str:
        return "on disk"

    def is_ready(self, entry: ModelEntry, *, wait_s: float) -> bool:
        return True

    def owner(self, engine: object) -> ModelEntry | None:
        """None, so that no outputs are kept from one job to another."""
        return None

    def stats(self) -> dict[str, EngineStats]:
        return {}

    def unready(self, names: Sequence[str]) -> list[str]:
        return []

    @property
    def as_pool(self) -> ModelPool:
        return cast(ModelPool, self)
