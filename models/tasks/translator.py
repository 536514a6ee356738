"""Translation: a text is cut into segments, the segments are translated, and put back where they stood.

The text's form (paragraphs, blank lines, indents, list marks) never goes through a model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from models.catalog import ModelEntry
from models.codec import Purpose
from models.engine.protocol import Generation
from models.errors import InvalidInput, UnsupportedLanguage
from models.languages import Languages
from models.loading import RepositoryNotFound
from models.pool import ModelPool, TextModel
from models.tasks.steps import Call, Steps
from models.tasks.translation import Segment, Translation, TranslationRequest
from models.tasks.usage import Usage
from models.text import layout
from models.text.language import Detection, LanguageDetector
from models.text.pack import split_long
from models.text.segment import sentences
from models.text.span import Span

UNSPACED = {"zh", "zh-Hant", "ja", "yue", "th", "lo", "km", "my"}
"""Languages that put no space between sentences."""

MORE_TOKENS = 3
"""An output may have this many times its source's tokens, and SPARE_TOKENS; then it is a loop."""

SPARE_TOKENS = 32

LEAST_NEW_TOKENS = 128
"""Every segment may have this many, so that most share one limit, and with it a batch."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One model's part of the way from the source language to the target."""

    entry: ModelEntry
    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Translated:
    """Texts after all hops, in order, and whether the models came to an end of their own in each."""

    texts: list[str]
    complete: list[bool]
    target: str
    model: str
    via: str | None
    usage: Usage


class Translator:
    """Translates with the catalog's models; `default_model` where a request names none."""

    def __init__(
        self, pool: ModelPool, languages: Languages, detector: LanguageDetector, *, default_model: str
    ):
        self._pool = pool
        self._languages = languages
        self._detector = detector
        self._default_model = default_model

    def steps(self, request: TranslationRequest) -> Steps[Translation]:
        """Translate one text. Raises InvalidInput and its kin, and ModelUnavailable."""
        if not request.text.strip():
            raise InvalidInput("the text is empty", field="text", allowed="at least one character")
        entry = self._entry(request.model)
        target = self._languages.normalize(request.target, "target")
        detected = self._detector.detect(request.text) if request.source == "auto" else None
        lines = layout.lines(request.text)
        if not lines:
            note = "there is nothing to translate in this text"
            return _unchanged(request.text, entry, "und", target, detected, note)
        source = self._source(request, detected.language if detected else None)
        if source == target:
            return _unchanged(
                request.text, entry, source, target, detected, f"the text is in {target} already"
            )

        spans = [self._segments(request.text, line.span, source, entry) for line in lines]
        flat = [span for line in spans for span in line]
        done = yield from self.translate(
            [request.text[s.start : s.end] for s in flat], source, target, request.model
        )
        whole = _restore(request.text, spans, done.texts, target)
        cut = done.complete.count(False)
        return Translation(
            translation=whole,
            segments=tuple(map(Segment, flat, done.texts, done.complete)),
            source=source,
            target=done.target,
            detected=detected,
            model=done.model,
            via=done.via,
            usage=done.usage,
            notes=(f"{cut} segments reached the model's length limit and may be unfinished",) if cut else (),
        )

    def translate(
        self, texts: Sequence[str], source: str, target: str, model: str | None = None
    ) -> Steps[Translated]:
        """Translate texts of a sentence or a paragraph each, through English where it must be."""
        hops = self.check(source, target, model)
        done, complete, usage = list(texts), [True] * len(texts), Usage()
        for hop in hops:
            done, ended, used = yield from self._hop(hop, done)
            complete = [a and b for a, b in zip(complete, ended, strict=True)]
            usage += used
        name = " + ".join(dict.fromkeys(hop.entry.name for hop in hops))
        return Translated(
            done, complete, hops[-1].target, name, hops[0].target if len(hops) > 1 else None, usage
        )

    def check(self, source: str, target: str, model: str | None = None) -> list[Hop]:
        """The models that would translate, one after another. Raises InvalidInput where none would."""
        if source == "und":
            raise InvalidInput(
                "the language of the text was not recognized, so it cannot be translated", field="source"
            )
        return self._route(self._entry(model), source, target)

    # ------------------------------------------------------------------ the way

    def _entry(self, model: str | None) -> ModelEntry:
        return self._pool.catalog.get(model or self._default_model, "translate")

    def _source(self, request: TranslationRequest, detected: str | None) -> str:
        if detected is None:
            return self._languages.normalize(request.source, "source")
        if detected == "und":
            raise InvalidInput(
                "the language of the text was not recognized; say which it is",
                field="source",
                allowed="a language code",
            )
        return self._languages.normalize(detected, "source")

    def _route(self, entry: ModelEntry, source: str, target: str) -> list[Hop]:
        base = source.split("-")[0]  # one that reads `zh` makes something of `zh-Hant`; it cannot write it
        readable = base if source not in entry.languages and base in entry.languages else source
        source = self._supported(entry, readable, "source")
        target = self._supported(entry, target, "target")
        if source == target:
            raise UnsupportedLanguage(
                f"{entry.name} does not tell {source} from other kinds of it", field="target"
            )
        self._check_pair(entry, source, target)
        if entry.is_pattern:
            return self._pair_route(entry, source, target)
        if entry.english_only and "en" not in (source, target):
            return [Hop(entry, source, "en"), Hop(entry, "en", target)]
        return [Hop(entry, source, target)]

    def _pair_route(self, entry: ModelEntry, source: str, target: str) -> list[Hop]:
        """One model for the pair, or where there is none, two that meet in English."""
        direct = Hop(entry.for_pair(source, target), source, target)
        try:
            self._pool.store.folder(direct.entry)
        except RepositoryNotFound:
            if "en" in (source, target):
                raise
            pairs = ((source, "en"), ("en", target))
            return [Hop(entry.for_pair(*pair), *pair) for pair in pairs]
        return [direct]

    def _check_pair(self, entry: ModelEntry, source: str, target: str) -> None:
        """A model for one pair takes that pair; one for a group of languages, such as ROMANCE, any."""
        for side, language, field in zip(
            entry.pair or (), (source, target), ("source", "target"), strict=False
        ):
            try:
                own = self._languages.normalize(side)
            except UnsupportedLanguage:
                continue
            if own != language:
                raise UnsupportedLanguage(
                    f"{entry.name} does not translate {self._languages.name(language)} ({language})",
                    field=field,
                    allowed=[own],
                )

    def _supported(self, entry: ModelEntry, language: str, field: str) -> str:
        """The language, if this model has it."""
        if language in entry.languages or not entry.languages:
            return language
        others = [
            e.name for e in self._pool.catalog.entries if language in e.languages and "translate" in e.tasks
        ]
        hint = f"; {', '.join(others[:3])} would" if others else ""
        raise UnsupportedLanguage(
            f"{entry.name} does not translate {self._languages.name(language)} ({language}){hint}",
            field=field,
            allowed=list(entry.languages),
        )

    # ------------------------------------------------------------------ one model

    def _segments(self, text: str, line: Span, source: str, entry: ModelEntry) -> list[Span]:
        return [line] if entry.segment == "paragraph" else sentences(text, source, line)

    def _hop(self, hop: Hop, texts: Sequence[str]) -> Steps[tuple[list[str], list[bool], Usage]]:
        """Translate texts with one model; one that is longer than its window goes in parts."""
        purpose = Purpose("translate", hop.source, hop.target)
        with self._pool.use(hop.entry) as model:
            assert isinstance(model, TextModel)  # noqa: S101 - the task of an entry decides its kind
            around = len(model.codec.encode("", purpose))
            parts = [_parts(model, text, purpose, around) for text in texts]
            generations = [generation for own in parts for generation in own]
            outputs = (yield Call(model.engine, generations)) if generations else []
            usage = Usage.of(generations, outputs)
            done, complete, answers = [], [], iter(outputs)
            for generations_of_text in parts:
                own = [next(answers) for _ in generations_of_text]
                done.append(join([model.codec.decode(o.token_ids) for o in own], hop.target))
                complete.append(all(o.finish == "stop" for o in own))
        return done, complete, usage


def _unchanged(
    text: str, entry: ModelEntry, source: str, target: str, detected: Detection | None, note: str
) -> Translation:
    return Translation(
        translation=text,
        segments=(),
        source=source,
        target=target,
        detected=detected,
        model=entry.name,
        via=None,
        usage=Usage(),
        notes=(note,),
    )


def _parts(model: TextModel, text: str, purpose: Purpose, around: int) -> list[Generation]:
    """The text whole, or cut so that each part fits the window and its translation the output.

    `around` is how many tokens the model's input has beside the text's.
    """
    most = min(model.entry.max_source_tokens, around + model.entry.max_new_tokens // 2)
    encoded: dict[str, tuple[int, ...]] = {}

    def fits(part: str) -> bool:
        encoded[part] = model.codec.encode(part, purpose)
        return len(encoded[part]) <= most

    spans = split_long(text, Span(0, len(text)), fits, purpose.source)
    return [_generation(model, encoded[text[s.start : s.end]], purpose, around) for s in spans]


def _generation(model: TextModel, ids: tuple[int, ...], purpose: Purpose, around: int) -> Generation:
    """One part to translate, with room for a translation longer than it and an end to loops.

    Limits are rounded up to powers of two, so that sentences of about a length can share a batch.
    """
    room = 1 << (MORE_TOKENS * (len(ids) - around) + SPARE_TOKENS - 1).bit_length()
    return Generation(ids, model.codec.decoding(purpose, max_new_tokens=max(LEAST_NEW_TOKENS, room)))


def join(texts: Sequence[str], language: str) -> str:
    """Sentences one after another, with a space between them where the language has one."""
    return ("" if language in UNSPACED else " ").join(text for text in texts if text)


def _restore(text: str, spans: Sequence[Sequence[Span]], translated: Sequence[str], target: str) -> str:
    answers = iter(translated)
    lines = [join([next(answers) for _ in line], target) for line in spans]
    return layout.restore(text, lines)
