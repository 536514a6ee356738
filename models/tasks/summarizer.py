"""Summaries: the article is read, its best sentences picked or new ones written, and translated if asked.

An article longer than a model's window is summarized window by window, and the summaries as a whole, so
that all of it is read.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from models.catalog import ModelEntry
from models.codec import Purpose
from models.engine.protocol import Generation, Output
from models.errors import InvalidInput, UnsupportedLanguage
from models.extractive.choose import MAX_WORDS, count_words
from models.extractive.summarizer import summarize as pick_sentences
from models.languages import Languages
from models.pool import ExtractiveModel, ModelPool, TextModel
from models.tasks.steps import Call, Steps
from models.tasks.summary import Length, Source, Summary, SummaryRequest, SummarySentence
from models.tasks.translator import Translator, join
from models.tasks.usage import Usage
from models.text.article import Article
from models.text.language import Detection, LanguageDetector
from models.text.pack import pack, split_long
from models.text.page import read_html
from models.text.page import read_html
from models.text.paste import read_pasted
from models.text.segment import sentences
from models.text.span import Span

SENTENCES: dict[Length, int] = {"headline": 1, "short": 2, "medium": 4, "long": 8}
"""How many sentences an instruct model is asked for."""

TOKENS_A_WORD = 1.5
LEAST_SHARE = 0.4
"""A written summary has at least this share of the words that it may have."""


@dataclass(slots=True)
class _Draft:
    """A summary before it is translated and laid out."""

    sentences: list[SummarySentence]
    windows: int
    usage: Usage
    notes: list[str]


class Summarizer:
    """Summarizes with the catalog's models; `default_model` where a request names none."""

    def __init__(
        self,
        pool: ModelPool,
        languages: Languages,
        detector: LanguageDetector,
        translator: Translator,
        *,
        default_model: str,
    ):
        self._pool = pool
        self._languages = languages
        self._detector = detector
        self._translator = translator
        self._default_model = default_model

    def steps(self, request: SummaryRequest) -> Steps[Summary]:
        """Summarize one article. Raises InvalidInput and its kin, and ModelUnavailable."""
        entry = self._pool.catalog.get(request.model or self._default_model, "summarize")
        target = None if request.target is None else self._languages.normalize(request.target, "target")
        article = _read(request)
        detected = self._detector.detect(article.content())
        language = self._language(entry, detected)
        spans = [s for p in article.paragraphs for s in sentences(article.text, language, p)]
        if not spans:
            raise InvalidInput("there is no sentence in this text", field="html" if request.html else "text")

        if target is not None and target != language:
            self._check_target(language, target)
        draft = yield from self._draft(entry, request, article, spans, language)
        model = None
        if target is not None and target != language:
            model, target = yield from self._translate(draft, language, target)
        return self._finish(request, entry, article, spans, draft, detected, target or language, model)

    def _language(self, entry: ModelEntry, detected: Detection) -> str:
        known = entry.languages
        if detected.language == "und" or not known or detected.language in known:
            return detected.language
        raise UnsupportedLanguage(
            f"{entry.name} does not read {self._languages.name(detected.language)} ({detected.language})",
            field="model",
            allowed=list(known),
        )

    def _check_target(self, language: str, target: str) -> None:
        """Refuse what could not be translated before the summary is made."""
        try:
            self._translator.check(language, target)
        except InvalidInput as error:
            error.field = "target" if error.field == "target" else "text"
            raise

    # ------------------------------------------------------------------ drafting

    def _draft(
        self,
        entry: ModelEntry,
        request: SummaryRequest,
        article: Article,
        spans: Sequence[Span],
        language: str,
    ) -> Steps[_Draft]:
        texts = [article.text[s.start : s.end] for s in spans]
        few = len(texts) <= (_most_sentences(request) or len(texts))
        if few and sum(map(count_words, texts)) <= MAX_WORDS[request.length]:
            whole = [SummarySentence(text, span) for text, span in zip(texts, spans, strict=True)]
            return _Draft(
                whole, 1, Usage(), ["the text is no longer than its summary would be: here it is whole"]
            )
        with self._pool.use(entry) as model:
            if isinstance(model, ExtractiveModel):
                return (yield from _extract(model, request, texts, spans))
            return (yield from _write(model, request, texts, language))

    def _translate(self, draft: _Draft, source: str, target: str) -> Steps[tuple[str, str]]:
        """Turn the draft's sentences into the target language; returns the model's name and language."""
        done = yield from self._translator.translate([s.text for s in draft.sentences], source, target)
        draft.sentences = [
            replace(sentence, text=text, original=sentence.text)
            for sentence, text in zip(draft.sentences, done.texts, strict=True)
        ]
        draft.usage += done.usage
        if not all(done.complete):
            draft.notes.append("the translation of a sentence reached the model's length limit")
        return done.model, done.target

    def _finish(
        self,
        request: SummaryRequest,
        entry: ModelEntry,
        article: Article,
        spans: Sequence[Span],
        draft: _Draft,
        detected: Detection,
        language: str,
        translation_model: str | None,
    ) -> Summary:
        lines = [s.text for s in draft.sentences]
        bullets = request.format == "bullets"
        return Summary(
            summary="\n".join(f"- {line}" for line in lines) if bullets else join(lines, language),
            sentences=tuple(draft.sentences),
            language=language,
            model=entry.name,
            translation_model=translation_model,
            detected=detected,
            source=Source(
                characters=sum(p.end - p.start for p in article.paragraphs),
                sentences=len(spans),
                title=article.title,
                dropped=article.dropped,
                windows=draft.windows,
                text=article.text if request.html is not None else None,
            ),
            usage=draft.usage,
            notes=tuple(draft.notes),
        )


def _read(request: SummaryRequest) -> Article:
    if (request.text is None) == (request.html is None):
        raise InvalidInput("give either text or html", field="text", allowed="one of text, html")
    field: Literal["text", "html"] = "html" if request.html is not None else "text"
    given = request.html if request.html is not None else request.text
    if not given or not given.strip():
        raise InvalidInput(f"the {field} is empty", field=field, allowed="at least one sentence")
    return read_html(given) if field == "html" else read_pasted(given)


# ---------------------------------------------------------------------- the two ways to a summary


def _extract(
    model: ExtractiveModel, request: SummaryRequest, texts: Sequence[str], spans: Sequence[Span]
) -> Steps[_Draft]:
    """Pick the article's own sentences."""
    clean = [" ".join(text.split()) for text in texts]
    picked = yield from pick_sentences(
        clean,
        model.encoder,
        max_words=MAX_WORDS[request.length],
        max_sentences=_most_sentences(request),
    )
    return _Draft([SummarySentence(clean[i], spans[i]) for i in picked], 1, Usage(), [])


def _write(model: TextModel, request: SummaryRequest, texts: Sequence[str], language: str) -> Steps[_Draft]:
    """Have the model write; windows first, then the whole, until one window is left."""
    asked = request.max_sentences or SENTENCES[request.length]
    purpose = Purpose("summarize", language, sentences=asked)
    usage, first = Usage(), 0
    parts = list(texts)
    while True:
        windows = _windows(model, parts, purpose)
        first = first or len(windows)
        generations = [_generation(model, window, purpose, request.length) for window in windows]
        outputs: list[Output] = yield Call(model.engine, generations)
        usage += Usage.of(generations, outputs)
        written = [model.codec.decode(output.token_ids) for output in outputs]
        if len(windows) == 1:
            break
        shorter = [s for text in written for s in _split(text, language)]
        if sum(map(len, shorter)) >= sum(map(len, parts)):
            break  # a model that does not shorten would never end
        parts = shorter
    found, notes = _whole_sentences(written, outputs, language)
    return _Draft([SummarySentence(text) for text in found[: _most_sentences(request)]], first, usage, notes)


def _most_sentences(request: SummaryRequest) -> int | None:
    return 1 if request.length == "headline" else request.max_sentences


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


def _generation(model: TextModel, text: str, purpose: Purpose, length: Length) -> Generation:
    most = round(MAX_WORDS[length] * TOKENS_A_WORD)
    free = model.entry.free_length or model.entry.family == "instruct"
    decoding = model.codec.decoding(
        purpose,
        max_new_tokens=model.entry.max_new_tokens if free else most,
        min_new_tokens=0 if free else round(most * LEAST_SHARE),
    )
    return Generation(model.codec.encode(text, purpose), decoding)


def _split(text: str, language: str) -> list[str]:
    lines = [line.removeprefix("- ").removeprefix("* ") for line in text.splitlines()]
    return [line[s.start : s.end] for line in lines for s in sentences(line, language)]


def _whole_sentences(
    texts: Sequence[str], outputs: Sequence[Output], language: str
) -> tuple[list[str], list[str]]:
    """The summary's sentences; one that the length limit broke off is left out, with a note."""
    found, broken = [], False
    for text, output in zip(texts, outputs, strict=True):
        own = _split(text, language)
        if output.finish == "length" and len(own) > 1 and own[-1][-1] not in '.!?…。！？"”»':
            own, broken = own[:-1], True
        found += own
    note = "the model reached its length limit; its last, unfinished sentence was left out"
    return found, [note] if broken else []
