"""Cuts a sentence to a headline: what stays is a whole clause of the sentence, word for word, in its order.

Goes as far as rules can without a parser. English loses datelines, brackets, connectives, what leads the
clause, what stands between commas, days, and its tail, in this order, until it has MOST_WORDS. Other
languages lose brackets and a last relative clause. An attribution is shortened, never dropped.
"""

import re

from models.extractive.headline.clauses import WordOrMark, count, text_of, tokens, words_of
from models.extractive.headline.english import shortened
from models.extractive.headline.guards import keeps
from models.extractive.headline.tails import LEAST_WORDS

MOST_WORDS = 12
_MOST_CHARACTERS = 1000
"""A longer sentence is left as it is: rules compare its words with each other."""
_DATELINE = re.compile(
    r"^(?=[A-Z]{3}|.{0,40}\([A-Z]\w+\))[A-Z][\w.’'\-]{2,30}(?:,? [A-Z][\w.]{0,20}){0,3}"
    r"(?:, [A-Z][a-z]{2,8}\.? \d{1,2})? ?(?:\([A-Z]\w{1,20}\))? ?[–—-]{1,2} "
)
_AGENCY = re.compile(
    r"^[A-Z][\w.’'\-]{1,30}(?:,? [A-Z][\w.]{0,20}){0,3} ?"
    r"\((?:CNN|AP|AFP|UPI|EFE|ANI|PTI|IANS|TASS|dpa|Reuters|Xinhua|Bloomberg)\) ?(?:[–—-]{1,2} ?)?"
)
_SHORTENED = re.compile(
    r"(?:(?:^|[ .])[^\W\d_]|\b(?:Inc|Co|Corp|Ltd|Jr|Sr|St|No|etc|vs|Mr|Mrs|Dr|Bros|Plc))\.$"
)


def headline(sentence: str, language: str) -> str:
    """Return the sentence cut to a headline, or as it is where no cut is safe; without a full stop."""
    if len(sentence) > _MOST_CHARACTERS:
        return _finished(sentence)
    base = language.split("-")[0]
    found = _without_brackets(tokens(_without_dateline(sentence)), base)
    cut = shortened(found, MOST_WORDS) if base == "en" else _without_last_clause(found, base)
    return _finished(text_of(cut))


def _finished(text: str) -> str:
    text = text[:1].upper() + text[1:]
    if text.endswith("。"):
        return text[:-1]
    plain = text.endswith(".") and not text.endswith("..") and not _SHORTENED.search(text[-12:])
    return text[:-1] if plain else text


def _without_dateline(sentence: str) -> str:
    """Leave out "VIENNA (Agency) — ", or "NEW DELHI, May 5 - "."""
    return _DATELINE.sub("", _AGENCY.sub("", sentence))


def _without_brackets(found: list[WordOrMark], language: str) -> list[WordOrMark]:
    """Leave out what stands in brackets, if they are in pairs and lose nothing that guards."""
    kept: list[WordOrMark] = []
    depth, closed = 0, False
    for token in found:
        if token.text == "(":
            depth += 1
        elif token.text == ")":
            depth -= 1
        elif depth == 0:
            kept.append(token._replace(gap=True) if closed and token.is_word else token)
        closed = token.text == ")"
        if depth < 0:
            return found
    if depth or len(kept) == len(found) or count(kept) < LEAST_WORDS:
        return found
    return kept if keeps(found, kept, language) else found


def _without_last_clause(found: list[WordOrMark], language: str) -> list[WordOrMark]:
    """Leave out a relative clause at the end, which a comma sets off, of a sentence that is too long."""
    last = max((i for i, token in enumerate(found) if token.text == ","), default=0)
    if not last or count(found) <= MOST_WORDS or last + 3 >= len(found):
        return found
    part = found[:last]
    is_loose = found[last + 1].key in words_of("relatives", language) and count(part) >= LEAST_WORDS
    return part if is_loose and keeps(found, part, language) else found
