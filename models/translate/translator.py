"""Translates a text: splits it into sentences, translates them, and puts them back in place.

The text's format (paragraphs, blank lines, list marks, markup) never goes through a model.
"""

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from models.better import BetterModels
from models.checks.flag import Flag, any_error
from models.choices import Quality, TextFormat
from models.errors import DragomanError, InvalidInput, ModelUnavailable
from models.languages import Languages
from models.pool import ModelPool
from models.steps import Event, Steps, Usage, until_loaded
from models.text.detect import POSSIBLE, Detection, LanguageDetector, likeliest
from models.text.markup import html, markdown
from models.text.markup.build import Run, flat, read_plain, restore
from models.text.markup.place import Piece, place, stretches
from models.text.sentences import pausing_sentences, strip
from models.text.span import Span
from models.text.terms import Held, Terms, outside
from models.translate.confidence import likely_right
from models.translate.route import Hop, Router, cautions, check_recognized
from models.translate.sentence import (
    Candidate,
    MemoryMatch,
    Sentence,
    SentenceTranslator,
    join,
    separator,
)

SURE = 0.5
"""Below this confidence the target's own language is a guess: another likely one may do as well."""

DOUBTFUL = 0.75
"""Below this confidence the reader is told that the language is a guess."""

CANDIDATES = 5
"""The likeliest languages of a text, of which one that the models translate may be taken."""

LOOKED_UP_AT_ONCE = 32
"""Sentences that are looked up in a memory between two checkpoints."""

_CHECKPOINT_SENTENCES = 100

MemoryLookup = Callable[[Sequence[str], str, str, int], Sequence[MemoryMatch]]
"""Looks up sentences in a translation memory, given their language, the target's, and how many near ones are
wanted of each. There is a match for each, in order. A DragomanError becomes a note on the translation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslationRequest:
    """One text to translate."""

    text: str
    target: str
    source: str = "auto"
    model: str | None = None
    """A name from the catalog; None means the service's default."""
    format: TextFormat = "text"
    """The kind of text: its markup is kept, and only what a reader reads is translated."""
    ignore_tags: tuple[str, ...] = ()
    """Names of elements, in HTML or XML, that stay as they are with all they hold."""
    protect: tuple[str, ...] = ()
    """Terms that stay as they are."""
    glossary: Mapping[str, str] = field(default_factory=dict)
    """Terms and what each is to be in the translation."""
    min_confidence: float | None = None
    """Segments that the model is less sure of than this, from 0 to 1, come back untranslated."""
    alternatives: int = 0
    """So many other translations of each segment are wanted, beside its own."""
    quality: Quality = "auto"
    memory: bool = True
    """Sentences that the caller's memory has are taken from it."""
    partial: bool = False
    """If time runs out midway, what is done is the result, and the rest of the text stays as it is."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A sentence (or paragraph, for models that read whole paragraphs) and its translation."""

    source: Span
    """In the request's text, markup included."""
    text: str
    complete: bool
    """False if the model stopped at its length limit rather than at an end of its own."""
    confidence: float | None = None
    """The chance that a reader finds no serious error in it, 0 to 1; None for models that were not fitted."""
    flags: tuple[Flag, ...] = ()
    """The checks' findings; their spans are in `text`, and in the source's plain text."""
    abstained: bool = False
    """True if `text` is still the source's, for want of confidence."""
    original: str | None = None
    """The source's plain text where it has markup, else None."""
    missing: bool | None = None
    """True if time ran out before it was translated: `text` is the source's. Otherwise None."""
    from_memory: bool | None = None
    """True if a person's translation of just this sentence was taken. Otherwise None."""
    alternatives: tuple[str, ...] | None = None
    """Other translations of it, best first, as plain text; None where none were asked for."""


@dataclass(frozen=True, slots=True)
class SegmentReady(Event):
    """A segment, by its place, is there. If it is tried again later, the better one is told again."""

    index: int
    total: int
    """The number of all segments."""
    segment: Segment
    again: bool = False
    """True if it is being tried once more: the better one will be told."""


@dataclass(frozen=True, slots=True)
class Term:
    """A protected or glossary term that stands in the source."""

    source: str
    target: str
    """As it was to stand in the translation; the same as `source` for a protected one."""
    count: int
    """The number of times that it stands in the source."""
    honoured: bool
    """True if the translation has it as often as the source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """A finished translation."""

    translation: str
    segments: tuple[Segment, ...]
    source: str
    target: str
    detected: Detection | None
    """Set if the source language was `auto`."""
    model: str
    via: str | None
    """The language in the middle where the pair was translated in two steps."""
    usage: Usage
    notes: tuple[str, ...]
    cautions: tuple[str, ...] = ()
    """What holds of all that its models write: worth saying once to a reader, not with each of many texts."""
    terms: tuple[Term, ...] = ()
    """Those of the request's terms that the text holds."""
    partial: bool | None = None
    """True if time ran out before all segments were translated. Otherwise None."""
    alternatives: tuple[str, ...] = ()
    """The whole text with each segment's first alternative, with its second and so on, where it has one."""


class Translator:
    """Translates with the catalog's models.

    Where a request names none it is `default_model`, or one of the `better` ones.
    """

    def __init__(
        self,
        pool: ModelPool,
        languages: Languages,
        detector: LanguageDetector,
        *,
        default_model: str,
        better: BetterModels | None = None,
    ):
        self._pool = pool
        self._languages = languages
        self._detector = detector
        self.router = Router(pool, languages, default_model, better)

    def steps(self, request: TranslationRequest, look_up: MemoryLookup | None = None) -> Steps[Translation]:
        """Translate one text, with the sentences that a memory has as they stand there.

        Raises InvalidInput and its kin, and ModelUnavailable.
        """
        if not request.text.strip():
            raise InvalidInput("the text is empty", field="text", allowed="at least one character")
        entry = self.router.entry(request.model)
        target = self._languages.normalize(request.target, "target")
        runs = yield from _read(request)
        text = "\n".join(run.text for run in runs)
        detected = self._detect(text, request.model, target) if request.source == "auto" else None
        source, note = "und", "this text has nothing to translate"
        if runs:
            source = request.source
            if detected is not None:
                check_recognized(detected.language)
                source = detected.language
            source = self._languages.normalize(source, "source")
            note = _guess(detected, target, " already") or f"the text is in {target} already"
        if not runs or source == target:
            return Translation(
                translation=request.text,
                segments=(),
                source=source,
                target=target,
                detected=detected,
                model=entry.name,
                via=None,
                usage=Usage(),
                notes=(note,),
            )

        hops = yield from self._hops(source, target, request.target, request.model)
        yield None
        terms = Terms(request.protect, request.glossary, text)
        whole = all(hop.entry.segment == "paragraph" for hop in hops)
        sentences = yield from _split(runs, source, whole=whole, terms=terms)
        matches, unread = yield from _recalled(
            look_up if request.memory else None, sentences, source, hops[-1].target, request.alternatives
        )

        def segment(i: int, candidate: Candidate) -> Segment:
            run = runs[sentences[i].run]
            original = sentences[i].text if run.is_markup else None
            return _segment(run.origin(sentences[i].span), candidate, original)

        def ready(i: int, candidate: Candidate) -> SegmentReady:
            return SegmentReady(i, len(sentences), segment(i, candidate), candidate.again)

        translator = SentenceTranslator(
            self._pool,
            hops,
            min_confidence=request.min_confidence,
            alternatives=request.alternatives,
            quality=request.quality,
        )
        done = yield from translator.translate(sentences, ready, partial=request.partial, matches=matches)
        written = yield from _put_together(request.text, runs, sentences, done, separator(hops[-1].target))
        others = yield from _alternatives(request, runs, sentences, done, separator(hops[-1].target))
        found = _found_terms(sentences, done, terms)
        told = notes_on(source, done, found, detected=detected, min_confidence=request.min_confidence)
        told += [*_late(done), *unread]
        return self._translation(
            translator,
            written,
            [segment(i, each) for i, each in enumerate(done)],
            source=source,
            detected=detected,
            notes=told,
            terms=found,
            partial=any(each.missing for each in done) or None,
            alternatives=tuple(other for other in others if other != written),
        )

    def translate(
        self,
        texts: Sequence[str],
        source: str,
        target: str,
        event_of: Callable[[int, Segment, bool], Event],
        look_up: MemoryLookup | None = None,
    ) -> Steps[Translation]:
        """Translate sentences, through English where it must be; a wrong one is tried once more.

        Those that a memory has are taken from it.

        The target may be a user's code with a region, such as `pt-BR`. The event of a sentence's number, its
        segment, and whether it is being tried once more is told as by `SentenceTranslator`.
        """
        hops = yield from self._hops(source, self._languages.normalize(target, "target"), target)

        def segment(i: int, candidate: Candidate) -> Segment:
            return _segment(Span(0, len(texts[i])), candidate)

        sentences = [Sentence(text) for text in texts]
        matches, unread = yield from _recalled(look_up, sentences, source, hops[-1].target)
        translator = SentenceTranslator(self._pool, hops)
        done = yield from translator.translate(
            sentences,
            lambda i, candidate: event_of(i, segment(i, candidate), candidate.again),
            matches=matches,
        )
        segments = [segment(i, each) for i, each in enumerate(done)]
        written = join([each.text for each in done], hops[-1].target)
        notes = [*notes_on(source, done), *_late(done), *unread]
        return self._translation(translator, written, segments, source=source, notes=notes)

    def check(self, source: str, target: str, model: str | None = None) -> list[Hop]:
        """The models that would translate, one after another.

        Raises InvalidInput where none would, and ModelLoading where one that would is on its way.
        """
        check_recognized(source)
        return self.router.choose(model, source, target)

    def _hops(self, source: str, target: str, asked: str, model: str | None = None) -> Steps[list[Hop]]:
        """Return the models, loaded; the last is asked for its language's form in the region of the code."""
        while True:
            *first, last = self.check(source, target, model)
            hops = [*first, replace(last, region=self._languages.region(asked))]
            try:
                yield from until_loaded(self._pool, [hop.entry for hop in hops])
                return hops
            except ModelUnavailable as error:
                if model is not None or not self.router.give_up(hops, error):
                    raise

    def _translation(
        self,
        translator: SentenceTranslator,
        text: str,
        segments: Sequence[Segment],
        *,
        source: str,
        detected: Detection | None = None,
        notes: Sequence[str] = (),
        terms: tuple[Term, ...] = (),
        partial: bool | None = None,
        alternatives: tuple[str, ...] = (),
    ) -> Translation:
        """Return a translation, with what its readers should know of the models."""
        hops = translator.hops
        last = hops[-1]
        choice = [hop.note for hop in hops if hop.note]
        region = []
        if not translator.has_region and last.target == last.target.split("-")[0]:
            name = self._languages.name(last.target)
            region = [f"{last.entry.name} writes one form of {name}, not that of the region {last.region}"]
        return Translation(
            translation=text,
            segments=tuple(segments),
            source=source,
            target=last.target,
            detected=detected,
            model=" + ".join(dict.fromkeys(hop.entry.name for hop in hops)),
            via=hops[0].target if len(hops) > 1 else None,
            usage=translator.usage(),
            notes=(*notes, *choice, *region),
            # without what gets a better model where a note says that one is on its way
            cautions=cautions(self._pool, [hop.entry for hop in hops], with_better=not choice),
            terms=terms,
            partial=partial,
            alternatives=alternatives,
        )

    def _detect(self, text: str, model: str | None, target: str) -> Detection:
        """The likeliest language; in place of a guess, one that the model can translate, if there is any.

        So a few words that look like the target's language, or like one that the model lacks, are translated.
        """
        candidates = self._detector.candidates(text, limit=CANDIDATES)
        best = likeliest(text, candidates, lambda language: self.router.reads(model, language))
        if best.language != target or (best is candidates[0] and best.confidence >= SURE):
            return best
        others = (each for each in candidates if each.language != target and each.confidence >= POSSIBLE)
        return next((each for each in others if self.router.reads(model, each.language)), best)


# ---------------------------------------------------------------------- what the reader should know


def _guess(detected: Detection | None, language: str, already: str = "") -> str:
    """Return what to tell of a language that is a guess, else an empty text."""
    if detected is None or detected.confidence >= DOUBTFUL:
        return ""
    told = f"the text is probably in {language}{already} (confidence {detected.confidence:.2f})"
    return f"{told}; if not, give its language"


def confidences(done: Sequence[Candidate] | Sequence[Segment]) -> list[float]:
    """Return the confidences of what was translated; what was left in its language has no say."""
    return [each.confidence for each in done if each.confidence is not None and not each.abstained]


def notes_on(
    source: str,
    done: Sequence[Candidate] | Sequence[Segment],
    terms: Sequence[Term] = (),
    *,
    detected: Detection | None = None,
    min_confidence: float | None = None,
) -> list[str]:
    """What the reader should know, first how much of the text is likely right."""
    known = confidences(done)
    notes = [likely_right(sum(known), len(known))] if known else []
    if guess := _guess(detected, source):
        notes.append(guess)
    if missing := sum(bool(each.missing) for each in done):
        notes.append(f"time ran out: {missing} of {len(done)} segments are not translated")
    if cut := sum(not each.complete and not each.missing for each in done):
        notes.append(f"{cut} segments reached the model's length limit and may be unfinished")
    if left := sum(each.abstained for each in done):
        notes.append(
            f"{left} of {len(done)} segments are left in {source}: confidence was below {min_confidence}"
        )
    if min_confidence is not None and all(each.confidence is None for each in done):
        notes.append("min_confidence changed nothing: no sentence has a confidence")
    if recalled := sum(bool(each.from_memory) for each in done):
        notes.append(f"{recalled} of {len(done)} segments are as your translation memory has them")
    if flagged := sum(any_error(each.flags) for each in done):
        notes.append(f"checks found something wrong in {flagged} of {len(done)} segments; see their flags")
    if lost := [term.source for term in terms if not term.honoured]:
        notes.append(f"not everywhere as asked for: {', '.join(lost)}")
    return notes


# ---------------------------------------------------------------------- from a text to sentences, and back


def _recalled(
    look_up: MemoryLookup | None,
    sentences: Sequence[Sentence],
    source: str,
    target: str,
    alternatives: int = 0,
) -> Steps[tuple[list[MemoryMatch], list[str]]]:
    """Return what a memory has of each sentence, or nothing and a note that says why."""
    matches: list[MemoryMatch] = []
    if look_up is None:
        return matches, []
    for start in range(0, len(sentences), LOOKED_UP_AT_ONCE):
        texts = [each.text for each in sentences[start : start + LOOKED_UP_AT_ONCE]]
        try:
            matches += look_up(texts, source, target, alternatives)
        except DragomanError as error:  # a translation without it is worth more than none
            return [], [error.message]
        yield None
    return matches, []


def _read(request: TranslationRequest) -> Steps[list[Run]]:
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


def _split(runs: Sequence[Run], language: str, *, whole: bool, terms: Terms) -> Steps[list[Sentence]]:
    """The runs' sentences, in order; `whole` runs for models that read a paragraph at a time."""
    sentences: list[Sentence] = []
    for number, run in enumerate(runs):
        kept = sorted(
            node.span for node in flat(run.nodes) if node.kind == "kept" and node.span.start < node.span.end
        )
        for i, span in enumerate((yield from _spans(run, language, whole, kept))):
            if i % _CHECKPOINT_SENTENCES == 0:
                yield None
            text = run.text[span.start : span.end]
            inside = kept[bisect_left(kept, (span.start,)) : bisect_left(kept, (span.end,))]
            own = [each.moved(-span.start) for each in inside if each.end <= span.end]
            held = [Held(each, text[each.start : each.end]) for each in own]
            held += outside(terms.find(text), own)
            inner = tuple(each.moved(-span.start) for each in stretches(run, span))
            sentences.append(
                Sentence(text, tuple(sorted(held, key=lambda each: each.span)), inner, number, span)
            )
    return sentences


def _spans(run: Run, language: str, whole: bool, kept: Sequence[Span]) -> Steps[list[Span]]:
    """Return the places of a run's sentences; none ends within what is kept."""
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


def _put_together(
    document: str,
    runs: Sequence[Run],
    sentences: Sequence[Sentence],
    done: Sequence[Candidate],
    separator: str,
) -> Steps[str]:
    """The document in the target language."""
    pieces: list[list[Piece]] = [[] for _ in runs]
    for sentence, candidate in zip(sentences, done, strict=True):
        start = sentence.span.start
        kept = {
            held.span.moved(start): at
            for held, at in zip(sentence.held, candidate.places, strict=True)
            if at is not None
        }
        alone = {span.moved(start): names for span, names in candidate.alone.items()}
        pieces[sentence.run].append(Piece(sentence.span, candidate.text, kept, alone))
    placed = []
    for run, own in zip(runs, pieces, strict=True):
        yield None
        placed.append((yield from place(run, own, separator)))
    texts = [i for i, run in enumerate(runs) if not run.is_attribute]
    written = restore(document, [runs[i] for i in texts], [placed[i] for i in texts])
    if len(texts) == len(runs):
        return written
    attributes = {
        document[run.span.start : run.span.end]: new
        for run, new in zip(runs, placed, strict=True)
        if run.is_attribute
    }
    return html.put_attributes(written, attributes)


def _alternatives(
    request: TranslationRequest,
    runs: Sequence[Run],
    sentences: Sequence[Sentence],
    done: Sequence[Candidate],
    separator: str,
) -> Steps[tuple[str, ...]]:
    """The document with each sentence's first other candidate, with its second and so on."""
    documents: dict[str, None] = {}
    for rank in range(max((len(each.others or ()) for each in done), default=0)):
        others = [each.others[rank] if each.others and len(each.others) > rank else each for each in done]
        written = yield from _put_together(request.text, runs, sentences, others, separator)
        documents[written] = None
    return tuple(documents)


def _late(done: Sequence[Candidate]) -> list[str]:
    late = sum(each.again for each in done)
    return [f"time ran out before {late} of {len(done)} segments could be tried again"] if late else []


def _segment(source: Span, candidate: Candidate, original: str | None = None) -> Segment:
    return Segment(
        source,
        candidate.text,
        candidate.complete,
        candidate.confidence,
        candidate.flags,
        candidate.abstained,
        original,
        candidate.missing or None,
        candidate.from_memory or None,
        None if candidate.others is None else tuple(other.text for other in candidate.others),
    )


def _found_terms(sentences: Sequence[Sentence], done: Sequence[Candidate], terms: Terms) -> tuple[Term, ...]:
    """What became of each term that the text has, in the order in which they first stand in it."""
    counts: dict[str, list[bool]] = {}
    for sentence, candidate in zip(sentences, done, strict=True):
        for held, at in zip(sentence.held, candidate.places, strict=True):
            if held.term is not None:
                counts.setdefault(held.term, []).append(at is not None)
    return tuple(Term(term, terms.target(term), len(each), all(each)) for term, each in counts.items())
