"""Translation: a text is cut into sentences, these are translated, and put back where they stood.

The text's form (paragraphs, blank lines, list marks, markup) never goes through a model.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from models.better import BetterModels
from models.entry import ModelEntry
from models.errors import InvalidInput
from models.languages import Languages
from models.pool import ModelPool
from models.tasks import sentences
from models.tasks.attempts import Attempt, attempts
from models.tasks.awaiting import until_loaded
from models.tasks.hypothesis import Hypotheses, separator
from models.tasks.route import Hop, Router, cautions, check_recognized, notes
from models.tasks.sentence import Sentence
from models.tasks.steps import Event, Steps
from models.tasks.translation import (
    Recall,
    Recollection,
    Segment,
    Term,
    Translation,
    TranslationRequest,
)
from models.tasks.usage import Usage
from models.text.detect import POSSIBLE, Detection, LanguageDetector, likeliest
from models.text.markup.build import Run
from models.text.terms import Terms

SURE = 0.5
"""Below this confidence the target's own language is a guess: another likely one may do as well."""

DOUBTFUL = 0.75
"""Below this confidence the reader is told that the language is a guess."""

CANDIDATES = 5

RECALLED_AT_ONCE = 32
"""Sentences that are looked up in a memory between two pauses."""


@dataclass(frozen=True, slots=True)
class Translated:
    """Sentences after all hops, in order, each with what the checks found in it."""

    done: list[Attempt]
    target: str
    model: str
    usage: Usage
    cautions: tuple[str, ...]
    """See `Translation`."""
    notes: tuple[str, ...]


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
        self._router = Router(pool, languages, default_model, better)

    def steps(self, request: TranslationRequest, recall: Recall | None = None) -> Steps[Translation]:
        """Translate one text, with the sentences that `recall` has as they stand there.

        Raises InvalidInput and its kin, and ModelUnavailable.
        """
        if not request.text.strip():
            raise InvalidInput("the text is empty", field="text", allowed="at least one character")
        entry = self._router.entry(request.model)
        target = self._languages.normalize(request.target, "target")
        runs = yield from sentences.read(request)
        plain = "\n".join(run.text for run in runs)
        detected = self._detect(plain, request.model, target) if request.source == "auto" else None
        if not runs:
            note = "there is nothing to translate in this text"
            return _unchanged(request, entry, "und", target, detected, note)
        source = self._source(request, detected)
        if source == target:
            note = f"the text is in {target} already" + _guessed(detected)
            return _unchanged(request, entry, source, target, detected, note)

        hops = self._in_region(self.check(source, target, request.model), request.target)
        yield from until_loaded(self._pool, [hop.entry for hop in hops])
        yield None
        terms = Terms(request.protect, request.glossary, plain)
        parts = yield from sentences.split(runs, source, whole=entry.segment == "paragraph", terms=terms)

        own = [part.sentence for part in parts]
        remembered = yield from _remembered(recall, request, own, source, hops[-1].target)
        hypotheses = Hypotheses(self._pool, hops)
        done = yield from attempts(
            hypotheses,
            own,
            request.min_confidence,
            partial(sentences.ready, parts),
            partial=request.partial,
            alternatives=request.alternatives,
            remembered=remembered,
        )
        written = yield from _written(request, source, detected, hypotheses, terms, runs, parts, done)
        told = (*written.notes, *self._region_notes(hypotheses))
        return replace(written, notes=told, cautions=self._cautions(hops))

    def translate(
        self,
        texts: Sequence[str],
        source: str,
        target: str,
        event_of: Callable[[int, Attempt], Event],
    ) -> Steps[Translated]:
        """Translate sentences, through English where it must be; a wrong one is tried once more.

        The target may be a user's code with a region, such as `pt-BR`.
        The event of a sentence's number and its translation is told as in `attempts`.
        """
        hops = self._in_region(self.check(source, self._languages.normalize(target, "target")), target)
        yield from until_loaded(self._pool, [hop.entry for hop in hops])
        hypotheses = Hypotheses(self._pool, hops)
        done = yield from attempts(hypotheses, [Sentence(text) for text in texts], None, event_of)
        choice = (*notes(hops), *self._region_notes(hypotheses))
        told = self._cautions(hops)
        return Translated(done, hops[-1].target, _names(hops), hypotheses.usage(), told, choice)

    def check(self, source: str, target: str, model: str | None = None) -> list[Hop]:
        """The models that would translate, one after another.

        Raises InvalidInput where none would, and ModelLoading where one that would is on its way.
        """
        check_recognized(source)
        return self._router.choose(model, source, target)

    def reach(self) -> dict[str, dict[str, str | None]]:
        """For each language those that it is translated into if no model is named, and over which one."""
        return self._router.reach()

    def reads(self, language: str) -> bool:
        """Whether texts in this language are translated if no model is named, as far as the catalog says."""
        return self._router.reads(None, language)

    def _cautions(self, hops: Sequence[Hop]) -> tuple[str, ...]:
        """The models' cautions; without what gets a better one where a note says that one is on its way."""
        return cautions(self._pool, [hop.entry for hop in hops], with_better=not notes(hops))

    def _in_region(self, hops: list[Hop], target: str) -> list[Hop]:
        """The same hops, of which the last is asked for the form of its language in the code's region."""
        return [*hops[:-1], replace(hops[-1], region=self._languages.region(target))]

    def _region_notes(self, hypotheses: Hypotheses) -> tuple[str, ...]:
        last = hypotheses.hops[-1]
        if hypotheses.has_region or last.target != last.target.split("-")[0]:
            return ()
        name = self._languages.name(last.target)
        return (f"{last.entry.name} writes one form of {name}, not that of the region {last.region}",)

    # ------------------------------------------------------------------ the source language

    def _source(self, request: TranslationRequest, detected: Detection | None) -> str:
        if detected is None:
            return self._languages.normalize(request.source, "source")
        check_recognized(detected.language)
        return self._languages.normalize(detected.language, "source")

    def _detect(self, text: str, model: str | None, target: str) -> Detection:
        """The likeliest language; in place of a guess, one that the model can translate, if there is any.

        So a few words that look like the target's language, or like one that the model lacks, are translated.
        """
        candidates = self._detector.candidates(text, limit=CANDIDATES)
        best = likeliest(text, candidates, lambda language: self._router.reads(model, language))
        if best.language != target or (best is candidates[0] and best.confidence >= SURE):
            return best
        others = (each for each in candidates if each.language != target and each.confidence >= POSSIBLE)
        return next((each for each in others if self._router.reads(model, each.language)), best)


def _guessed(detected: Detection | None) -> str:
    if detected is None or detected.confidence >= DOUBTFUL:
        return ""
    return f", {as_far_as_can_be_told(detected)}; if not, say its language"


def as_far_as_can_be_told(detected: Detection) -> str:
    """Return the words for a guess at a language."""
    return f"as far as can be told (confidence {detected.confidence:.2f})"


def notes_on(
    request: TranslationRequest,
    detected: Detection | None,
    source: str,
    done: Sequence[Attempt] | Sequence[Segment],
    terms: Sequence[Term],
) -> list[str]:
    """What the reader should know."""
    notes = []
    if guessed := _guessed(detected):
        notes.append(f"the text is in {source}{guessed}")
    if missing := sum(bool(each.missing) for each in done):
        notes.append(f"time ran out: {missing} of {len(done)} segments are not translated")
    if cut := sum(not each.complete and not each.missing for each in done):
        notes.append(f"{cut} segments reached the model's length limit and may be unfinished")
    if left := sum(each.abstained for each in done):
        least = request.min_confidence
        notes.append(f"{left} of {len(done)} segments are left in {source}: confidence was below {least}")
    if request.min_confidence is not None and all(each.confidence is None for each in done):
        notes.append("this model's engine does not tell how sure it is: min_confidence changed nothing")
    if recalled := sum(bool(each.from_memory) for each in done):
        notes.append(f"{recalled} of {len(done)} segments are as your translation memory has them")
    if flagged := sum(any(flag.severity == "error" for flag in each.flags) for each in done):
        notes.append(f"checks found something wrong in {flagged} of {len(done)} segments; see their flags")
    if lost := [term.source for term in terms if not term.honoured]:
        notes.append(f"not everywhere as asked for: {', '.join(lost)}")
    return notes


def _remembered(
    recall: Recall | None,
    request: TranslationRequest,
    own: Sequence[Sentence],
    source: str,
    target: str,
) -> Steps[list[Recollection]]:
    """Return what is remembered of each sentence; nothing at all where no memory is asked."""
    found: list[Recollection] = []
    if recall is None or not request.memory:
        return found
    for start in range(0, len(own), RECALLED_AT_ONCE):
        texts = [each.text for each in own[start : start + RECALLED_AT_ONCE]]
        found += recall(texts, source, target, request.alternatives)
        yield None
    return found


def _written(
    request: TranslationRequest,
    source: str,
    detected: Detection | None,
    hypotheses: Hypotheses,
    terms: Terms,
    runs: Sequence[Run],
    parts: Sequence[sentences.Part],
    done: Sequence[Attempt],
) -> Steps[Translation]:
    """Return the translation of a text whose parts are done."""
    hops = hypotheses.hops
    between = separator(hops[-1].target)
    written = yield from sentences.put_together(request.text, runs, parts, done, between)
    others = yield from sentences.alternatives(request, runs, parts, done, between)
    accounted = sentences.account(parts, done, terms)
    told = notes_on(request, detected, source, done, accounted)
    if done and hops[-1].entry.kind == "server" and all(each.confidence is None for each in done):
        told.append("the server gives no probabilities: there is no confidence, and the checks stand alone")
    return Translation(
        translation=written,
        segments=tuple(map(sentences.segment, parts, done)),
        source=source,
        target=hops[-1].target,
        detected=detected,
        model=_names(hops),
        via=_via(hops),
        usage=hypotheses.usage(),
        notes=(*told, *notes(hops)),
        terms=accounted,
        partial=any(each.missing for each in done) or None,
        alternatives=tuple(other for other in others if other != written),
    )


def _unchanged(
    request: TranslationRequest,
    entry: ModelEntry,
    source: str,
    target: str,
    detected: Detection | None,
    note: str,
) -> Translation:
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


def _names(hops: Sequence[Hop]) -> str:
    return " + ".join(dict.fromkeys(hop.entry.name for hop in hops))


def _via(hops: Sequence[Hop]) -> str | None:
    return hops[0].target if len(hops) > 1 else None
