"""English clauses, as far as lists of words show them: finite verbs, and whether words make a whole clause.

No parser is here. Where the words leave a doubt the answer is that there is no clause: nothing is cut then.
"""

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

_TOKEN = re.compile(r"(?:[^\W\d_]\.){2,}|[^\W_]++(?:(?:[.'’/&,]|-(?!-))[^\W_]++)*+|[^\w\s]|_")
COMMAS = frozenset({",", ";", "–", "—", "-"})
_NUMBER = re.compile(r"\d[\d.,]*\w{0,2}")


class WordOrMark(NamedTuple):
    """A word, a number or a mark."""

    text: str
    key: str
    """In lower case."""
    gap: bool
    """True if white space stands before it."""

    @property
    def is_word(self) -> bool:
        return self.text[0].isalnum()


Tokens = Sequence[WordOrMark]


def tokens(text: str) -> list[WordOrMark]:
    """Return the words and marks of a text."""
    return [
        WordOrMark(match[0], match[0].lower(), match.start() > 0 and text[match.start() - 1].isspace())
        for match in _TOKEN.finditer(text)
    ]


def text_of(found: Tokens) -> str:
    """Return the tokens as text."""
    return "".join((" " if token.gap and i else "") + token.text for i, token in enumerate(found))


@cache
def words_of(group: str, language: str = "en") -> frozenset[str]:
    """Return the words of a group of words.toml; none where the language has none."""
    table = _table()
    listed = table["en"][group] if group in table["en"] else table[group].get(language, "")
    return frozenset(word.replace("_", " ") for word in listed.split())


@cache
def _table() -> dict[str, dict[str, str]]:
    return tomllib.loads(files("models.extractive.headline").joinpath("words.toml").read_text("utf-8"))


def is_comma(found: Tokens, i: int) -> bool:
    """Return whether a piece may begin or end here: at a comma, a semicolon, a dash between blanks."""
    if found[i].text not in COMMAS:
        return False
    return found[i].text in ",;" or (found[i].gap and i + 1 < len(found) and found[i + 1].gap)


def has_finite_verb_at(found: Tokens, i: int) -> bool:
    """Return whether the word at this place is the verb of a clause, without much doubt."""
    if i >= len(found):
        return False
    key, before = found[i].key, found[i - 1].key if i else ""
    if key in words_of("auxiliaries") or key.endswith(("n't", "n’t")):
        return True
    if before in words_of("determiners") or before == "to" or before in words_of("auxiliaries"):
        return False
    if key in words_of("finite"):
        return True
    is_past = key.endswith("ed") and len(key) > 4 and found[i].text == key and "-" not in key
    if before == "newly" or not (is_past or key in words_of("either")):
        return False
    after = found[i + 1].key if i + 1 < len(found) else ""
    if key in words_of("intransitive"):
        return True
    if not after or not after[0].isalnum() or after in words_of("prepositions"):
        return False  # as in "a man jailed for theft"
    return key not in words_of("objects_of_two") and after not in words_of("conjunctions")


def verbs(found: Tokens) -> tuple[int, int]:
    """Return the number of finite verbs, and the number of clauses that still wait for theirs."""
    number, waiting, i = 0, 1, 0
    while i < len(found):
        if found[i].key in words_of("openers"):
            waiting += 1
        elif has_finite_verb_at(found, i):
            number += 1
            i = _end_of_group(found, i)
            reports = found[i].key in words_of("reporting") and not _has_no_clause(found, i + 1)
            waiting = max(0, waiting - 1) + reports
        i += 1
    return number, waiting


def _end_of_group(found: Tokens, i: int) -> int:
    """The last word of a verb such as "has not been seen"."""
    if found[i].key not in words_of("auxiliaries"):
        return i
    for j in range(i + 1, min(i + 6, len(found))):
        key = found[j].key
        if key in words_of("auxiliaries") | words_of("within_verbs") or key.endswith("ly"):
            continue
        return j if key.endswith("ed") or key in words_of("either") | words_of("finite") else j - 1
    return i


def _has_no_clause(found: Tokens, i: int) -> bool:
    """Return whether a reporting verb is followed by "that", which is counted, or by "him to"."""
    following = [token.key for token in found[i : i + 4]]
    return following[:1] == ["that"] or "to" in following[1:]


def is_clause(found: Tokens) -> bool:
    """Return whether the words are a whole clause: each verb that one needs is there, and what follows it."""
    number, waiting = verbs(found)
    return number > 0 and waiting == 0 and _ends_whole(found)


def _ends_whole(found: Tokens) -> bool:
    last = found[-1]
    if not last.is_word:
        return last.text in "”\"'’%)" and len(found) > 1 and found[-2].is_word
    weak = ("prepositions", "determiners", "conjunctions", "auxiliaries", "weak_ends", "reporting")
    if any(last.key in words_of(group) for group in weak):
        return False
    near = {token.key for token in found[-5:-1]}
    is_verb = has_finite_verb_at([*found, WordOrMark("it", "it", True)], len(found) - 1) or last.key.endswith(
        "ed"
    )
    passive = not near.isdisjoint({"is", "are", "was", "were", "been", "be", "being"})
    return not is_verb or passive or last.key in words_of("intransitive")


def count(found: Tokens) -> int:
    """Return the number of words, as a reader counts them."""
    return sum(token.is_word and (token.gap or i == 0) for i, token in enumerate(found))


def is_quoted(found: Tokens, i: int) -> bool:
    """Return whether this place is between quotation marks."""
    before = [token.text for token in found[:i]]
    return before.count('"') % 2 == 1 or before.count("“") > before.count("”")


def is_number(token: WordOrMark) -> bool:
    """Return whether the token is a number in digits."""
    return _NUMBER.fullmatch(token.text) is not None
