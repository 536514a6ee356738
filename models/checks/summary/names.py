"""Flags names in an output that its source has in no form."""

import re
from collections.abc import Iterator
from itertools import groupby

from models.checks.flag import Flag, Severity
from models.checks.language.calendar_words import is_calendar_word
from models.checks.language.capitals import Capital, Name, nouns_are_capitalized
from models.checks.language.common_words import common_words
from models.checks.language.known_names import is_place, ordinary_endings, titles
from models.checks.language.ordinary_words import is_ordinary
from models.checks.pair import Pair
from models.text.span import Span

_LEAST_LETTERS = 2
_ROMAN = re.compile(r"[IVX]+")
_PARTICLE_LETTERS = 3
_MOST_COMPARED = 1000
"""After this many missing words no misspellings are looked for: nobody would read so many."""
_VERB_AFTER = re.compile(
    r" (?:is|are|was|were|has|had|have|will|would|can|could|should|may|might|must|did|does|do|said|says|made"
    r"|gave|took|won|lost|left|went|came|became|began|told|got|ran|held|put|set|beat|led|met|cut|broke|wrote|kept"
    r"|sent|bought|sold|beat|paid|built|sought|fought|drew|chose|spent|spoke|brought|hit|threw|saw|found|drove"
    r"|also|previously|never|who|and|[a-z]{3,}ed|[a-z]{3,}s)\b"
    r"|, (?:\d|(?:who|which|where|the|an?)\b)"
)
"""Follows the first word of an English sentence if that is a name: a bare noun hardly ever begins one."""
_SINGULAR_AFTER = re.compile(
    r"(?: |, who )(?:is|was|has|does)\b| (?!always|perhaps|sometimes)[a-z]{3,}[^\Ws]s\b"
)
"""Shows that a first word with a plural's ending is one person or place."""


def check(pair: Pair) -> Iterator[Flag | None]:
    """Yield a flag for each stretch of names that the source lacks, a warning for a likely misspelling."""
    if pair.across_languages:
        return
    known = pair.known_names
    asked = 0
    for name in pair.output_names:
        yield None
        if known.holds_as_initials(name):
            continue
        absent = [part for part in name if _counts(part, name, pair) and not known.holds(part)]
        if len(absent) < len(name):
            absent = [part for part in absent if not known.holds_shortened(part, name)]
        asked += len(absent)
        misspelt = (
            [(part, other) for part in absent if (other := known.resembling(part))]
            if asked <= _MOST_COMPARED
            else []
        )
        for part, other in misspelt:
            absent.remove(part)
            reason = f"The source spells it {other.written}, not {part.written}."
            yield Flag("spelling", part.span, reason, "warning", other.span)
        if nouns_are_capitalized(pair.output) and len(absent) < len(name):
            continue
        for stretch in _stretches(absent, name):
            yield _flag(stretch, name, pair)


def _counts(part: Capital, name: Name, pair: Pair) -> bool:
    """Return whether the word is surely a name."""
    if (
        len(part.key) < _LEAST_LETTERS
        or part.key in titles()
        or is_calendar_word(part.key, pair.output.base_language)
    ):
        return False
    if _ROMAN.fullmatch(part.written):
        return False
    if part is not name[-1] and len(part.key) <= _PARTICLE_LETTERS and not part.written.isupper():
        return False
    if nouns_are_capitalized(pair.output):
        return not part.initial and _adjoins(part, name)
    return not part.initial or _is_name_at_start(part, name, pair)


def _adjoins(part: Capital, name: Name) -> bool:
    """Return whether only one character separates the word from another of the name."""
    return any(
        part.span.start - 1 == other.span.end or part.span.end + 1 == other.span.start for other in name
    )


def _is_name_at_start(part: Capital, name: Name, pair: Pair) -> bool:
    """Return whether a sentence's first word would have a capital elsewhere, too."""
    language = pair.output.base_language
    text, end = pair.output.text, part.span.end
    english = language in ("en", "und")
    if part.key in common_words(language):
        return False
    if is_place(part.key, language):
        return True
    if english and is_ordinary(part.key, "en"):
        return False
    if part.key in pair.surely_named or re.match(r"[’']s\b", text[end - 2 : end]):
        return True
    if not english:  # whose words are not looked at
        return False
    if len(name) > 1 and name[1].span.start - end == 1:
        return not part.key.endswith(ordinary_endings()) or pair.known_names.holds(name[1])
    if part.key.endswith(ordinary_endings()):
        return part.key.endswith("s") and _SINGULAR_AFTER.match(text, end) is not None
    return _VERB_AFTER.match(text, end) is not None


def _stretches(absent: list[Capital], name: Name) -> Iterator[list[Capital]]:
    """Yield the absent words of a name, neighbours together."""
    return (list(parts) for is_absent, parts in groupby(name, key=absent.__contains__) if is_absent)


def _flag(stretch: list[Capital], name: Name, pair: Pair) -> Flag:
    span = Span(stretch[0].span.start, stretch[-1].span.end)
    written = pair.output.text[span.start : span.end]
    held = [part.key for part in name if part not in stretch]
    other = pair.known_names.with_part(held[-1]) if held else None
    # a noun beside a noun looks like a name where all of them have capitals
    severity: Severity = "warning" if nouns_are_capitalized(pair.output) else "error"
    if other is None:
        return Flag("name", span, f"The source does not name {written}.", severity)
    source = Span(other[0].span.start, other[-1].span.end)
    reason = f"The source has {pair.source.text[source.start : source.end]}, not {written}."
    return Flag("name", span, reason, severity, source)
