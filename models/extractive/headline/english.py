"""Rules that shorten an English sentence, each a way to leave something out."""

from collections.abc import Callable, Iterator
from itertools import pairwise

from models.checks.language.calendar_words import is_calendar_word
from models.extractive.headline.clauses import (
    Tokens,
    WordOrMark,
    count,
    has_finite_verb_at,
    is_clause,
    is_comma,
    is_number,
    is_quoted,
    verbs,
    words_of,
)
from models.extractive.headline.guards import keeps
from models.extractive.headline.tails import LEAST_WORDS, MOST_TOKENS, without_tail

_MOST_SUBJECT = 14
"""Words of who says something, at most."""
_MOST_LEAD = 25
"""Words of a lead, at most."""


def shortened(found: list[WordOrMark], most_words: int) -> list[WordOrMark]:
    """Return the sentence without what may be left out until it has so many words, if that can be."""
    if not found or len(found) > MOST_TOKENS:
        return found
    end = found[-1:] if found[-1].text == "." else []
    body, credit = _credited(found[: len(found) - len(end)])
    room = most_words - count(credit)
    rules: tuple[Callable[[list[WordOrMark], int], Iterator[list[WordOrMark]]], ...] = (
        _connectives,
        _leads,
        _insertions,
        _days,
        without_tail,
    )
    for rule in rules:
        if count(body) <= room and rule is not _connectives:
            break
        for part in rule(body, room):
            if count(part) + count(credit) >= LEAST_WORDS and keeps(body, part, "en"):
                body = part
                break
    return [*body, *credit, *end]


def _credited(found: list[WordOrMark]) -> tuple[list[WordOrMark], list[WordOrMark]]:
    """Part a sentence from its last "…, the council said on Friday", of which the rest is left out."""
    for i in range(len(found) - 2, 0, -1):
        if found[i].text != ",":
            continue
        end = _end_of_credit(found, i + 1)
        if end and is_clause(found[:i]) and not is_quoted(found, i):
            is_safe = keeps(found[i:], found[i:end], "en")
            return found[:i], found[i:end] if is_safe else found[i:]
    return found, []


def _end_of_credit(found: Tokens, start: int) -> int:
    """The place after "the council said", "said the council", or "according to the council"; 0 for none."""
    says = words_of("crediting")
    if start + 1 >= len(found):
        return 0
    is_according = found[start].key == "according" and found[start + 1].key == "to"
    if is_according or found[start].key in says:
        stop = next((j for j in range(start, len(found)) if _ends_credit(found, start, j)), len(found))
        return stop if stop - start <= _MOST_SUBJECT else 0
    for j in range(start, min(start + _MOST_SUBJECT, len(found))):
        if found[j].key in says:
            has = found[j - 1].key in ("has", "have", "had")
            is_credit = _is_source(found[start : j - has]) and _credit_is_over(found, j)
            end = len(found) if found[j].key == "told" else j + 1
            return end if is_credit else 0
    return 0


def _is_source(subject: Tokens) -> bool:
    """Return whether the words can be who says something: no clause, no quotation."""
    plain = not any(token.text in '"“”;' or token.key in words_of("openers") for token in subject)
    return len(subject) > 0 and plain and not verbs(subject)[0]


def _credit_is_over(found: Tokens, said: int) -> bool:
    """Return whether after this verb nothing follows but when and where something was said."""
    if said + 1 == len(found) or found[said].key == "told":
        return True
    after = found[said + 1].key
    is_verb = found[said].key not in words_of("nouns")
    return is_verb and (after in words_of("after_credits") | {","} or _is_weekday(after))


def _ends_credit(found: Tokens, start: int, i: int) -> bool:
    by = found[i].key in words_of("credits") and found[i - 1].key in words_of("sources")
    return is_comma(found, i) or by


def _connectives(found: list[WordOrMark], room: int) -> Iterator[list[WordOrMark]]:
    """Without "However," or "But" at the beginning."""
    if len(found) > 2 and found[0].key in words_of("connectives"):
        comma = found[1].text == ","
        if found[1 + comma].key in words_of("crediting"):
            return
        if comma or found[0].key in ("but", "and", "yet", "so"):
            yield found[1 + comma :]


def _leads(found: list[WordOrMark], room: int) -> Iterator[list[WordOrMark]]:
    """Without what leads the clause up to a comma: "After a long day, ", "On Monday, "."""
    if not _is_lead(found):
        return
    for i in [i for i in range(1, min(_MOST_LEAD, len(found) - 2)) if found[i].text == ","]:
        rest = found[i + 1 :]
        stop = next((j for j in range(len(rest)) if is_comma(rest, j)), len(rest))
        first = rest[0]
        starts = first.is_word and not any(
            first.key in words_of(group) for group in ("pronouns", "prepositions", "conjunctions")
        )
        if starts and not has_finite_verb_at(rest, 0) and verbs(rest[:stop])[0]:
            yield rest
            return


def _is_lead(found: Tokens) -> bool:
    key, second = found[0].key, found[1].key if len(found) > 1 else ""
    if key in words_of("leaders"):
        return not (key == "as" and second in ("long", "soon", "if", "far", "for", "with"))
    lead = [token.key for token in found[: next((i for i, t in enumerate(found) if t.text == ","), 0)]]
    if len(lead) <= 5 and lead and all(_is_of_time(word) for word in lead):
        return any(is_calendar_word(word, "en") or word in words_of("period") for word in lead)
    if key == "in" and any(word in words_of("statements") for word in lead[1:5]):
        return True
    return key in ("less", "more", "just", "shortly", "days", "hours", "weeks") and "after" in lead


def _is_of_time(word: str) -> bool:
    small = word in ("on", "last", "this", "earlier", "late", "early", "in", "the", "next", "of", "afternoon")
    return small or is_calendar_word(word, "en") or word in words_of("period") or word[0].isdigit()


def _insertions(found: list[WordOrMark], room: int) -> Iterator[list[WordOrMark]]:
    """Without what stands between a subject and its verb, set off on both sides."""
    if not found[0].is_word or found[0].key in words_of("prepositions") | words_of("leaders"):
        return
    commas = [i for i in range(1, len(found) - 1) if is_comma(found, i)]
    if not commas:
        return
    first = commas[0]
    subject = found[:first]
    if verbs(subject)[0] or any(token.key in words_of("openers") for token in subject):
        return
    if _has_names_in_a_row(found[first : commas[-1]]):
        return
    for i in commas[1:]:
        if has_finite_verb_at(found, i + 1):
            named = _is_name(found[first + 1 : i]) and _is_kind(subject)
            yield [*(found[first + 1 : i] if named else subject), *found[i + 1 :]]
            return


def _has_names_in_a_row(found: Tokens) -> bool:
    return any(
        each.key in ("and", "or") and following.text[0].isupper() for each, following in pairwise(found)
    )


def _is_name(found: Tokens) -> bool:
    return 0 < len(found) < 6 and all(token.text[0].isupper() for token in found)


def _is_kind(found: Tokens) -> bool:
    """Return whether a subject says of what kind something is, in one noun phrase: "the largest firm"."""
    joining = words_of("prepositions") | words_of("conjunctions")
    whole = not any(token.key in joining for token in found)
    first = found[0]
    return whole and (first.key in words_of("determiners") or first.text.islower() or "'" in first.text)


def _days(found: list[WordOrMark], room: int) -> Iterator[list[WordOrMark]]:
    """Without days and dates: "on Monday", "last week", "on 12 May"."""
    kept: list[WordOrMark] = []
    i = 0
    while i < len(found):
        end = _end_of_day(found, i)
        i = end or i + 1
        if not end:
            kept.append(found[i - 1])
        elif kept and kept[-1].key in ("later", "earlier", "early", "late"):
            kept.pop()
    bound = any(token.key in words_of("scopes") or token.key.endswith(("n't", "n’t")) for token in kept)
    if len(kept) < len(found) and not bound:
        yield kept


def _end_of_day(found: Tokens, i: int) -> int:
    """The place after a day that begins here; 0 if none does."""
    before = found[i - 1].key if i else ""
    bound = before in words_of("prepositions") | words_of("determiners") | words_of("conjunctions")
    if not i or bound or is_quoted(found, i) or before.endswith(("ing", "'s", "’s")):
        return 0
    end = _end_of_date(found, i)
    if not end or end == len(found):
        return end
    follows = found[end]
    if follows.text in ("'s", "’s", "'", "’", "and", "or", "to", "-", "–") or follows.text[0].isdigit():
        return 0
    if follows.is_word and (follows.text[0].isupper() or not follows.gap):
        return 0
    goes_on = follows.key in words_of("after_days") or has_finite_verb_at(found, end)
    return end if goes_on or not follows.is_word else 0  # else as in "Saturday morning television"


def _end_of_date(found: Tokens, i: int) -> int:
    """The place after "today", "last week", "Monday", "on Monday evening", "on 12 May 2004"; 0 for none."""
    key = found[i].key
    if key in ("today", "yesterday", "tomorrow"):
        return i + 1
    if key in ("last", "this") and i + 1 < len(found) and found[i + 1].key in words_of("period"):
        return i + 2
    start = j = i + (key == "on")
    if start > i and j + 1 < len(found) and is_number(found[j]) and is_calendar_word(found[j + 1].key, "en"):
        start = j = j + 1
    while j < len(found) and (
        is_calendar_word(found[j].key, "en") or (j > start and found[j].key in words_of("period"))
    ):
        j += 1
    if j == start or len(found[start].text) <= 3 or not (start > i or _is_weekday(found[start].key)):
        return 0
    return j + (j < len(found) and is_number(found[j]))


def _is_weekday(key: str) -> bool:
    return key.endswith("day") and is_calendar_word(key, "en")
