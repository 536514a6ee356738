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


def measured_rate(sample: list[Content], runner: LocalExecutor) -> float | None:
    """Characters a second over the sample, whose results are thrown away; None if it is empty."""
    if not sample:
        return None
    start = time.monotonic()
    runner.do(Unit(0, -1, tuple(sample)))
    return sum(len(content.value) for content in sample) / max(1e-6, time.monotonic() - start)
