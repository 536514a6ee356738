"""Flags faults of form in a translation: length, script, copied or repeated text, punctuation.

Reads no meaning: these are faults whatever the text says.
"""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import islice, pairwise
from typing import NamedTuple

import regex

from models.checks.flag import Flag, Severity
from models.checks.language.reading import WordForm
from models.checks.pair import Pair
from models.checks.translation.verbatim import tokens
from models.languages import Languages
from models.text.sentences import is_unspaced
from models.text.span import Span

LOST, ADDED, REPETITION = "omission", "addition", "repetition"

# Length: an output far shorter or longer than a translation of its source can be.


class Length(NamedTuple):
    """The length of a language's texts, compared with English, in characters.

    Measured on licensed parallel texts.
    """

    ratio: float
    """Characters for each one of English."""
    constant: float
    by_size: float
    """The variance of the ratio's logarithm is `constant + by_size / English characters`."""


_A_SIGN = 2.6
"""English characters for a Chinese one, so that Latin names and figures in Chinese count as they are."""
_SIGN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_BESIDE_ENGLISH = {
    "en": Length(1.0, 0.0, 0.0),
    "de": Length(1.17, 0.0128, 0.60),
    "es": Length(1.14, 0.0062, 0.72),
    "fr": Length(1.20, 0.0135, 0.63),
    "it": Length(1.15, 0.0104, 0.99),
    "pt": Length(1.10, 0.0060, 0.83),
    "ru": Length(1.11, 0.0185, 0.99),
    "zh": Length(0.86, 0.0268, 0.50),
}
_BY_SCRIPT = {
    "Chinese": Length(0.86, 0.08, 1.5),
    "Kana": Length(0.85, 0.08, 1.5),
    "Hangul": Length(0.50, 0.08, 1.5),
    "Arabic": Length(0.90, 0.08, 1.5),
    "Hebrew": Length(0.85, 0.08, 1.5),
}
"""Rough ratios, with a wide spread, for languages that were not measured."""
_UNMEASURED = Length(1.10, 0.08, 1.5)
_ERROR, _WARNING = 3.5, 3.0
"""In standard deviations from the expected length."""
_SHORT = 0.3
"""In standard deviations; a longer output without a full stop at its end is not taken to be broken off."""
_ELLIPSIS = re.compile(r"(?:\.\.\.|…|\[\.\.\.\]|\[…\])\W{0,20}$")
_IN_A_WORD = re.compile(r"\w")
_FULL_STOP = re.compile(r"\w\w[.!?。！？]\W*$")
_MID_SENTENCE = re.compile(r"[\w,;、，]\s*$")
_WITHOUT_FULL_STOPS = frozenset(("Thai", "Lao", "Khmer", "Burmese", "Tibetan"))
"""Scripts whose sentences end in a space, or in signs of their own."""
_END_CHARACTERS = 40
"""How much of the end is searched for ellipses and full stops: a long row of dots would take minutes."""


def check_length(pair: Pair) -> Iterator[Flag]:
    """Yield at most one flag: empty, far too short, far too long, or broken off."""
    source, output = size(pair.source.text), size(pair.output.text)
    whole = pair.output.whole
    if not source:
        return
    if not output:
        yield Flag(LOST, whole, "The translation is empty.", source=pair.source.whole)
        return
    if _IN_A_WORD.search(pair.source.text) and not _IN_A_WORD.search(pair.output.text):
        yield Flag(LOST, whole, "The translation has no words.", source=pair.source.whole)
        return
    deviation = deviations(source, output, pair.source.language, pair.output.language)
    severity: Severity = "error" if abs(deviation) >= _ERROR else "warning"
    source_end, end = (each.text[-_END_CHARACTERS:] for each in (pair.source, pair.output))
    if deviation <= -_WARNING:
        reason = "The translation is much shorter than the source: some of it may be lost."
        yield Flag(LOST, whole, reason, severity)
    elif deviation >= _WARNING:
        reason = "The translation is much longer than the source: some of it may be made up."
        yield Flag(ADDED, whole, reason, severity)
    elif _ELLIPSIS.search(end) and not _ELLIPSIS.search(source_end):
        yield Flag(LOST, whole, "The translation breaks off with an ellipsis.", "warning")
    elif (
        deviation <= _SHORT
        and _FULL_STOP.search(source_end)
        and _MID_SENTENCE.search(end)
        and _WITHOUT_FULL_STOPS.isdisjoint(scripts(pair.output.language)[:1])
    ):
        yield Flag(LOST, whole, "The translation has no end: the source's last sentence does.", "warning")


def size(text: str) -> int:
    """Count the characters without white space; a Chinese one, also in Japanese, counts as `_A_SIGN`."""
    return len("".join(text.split())) + round((_A_SIGN - 1) * len(_SIGN.findall(text)))


def deviations(source: int, output: int, source_language: str, output_language: str) -> float:
    """Return by how many standard deviations `output` is over (negative: under) the expected `size`."""
    one, other = _beside_english(source_language), _beside_english(output_language)
    variance = one.constant + other.constant + (one.by_size + other.by_size) * one.ratio / source
    expected = source * other.ratio / one.ratio
    # a sign more or less says nothing
    return math.log((output + 2) / (expected + 2)) / math.sqrt(variance or 0.01)


@cache
def _beside_english(language: str) -> Length:
    """Return the language's own row, or its script's."""
    base = language.replace("_", "-").split("-")[0].lower()
    if base in _BESIDE_ENGLISH:
        return _BESIDE_ENGLISH[base]
    own = scripts(language)
    return _BY_SCRIPT.get(own[0], _UNMEASURED) if own else _UNMEASURED


# Script: letters of another writing system than the output's language has. Any text may have names in Latin
# letters, and words that stand in the source as well.

_OF_CODE = {
    **{"Latn": "Latin", "Grek": "Greek", "Cyrl": "Cyrillic", "Armn": "Armenian", "Hebr": "Hebrew"},
    **{"Arab": "Arabic", "Deva": "Devanagari", "Beng": "Bengali", "Guru": "Gurmukhi", "Gujr": "Gujarati"},
    **{"Orya": "Oriya", "Taml": "Tamil", "Telu": "Telugu", "Knda": "Kannada", "Mlym": "Malayalam"},
    **{"Sinh": "Sinhala", "Thai": "Thai", "Laoo": "Lao", "Tibt": "Tibetan", "Mymr": "Burmese"},
    **{"Geor": "Georgian", "Hang": "Hangul", "Kore": "Hangul", "Ethi": "Ethiopic", "Khmr": "Khmer"},
    **{"Jpan": "Kana", "Hans": "Chinese", "Hant": "Chinese", "Hani": "Chinese"},
}
_UNICODE = {
    "Arabic": r"\p{Arabic}\u0640\u064b-\u0655\u0670",
    "Burmese": r"\p{Myanmar}",
    "Chinese": r"\p{Han}",
    "Kana": r"\p{Hiragana}\p{Katakana}\u30fc\uff70",
}
"""The characters of scripts that Unicode calls otherwise, or that share some with others."""
_ALSO = {"Kana": ("Chinese",), "Hangul": ("Chinese",)}
_IN_TWO_SCRIPTS = {"sr": ("Cyrillic", "Latin"), "bs": ("Cyrillic", "Latin"), "mn": ("Cyrillic",)}
_OTHER_SCRIPTS = {"br": "Latin", "fy": "Latin", "ns": "Latin", "sh": "Latin"}
"""Languages for which the table has no script."""
_FOREIGN_LETTERS = {"ru": "іїєґўјљњћђџѓќѕ", "uk": "ыэёўјљњћђџ", "bg": "ыэёіїєґўјљњћђџ"}
"""Letters that the language's neighbours have and it lacks."""
_LETTER = re.compile(r"[^\W\d_]")
_WORD = re.compile(r"[^\W\d_]+")
_SMALL_LATIN = re.compile(r"(?<![\w@#./:'’&-])[a-zà-öø-ÿ]{2,}(?![\w@./:])")
_LEAST_LETTERS = 4
_MOST_SOUGHT = 1000
"""The most different words that are looked for within the source's: each search reads all of it."""
_OWN_SHARE = 0.5
"""The least share of letters in the language's own script."""
_ORDINARY_WORDS = 3
"""From this many words with a small first letter, Latin text is more than names."""
_LETTERS_A_SIGN = {"Chinese": 3, "Kana": 2, "Hangul": 2}
"""Latin letters that say as much as one of the script's own."""
_MIN_KANA_TEXT = 12
"""No Japanese text has this many Chinese characters without a single kana."""


def check_script(pair: Pair) -> Iterator[Flag]:
    """Yield one flag if the output is in another script than its language, else one for each word that is."""
    own, text = scripts(pair.output.language), pair.output.text
    if not own:
        return
    letters = len(_LETTER.findall(text))
    language = pair.output.base_language
    if letters >= _LEAST_LETTERS and _is_in_another_script(text, own, letters):
        reason = f"The text is not in {own[0]} script, as {language} is written."
        yield Flag("script", pair.output.whole, reason)
        return
    yield from _foreign_words(pair, own)
    if language in _FOREIGN_LETTERS:
        yield from _foreign_letters(pair, set(_FOREIGN_LETTERS[language]))


def _is_in_another_script(text: str, own: tuple[str, ...], letters: int) -> bool:
    """Return whether too few of the letters are of the language's own scripts, even without names."""
    if own[0] == "Kana" and _count(text, "Chinese") >= _MIN_KANA_TEXT:
        return not _count(text, "Kana")
    mine = _count(text, *own)
    if mine >= _OWN_SHARE * letters:
        return False
    if "Latin" in own or mine + _count(text, "Latin") < _OWN_SHARE * letters:
        return True
    small = _SMALL_LATIN.findall(text)
    if not mine and len(small) >= _ORDINARY_WORDS - 1:
        return True
    return len(small) >= _ORDINARY_WORDS and sum(map(len, small)) > mine * _LETTERS_A_SIGN.get(own[0], 1)


def _count(text: str, *own: str) -> int:
    """Count the letters of these scripts."""
    return len(_letters(own).findall(text))


def _foreign_words(pair: Pair, own: tuple[str, ...]) -> Iterator[Flag]:
    foreign, text = _foreign_to(own), pair.output.text
    found = list(foreign.finditer(text))
    held = _held({match[0] for match in found}, pair.source.text, foreign) if found else set()
    for match in found:
        word, place = match[0], Span(*match.span())
        if word in held:
            if len(word) >= 2:
                yield Flag("script", place, f"{word} was left in the source's script.", "warning")
            continue
        # letters that adjoin others make a word of two scripts; `π` alone is a sign
        beside = text[place.start - 1 : place.start] + text[place.end : place.end + 1]
        if len(word) >= 2 or any(map(str.isalpha, beside)):
            yield Flag("script", place, f"{word} is in a script of neither language.")


def _held(words: Iterable[str], source: str, whole: re.Pattern[str] | regex.Pattern[str]) -> set[str]:
    """Return the words that stand in the source: as `whole` finds them, or a limited number within others."""
    known = set(whole.findall(source))
    within = islice(sorted(set(words) - known), _MOST_SOUGHT)
    return known | {word for word in within if word in source}


def _foreign_letters(pair: Pair, strange: set[str]) -> Iterator[Flag]:
    if strange.isdisjoint(pair.output.text.lower()):
        return
    found = [m for m in _WORD.finditer(pair.output.text) if not strange.isdisjoint(m[0].lower())]
    held = _held((match[0] for match in found), pair.source.text, _WORD)
    for match in found:
        if match[0] not in held:
            reason = f"{match[0]} has letters of another language."
            yield Flag("script", Span(*match.span()), reason, "warning")


@cache
def scripts(language: str) -> tuple[str, ...]:
    """Return the language's scripts, the usual one first; none for an unknown language."""
    base, *subtags = language.replace("_", "-").split("-")
    for subtag in subtags:
        if (script := _OF_CODE.get(subtag.title())) is not None:
            return (script, *_ALSO.get(script, ()))
    if base.lower() in _IN_TWO_SCRIPTS:
        return _IN_TWO_SCRIPTS[base.lower()]
    code = _codes().get(base.lower(), "_").split("_")[1]
    script = _OF_CODE.get(code) or _OTHER_SCRIPTS.get(base.lower())
    return (script, *_ALSO.get(script, ())) if script else ()


@cache
def _codes() -> dict[str, str]:
    return Languages.load().column("nllb")


@cache
def _letters(own: tuple[str, ...]) -> regex.Pattern[str]:
    """Return a pattern that finds each letter of these scripts."""
    return regex.compile(_class(own))


@cache
def _foreign_to(own: tuple[str, ...]) -> regex.Pattern[str]:
    """Return a pattern that finds runs of letters of other scripts, except Latin, which any text may have."""
    return regex.compile(_class(sorted({*_OF_CODE.values()} - {*own, "Latin"})) + "+")


def _class(scripts: Iterable[str]) -> str:
    """Return a class of the scripts' letters, vowel signs and accents, without digits and punctuation."""
    characters = "".join(_UNICODE.get(script, rf"\p{{{script}}}") for script in scripts)
    return rf"(?V1)[[{characters}]&&[\p{{L}}\p{{M}}\p{{Nl}}]]"


# Echo: an output that left the source, or a long stretch of it, untranslated. Names, numbers and single words
# may be the same in two languages; several ordinary words in a row are not.

_RUN_WORDS = 4
"""Shared words in a row that count as copied: related languages share shorter runs (`a partir de`)."""
_PROSE_WORDS = 3
_WHOLE = 0.6
"""The copied share of the output's words that makes it an echo."""
_LONG_RUN_WORDS = 8
"""A copied run that gets a warning in an output that is otherwise a translation: a title, or a lapse."""


def check_echo(pair: Pair) -> Iterator[Flag]:
    """Yield one flag if most of the output stands in the source, else a warning for each long stretch."""
    if not pair.across_languages:
        return
    output = pair.output.word_forms
    runs = _copied_runs(pair.source.word_forms, output)
    apart = [token.span for token in tokens(pair.output.text)] if runs else []
    runs = [run for run in runs if _is_prose(pair.output.text, output[run.start : run.end], apart)]
    if not runs:
        return
    copied = sum(run.end - run.start for run in runs)
    if copied >= _WHOLE * len(output):
        yield Flag("echo", pair.output.whole, "The text was left in the source language.")
        return
    for run in runs:
        if run.end - run.start >= _LONG_RUN_WORDS:
            yield Flag("echo", _place(output, run), "This part was left in the source language.", "warning")


def _place(words: list[WordForm], run: Span) -> Span:
    return Span(words[run.start].span.start, words[run.end - 1].span.end)


def _copied_runs(source: list[WordForm], output: list[WordForm]) -> list[Span]:
    """Return the longest stretches of the output's words that stand in the source in the same order."""
    length = min(_RUN_WORDS, len(source))
    forms = [word.form for word in output]
    grams = {tuple(word.form for word in source[i : i + length]) for i in range(len(source) - length + 1)}
    if length == 0 or len(forms) < length:
        return []
    runs: list[Span] = []
    for i in range(len(forms) - length + 1):
        if tuple(forms[i : i + length]) in grams:
            if runs and i <= runs[-1].end:
                runs[-1] = Span(runs[-1].start, i + length)
            else:
                runs.append(Span(i, i + length))
    return runs


def _is_prose(text: str, run: list[WordForm], apart: list[Span]) -> bool:
    """Return whether enough of the words are ordinary: neither names nor parts of addresses."""
    letters = [word for word in run if word.form[0].isalpha() and not word.span.is_within(apart)]
    if all(is_unspaced(word.form) for word in letters):
        return len(letters) >= 2 * _PROSE_WORDS
    if all(text[word.span.start : word.span.end].isupper() for word in letters):
        return len(letters) > _PROSE_WORDS
    return sum(not text[word.span.start].isupper() for word in letters) >= _PROSE_WORDS


# Repetition: words or groups of words that come again and again, but not in the source.

_LEAST_WORDS = 4
"""The least words of a whole loop."""
_LONG_GROUP_WORDS = 7
"""A group of this many words is a loop if it comes twice in a row; `very good, very good` is none."""
_FAR_WORDS, _FAR_CHARACTERS = 8, 15
"""The length of a group looked for anywhere: in words, or in characters of a script without spaces."""
_WITHIN_A_WORD = re.compile(r"([^\W\d_]{1,6}?)\1{4,}")


def check_repetition(pair: Pair) -> Iterator[Flag]:
    """Yield one flag for the worst loop, or a warning if a long group of words comes twice, far apart."""
    source, output = pair.source.word_forms, pair.output.word_forms
    allowed = _longest_loop(source)[0]
    times, loop = _longest_loop(output)
    if loop is not None and (
        times > allowed + 1 or (times > allowed and loop.end - loop.start >= times * _LONG_GROUP_WORDS)
    ):
        yield Flag(REPETITION, _place(output, loop), f"The same words come {times} times in a row.")
        return
    stutter = _WITHIN_A_WORD.search(pair.output.text)
    if stutter and not _WITHIN_A_WORD.search(pair.source.text):
        yield Flag(REPETITION, Span(*stutter.span()), "The same letters come again and again.")
        return
    again = _again(output)
    if again is not None and _again(source) is None:
        yield Flag(REPETITION, _place(output, again), "These words stand in the output twice.", "warning")


def _longest_loop(text: list[WordForm]) -> tuple[int, Span | None]:
    """Return how often the most repeated group comes in a row, 1 for no loop, and its place in words."""
    forms = [word.form for word in text]
    best, where = 1, None
    for period, places in _returns(forms):
        end = 0
        for place in places:
            if place < end:
                continue
            start = end = place
            while start > period and forms[start - 1] == forms[start - 1 - period]:
                start -= 1
            while end < len(forms) and forms[end] == forms[end - period]:
                end += 1
            times = (end - start) // period + 1
            is_long = times > best and times * period >= _LEAST_WORDS
            if is_long and not all(form.isdigit() for form in forms[end - period : end]):
                best, where = times, Span(start - period, start + (times - 1) * period)
    return best, where


def _returns(forms: list[str]) -> list[tuple[int, list[int]]]:
    """Return the distances at which two words come again more than once, and where: periods of loops."""
    last: dict[tuple[str, str], int] = {}
    places: dict[int, list[int]] = defaultdict(list)
    for i, two in enumerate(pairwise(forms)):
        if two in last:
            places[i - last[two]].append(i)
        last[two] = i
    return sorted((period, found) for period, found in places.items() if len(found) > 1)


def _again(text: list[WordForm]) -> Span | None:
    """Return the second place of a long group of words that stands in the text twice."""
    forms = [word.form for word in text]
    unspaced = 2 * sum(map(is_unspaced, forms)) > len(forms)
    length = _FAR_CHARACTERS if unspaced else _FAR_WORDS
    seen: set[tuple[str, ...]] = set()
    for i in range(len(forms) - length + 1):
        group = tuple(forms[i : i + length])
        if group in seen:
            return Span(i, i + length)
        seen.add(group)
    return None


# Marks: brackets that a translation left open. No errors: usage differs.

_BRACKETS = {")": "(", "]": "[", "}": "{", "】": "【", "」": "「", "』": "『"}
_BRACKET = re.compile(r"[()\[\]{}【】「」『』]")
_AS_ONE = str.maketrans("（）", "()")
_LIST_MARK = re.compile(r"^\s*\w{1,3}\)|[:;]['-]?[()]|(?<!\()\b\w\)")


def check_marks(pair: Pair) -> Iterator[Flag]:
    """Yield a warning for a bracket without its partner."""
    output = pair.output.text
    lone = _lone_bracket(output)
    if lone is not None and _lone_bracket(pair.source.text) is None:
        yield Flag("marks", Span(lone, lone + 1), f"The bracket {output[lone]} has no partner.", "warning")


def _lone_bracket(text: str) -> int | None:
    """Return the place of the first closing bracket without its partner, else of the last one left open."""
    found = list(_BRACKET.finditer(text.translate(_AS_ONE)))
    if not found or _LIST_MARK.search(text):
        return None
    opened: list[re.Match[str]] = []
    for bracket in found:
        if bracket[0] not in _BRACKETS:
            opened.append(bracket)
        elif not opened or opened.pop()[0] != _BRACKETS[bracket[0]]:
            return bracket.start()
    return opened[-1].start() if opened else None
