"""A runtime for tests of the page: it writes capitals, a sentence at a time, and fails where it is told to.

Run as a program it serves itself. `!late` and `!breaks` fail the first time, `!slow` takes its time.
`[sic]` is flagged as a wrong number, `[?]` makes its sentence doubtful, and is its weakest word.
"""

import json
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from fake_runtime import serve
from http_fakes import ERRORS, Catalog, Entry, FakeRuntime, Tasks, settings

from models.checks.flag import Flag
from models.errors import UnsupportedLanguage
from models.steps import Usage
from models.summarize.summarizer import SummaryRequest
from models.text.detect import Detection
from models.text.span import Span
from models.translate.translator import Segment, SegmentReady, Translation, TranslationRequest
from service.settings import Settings
from service.store.suggestions import Suggestions

PAUSE_S = 0.3
SUGGESTIONS = "suggestions.jsonl"
SMALL = (
    "fake/m is a small model; fake/large, named as `model`, is better: "
    "`dragoman models pull fake/large` gets it"
)
CODE = re.compile(r"```.*?```|<[^<>]*>", re.DOTALL)
SENTENCE = re.compile(r"[^\s#*<>-][^.<>\n]*\.?")


class SentenceTasks(Tasks):
    def __init__(self) -> None:
        super().__init__()
        self._failed: set[str] = set()

    def summary(self, request: SummaryRequest, recall: Any = None) -> Iterator[Any]:
        if request.target:
            _require_known(request.text or "")
        return super().summary(request)

    def translation(self, request: TranslationRequest, recall: Any = None) -> Iterator[Any]:
        yield from ()
        _require_known(request.text)
        self._behave(request.text, request.model, request.target)
        found = list(SENTENCE.finditer(CODE.sub(_blank, request.text)))
        segments: list[Segment] = []
        partial = None
        for index, match in enumerate(found):
            if self._is_late(match[0]):
                partial = True
                if not (request.partial and segments):
                    raise ERRORS["!late"]()
            segment = _segment(match, missing=partial, others=request.alternatives)
            if recall and (known := recall([match[0]], "en", request.target, 0)[0].text):
                segment = replace(segment, text=known, flags=_flags(known), from_memory=True, confidence=None)
            segments.append(segment)
            if not partial:
                yield SegmentReady(index, len(found), segment)
        detected = Detection("en", 0.9) if request.source == "auto" else None
        return Translation(
            translation=" ".join(each.text for each in segments)
            if any(each.from_memory for each in segments)
            else request.text.upper(),
            segments=tuple(segments),
            source="en" if detected else request.source,
            target=request.target,
            detected=detected,
            model=request.model or "fake/translate",
            via=None,
            usage=Usage(5, 4),
            notes=(),
            cautions=(SMALL,),
            partial=partial,
        )

    def _is_late(self, sentence: str) -> bool:
        if "!slow" in sentence:
            time.sleep(PAUSE_S)
        if self._has_failed(sentence, "!breaks"):
            raise ERRORS["!engine"]()
        return self._has_failed(sentence, "!late")

    def _has_failed(self, sentence: str, word: str) -> bool:
        """True the first time that the sentence with this word is met."""
        if word not in sentence or sentence in self._failed:
            return False
        self._failed.add(sentence)
        return True


def _segment(match: re.Match[str], *, missing: bool | None, others: int) -> Segment:
    text = match[0] if missing else match[0].upper()
    alternatives = (match[0].title(), match[0].lower())[:others] if others else None
    span = Span(*match.span())
    confidence = 0.2 if "[?]" in text else 0.9
    return Segment(span, text, True, confidence, _flags(match[0]), missing=missing, alternatives=alternatives)


def _blank(code: re.Match[str]) -> str:
    return "\n" * len(code[0])


def _require_known(text: str) -> None:
    if "ا" in text:
        raise UnsupportedLanguage("fake/m lacks Arabic (ar)", field="source", allowed=["en", "fr"])


def _flags(sentence: str) -> tuple[Flag, ...]:
    at = sentence.find("[sic]")
    flags = [Flag("number", Span(at, at + 5), "the source has no such number")] if at >= 0 else []
    if "[?]" in sentence:
        weakest = Span(sentence.index("[?]"), sentence.index("[?]") + 3)
        whole = Span(0, len(sentence))
        flags.append(Flag("doubtful", whole, "the model was unsure", "warning", weakest=(weakest,)))
    return tuple(flags)


class PageRuntime(FakeRuntime):
    def __init__(self, given: Settings, closed: Path) -> None:
        super().__init__(given, closed=closed)
        self.tasks = SentenceTasks()
        self.translator.steps = self.tasks.translation
        self.summarizer.steps = self.tasks.summary
        large = Entry("fake/large", ("translate",), ("en", "fr"))
        self.catalog = Catalog((*self.catalog.entries, large))
        self.pool.state = lambda entry: "downloading 41%" if entry is large else "ready"
        self.suggestions = Suggestions(self.settings.data_dir / SUGGESTIONS)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    closed = Path(given.pop("closed"))
    serve(settings(**given), lambda own, on_batch: PageRuntime(own, closed))
