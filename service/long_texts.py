"""Translates a long plain text part by part, because reading it whole would hold the interpreter.

20,000,000 characters at once stopped all other threads for 4 s at a time. Parts end at blank lines if
possible, so that each is translated as it would be in its place.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

from models.steps import Gather, Steps, Usage
from models.translate.translator import (
    MemoryLookup,
    Segment,
    SegmentReady,
    Term,
    Translation,
    TranslationRequest,
    notes_on,
)
from service.tasks import Request, steps

if TYPE_CHECKING:
    from service.runtime import Runtime

T = TypeVar("T")

PART_CHARACTERS = 500_000
CUTS = ("\n\n", "\n", ". ", " ")
"""A part may end at these, the best first; the last half of it is searched."""


def in_parts(runtime: "Runtime", request: Request, recall: MemoryLookup | None = None) -> Steps[Any]:
    """Return the request's steps; those of a long plain text are its parts', one after another."""
    is_plain = isinstance(request, TranslationRequest) and request.format == "text"
    if is_plain and len(request.text or "") > PART_CHARACTERS:
        return _joined(runtime, request, recall)
    return steps(runtime, request, recall)


def _joined(runtime: "Runtime", request: Any, recall: MemoryLookup | None) -> Steps[Translation]:
    done: list[tuple[int, str, Translation | None]] = []
    source, model = request.source, request.model
    before = 0
    for start, end in _parts(request.text):
        text = request.text[start:end]
        result = None
        if text.strip():
            steps_ = runtime.translator.steps(replace(request, text=text, source=source, model=model), recall)
            result = yield from _in_place(steps_, start, before)
            before += len(result.segments)
            if result.source != "und":  # a part without words tells nothing of the others
                source = result.source  # what the first part is in, all are
                if result.via is None and " + " not in result.model:
                    model = result.model  # lest a better one that becomes ready does the rest
        done.append((start, text, result))
    results = [result for _, _, result in done if result is not None]
    first = next((result for result in results if result.source != "und"), results[0])
    segments = tuple(
        _moved(segment, start)
        for start, _, result in done
        if result is not None
        for segment in result.segments
    )
    terms = _terms([term for result in results for term in result.terms])
    ranks = max(len(result.alternatives) for result in results)
    return replace(
        first,
        translation=_text(done),
        segments=segments,
        usage=sum((result.usage for result in results), Usage()),
        notes=tuple(
            notes_on(
                first.source,
                segments,
                terms,
                detected=first.detected,
                min_confidence=request.min_confidence,
            )
        ),
        terms=terms,
        alternatives=tuple(_text(done, rank) for rank in range(ranks)),
    )


def _text(done: Sequence[tuple[int, str, Translation | None]], rank: int | None = None) -> str:
    """Join the parts' translations, or where they have one their alternatives of a rank."""
    texts = []
    for _, text, result in done:
        if result is None:
            texts.append(text)
        elif rank is not None and rank < len(result.alternatives):
            texts.append(result.alternatives[rank])
        else:
            texts.append(result.translation)
    return "".join(texts)


def _in_place(task: Steps[Translation], start: int, before: int) -> Steps[Translation]:
    """Return the steps of a part, whose segments are told as the whole text's, after `before` others."""

    def told(step: Any) -> Any:
        if not isinstance(step, SegmentReady):
            return step
        return SegmentReady(before + step.index, before + step.total, _moved(step.segment, start))

    def with_sentences(step: Any) -> Any:
        return Gather([_changed(each, told) for each in step.tasks]) if isinstance(step, Gather) else step

    return _changed(task, with_sentences)


def _changed(task: Steps[T], change: Callable[[Any], Any]) -> Steps[T]:
    """Return the task with its steps changed."""
    go_on: Callable[[Any], Any] = task.send
    answer = None
    try:
        while True:
            step = change(go_on(answer))
            go_on = task.send
            try:
                answer = yield step
            except Exception as error:  # noqa: BLE001 - the task's own affair
                go_on, answer = task.throw, error
    except StopIteration as end:
        value: T = end.value
        return value
    finally:
        task.close()


def _moved(segment: Segment, by: int) -> Segment:
    return replace(segment, source=segment.source.moved(by))


def _parts(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    while len(text) - start > PART_CHARACTERS:
        least, most = start + PART_CHARACTERS // 2, start + PART_CHARACTERS
        cuts = ((text.rfind(cut, least, most), len(cut)) for cut in CUTS)
        end = next((place + length for place, length in cuts if place >= 0), most)
        yield start, end
        start = end
    yield start, len(text)


def _terms(terms: Sequence[Term]) -> tuple[Term, ...]:
    """Return one for each term and its translation, with how often it stands in all parts."""
    order = {(term.source, term.target): i for i, term in reversed(list(enumerate(terms)))}
    ranked = sorted(terms, key=lambda term: order[term.source, term.target])
    return tuple(
        replace(group[0], count=sum(t.count for t in group), honoured=all(t.honoured for t in group))
        for _, alike in groupby(ranked, key=lambda term: (term.source, term.target))
        for group in [list(alike)]
    )
