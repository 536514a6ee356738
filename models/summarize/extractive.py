"""Extractive summaries: selects an article's best sentences, and cuts one down to a headline.

Of a text that is written top-down, as news is, the first sentences are taken. Of any other, those that are
central, new, and name what the text keeps naming. Knows no engine and generates no text.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from models.checks.language.negation import denials
from models.checks.language.reading import Reading
from models.choices import AIM
from models.steps import Steps
from models.text.sentences import UNSPACED

_HEADLINES = 8
"""The best sentences that are cut, to see which becomes a good headline."""
_TOO_LONG = 0.25
"""Against a headline of twice MOST_WORDS, in units of a sentence's score; on a plateau from 0.1 to 0.3."""
_LATER = 0.2
"""Against each sentence after the first of a text that is written top-down."""
_POINTS_BACK = 0.1
"""Against a headline that begins with a word for what was named before."""
_PRONOUN = re.compile(r"(?:He|She|It|They|We|I|This|That|These|Those|His|Her|Its|Their|You|There)\b")

MOST_WORDS = 12
"""A sentence of no more words stays whole."""
LEAST_WORDS = 5
"""A clause of fewer says too little."""

_DATELINE = re.compile(
    r"^(?=[A-Z]{3}|.{0,40}\([A-Z]\w+\))[A-Z][\w.’'\-]{2,30}(?:,? [A-Z][\w.]{0,20}){0,3}"
    r"(?:, [A-Z][a-z]{2,8}\.? \d{1,2})? ?(?:\([A-Z]\w{1,20}\) ?(?:[–—-]{1,2} ?)?|[–—-]{1,2} )"
)
_RELATIVES = (
    "who which whose where qui que dont où quien quienes donde der die das welcher welche dessen deren che "
    "cui quem cujo onde который которая которое которые"
)
_LAST_RELATIVE = re.compile(rf",(?= (?:{_RELATIVES.replace(' ', '|')})\b[^,]*$)", re.IGNORECASE)
_SEMICOLON = re.compile(";")
_DASH = re.compile(r" [–—-] ")
_KEPT = re.compile(
    r"\b(?:if|unless|until|till|пока|allegedly|reportedly|may|might|si|wenn|falls|se|если)\b", re.IGNORECASE
)
_ABBREVIATION = re.compile(
    r"(?:(?:^|[ .])[^\W\d_]|\b(?:Inc|Co|Corp|Ltd|Jr|Sr|St|No|etc|Mr|Mrs|Dr|Bros|Plc))\.$"
)

DIMENSION = 1024
"""Of a sentence's vector."""
_CHECKPOINT_SENTENCES = 512

_FEWEST_WORDS = 5
_USUAL_WORDS = 20
_JOINED = UNSPACED + "\uac00-\ud7af"
_TERM = re.compile(rf"(?=([{_JOINED}]{{2}}))|\b([^\W{_JOINED}]{{4,}})")
_OPENS_WITH_QUOTE = re.compile(r"[\"'“‘„«「]")
_ENDS = re.compile(r"[.!…。！।۔]['\"”’»」)\]\s]*$")
_QUESTION = re.compile(r"[?？؟;]['\"”’»」)\]\s]*$")
_LABEL = re.compile(
    r"\W*(?:(?:file )?photos?|images?|pictured?|caption|video|source|credit|read more|see also|related|by)\b"
    r"[^.]{0,40}(?::|$)|\W*scroll down\b",
    re.IGNORECASE,
)

Floats = NDArray[np.float64]


# The weights of a sentence's traits, in units of cosine similarity to the article's theme. 900 BBC articles
# of 2004-05, of which 45% of the sentences are marked as chosen, say that _SHARED matters: without it 64% of
# a short summary's words lie in marked sentences, with it 68%. The others are the middle of a plateau on the
# 100 articles that `bench/rouge.py` scores.
_SHARED = 0.7
"""For terms that other sentences have too."""
_LENGTH = 0.15
"""For each e-fold of words over 20, to at most half of one."""
_QUOTATION = 0.1
"""Against a sentence that opens with a quotation mark."""
_REPETITION = 0.6
"""Against likeness to a chosen sentence, in units of cosine similarity."""
_BEGINNING = 6
"""Sentences that tell whether a text is written top-down, and at most a third of them."""
_MOST_BEHIND = 0.33
"""How far they may be behind the others, in standard deviations. Of the 100 articles that `bench/rouge.py`
scores, 6 are further behind; of the same with their halves swapped 32, backwards 44."""


def pick_sentences(
    sentences: Sequence[str], *, max_words: int, max_sentences: int | None = None
) -> Steps[list[int]]:
    """The numbers of the sentences to take, in order, of at most `max_words` words together.

    The first ones of a text that is written top-down, else the best. The first sentence taken may alone be
    longer. Empty only if there is no sentence.
    """
    if not sentences:
        return []
    rows = yield from embedded(sentences)
    first = is_top_down(sentences, rows)
    return choose(sentences, None if first else rows, max_words=max_words, max_sentences=max_sentences)


def pick_headline(sentences: Sequence[str], language: str, *, max_words: int) -> Steps[tuple[int, str]]:
    """The number of a sentence of at most `max_words` words, and the headline that it is cut to."""
    rows = yield from embedded(sentences)
    fit = _fit(sentences)
    first = is_top_down(sentences, rows)
    values = -_LATER * np.arange(len(fit)) if first else score([sentences[i] for i in fit], rows[fit])
    ranked = sorted(zip(map(float, values), fit, strict=True), key=lambda each: -each[0])
    short = [each for each in ranked if count_words(sentences[each[1]]) <= max_words] or ranked
    best, found = float("-inf"), (0, "")
    for value, number in short[:_HEADLINES]:
        cut = headline(sentences[number], language)
        value -= _TOO_LONG * max(0, count_words(cut) - MOST_WORDS) / MOST_WORDS
        value -= _POINTS_BACK * (_PRONOUN.match(cut) is not None)
        if value > best:
            best, found = value, (number, cut)
        yield None
    return found


# ---------------------------------------------------------------------- choosing


def is_top_down(sentences: Sequence[str], embeddings: NDArray[np.float32]) -> bool:
    """Return whether the first sentences say what the text keeps saying, as those of news do."""
    fit = _fit(sentences)
    values = score([sentences[i] for i in fit], embeddings[fit])
    first = values[: min(_BEGINNING, len(values) // 3)]
    return not len(first) or bool(values.mean() - first.mean() <= _MOST_BEHIND * values.std())


def choose(
    sentences: Sequence[str],
    embeddings: NDArray[np.float32] | None,
    *,
    max_words: int,
    max_sentences: int | None = None,
) -> list[int]:
    """The numbers of the sentences to take, in the article's order.

    All of them if they are within both limits; without `embeddings` the first ones; else greedily the best by
    score less likeness to those taken (maximal marginal relevance, Carbonell and Goldstein 1998), until one
    more would lead further from the aim. At least one is taken, even of more than `max_words` if all have
    more. Questions, labels and fragments are left out unless there is nothing else, and a sentence that
    stands twice is taken once.
    """
    words = np.array([count_words(sentence) for sentence in sentences])
    most = len(sentences) if max_sentences is None else max_sentences
    if len(sentences) <= most and words.sum() <= max_words:
        return list(range(len(sentences)))
    fit = _fit(sentences)
    if embeddings is None:
        scores, vectors = -np.arange(len(fit), dtype=np.float64), np.zeros((len(fit), 1), dtype=np.float32)
    else:
        scores = score([sentences[i] for i in fit], embeddings[fit])
        vectors = embeddings[fit] * math.sqrt(_REPETITION)
    taken = _take(scores, vectors, words[fit], max_words, most)
    return sorted(fit[i] for i in taken)


def _fit(sentences: Sequence[str]) -> list[int]:
    """Return the numbers of the sentences that can stand alone, each wording once; of all if none can."""
    once = list({sentence: i for i, sentence in reversed(list(enumerate(sentences)))}.values())[::-1]
    return [i for i in once if _can_stand_alone(sentences[i])] or once


def _take(
    scores: Floats, vectors: NDArray[np.float32], words: NDArray[np.int64], max_words: int, most: int
) -> list[int]:
    """Greedily by score less the greatest product of a sentence's vector with one of those taken."""
    short = words <= max_words
    taken = [int(np.argmax(np.where(short | ~short.any(), scores, -np.inf)))]
    total, aim = int(words[taken[0]]), AIM * max_words
    likeness = vectors @ vectors[taken[0]]
    while len(taken) < most:
        open_ = total + words <= max_words
        open_[taken] = False
        if not open_.any():
            break
        best = int(np.argmax(np.where(open_, scores - likeness, -np.inf)))
        if abs(total + words[best] - aim) > abs(total - aim):
            break
        taken.append(best)
        total += int(words[best])
        likeness = np.maximum(likeness, vectors @ vectors[best])
    return taken


def score(sentences: Sequence[str], embeddings: NDArray[np.float32]) -> Floats:
    """Return how well each sentence would begin a summary of them all."""
    theme = embeddings.sum(axis=0)
    theme /= max(float(np.linalg.norm(theme)), 1e-9)
    words = np.array([count_words(sentence) for sentence in sentences])
    quoted = np.array([_OPENS_WITH_QUOTE.match(sentence) is not None for sentence in sentences])
    scores: Floats = (
        embeddings @ theme
        + _SHARED * _shared_terms(sentences)
        + _LENGTH * np.minimum(np.log(np.maximum(words, 1) / _USUAL_WORDS), 0.5)
        - _QUOTATION * quoted
    )
    return scores


def _shared_terms(sentences: Sequence[str]) -> Floats:
    """For each sentence the mean over its terms of log(sentences that have it), as a share of the most."""
    own = [set(terms(sentence)) for sentence in sentences]
    having = Counter(term for each in own for term in each)
    sums = [sum(math.log(having[term]) for term in each) / max(6, len(each)) for each in own]
    return np.array(sums) / math.log1p(len(sentences))


def terms(sentence: str) -> list[str]:
    """Return what sentences may share: words and neighbouring characters, in lower case.

    A term is a word of four letters or more, which in most languages leaves out the little words, or two
    neighbouring characters of a script without spaces.
    """
    return [a or b for a, b in _TERM.findall(sentence.lower())]


def _can_stand_alone(sentence: str) -> bool:
    """False for questions, labels, headings and what is too short to say anything."""
    if count_words(sentence) < _FEWEST_WORDS or _QUESTION.search(sentence) or _LABEL.match(sentence):
        return False
    return _ENDS.search(sentence) is not None and not _is_heading(sentence)


def _is_heading(sentence: str) -> bool:
    """Nearly all of its longer words are capitalized, as in English headlines; German comes to half."""
    longer = [word for word in re.findall(r"[^\W\d_]{4,}", sentence) if word.lower() != word.upper()]
    return len(longer) >= 4 and sum(word[0].isupper() for word in longer) > 0.85 * len(longer)


def count_words(text: str) -> int:
    """Words between spaces; for scripts without spaces, two characters count as a word."""
    spaced = len(text.split())
    return spaced if spaced * 12 > len(text) else max(spaced, len(text) // 2)


# ---------------------------------------------------------------------- vectors


def embedded(sentences: Sequence[str]) -> Steps[NDArray[np.float32]]:
    """Sentences as unit vectors of their words' TF-IDF: [sentences, DIMENSION].

    Knows no language and loads nothing; a sentence without terms has a row of zeros. Terms share a fixed
    number of places by a hash with a sign (Weinberger and others, "Feature Hashing for Large Scale Multitask
    Learning", 2009), so that a book takes no more room a sentence than a note. docs/decisions.md has the
    figures by which it was preferred to a sentence encoder.
    """
    having: Counter[str] = Counter()
    for start in range(0, len(sentences), _CHECKPOINT_SENTENCES):
        for sentence in sentences[start : start + _CHECKPOINT_SENTENCES]:
            having.update(set(terms(sentence)))
        yield None
    rows = np.zeros((len(sentences), DIMENSION), dtype=np.float32)
    for i, sentence in enumerate(sentences):
        for term, number in Counter(terms(sentence)).items():
            place = crc32(term.encode("utf-8", "surrogatepass"))
            sign = 1 if place & 1 else -1
            weight = (1 + math.log(number)) * math.log((1 + len(sentences)) / (0.5 + having[term]))
            rows[i, (place >> 1) % DIMENSION] += sign * weight
        if i % _CHECKPOINT_SENTENCES == _CHECKPOINT_SENTENCES - 1:
            yield None
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows /= np.maximum(lengths, 1e-9)
    return rows


# ---------------------------------------------------------------------- a headline


def headline(sentence: str, language: str) -> str:
    """Return the sentence as a headline; whole where no cut is safe."""
    text = _DATELINE.sub("", sentence)
    if len(text.split()) > MOST_WORDS:
        text = _main_clause(text, language)
    text = text[:1].upper() + text[1:]
    if text.endswith("。"):
        return text[:-1]
    plain = text.endswith(".") and not text.endswith("..") and not _ABBREVIATION.search(text[-12:])
    return text[:-1] if plain else text


def _main_clause(text: str, language: str) -> str:
    """Return the clause before the first mark at which a cut is safe; the whole where none is."""
    for mark in (_SEMICOLON, _DASH, _LAST_RELATIVE):
        ends = list(mark.finditer(text))
        clause = text[: ends[0].start()] if len(ends) == 1 else text  # two dashes are brackets
        if clause != text and _is_safe(clause, text, language):
            return clause
    return text


def _is_safe(clause: str, sentence: str, language: str) -> bool:
    """Return whether the clause stands alone, and what follows it neither denies nor limits it."""
    rest = sentence[len(clause) :]
    has_pairs = all(clause.count(one) == clause.count(other) for one, other in ("()", "“”", "«»", "„“"))
    found = denials(Reading(rest, language))
    limits = _KEPT.search(rest) is not None or found is None or found.any
    return len(clause.split()) >= LEAST_WORDS and has_pairs and clause.count('"') % 2 == 0 and not limits
