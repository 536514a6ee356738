"""Translates sentences with one or two models, checks them, and retries those with faults.

Held text (terms, inline code, addresses) goes through the model as a mask. A sentence that lost a held word
is retried with the word itself; one with a wrong fact (a day, a country, a number) is retried with the fact's
target-language name in its source; one in doubt is searched with beams. The best candidate wins. Knows
nothing of documents and markup.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Literal

from models.checks.flag import Flag, any_error, penalty
from models.checks.language.reading import Reading
from models.checks.pair import Pair
from models.checks.registry import TRANSLATION_CHECKS, run
from models.checks.translation.facts import right_forms
from models.checks.translation.form import REPETITION
from models.choices import Quality
from models.codec import Purpose
from models.engine.protocol import Decoding, Generation, Output
from models.errors import DeadlineExceeded, EngineFailed, InvalidInput
from models.loaded import TextModel
from models.pool import ModelPool
from models.steps import Event, Gather, Generate, Steps, Usage
from models.text.sentences import split_long
from models.text.span import Span
from models.text.terms import Held, is_free, look_up, mask, masks_in, unmask, without_masks
from models.translate.confidence import Scores, coefficients, scored_words, signs_of
from models.translate.route import Hop

UNSPACED = {"zh", "zh-Hant", "ja", "yue", "th", "lo", "km", "my"}
"""Languages that put no space between sentences."""

MORE_TOKENS = 3
"""An output may have this many times its source's tokens, and SPARE_TOKENS; then it is a loop."""

SPARE_TOKENS = 32

LEAST_NEW_TOKENS, LEAST_IF_SHARED = 128, 256
"""Every segment may have this many, so that nearly all share one limit, and with it a batch. A causal model's
greedy searches share batches whatever their limits are, and a loop ends the sooner."""

OTHER_BEAMS = 4
SERVER_HYPOTHESES = 2
"""A server has no beams, and each hypothesis is a request: its likeliest answer and a sampled one."""
NO_REPEAT = 3
"""So many tokens in a row may not come twice, where a loop is to be avoided."""

UNSURE_FROM, UNSURE_BELOW, UNSURE_TOKENS = 0.1, 0.6, 40
"""Where the confidence in a greedy translation of at most so many tokens is in this range, beams find enough
better ones to be worth their time. A batch takes as long as its longest, and the longest gained least."""

_LOST, _UNFINISHED, _MASK_LEFT = 3.0, 4.0, 6.0
"""The penalty of each for a candidate, beside what the checks find, in the unit of `flag.penalty`."""

_NOWHERE = Span(0, 0)

Search = Literal["own", "other", "without loops"]
"""The model's own way; for what came out wrong another one, and for what came out as a loop one without."""

Facts = Sequence[tuple[Span, str]]
"""Places of facts in a source, each with its form in the target language."""


@dataclass(frozen=True, slots=True)
class Source:
    """A text in a form in which a model is asked for it, with masks for what is held."""

    text: str
    masks: tuple[str, ...]
    """One for each that is held, in order; empty for one that has none."""
    search: Search = "own"
    facts: tuple[tuple[str, str], ...] = ()
    """See `Purpose`."""
    alternatives: int = 0
    """So many other hypotheses are wanted; a greedy search becomes one with beams for it."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A text that is translated in one go."""

    text: str
    held: tuple[Held, ...] = ()
    """In order, by their places in `text`."""
    stretches: tuple[Span, ...] = ()
    """Parts of it whose own translation is wanted as well, to find them again."""
    run: int = 0
    """The number of the document's run that it is in, and its place there."""
    span: Span = _NOWHERE

    def masked(self, search: Search = "own", alternatives: int = 0) -> Source:
        """Return it with masks for what is held."""
        return Source(*mask(self.text, self.held), search, alternatives=alternatives)

    def unmasked(self) -> Source:
        """Return it with the held words' translations in it, rather than masks."""
        return Source(self._with([(held.span, held.text) for held in self.held]), ("",) * len(self.held))

    def with_facts(self, facts: Facts) -> Source:
        """Return it with masks for what is held, and the facts in the forms that go with their places."""
        masks = self.masked().masks
        held = [(each.span, name or each.text) for each, name in zip(self.held, masks, strict=True)]
        return Source(self._with(sorted([*held, *facts])), masks, alternatives=OTHER_BEAMS - 1)

    def parts(self) -> list["Sentence"]:
        """Return each stretch as a sentence of its own."""
        return [
            Sentence(
                self.text[each.start : each.end],
                tuple(
                    replace(held, span=held.span.moved(-each.start))
                    for held in self.held
                    if held.span.is_within([each])
                ),
            )
            for each in self.stretches
        ]

    def _with(self, words: Facts) -> str:
        parts, end = [], 0
        for span, word in words:
            parts += [self.text[end : span.start], word]
            end = span.end
        return "".join([*parts, self.text[end:]])


@dataclass(frozen=True, slots=True)
class Candidate:
    """One translation of a sentence, as the models gave it, and once it is checked what can be said of it."""

    text: str
    complete: bool = True
    """False if a model stopped at its length limit rather than at an end of its own."""
    scores: Scores | None = None
    """What the last model's engine tells of it; None for a model that was not fitted."""
    written: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    """The last model's source and what it wrote, as token ids; empty for a text that went in parts."""
    confidence: float | None = None
    """The chance that a reader finds no serious error in it, 0 to 1, once it is checked; None as for
    `scores`, and for two models."""
    places: tuple[Span | None, ...] = ()
    """The place in `text` of each of the held words; None for one that is lost."""
    flags: tuple[Flag, ...] = ()
    penalty: float = 0.0
    """How bad all that is known to be wrong with it is; 0 if nothing is."""
    doubt: float = 0.0
    """The chance that it is bad all the same, for a model that was fitted; by what every search tells, since
    chances by other signs do not compare."""
    abstained: bool = False
    missing: bool = False
    """True if time ran out before there was one: the text is the source's."""
    again: bool = False
    """True while the sentence is being tried once more, and if time ran out before that came to an end."""
    alone: dict[Span, list[str]] = field(default_factory=dict)
    """The translations of the sentence's stretches, each by itself."""
    from_memory: bool = False
    """True if it is what a translation memory has of the sentence."""
    others: tuple["Candidate", ...] | None = None
    """Others that a reader may like better, best first; None where none were asked for."""

    @property
    def cost(self) -> float:
        """The lower, the better."""
        return self.penalty + self.doubt

    @property
    def is_wrong(self) -> bool:
        """True if it is worth trying the sentence again: warnings alone are not."""
        return any_error(self.flags) or not self.complete or self.penalty >= _LOST

    @classmethod
    def of_source(cls, sentence: Sentence) -> "Candidate":
        """Return the source in place of a translation."""
        places = tuple(
            held.span if sentence.text[held.span.start : held.span.end] == held.text else None
            for held in sentence.held
        )
        return cls(sentence.text, places=places)

    @classmethod
    def of_memory(cls, sentence: Sentence, text: str) -> "Candidate":
        """Return what a person made of the sentence, or of one near it."""
        return cls(text, places=tuple(look_up(text, sentence.held)), from_memory=True)


_cost = attrgetter("cost")


@dataclass(frozen=True, slots=True)
class MemoryMatch:
    """What a translation memory has of a sentence."""

    text: str | None = None
    """Its translation, where just this sentence is there."""
    near: tuple[str, ...] = ()
    """Translations of sentences that are nearly this one, the nearest first."""


class SentenceTranslator:
    """Translates sentences or paragraphs by the models of all hops, in order.

    Each comes with at most so many `alternatives`. Where the models are less sure than `min_confidence`, the
    source stays. `quality` decides how they search; see `choices.Quality`.
    """

    def __init__(
        self,
        pool: ModelPool,
        hops: Sequence[Hop],
        *,
        min_confidence: float | None = None,
        alternatives: int = 0,
        quality: Quality = "auto",
    ):
        self.hops = hops
        self._pool = pool
        self._min_confidence = min_confidence
        self._alternatives = alternatives
        self._quality = quality
        self._fitted = coefficients(hops[0].entry.name) if len(hops) == 1 else None
        self._around: dict[str, int] = {}
        """Tokens of a model's input beside the text's, by the language that it reads."""
        self.has_region = True
        """False once the last model, asked for a region's form of its language, has one form alone."""
        self._generated: dict[Generation, Output] = {}

    def usage(self) -> Usage:
        """Count the tokens of all different generations so far."""
        return Usage.of(self._generated.keys(), self._generated.values())

    def translate(
        self,
        sentences: Sequence[Sentence],
        event_of: Callable[[int, Candidate], Event],
        *,
        partial: bool = False,
        matches: Sequence[MemoryMatch] = (),
    ) -> Steps[list[Candidate]]:
        """Return the best of the candidates for each sentence.

        A sentence in which something is wrong is tried again, in other ways together. The event of a
        sentence's number and candidate is told once there is one, and again if it was tried again. The
        `matches` of a memory, if it has any, take the place of candidates, and what is near of the first
        others. If time runs out once there is one of each, those that are being tried again stay as they are;
        before that, `partial` returns those that are done, and the sources of the others.
        """
        done: list[Candidate | None] = [None] * len(sentences)

        def steps(i: int, sentence: Sentence) -> Steps[None]:
            yield None
            near: list[Candidate] = []
            reading = Reading(sentence.text, self.hops[0].source)
            if matches:
                near = [Candidate.of_memory(sentence, text) for text in matches[i].near]
                if (text := matches[i].text) is not None and not sentence.stretches:
                    others = tuple(near[: self._alternatives]) if self._alternatives else None
                    pair = Pair(reading, Reading(text, self.hops[-1].target))
                    flags = tuple((yield from run(TRANSLATION_CHECKS, pair)))
                    finished = replace(Candidate.of_memory(sentence, text), flags=flags, others=others)
                    done[i] = finished
                    yield event_of(i, finished)
                    return
            parts = sentence.parts()
            sources = [sentence.masked(alternatives=self._alternatives), *(part.masked() for part in parts)]
            generated: list[list[Candidate]] = yield Gather([self.generate(source) for source in sources])
            alone = {
                span: [unmask(own[0].text, source.masks, part.held)[0]]
                for span, part, source, own in zip(
                    sentence.stretches, parts, sources[1:], generated[1:], strict=True
                )
            }
            made = yield from self._checked(reading, sentence, sources[0], generated[0])
            ranked = sorted(made, key=_cost)
            best, facts = made[0], self._wrong_facts(reading, sentence, made[0])
            if len(made) > 1 and (facts or best.is_wrong):
                best, facts = ranked[0], self._wrong_facts(reading, sentence, ranked[0])
            is_wrong = bool(facts) or best.is_wrong
            again = is_wrong or self._is_unsure(best)
            if not again:
                best = yield from self._with_words(reading, best)
            finished = self._finished(sentence, best, [*near, *ranked], alone)
            done[i] = finished = replace(finished, again=again)
            yield event_of(i, finished)
            if again:
                more = yield from self._more(reading, sentence, best, facts)
                # of beams in doubt the confidence would prefer those that leave something out
                made += more if is_wrong else more[:1]
                ranked = sorted(made, key=_cost)
                best = yield from self._with_words(reading, ranked[0])
                done[i] = finished = self._finished(sentence, best, [*near, *ranked], alone)
                yield event_of(i, finished)

        try:
            yield Gather([steps(i, sentence) for i, sentence in enumerate(sentences)])
        except DeadlineExceeded:
            if None in done and not (partial and any(done)):
                raise
        return [
            candidate or replace(Candidate.of_source(sentence), complete=False, missing=True)
            for sentence, candidate in zip(sentences, done, strict=True)
        ]

    # ------------------------------------------------------------------ what is wrong, and what is tried then

    def _checked(
        self, reading: Reading, sentence: Sentence, source: Source, candidates: Sequence[Candidate]
    ) -> Steps[list[Candidate]]:
        """Return the candidates with the held words in them, and with what the checks find."""
        checked = []
        for candidate in candidates:
            text, places = unmask(candidate.text, source.masks, sentence.held)
            pair = Pair(reading, Reading(text, self.hops[-1].target))
            flags = yield from run(TRANSLATION_CHECKS, pair)
            bad = penalty(flags) + _LOST * places.count(None)
            bad += 0.0 if candidate.complete else _UNFINISHED
            bad += _MASK_LEFT * max(0, masks_in(text) - masks_in(sentence.text))
            confidence, doubt = None, 0.0
            if self._fitted is not None and candidate.scores is not None:
                signs = signs_of(pair, flags, candidate.scores)
                confidence = self._fitted.confidence(signs)
                doubt = 1 - self._fitted.without_words.chance(signs)
            checked.append(
                replace(
                    candidate,
                    text=text,
                    places=places,
                    confidence=confidence,
                    flags=tuple(flags),
                    penalty=bad,
                    doubt=doubt,
                )
            )
        return checked

    def _with_words(self, reading: Reading, candidate: Candidate) -> Steps[Candidate]:
        """Return a doubtful candidate whose search told no token's probability with those of its words.

        `fast` does without: it takes a tenth of what trying a sentence again does.
        """
        scores, confidence, (source_ids, token_ids) = (
            candidate.scores,
            candidate.confidence,
            candidate.written,
        )
        if self._fitted is None or scores is None or confidence is None or scores.words or not token_ids:
            return candidate
        if self._quality == "fast":
            return candidate
        if confidence >= self._fitted.doubtful_below:
            return candidate
        with self._pool.use(self.hops[-1].entry) as model:
            assert isinstance(model, TextModel)  # noqa: S101 - the task of an entry decides its kind
            if len(source_ids) + len(token_ids) > model.entry.max_source_tokens:
                return candidate
            asked = Generation((*source_ids, *token_ids), Decoding(max_new_tokens=1, only_scores=True))
            try:
                (output,) = yield Generate(model.engine, [asked])
            except (EngineFailed, InvalidInput):  # the translation is there all the same
                return candidate
            told = output.token_log_probabilities[-len(token_ids) :]
            if len(told) < len(token_ids):
                return candidate
            scores = replace(scores, words=scored_words(model.codec.pieces(token_ids), told))
        pair = Pair(reading, Reading(candidate.text, self.hops[-1].target))
        confidence = self._fitted.confidence(signs_of(pair, candidate.flags, scores))
        return replace(candidate, scores=scores, confidence=confidence)

    def _wrong_facts(self, reading: Reading, sentence: Sentence, candidate: Candidate) -> Facts:
        """Return the facts that the candidate got wrong, outside held words, with their right forms."""
        if not any(flag.source is not None for flag in candidate.flags):
            return []
        pair = Pair(reading, Reading(candidate.text, self.hops[-1].target))
        taken = [held.span for held in sentence.held]
        return [
            (span, form)
            for span, form in sorted(right_forms(pair, candidate.flags))
            if form != sentence.text[span.start : span.end] and is_free(span, taken)
        ]

    def _is_unsure(self, candidate: Candidate) -> bool:
        """Return True if a search with beams is likely to find a better one than the greedy search has.

        Where the confidence is high there is little to gain, and where it is low the model knows no better.
        """
        own_beams = self.hops[0].entry.decoding.get("num_beams", 1)
        is_greedy = self._quality == "auto" and not self._alternatives and own_beams == 1
        scores = candidate.scores
        if not is_greedy or scores is None or scores.tokens > UNSURE_TOKENS:
            return False
        return UNSURE_FROM <= (candidate.confidence or 0.0) < UNSURE_BELOW

    def _more(
        self, reading: Reading, sentence: Sentence, best: Candidate, facts: Facts
    ) -> Steps[list[Candidate]]:
        """Return candidates by other ways: all the hypotheses of a beam search for each way.

        These are the text with `facts`, which were wrong, in their right form (a model that follows
        instructions is told them beside the text), else another search. Both where the translation is a loop,
        or where a first model would read words of a language that is not its target. Where a held word was
        lost, the text with the words rather than masks is one more. `fast` searches the text with facts
        greedily first, and with beams only if something is wrong still.
        """
        looped = not best.complete or any(flag.kind == REPETITION for flag in best.flags)
        masked, with_facts = (
            sentence.masked("without loops" if looped else "other"),
            sentence.with_facts(facts),
        )
        sources = []
        if facts and len(self.hops) == 1 and self.hops[0].entry.follows_instructions:
            named = tuple((sentence.text[span.start : span.end], form) for span, form in facts)
            sources.append(replace(masked, search="own", facts=named))
        elif with_facts.text != masked.text:
            sources.append(with_facts)
        if not sources or looped or len(self.hops) > 1:
            sources.append(masked)
        if None in best.places:
            sources.append(sentence.unmasked())
        ways = [sources]
        if self._quality == "fast" and not self._alternatives and sources == [with_facts]:
            ways.insert(0, [replace(with_facts, alternatives=0)])
        made: list[Candidate] = []
        for way in ways:
            try:
                generated: list[list[Candidate]] = yield Gather([self.generate(source) for source in way])
            except (EngineFailed, InvalidInput):  # of this engine, not of the sentence: it did that before
                return made
            for source, own in zip(way, generated, strict=True):
                made += yield from self._checked(reading, sentence, source, own)
            if any(not each.is_wrong and not self._wrong_facts(reading, sentence, each) for each in made):
                break
        return made

    def _finished(
        self, sentence: Sentence, best: Candidate, others: Sequence[Candidate], alone: dict[Span, list[str]]
    ) -> Candidate:
        """Return the best candidate with what became of its terms, and those of the others that differ.

        It is the source where the models are not sure enough. The models' others have something wrong only
        where the best one has too.
        """
        confidence, least = best.confidence, self._min_confidence
        if least is not None and confidence is not None and confidence < least:
            left = Candidate.of_source(sentence)
            none = () if self._alternatives else None
            return replace(left, confidence=confidence, abstained=True, others=none)
        kept = None
        if self._alternatives:
            by_text = {best.text: best}
            for other in others:
                if other.from_memory or best.is_wrong or not other.is_wrong:
                    by_text.setdefault(other.text, replace(other, alone=alone))
            kept = tuple(by_text.values())[1 : self._alternatives + 1]
        doubts: tuple[Flag, ...] = ()
        if self._fitted is not None and best.scores is not None and confidence is not None:
            target = self.hops[-1].target
            doubts = self._fitted.doubtful(best.text, target, confidence, best.scores.words)
        whole = Span(0, len(best.text))
        lost = [
            Flag("term", whole, f"“{held.term}” was to be “{held.text}” here.", source=held.span)
            for held, place in zip(sentence.held, best.places, strict=True)
            if place is None and held.term is not None
        ]
        return replace(best, flags=(*best.flags, *lost, *doubts), alone=alone, others=kept)

    # ------------------------------------------------------------------ through the models

    def generate(self, source: Source) -> Steps[list[Candidate]]:
        """Translate one text; returns the hypotheses of the last model, best first, unchecked.

        A text without a word in it stays as it is.
        """
        if not any(character.isalpha() for character in without_masks(source.text)):
            return [Candidate(source.text)]
        found = [Candidate(source.text)]
        for hop in self.hops:
            first = found[0]
            alternatives = source.alternatives if hop is self.hops[-1] else 0
            further = yield from self._generate(
                hop, replace(source, text=first.text, alternatives=alternatives)
            )
            found = [replace(each, complete=first.complete and each.complete) for each in further]
        return found

    def _generate(self, hop: Hop, source: Source) -> Steps[list[Candidate]]:
        """Translate a text with one model; one that is longer than its window goes in parts, once."""
        purpose = Purpose("translate", hop.source, hop.target, region=hop.region, facts=source.facts)
        with self._pool.use(hop.entry) as model:
            assert isinstance(model, TextModel)  # noqa: S101 - the task of an entry decides its kind
            if hop.source not in self._around:
                self._around[hop.source] = len(model.codec.encode("", replace(purpose, facts=())))
                self.has_region = hop.region is None or model.codec.has_region(purpose)
            around = self._around[hop.source]
            parts = _parts(model, source, purpose, around, self._quality)
            yield None
            outputs: list[Output] = yield Generate(model.engine, parts)
            self._generated.update(zip(parts, outputs, strict=True))
            ranked = [outputs]
            if len(outputs) == 1:
                ranked += [[other] for other in outputs[0].others]
            return [_candidate(model, hop.target, parts, own, around) for own in ranked]


def _parts(
    model: TextModel, source: Source, purpose: Purpose, around: int, quality: Quality
) -> list[Generation]:
    """The text whole, or cut so that each part fits the window and its translation the output.

    There is room for a translation longer than its source, and an end to loops. Limits are rounded up to
    powers of two, so that sentences of about a length can share a batch. `around` is how many tokens the
    model's input has beside the text's.
    """
    most = min(model.entry.max_source_tokens, around + model.entry.max_new_tokens // 2)
    encoded: dict[str, tuple[int, ...]] = {}

    def fits(part: str) -> bool:
        encoded[part] = model.codec.encode(part, purpose)
        return len(encoded[part]) <= most

    generations = []
    for span in split_long(source.text, Span(0, len(source.text)), fits, purpose.source):
        ids = encoded[source.text[span.start : span.end]]
        room = 1 << (MORE_TOKENS * (len(ids) - around) + SPARE_TOKENS - 1).bit_length()
        decoding = model.codec.decoding(purpose, max_new_tokens=max(LEAST_IF_SHARED, room))
        if quality == "fast":
            decoding = replace(decoding, num_beams=1)
        elif quality == "best" and coefficients(model.entry.name) is not None:
            decoding = replace(decoding, num_beams=max(OTHER_BEAMS, decoding.num_beams))
        if source.search != "own" and model.entry.kind == "server":
            decoding = replace(decoding, num_return_sequences=SERVER_HYPOTHESES)
        elif source.search != "own":
            decoding = _other(decoding, source.search)
        elif source.alternatives:
            wanted = source.alternatives + 1
            beams = max(decoding.num_beams, wanted)
            decoding = replace(decoding, num_beams=beams, num_return_sequences=wanted)
        if decoding.num_beams == 1 and model.entry.kind == "causal":
            own = min(decoding.max_new_tokens, max(LEAST_NEW_TOKENS, room))
            decoding = replace(decoding, max_new_tokens=own, ends_loops=True)
        generations.append(Generation(ids, decoding))
    return generations


def _other(decoding: Decoding, search: Search) -> Decoding:
    """Beams where there were none; where there were, no repetition; where that was so too, none of both.

    All hypotheses of a search with beams are wanted.
    """
    beams, repeat = decoding.num_beams, decoding.no_repeat_ngram_size
    if beams == 1:
        beams, repeat = OTHER_BEAMS, NO_REPEAT if search == "without loops" else repeat
    elif repeat == 0:
        repeat = NO_REPEAT
    else:
        beams, repeat = 1, 0
    return replace(decoding, num_beams=beams, num_return_sequences=beams, no_repeat_ngram_size=repeat)


def _candidate(
    model: TextModel, target: str, generations: Sequence[Generation], outputs: Sequence[Output], around: int
) -> Candidate:
    """Return the outputs of a text's parts as its translation."""
    scores = None
    found = [log_probability(out, each.decoding) for out, each in zip(outputs, generations, strict=True)]
    known = [each for each in found if each is not None]
    if len(known) == len(found) and coefficients(model.entry.name) is not None:
        token_ids = [token for output in outputs for token in output.token_ids]
        each_token = [value for output in outputs for value in output.token_log_probabilities]
        is_told = len(each_token) == len(token_ids)
        scores = Scores.of(
            token_ids,
            model.codec.pieces(token_ids) if is_told else (),
            sum(known),
            each_token if is_told else (),
            sum(len(generation.source_ids) - around for generation in generations),
        )
    return Candidate(
        join([model.codec.decode(output.token_ids) for output in outputs], target),
        all(output.finish == "stop" for output in outputs),
        scores,
        (tuple(generations[0].source_ids), outputs[0].token_ids) if len(outputs) == 1 else ((), ()),
    )


def log_probability(output: Output, decoding: Decoding) -> float | None:
    """The log probability of all of an output's tokens, its end included; None if the engine gives none."""
    if output.score is None:
        return None
    tokens = len(output.token_ids) + 1 + (decoding.forced_bos_token_id is not None)
    return output.score * float(tokens**decoding.length_penalty)


def join(texts: Sequence[str], language: str) -> str:
    """Sentences one after another, with a space between them where the language has one."""
    return separator(language).join(text for text in texts if text)


def separator(language: str) -> str:
    """Return the white space between sentences."""
    return "" if language in UNSPACED else " "
