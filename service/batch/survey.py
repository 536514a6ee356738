"""Surveys a batch's input for --dry-run: its size, its languages and the expected time."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from models.text.detect import LanguageDetector
from service.batch.executor import LocalExecutor, Unit
from service.batch.record import Content
from service.batch.windows import UNIT_SIZES, Window
from service.store.batch_cache import BatchCache

DETECT_FIRST = 2000
DETECT_ONE_IN = 100
"""The languages of the first records are detected, and of one in a hundred after them."""

SAMPLE_RECORDS = 16
SAMPLE_CHARACTERS = 20_000


@dataclass(slots=True)
class Survey:
    """An input in numbers, and the rate at which it may be done."""

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
    characters_per_s: float | None = None
    rate_of: str = "the last run"
    """Whose rate it is."""

    @property
    def seconds(self) -> float | None:
        """Seconds for what is left; None if no rate is known."""
        return self.left_characters / self.characters_per_s if self.characters_per_s else None

    def as_json(self) -> dict[str, Any]:
        """All but the sample."""
        seconds, rate = self.seconds, self.characters_per_s
        return {
            "records": self.records,
            "problems": self.problems,
            "characters": self.characters,
            "found": self.found,
            "repeated": self.repeated,
            "characters_to_do": self.left_characters,
            "languages_of": self.looked_at,
            "languages": dict(self.languages.most_common()),
            "characters_per_s": None if rate is None else round(rate, 1),
            "rate_of": self.rate_of if rate else None,
            "seconds": None if seconds is None else round(seconds, 1),
        }

    def measure(self, runner: LocalExecutor) -> None:
        """Measure the rate with the sample, if there is one; its results are thrown away."""
        if self.sample:
            start = time.monotonic()
            runner.do(Unit(0, -1, tuple(self.sample)))
            took_s = max(1e-6, time.monotonic() - start)
            self.characters_per_s = sum(len(content.value) for content in self.sample) / took_s
            self.rate_of = "a sample"


def survey(windows: Iterable[Window], store: BatchCache, detector: LanguageDetector) -> Survey:
    """Look through all of the input."""
    seen = Survey()
    for window in windows:
        _count(seen, window, store)
        _detect(seen, window, detector)
    return seen


def _count(seen: Survey, window: Window, store: BatchCache) -> None:
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
