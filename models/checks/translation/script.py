"""Flags letters of another writing system than the output's language has.

Any text may have names in Latin letters, and words that stand in the source as well.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice

import regex

from models.checks.flag import Flag
from models.checks.language.writing import foreign_to, letters_of, scripts
from models.checks.pair import Pair
from models.text.span import Span

KIND = "script"
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


def check(pair: Pair) -> Iterator[Flag]:
    """Yield one flag if the output is in another script than its language, else one for each word that is."""
    own, text = scripts(pair.output.language), pair.output.text
    if not own:
        return
    letters = len(_LETTER.findall(text))
    mine = len(letters_of(own).findall(text))
    language = pair.output.language.split("-")[0].lower()
    if letters >= _LEAST_LETTERS and _is_another(pair, own, letters, mine):
        yield Flag(KIND, Span(0, len(text)), f"The text is not in {own[0]} script, as {language} is written.")
        return
    yield from _foreign_words(pair, own)
    yield from _foreign_letters(pair, _FOREIGN_LETTERS.get(language, ""))


def _is_another(pair: Pair, own: tuple[str, ...], letters: int, mine: int) -> bool:
    """Return whether the whole is in another script: too few letters are its own, even without names."""
    text = pair.output.text
    if own[0] == "Kana" and len(letters_of(("Chinese",)).findall(text)) >= _MIN_KANA_TEXT:
        return not letters_of(("Kana",)).search(text)
    if mine >= _OWN_SHARE * letters:
        return False
    if "Latin" in own or mine + len(letters_of(("Latin",)).findall(text)) < _OWN_SHARE * letters:
        return True
    small = _SMALL_LATIN.findall(text)
    if not mine and len(small) >= _ORDINARY_WORDS - 1:
        return True
    return len(small) >= _ORDINARY_WORDS and sum(map(len, small)) > mine * _LETTERS_A_SIGN.get(own[0], 1)


def _foreign_words(pair: Pair, own: tuple[str, ...]) -> Iterator[Flag]:
    foreign = foreign_to(own)
    held = _held({match[0] for match in foreign.finditer(pair.output.text)}, pair.source.text, foreign)
    for match in foreign.finditer(pair.output.text):
        if match[0] in held:
            if len(match[0]) >= 2:
                yield Flag(
                    KIND, Span(*match.span()), f"{match[0]} was left in the source's script.", "warning"
                )
        elif len(match[0]) >= 2 or _touches_a_letter(pair.output.text, match):
            yield Flag(KIND, Span(*match.span()), f"{match[0]} is in a script of neither language.")


def _held(words: Iterable[str], source: str, whole: re.Pattern[str] | regex.Pattern[str]) -> set[str]:
    """Return the words that stand in the source: as `whole` finds them, or a limited number within others."""
    known = set(whole.findall(source))
    within = islice(sorted(set(words) - known), _MOST_SOUGHT)
    return known | {word for word in within if word in source}


def _touches_a_letter(text: str, match: regex.Match[str]) -> bool:
    """Return whether the foreign letters adjoin others, as in a word of two scripts; `π` alone is a sign."""
    around = text[match.start() - 1 : match.start()] + text[match.end() : match.end() + 1]
    return any(map(str.isalpha, around))


def _foreign_letters(pair: Pair, letters: str) -> Iterator[Flag]:
    if not letters or not any(letter in pair.output.text.lower() for letter in letters):
        return
    strange = set(letters)
    found = [m for m in _WORD.finditer(pair.output.text) if not strange.isdisjoint(m[0].lower())]
    held = _held((match[0] for match in found), pair.source.text, _WORD)
    for match in found:
        if match[0] not in held:
            yield Flag(KIND, Span(*match.span()), f"{match[0]} has letters of another language.", "warning")
