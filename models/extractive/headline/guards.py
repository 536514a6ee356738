"""What a cut may not lose: negations, conditions, doubts, and who claims what is claimed."""

from collections import Counter
from itertools import zip_longest

from models.checks.language.negation import possible
from models.checks.language.reading import Reading
from models.extractive.headline.clauses import Tokens, text_of, words_of

_PAIRS = ("()", "[]", "“”", "«»", "„“")


def keeps(whole: Tokens, part: Tokens, language: str) -> bool:
    """Return whether the part has what it may not lose, and its marks are in pairs."""
    gone = Counter(token.key for token in whole)
    gone.subtract(token.key for token in part)
    lost = [key for key, number in gone.items() if number > 0]
    guards = words_of("guards", language)
    opener = _opener(whole, part)
    if opener not in words_of("excused") and not opener.endswith("ing"):
        guards |= words_of("claims", language)
    if any(key in guards or key.endswith(("n't", "n’t")) for key in lost):
        return False
    if language != "en" and possible(Reading(" ".join(lost), language)) > 0:
        return False
    text = text_of(part)
    paired = all(text.count(pair[0]) == text.count(pair[1]) for pair in _PAIRS)
    return paired and text.count('"') % 2 == 0 and "‘" not in "".join(lost) and not _loses_quote(whole, part)


def _loses_quote(whole: Tokens, part: Tokens) -> bool:
    """Return whether a plain single quotation mark is lost that is no apostrophe at a word's end."""
    marks = [sum(token.text == "'" and token.gap for token in found) for found in (whole, part)]
    return marks[0] != marks[1]


def _opener(whole: Tokens, part: Tokens) -> str:
    """The first word that is lost; of a subordinate clause, whose claims say nothing of what is kept."""
    lost = [token for token, kept in zip_longest(whole, part) if token is not None and token != kept]
    return next((token.key for token in lost if token.is_word), "")
