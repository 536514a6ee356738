"""A sentence as a headline: without its dateline and full stop, and if it is long, its main clause alone.

The main clause ends at a mark that sets off the rest of the sentence: a semicolon, a dash, or the last comma
if a relative pronoun follows it. Nothing else is left out, and no negation or condition with it.
"""

import re

from models.checks.language.negation import possible
from models.checks.language.reading import Reading

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
_KEPT = re.compile(r"\b(?:if|unless|allegedly|reportedly|may|might|si|wenn|falls|se|если)\b", re.IGNORECASE)
_ABBREVIATION = re.compile(
    r"(?:(?:^|[ .])[^\W\d_]|\b(?:Inc|Co|Corp|Ltd|Jr|Sr|St|No|etc|Mr|Mrs|Dr|Bros|Plc))\.$"
)


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
    limits = _KEPT.search(rest) is not None or possible(Reading(rest, language)) > 0
    return len(clause.split()) >= LEAST_WORDS and has_pairs and clause.count('"') % 2 == 0 and not limits
