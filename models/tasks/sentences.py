"""From a text in its format to sentences for a model, and from their translations back to the text."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from models.tasks.attempts import Attempt
from models.tasks.sentence import Sentence
from models.tasks.steps import Steps
from models.tasks.translation import Segment, SegmentReady, Term, TranslationRequest
from models.text.markup import html, markdown
from models.text.markup.build import Run, flat, read_plain, restore
from models.text.markup.place import Piece, place, stretches
from models.text.sentences import pausing_sentences, strip
from models.text.span import Span
from models.text.terms import Held, Terms, apart

_PAUSE_SENTENCES = 100
"""After so many of one run, the task pauses, so that its deadline is looked at."""


@dataclass(frozen=True, slots=True)
class Part:
    """A sentence of a run."""

    run: Run
    span: Span
    """In the run's text."""
    sentence: Sentence


def read(request: TranslationRequest) -> Steps[list[Run]]:
    """Return what there is to translate, in order."""
    runs: list[Run] = []
    if request.format == "markdown":
        yield from markdown.read_into(runs, request.text)
    elif request.format in ("html", "xml"):
        is_xml = request.format == "xml"
        yield from html.read_into(runs, request.text, xml=is_xml, ignore=request.ignore_tags)
        if not is_xml:
            yield from html.attributes_into(runs, request.text, ignore=request.ignore_tags)
    else:
        runs = read_plain(request.text)
    return runs


def split(runs: Sequence[Run], language: str, *, whole: bool, terms: Terms) -> Steps[list[Part]]:
    """The runs' sentences, in order; `whole` runs for models that read a paragraph at a time."""
    parts: list[Part] = []
    for run in runs:
        kept = sorted(
            node.span for node in flat(run.nodes) if node.kind == "kept" and node.span.start < node.span.end
        )
        for i, span in enumerate((yield from _spans(run, language, whole, kept))):
            if i % _PAUSE_SENTENCES == 0:
                yield None
            parts.append(Part(run, span, _sentence(run, span, kept, terms)))
    return parts


def _spans(run: Run, language: str, whole: bool, kept: Sequence[Span]) -> Steps[list[Span]]:
    if whole:
        return [strip(run.text, Span(0, len(run.text)))]
    found: list[Span] = []
    for span in (yield from pausing_sentences(_with_line_ends(run), language)):
        before = bisect_left(kept, (span.start,))
        if found and before and span.start < kept[before - 1].end:
            found[-1] = Span(found[-1].start, span.end)
        else:
            found.append(span)
    return found


def _with_line_ends(run: Run) -> str:
    """The run's text with a line end for each break that does not go on in mid-sentence."""
    text = list(run.text)
    for node in flat(run.nodes):
        if node.kind == "break":
            at = node.span.start if node.span.start < node.span.end else node.span.start - 1
            following = run.text[node.span.end :].lstrip()[:1]
            if at >= 0 and text[at] == " " and not following.islower():
                text[at] = "\n"
    return "".join(text)


def _sentence(run: Run, span: Span, kept: Sequence[Span], terms: Terms) -> Sentence:
    text = run.text[span.start : span.end]
    inside = kept[bisect_left(kept, (span.start,)) : bisect_left(kept, (span.end,))]
    own = [each.moved(-span.start) for each in inside if each.end <= span.end]
    held = [Held(each, text[each.start : each.end]) for each in own]
    held += apart(terms.find(text), own)
    inner = [each.moved(-span.start) for each in stretches(run, span)]
    return Sentence(text, tuple(sorted(held, key=lambda each: each.span)), tuple(inner))


def put_together(
    document: str, runs: Sequence[Run], parts: Sequence[Part], done: Sequence[Attempt], separator: str
) -> Steps[str]:
    """The document in the target language."""
    pieces: dict[int, list[Piece]] = {id(run): [] for run in runs}
    for part, attempt in zip(parts, done, strict=True):
        start = part.span.start
        kept = {
            held.span.moved(start): at
            for held, at in zip(part.sentence.held, attempt.places, strict=True)
            if at is not None
        }
        alone = {span.moved(start): names for span, names in attempt.alone.items()}
        pieces[id(part.run)].append(Piece(part.span, attempt.text, kept, alone))
    placed = []
    for run in runs:
        yield None
        placed.append((yield from place(run, pieces[id(run)], separator)))
    own = [i for i, run in enumerate(runs) if not run.is_attribute]
    text = restore(document, [runs[i] for i in own], [placed[i] for i in own])
    if len(own) == len(runs):
        return text
    said = {
        document[run.span.start : run.span.end]: new
        for run, new in zip(runs, placed, strict=True)
        if run.is_attribute
    }
    return html.put_attributes(text, said)


def alternatives(
    request: TranslationRequest,
    runs: Sequence[Run],
    parts: Sequence[Part],
    done: Sequence[Attempt],
    separator: str,
) -> Steps[tuple[str, ...]]:
    """The document with each sentence's first other attempt, with its second and so on, where it has one."""
    documents: dict[str, None] = {}
    for rank in range(max((len(each.others or ()) for each in done), default=0)):
        others = [each.others[rank] if each.others and len(each.others) > rank else each for each in done]
        written = yield from put_together(request.text, runs, parts, others, separator)
        documents[written] = None
    return tuple(documents)


def segment(part: Part, attempt: Attempt) -> Segment:
    """Return the segment of a sentence and its translation."""
    return Segment(
        part.run.origin(part.span),
        attempt.text,
        attempt.complete,
        attempt.confidence,
        attempt.flags,
        attempt.abstained,
        part.sentence.text if part.run.is_markup else None,
        attempt.missing or None,
        attempt.from_memory or None,
        None if attempt.others is None else tuple(other.text for other in attempt.others),
    )


def ready(parts: Sequence[Part], i: int, attempt: Attempt) -> SegmentReady:
    """Return the event of the translation of the sentence with this number."""
    return SegmentReady(i, len(parts), segment(parts[i], attempt), attempt.again)


def account(parts: Sequence[Part], done: Sequence[Attempt], terms: Terms) -> tuple[Term, ...]:
    """What became of each term that the text has, in the order in which they first stand in it."""
    counts: dict[str, list[bool]] = {}
    for part, attempt in zip(parts, done, strict=True):
        for held, at in zip(part.sentence.held, attempt.places, strict=True):
            if held.term is not None:
                counts.setdefault(held.term, []).append(at is not None)
    return tuple(Term(term, terms.target(term), len(each), all(each)) for term, each in counts.items())
