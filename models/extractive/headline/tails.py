"""Tails of an English sentence that a headline does without, and the whole clauses that stay before them."""

from collections.abc import Iterator

from models.extractive.headline.clauses import (
    Tokens,
    WordOrMark,
    count,
    has_finite_verb_at,
    is_clause,
    is_comma,
    is_quoted,
    verbs,
    words_of,
)

LEAST_WORDS = 5
MOST_TOKENS = 400
"""A longer sentence is left as it is: each of its places is held against all the others."""


def without_tail(found: list[WordOrMark], room: int) -> Iterator[list[WordOrMark]]:
    """The longest beginnings that are whole clauses within the room; then the shortest over it."""
    if len(found) > MOST_TOKENS or _ends_in_verb(found) or _subject_has_clause(found):
        return  # an attribution of a form that is not known; a verb that could be missed
    least = max(LEAST_WORDS, _end_of_lead(found))
    ends = [i for i in range(least, len(found) - 1) if _may_end(found, i)]
    parts = [found[:i] for i in ends]
    within = [part for part in parts if count(part) <= room]
    over = [part for part in parts if count(part) > room]
    for part in [*reversed(within), *over]:
        if count(part) >= LEAST_WORDS and is_clause(part) and not _hangs(part):
            yield part


def _end_of_lead(found: Tokens) -> int:
    """The place after the first comma of a sentence that begins with "In" or "After"."""
    if found[0].key not in words_of("prepositions") | words_of("leaders"):
        return 0
    return 1 + next((i for i in range(len(found)) if is_comma(found, i)), -1)


def _ends_in_verb(found: Tokens) -> bool:
    has = len(found) > 1 and found[-2].key in ("has", "have", "had")
    return has or found[-1].key in words_of("crediting") or found[-1].key in words_of("finite")


def _subject_has_clause(found: Tokens) -> bool:
    """Return whether "who", "which" or the like stands before the first verb."""
    for i, token in enumerate(found):
        if token.key in words_of("openers"):
            return i > 0
        if has_finite_verb_at(found, i):
            return False
    return True


def _hangs(part: Tokens) -> bool:
    """Return whether the words after the last comma begin with "and" and are no clause: half a list."""
    last = max((i for i in range(len(part)) if is_comma(part, i)), default=-1)
    joined = last > 0 and not {"and", "or", "but"}.isdisjoint((part[last + 1].key, part[last - 1].key))
    return joined and not verbs(part[last + 1 :])[0]


def _may_end(found: Tokens, i: int) -> bool:
    """Return whether what begins at this place is a tail that a headline does without."""
    before = {token.key for token in found[:i]}
    if is_quoted(found, i):
        return False
    if is_comma(found, i):
        return _is_loose(found, i, before)
    key, last, after = found[i].key, found[i - 1].key, found[i + 1].key
    if not before.isdisjoint({",", "-", "–"}) and any(is_comma(found, j) for j in range(i, len(found))):
        return False  # within what stands between two commas
    if not before.isdisjoint(words_of("negations")) or last in words_of("determiners") or last[-1:].isdigit():
        return False
    following = " ".join(token.key for token in found[i : i + 5]) + " "
    if any(following.startswith(phrase + " ") for phrase in words_of("phrases")):
        return True
    if key in ("just", "shortly", "soon", "less", "only") and "after" in following:
        return last not in words_of("prepositions")
    if key in ("after", "before", "when") and last in words_of("lately"):
        return False
    return key in words_of("bare_tails") and _is_loose_without_comma(found, i, before, key, last, after)


def _is_loose_without_comma(found: Tokens, i: int, before: set[str], key: str, last: str, after: str) -> bool:
    hedged = not before.isdisjoint(words_of("not_once"))
    if key in ("when", "while", "before"):
        return not hedged
    if key == "as" and not before.isdisjoint({"as", "so", "such", "same"}):
        return False
    if key == "as" and after in ("a", "an"):
        return before.isdisjoint(words_of("as_after"))
    if key == "as":
        rest, stops = found[i + 1 : i + 12], words_of("openers") | {"as"}
        verb = next((j for j, t in enumerate(rest) if has_finite_verb_at(rest, j) or t.key in stops), 0)
        clause = after in ("he", "she", "it", "they", "we") or (verb and rest[verb].key not in stops)
        return last not in words_of("as_after") and bool(clause)
    if key in ("in", "at"):
        return _is_place(found, i, before, last)
    if key == "and":
        return after in words_of("auxiliaries") | words_of("finite")
    if key == "by":
        return _is_participle(found[i + 1]) and last not in words_of("either")
    if key == "with":
        bound = last.endswith("ed") or last in words_of("particles")
        return not bound and before.isdisjoint(words_of("with_verbs")) and after in ("a", "an", "the")
    return True


def _is_place(found: Tokens, i: int, before: set[str], last: str) -> bool:
    """Return whether nothing but a place or an occasion follows, of something that has happened once."""
    names = all(t.text[0].isupper() or t.key in ("the", "of", "'s", "in", "on", "at") for t in found[i:])
    once = before.isdisjoint(words_of("not_once"))
    loose = last not in words_of("no_places") | words_of("particles") and not last.endswith("ed")
    return names and once and loose and before.isdisjoint(words_of("scopes"))


def _lists(found: Tokens, i: int) -> bool:
    """Return whether ", and" follows: what begins at this comma may be one of several."""
    return any(is_comma(found, j) and found[j + 1].key in ("and", "or") for j in range(i + 1, len(found) - 1))


def _is_half(part: Tokens) -> bool:
    """Return whether "between" or "either" waits for its "and" or "or"."""
    keys = [token.key for token in part]
    pairs = max(
        (i for i, key in enumerate(keys) if key in ("between", "both", "either", "neither")), default=-1
    )
    return pairs >= 0 and {"and", "or", "nor"}.isdisjoint(keys[pairs:])


def _is_participle(token: WordOrMark) -> bool:
    small = (
        token.text == token.key and token.key.endswith("ing") and len(token.key) > 5 and "-" not in token.key
    )
    return small and token.key not in words_of("no_participles")


def _is_loose(found: Tokens, i: int, before: set[str]) -> bool:
    """Return whether the piece after this comma is no part of the clause before it."""
    key = found[i + 1].key
    if any(is_comma(found, j) and has_finite_verb_at(found, j + 1) for j in range(i + 1, len(found) - 1)):
        return False  # the clause goes on after it
    closes = any(is_comma(found, j) for j in range(i + 1, len(found)))
    if closes and (found[i].text not in ",;" or not before.isdisjoint(words_of("causing"))):
        return False  # as in "could see those - the poor - lose", "will help the firm, a bank, save"
    if key in words_of("scoped_tails") and not before.isdisjoint(words_of("scopes")):
        return False
    if key in ("who", "which") and not before.isdisjoint({"it", "it's", "it’s"}):
        return False  # as in "it is they, not we, who"
    if key in words_of("determiners") and _lists(found, i):
        return False
    if key in words_of("tails"):
        return not _is_half(found[:i])
    following = found[i + 2].key if i + 2 < len(found) else ""
    if _is_participle(found[i + 1]):
        return following not in ("and", "or", ",") and before.isdisjoint(words_of("negations"))
    return (key.endswith("ed") or key in words_of("either")) and following in words_of("prepositions")
