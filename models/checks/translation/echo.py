"""Flags an output that left the source, or a long stretch of it, untranslated.

Names, numbers and single words may be the same in two languages; several ordinary words in a row are not.
"""

from collections.abc import Iterator

from models.checks.flag import Flag
from models.checks.language.words import WordForm, words
from models.checks.pair import Pair
from models.checks.translation.verbatim import tokens
from models.text.sentences import is_unspaced
from models.text.span import Span

KIND = "echo"
_RUN_WORDS = 4
"""Shared words in a row that count as copied: related languages share shorter runs (`a partir de`)."""
_ORDINARY_WORDS = 3
_WHOLE = 0.6
"""The copied share of the output's words that makes it an echo."""
_LONG_RUN_WORDS = 8
"""A copied run that gets a warning in an output that is otherwise a translation: a title, or a lapse."""


def check(pair: Pair) -> Iterator[Flag]:
    """Yield one flag if most of the output stands in the source, else a warning for each long stretch."""
    if _same_language(pair.source.language, pair.output.language):
        return
    source, output = words(pair.source.text), words(pair.output.text)
    runs = _copied_runs(source, output)
    apart = [span for _, _, span in tokens(pair.output.text)] if runs else []
    runs = [run for run in runs if _is_prose(pair.output.text, output[run.start : run.end], apart)]
    if not runs:
        return
    copied = sum(run.end - run.start for run in runs)
    if copied >= _WHOLE * len(output):
        yield Flag(KIND, Span(0, len(pair.output.text)), "The text was left in the source language.")
        return
    for run in runs:
        if run.end - run.start >= _LONG_RUN_WORDS:
            span = Span(output[run.start].span.start, output[run.end - 1].span.end)
            yield Flag(KIND, span, "This part was left in the source language.", "warning")


def _same_language(one: str, other: str) -> bool:
    return "und" in (one, other) or one.split("-")[0].lower() == other.split("-")[0].lower()


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
        return len(letters) >= 2 * _ORDINARY_WORDS
    if all(text[word.span.start : word.span.end].isupper() for word in letters):
        return len(letters) > _ORDINARY_WORDS
    return sum(not text[word.span.start].isupper() for word in letters) >= _ORDINARY_WORDS
