"""Summarizes an article: reads it, drafts, checks the draft against the article, and translates it if asked.

A draft is the article's best sentences, or text that a model writes. An article longer than the model's
window is summarized in windows, then the summaries together, so that all of it is read.
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from models.better import BetterModels
from models.catalog import ModelEntry
from models.checker import Checker
from models.checks.evidence import Evidence
from models.checks.flag import Flag, any_error
from models.choices import AIM, DEFAULT_LENGTH, LENGTHS, Length, OnUnsupported, SummaryFormat
from models.codec import Purpose
from models.engine.protocol import Generation, Output
from models.errors import EngineFailed, InvalidInput, ModelUnavailable, UnsupportedLanguage
from models.languages import Languages
from models.loaded import ExtractiveModel, TextModel
from models.pool import ModelPool
from models.steps import Event, Generate, Steps, Usage, until_loaded
from models.summarize.extractive import count_words, headline, pick_headline, pick_sentences
from models.text.article import Article, Dropped, read_verbatim
from models.text.article.html_article import read_page
from models.text.article.paste import read_pasted
from models.text.detect import Detection, LanguageDetector, likeliest
from models.text.sentences import pack, sentences, split_long
from models.text.span import Span
from models.translate.sentence import join
from models.translate.translator import CANDIDATES, DOUBTFUL, MemoryLookup, Segment, Translator

TOKENS_A_WORD = 1.5
LEAST_SHARE = 0.4
"""A written summary has at least this share of the words that it may have."""
MORE_BEAMS = 2
"""A second attempt searches this many times as wide, and at least LEAST_BEAMS."""
LEAST_BEAMS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryRequest:
    """One article to summarize. Exactly one of `text` (pasted) and `html` is given."""

    text: str | None = None
    html: str | None = None
    length: Length = DEFAULT_LENGTH
    max_sentences: int | None = None
    max_tokens: int | None = None
    """At most about so long, whatever `length` says, in tokens of a summary that a model writes."""
    min_tokens: int | None = None
    """At least about so long, as far as the article and `max_tokens` allow."""
    format: SummaryFormat = "paragraph"
    model: str | None = None
    """A name from the catalog; None means the service's default."""
    target: str | None = None
    """The language of the summary; None means the article's own."""
    clean: bool = True
    """False reads all of the text, without looking for what the web page put around the article."""
    on_unsupported: OnUnsupported = "flag"
    """What becomes of a sentence in which a check finds an error: it is flagged; or left out; or the summary
    is written once more in another way, the better of the two is kept, and flagged where need be."""
    memory: bool = True
    """Sentences of its translation that the caller's memory has are taken from it."""

    @property
    def most_sentences(self) -> int | None:
        """The most sentences that the summary may have; None if only its words are limited."""
        return LENGTHS[self.length].max_sentences or self.max_sentences

    @property
    def most_words(self) -> int:
        """The most words that the summary may have."""
        if self.max_tokens is not None:
            return max(1, int(self.max_tokens / TOKENS_A_WORD))
        least = (self.min_tokens or 0) / TOKENS_A_WORD
        return max(LENGTHS[self.length].max_words, math.ceil(least / AIM))


@dataclass(frozen=True, slots=True)
class SummarySentence:
    """A sentence of the summary."""

    text: str
    source: Span | None = None
    """Where it stands in the article, if it is the article's own sentence, cut or translated maybe."""
    original: str | None = None
    """The sentence before it was translated, if it was."""
    evidence: tuple[Evidence, ...] = ()
    """The article's sentences that support it best, the best first."""
    flags: tuple[Flag, ...] = ()
    """What the article does not support, in this sentence's text; of a translated one, in all of it."""
    confidence: float | None = None
    """Of its translation: the chance that a reader finds no serious error in it, 0 to 1; else None."""
    from_memory: bool | None = None
    """True if its translation is a person's, from a translation memory. Otherwise None."""

    @property
    def is_unsupported(self) -> bool:
        """True if a check found an error, not a mere warning, in it."""
        return any_error(self.flags)

    def translated(self, segment: Segment) -> "SummarySentence":
        """Return the sentence in translation. A flagged word's place there is unknown: its flag covers all.

        Where its own flags stand in their source is left out: that is the draft, which is not shown.
        """
        whole = Span(0, len(segment.text))
        flags = [replace(flag, span=whole) for flag in self.flags]
        flags += [replace(flag, source=None) for flag in segment.flags]
        return replace(
            self,
            text=segment.text,
            original=self.text,
            flags=tuple(flags),
            confidence=segment.confidence,
            from_memory=segment.from_memory,
        )


@dataclass(frozen=True, slots=True)
class SentenceReady(Event):
    """A sentence, by its place, is there: checked, and translated if that was asked; as in the result."""

    index: int
    sentence: SummarySentence
    again: bool = False
    """True if its translation is being tried once more: the better one will be told."""


@dataclass(frozen=True, slots=True)
class SummarySource:
    """What was read. Spans refer to the request's `text`, or for HTML to `text` here."""

    characters: int
    sentences: int
    title: str | None
    dropped: tuple[Dropped, ...]
    windows: int
    """In how many pieces the article was summarized; all of it is read, whatever the number."""
    coverage: float
    """The share of these characters that the model was given, 0 to 1."""
    text: str | None = None
    """The article extracted from HTML; None for pasted text, which the caller has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A finished summary."""

    summary: str
    sentences: tuple[SummarySentence, ...]
    language: str
    model: str
    translation_model: str | None
    detected: Detection
    """The article's language."""
    source: SummarySource
    usage: Usage
    notes: tuple[str, ...]
    """What the reader should know, such as that the text was shorter than a summary of it."""
    cautions: tuple[str, ...] = ()
    """Those of its translation."""


@dataclass(slots=True)
class Draft:
    """A summary before it is checked, translated and laid out."""

    sentences: list[SummarySentence]
    windows: int = 1
    coverage: float = 1.0
    """See `SummarySource`."""
    usage: Usage = field(default_factory=Usage)
    notes: list[str] = field(default_factory=list)
    basis: list[str] = field(default_factory=list)
    """The source of the last writing: the article's sentences, or the summaries of its windows."""


class Summarizer:
    """Summarizes with the catalog's models.

    Where a request names none it is `default_model`, or one of the `better` ones. `read_page` takes a web
    page and whether to `clean` it, as the function of this name does.
    """

    def __init__(
        self,
        pool: ModelPool,
        languages: Languages,
        detector: LanguageDetector,
        translator: Translator,
        checker: Checker,
        *,
        default_model: str,
        better: BetterModels | None = None,
        read_page: Callable[[str, bool], Article] = read_page,
    ):
        self._pool = pool
        self._languages = languages
        self._detector = detector
        self._translator = translator
        self._checker = checker
        self._default_model = default_model
        self._better = better
        self._read_page = read_page

    def steps(self, request: SummaryRequest, look_up: MemoryLookup | None = None) -> Steps[Summary]:
        """Summarize one article; a translation takes the sentences that a memory has as they stand there.

        Raises InvalidInput and its kin, and ModelUnavailable.
        """
        entry = self._pool.catalog.get(request.model or self._default_model, "summarize")
        target = None if request.target is None else self._languages.normalize(request.target, "target")
        article = self._read(request)
        detected = self._detect(article.content(), entry, target)
        language = detected.language
        if language != "und" and entry.languages and language not in entry.languages:
            raise UnsupportedLanguage(
                f"{entry.name} does not read {self._languages.name(language)} ({language})",
                field="model",
                allowed=list(entry.languages),
            )
        # only a pasted paragraph has line ends in it, and only where it was wrapped
        wrapped = request.html is None
        spans = [s for p in article.paragraphs for s in sentences(article.text, language, p, wrapped=wrapped)]
        if not spans:
            raise InvalidInput("this text has no sentence", field="html" if request.html else "text")

        into = None if target == language else target
        if into is not None:
            try:
                self._translator.check(language, into)  # what cannot be translated is refused before
            except InvalidInput as error:
                error.field = "target" if error.field == "target" else "text"
                raise
        texts = [" ".join(article.text[s.start : s.end].splitlines()) for s in spans]
        few = len(texts) <= (request.most_sentences or len(texts))
        if few and sum(map(count_words, texts)) <= request.most_words:
            entry, note = self._choice(request, entry, language)
            draft = _whole(request, texts, spans, language)
        else:
            entry, note = yield from self._loaded(request, entry, language)
            # words in the wrong language are not to be seen
            draft = yield from self._draft(
                entry, request, article, texts, spans, language, is_shown=into is None
            )
        if note:
            draft.notes.append(note)
        if detected.confidence < DOUBTFUL and language != "und":
            confidence = f"confidence {detected.confidence:.2f}"
            draft.notes.append(f"the text is probably in {language} ({confidence})")
        if request.on_unsupported == "drop":
            kept = [s for s in draft.sentences if not s.is_unsupported]
            if gone := len(draft.sentences) - len(kept):
                what = "1 sentence was" if gone == 1 else f"{gone} sentences were"
                draft.notes.append(f"{what} left out: the article does not support all of it")
            draft.sentences = kept

        model: str | None = None
        cautions: tuple[str, ...] = ()
        if into is not None and draft.sentences:
            drafted = draft.sentences
            done = yield from self._translator.translate(
                [s.text for s in drafted],
                language,
                request.target or into,
                lambda i, segment, again: SentenceReady(i, drafted[i].translated(segment), again),
                look_up if request.memory else None,
            )
            draft.sentences = [
                s.translated(segment) for s, segment in zip(drafted, done.segments, strict=True)
            ]
            draft.usage += done.usage
            draft.notes += [note for note in done.notes if note not in draft.notes]
            model, cautions, target = done.model, done.cautions, done.target
        else:
            for i, sentence in enumerate(draft.sentences):
                yield SentenceReady(i, sentence)
        lines = [s.text for s in draft.sentences]
        bullets = request.format == "bullets"
        return Summary(
            summary="\n".join(f"- {line}" for line in lines) if bullets else join(lines, target or language),
            sentences=tuple(draft.sentences),
            language=target or language,
            model=entry.name,
            translation_model=model,
            detected=detected,
            source=SummarySource(
                characters=sum(p.end - p.start for p in article.paragraphs),
                sentences=len(spans),
                title=article.title,
                dropped=article.dropped,
                windows=draft.windows,
                coverage=draft.coverage,
                text=article.text if request.html is not None else None,
            ),
            usage=draft.usage,
            notes=tuple(draft.notes),
            cautions=cautions,
        )

    def _read(self, request: SummaryRequest) -> Article:
        if (request.text is None) == (request.html is None):
            raise InvalidInput("give either text or html", field="text", allowed="one of text, html")
        field: Literal["text", "html"] = "html" if request.html is not None else "text"
        given = request.html if request.html is not None else request.text
        if not given or not given.strip():
            raise InvalidInput(f"the {field} is empty", field=field, allowed="at least one sentence")
        if field == "html":
            return self._read_page(given, request.clean)
        return read_pasted(given) if request.clean else read_verbatim(given)

    def _detect(self, text: str, entry: ModelEntry, target: str | None) -> Detection:
        """Return the article's likeliest language; in place of a guess, one that the models read."""

        def reads(language: str) -> bool:
            own = not entry.languages or language in entry.languages
            return own and (target in (None, language) or self._translator.router.reads(None, language))

        return likeliest(text, self._detector.candidates(text, limit=CANDIDATES), reads)

    # ------------------------------------------------------------------ drafting

    def _choice(self, request: SummaryRequest, default: ModelEntry, language: str) -> tuple[ModelEntry, str]:
        """Return the model for a request, and what its reader should know of the choice."""
        if request.model is not None or self._better is None:
            return default, ""
        choice = self._better.summarizer(language)
        return choice.entry or default, choice.note

    def _loaded(
        self, request: SummaryRequest, default: ModelEntry, language: str
    ) -> Steps[tuple[ModelEntry, str]]:
        """Return the same, with the model loaded: in place of a better one that cannot be, it is another."""
        while True:
            entry, note = self._choice(request, default, language)
            try:
                yield from until_loaded(self._pool, [entry])
                return entry, note
            except ModelUnavailable as error:
                if request.model or self._better is None or not self._better.give_up(entry, error):
                    raise

    def _draft(
        self,
        entry: ModelEntry,
        request: SummaryRequest,
        article: Article,
        texts: Sequence[str],
        spans: Sequence[Span],
        language: str,
        *,
        is_shown: bool,
    ) -> Steps[Draft]:
        """Have a model pick the article's sentences, or write others, which are checked.

        If asked, it writes again where the first is not supported, and the better of the two is kept.
        """
        with self._pool.use(entry) as model:
            if isinstance(model, ExtractiveModel):
                own = [" ".join(text.split()) for text in texts]
                most = request.most_words
                if request.length == "headline":
                    number, cut = yield from pick_headline(own, language, max_words=most)
                    draft = Draft([_own(cut, spans[number])])
                else:
                    picked = yield from pick_sentences(
                        own, max_words=most, max_sentences=request.most_sentences
                    )
                    draft = Draft([_own(own[i], spans[i]) for i in picked])
                return draft
            assert isinstance(model, TextModel)  # noqa: S101 - the task of an entry decides its kind
            draft = yield from _write(model, request, texts, language, is_shown=is_shown)
            draft.sentences = yield from self._examined(article, draft.sentences, language)
            wrong = _errors(draft.sentences)
            if request.on_unsupported != "retry" or not wrong:
                return draft
            try:
                other = yield from _write(model, request, draft.basis, language, again=True)
            except (EngineFailed, InvalidInput):  # of this wider search, which must not cost the first result
                draft.notes.append("a second attempt failed: the first is kept")
                return draft
            examined = yield from self._examined(article, other.sentences, language)
            if examined and _errors(examined) < wrong:
                draft.sentences = examined
                draft.notes = [*other.notes, "written twice: the second attempt is better supported"]
            else:
                draft.notes.append("written twice: the second attempt is no better supported")
            draft.usage += other.usage
            return draft

    def _examined(
        self, article: Article, drafted: Sequence[SummarySentence], language: str
    ) -> Steps[list[SummarySentence]]:
        """What a model wrote, with evidence and flags: evidence in the article's text, flags in their own."""
        lines = [" ".join(s.text.split()) for s in drafted]
        found = []
        if lines:
            text = _blanked(article)
            found = yield from self._checker.check_summary(text, "\n".join(lines), language, language)
        checked, start = [], 0
        for text in lines:
            # one sentence may have been checked as several
            own = [each for each in found if start <= each.span.start < start + len(text)]
            evidence = {each.span: each for part in own for each in part.evidence}
            best = sorted(evidence.values(), key=lambda each: -each.score)
            flags = [flag.moved(-start) for part in own for flag in part.flags]
            checked.append(SummarySentence(text, evidence=tuple(best), flags=tuple(flags)))
            start += len(text) + 1
        return checked


def _own(text: str, span: Span) -> SummarySentence:
    """Return one of the article's sentences: its own evidence, which needs no checks."""
    return SummarySentence(text, span, evidence=(Evidence(span, 1.0),))


def _errors(examined: Sequence[SummarySentence]) -> int:
    return sum(sentence.is_unsupported for sentence in examined)


def _blanked(article: Article) -> str:
    """The article's text with all that is not read turned to spaces, so that spans stay true.

    The title is left in: what only the headline says is said.
    """
    kept = list(article.paragraphs)
    if article.title and (at := article.text.find(article.title)) >= 0:
        kept.append(Span(at, at + len(article.title)))
    blanked = [character if character.isspace() else " " for character in article.text]
    for span in kept:
        blanked[span.start : span.end] = article.text[span.start : span.end]
    return "".join(blanked)


def _whole(request: SummaryRequest, texts: Sequence[str], spans: Sequence[Span], language: str) -> Draft:
    """The article's own sentences, all of them; one that is to be a headline is cut."""
    is_cut = request.length == "headline"
    own = [headline(text, language) if is_cut else text for text in texts]
    notes = ["the text is no longer than its summary would be: here it is whole"]
    if is_cut and sum(map(count_words, own)) < sum(map(count_words, texts)):
        notes = []
    return Draft([_own(text, span) for text, span in zip(own, spans, strict=True)], notes=notes)


def _write(
    model: TextModel,
    request: SummaryRequest,
    texts: Sequence[str],
    language: str,
    *,
    again: bool = False,
    is_shown: bool = False,
) -> Steps[Draft]:
    """Have the model write; windows first, then the whole, until one window is left: its words may be shown.

    `again` searches wider and asks for no least length, which a model fills with inventions.
    """
    count = request.max_sentences or LENGTHS[request.length].sentences
    purpose = Purpose("summarize", language, sentences=count)
    most = request.max_tokens or round(request.most_words * TOKENS_A_WORD)
    least = round(most * LEAST_SHARE)
    if model.entry.free_length:
        most, least = request.max_tokens or model.entry.max_new_tokens, 0
    least = least if request.min_tokens is None else request.min_tokens
    decoding = model.codec.decoding(purpose, max_new_tokens=most, min_new_tokens=least)
    if again:
        beams = max(LEAST_BEAMS, MORE_BEAMS * decoding.num_beams)
        decoding = replace(decoding, num_beams=beams, min_new_tokens=0)
    draft = Draft([], windows=0)
    draft.basis = list(texts)
    while True:
        windows = _windows(model, draft.basis, purpose)
        if not draft.windows:
            draft.windows = len(windows)
            read, whole = (sum(len("".join(text.split())) for text in side) for side in (windows, texts))
            draft.coverage = min(1.0, read / whole) if whole else 1.0
        generations = [Generation(model.codec.encode(window, purpose), decoding) for window in windows]
        is_last = len(windows) == 1
        decode = model.codec.decode_begun if is_shown and is_last else None
        outputs: list[Output] = yield Generate(model.engine, generations, decode)
        draft.usage += Usage.of(generations, outputs)
        written = [_split(model.codec.decode(output.token_ids), language) for output in outputs]
        shorter = [sentence for own in written for sentence in own]
        # a model that does not shorten would never end
        if is_last or sum(map(len, shorter)) >= sum(map(len, draft.basis)):
            break
        draft.basis = shorter
    found: list[str] = []
    for own, output in zip(written, outputs, strict=True):
        if output.finish == "length" and len(own) > 1 and own[-1][-1] not in '.!?…。！？"”»':
            own = own[:-1]
            draft.notes = ["the model reached its length limit; its last, unfinished sentence was left out"]
        found += own
    draft.sentences = [SummarySentence(text) for text in found[: request.most_sentences]]
    return draft


def _windows(model: TextModel, texts: Sequence[str], purpose: Purpose) -> list[str]:
    """The sentences packed into as few windows as they fit, none left out."""
    around = len(model.codec.encode("", purpose))
    room = model.entry.max_source_tokens - around

    @functools.cache
    def size(text: str) -> int:
        return len(model.codec.encode(" " + text, purpose)) - around + 1  # the space between two sentences

    parts = [
        text[span.start : span.end]
        for text in texts
        for span in split_long(text, Span(0, len(text)), lambda part: size(part) <= room, purpose.source)
    ]
    return [
        join([parts[i] for i in window], purpose.source) for window in pack([size(p) for p in parts], room)
    ]


def _split(text: str, language: str) -> list[str]:
    lines = [line.removeprefix("- ").removeprefix("* ") for line in text.splitlines()]
    return [line[s.start : s.end] for line in lines for s in sentences(line, language)]
