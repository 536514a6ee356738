"""Summaries: the article is read, a draft made and checked against it, and translated if asked."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from models.better import BetterModels, Choice
from models.entry import ModelEntry
from models.errors import EngineFailed, InvalidInput, UnsupportedLanguage
from models.extractive.choose import count_words
from models.extractive.headline import headline
from models.languages import Languages
from models.loaded import ExtractiveModel, TextModel
from models.pool import ModelPool
from models.tasks.attempts import Attempt
from models.tasks.awaiting import until_loaded
from models.tasks.drafting import Draft, most_sentences, most_words, pick, write
from models.tasks.hypothesis import join
from models.tasks.steps import Steps
from models.tasks.summary import SentenceReady, Summary, SummaryRequest, SummarySentence, SummarySource
from models.tasks.translator import CANDIDATES, DOUBTFUL, Translator, as_far_as_can_be_told
from models.tasks.trust import Trust, errors, is_unsupported
from models.text.article import Article, read_verbatim
from models.text.article.html_article import read_page
from models.text.article.paste import read_pasted
from models.text.detect import Detection, LanguageDetector, likeliest
from models.text.sentences import sentences
from models.text.span import Span


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
        trust: Trust,
        *,
        default_model: str,
        better: BetterModels | None = None,
        read_page: Callable[[str, bool], Article] = read_page,
    ):
        self._pool = pool
        self._languages = languages
        self._detector = detector
        self._translator = translator
        self._trust = trust
        self._default_model = default_model
        self._better = better
        self._read_page = read_page

    def steps(self, request: SummaryRequest) -> Steps[Summary]:
        """Summarize one article. Raises InvalidInput and its kin, and ModelUnavailable."""
        entry = self._pool.catalog.get(request.model or self._default_model, "summarize")
        target = None if request.target is None else self._languages.normalize(request.target, "target")
        article = self._read(request)
        detected = self._detect(article.content(), entry, target)
        language = self._language(entry, detected)
        choice = Choice()
        if request.model is None and self._better is not None:
            choice = self._better.summarizer(language)
            entry = choice.entry or entry
        # only a pasted paragraph has line ends in it, and only where it was wrapped
        wrapped = request.html is None
        spans = [s for p in article.paragraphs for s in sentences(article.text, language, p, wrapped=wrapped)]
        if not spans:
            raise InvalidInput("there is no sentence in this text", field="html" if request.html else "text")

        into = None if target == language else target
        if into is not None:
            self._check_target(language, into)
        # words in the wrong language are not to be seen
        draft = yield from self._draft(entry, request, article, spans, language, is_shown=into is None)
        if choice.note:
            draft.notes.append(choice.note)
        if detected.confidence < DOUBTFUL and language != "und":
            draft.notes.append(f"the text is in {language}, {as_far_as_can_be_told(detected)}")
        draft.sentences = yield from self._trust.examine(article, draft.sentences, language)
        if request.on_unsupported == "drop":
            _drop_unsupported(draft)
        model = None
        if into is not None and draft.sentences:
            model, target = yield from self._translate(draft, language, request.target or into)
        else:
            for i, sentence in enumerate(draft.sentences):
                yield SentenceReady(i, sentence)
        return self._finish(request, entry, article, spans, draft, detected, target or language, model)

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
            return own and (target in (None, language) or self._translator.reads(language))

        return likeliest(text, self._detector.candidates(text, limit=CANDIDATES), reads)

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
        *,
        is_shown: bool,
    ) -> Steps[Draft]:
        texts = [" ".join(article.text[s.start : s.end].splitlines()) for s in spans]
        few = len(texts) <= (most_sentences(request) or len(texts))
        if few and sum(map(count_words, texts)) <= most_words(request):
            return _whole(request, texts, spans, language)
        yield from until_loaded(self._pool, [entry])
        with self._pool.use(entry) as model:
            if isinstance(model, ExtractiveModel):
                draft = yield from pick(model, request, texts, spans, language)
                if not model.knows(language):
                    names = ", ".join(map(self._languages.name, entry.trained_languages))
                    told = self._languages.name(language)
                    draft.notes.append(f"{entry.name} was trained on {names}: in {told} it picks less surely")
                return draft
            assert isinstance(model, TextModel)  # noqa: S101 - the task of an entry decides its kind
            return (yield from self._written(model, request, article, texts, language, is_shown=is_shown))

    def _written(
        self,
        model: TextModel,
        request: SummaryRequest,
        article: Article,
        texts: Sequence[str],
        language: str,
        *,
        is_shown: bool,
    ) -> Steps[Draft]:
        """Have the model write; if asked, keep the better of two attempts if the first is not supported."""
        draft = yield from write(model, request, texts, language, is_shown=is_shown)
        if request.on_unsupported != "retry":
            return draft
        wrong = errors((yield from self._trust.examine(article, draft.sentences, language)))
        if not wrong:
            return draft
        try:
            other = yield from write(model, request, draft.basis, language, again=True)
        except (EngineFailed, InvalidInput):  # of this wider search, which must not cost the first result
            draft.notes.append("a second attempt failed: the first is kept")
            return draft
        examined = yield from self._trust.examine(article, other.sentences, language)
        better = other.sentences and errors(examined) < wrong
        if better:
            draft.sentences = other.sentences
            draft.notes = [*other.notes, "written twice: the second attempt is better supported"]
        else:
            draft.notes.append("written twice: the second attempt is no better supported")
        draft.usage += other.usage
        return draft

    def _translate(self, draft: Draft, source: str, target: str) -> Steps[tuple[str, str]]:
        """Turn the draft's sentences into the target language; returns the model's name and language."""
        drafted = draft.sentences
        done = yield from self._translator.translate(
            [s.text for s in drafted],
            source,
            target,
            lambda i, attempt: SentenceReady(i, _in_translation(drafted[i], attempt), attempt.again),
        )
        draft.sentences = list(map(_in_translation, drafted, done.done))
        draft.usage += done.usage
        draft.cautions = done.cautions
        draft.notes += [note for note in done.notes if note not in draft.notes]
        if not all(attempt.complete for attempt in done.done):
            draft.notes.append("the translation of a sentence reached the model's length limit")
        return done.model, done.target

    def _finish(
        self,
        request: SummaryRequest,
        entry: ModelEntry,
        article: Article,
        spans: Sequence[Span],
        draft: Draft,
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
            cautions=draft.cautions,
        )


def _whole(request: SummaryRequest, texts: Sequence[str], spans: Sequence[Span], language: str) -> Draft:
    """The article's own sentences, all of them; one that is to be a headline is cut."""
    is_cut = request.length == "headline"
    own = [headline(text, language) if is_cut else text for text in texts]
    notes = ["the text is no longer than its summary would be: here it is whole"]
    if is_cut and sum(map(count_words, own)) < sum(map(count_words, texts)):
        notes = []
    sentences = [SummarySentence(text, span) for text, span in zip(own, spans, strict=True)]
    return Draft(sentences, windows=1, coverage=1.0, notes=notes)


def _in_translation(sentence: SummarySentence, attempt: Attempt) -> SummarySentence:
    """Return the sentence in translation. A flagged word's place there is unknown: its flag covers all of it.

    What the translation's own flags say of their source is left out: that is the draft, which is not shown.
    """
    whole = Span(0, len(attempt.text))
    flags = [replace(flag, span=whole) for flag in sentence.flags]
    flags += [
        replace(flag, source=None) for flag in attempt.flags
    ]  # it would be in the draft, which is not shown
    return replace(sentence, text=attempt.text, original=sentence.text, flags=tuple(flags))


def _drop_unsupported(draft: Draft) -> None:
    kept = [s for s in draft.sentences if not is_unsupported(s)]
    gone = len(draft.sentences) - len(kept)
    if gone:
        draft.sentences = kept
        what = "1 sentence was" if gone == 1 else f"{gone} sentences were"
        draft.notes.append(f"{what} left out: the article does not support all of it")
