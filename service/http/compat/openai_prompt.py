"""Prompts, as far as they plainly say a task of ours: "Translate the following text to French:\\n\\n...".

A prompt is an instruction and a text. Only the beginning and the end of a message can be instruction, and
only what other software's own prompts look like is taken for one: in doubt it is text.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from models.choices import MAX_SENTENCES, Length, SummaryFormat
from models.errors import InvalidInput
from service.http.compat.openai_languages import LanguageNames

SYSTEM_CHARACTERS = 8000
"""The part of a system message that is read."""
HEAD_CHARACTERS = 2000
"""The part of a user's message in which its instruction stands."""
TAIL_CHARACTERS = 200
MOST_PREAMBLES = 3

_PREAMBLE = re.compile(
    r"\W{0,9}(?:you are|you're|act as) [^\n.]{0,200}"
    r"\b(?:translat|summari|engine|expert|assistant|linguist|editor)[^\n]{0,1500}\n\s*",
    re.I,
)
_BEGINS = re.compile(
    r"\W{0,9}(?:(?:please|kindly|now|also|(?:can|could|would|will) you(?: please)?|i want you to|"
    r"your task is to|task:)[\s,:]{1,3}){0,3}"
    r"(?:translat\w{0,4}|summari[sz]e|sum up|tl;?dr|treat (?:the )?next line|(?:give|write|create|provide|"
    r"generate|make)\b[^\n.:]{0,60}\b(?:summary|translation))\b",
    re.I,
)
_TRANSLATES = re.compile(r"\btranslat", re.I)
_SUMMARIZES = re.compile(r"\bsummari[sz](?:e|es|ing|ation)\b|\bsummary\b|\btl;?dr\b|\bsum up\b", re.I)
_NEGATED = re.compile(r"\b(?:not|never|don't|without)\b[^.!?\n]{0,60}$", re.I)
_HAND_OVER = re.compile(r":(?=\s|\\n|$)|\n")
_FURTHER = re.compile(
    r"[-*\s]{0,9}(?:only|output|return|reply|respond|answer|give|write|keep|preserve|maintain|retain|use|focus|avoid|"
    r"ensure|make sure|do not|don't|never|no|be)\b[^\n]{0,500}\n",
    re.I,
)
_LISTS = re.compile(
    r"\b(?:rules?|guidelines?|requirements?|instructions?|(?<!no )notes?|constraints?|format|steps?|"
    r"examples?)\s{0,3}$",
    re.I,
)
_LABEL = re.compile(
    r"(?:here is the |the |source |input |original ){0,2}(?:text|input|content|article|source)"
    r"(?: to (?:translate|summari[sz]e))?\s{0,3}:[ \t]{0,9}\n?",
    re.I,
)
_LABEL_LINE = re.compile(rf"\n\s{{0,9}}{_LABEL.pattern}", re.I)
_TAIL = re.compile(
    r"\n\s{0,9}(?:translated text|translation|target text|output|summary|here is (?:your|the) [^\n:]{0,100})"
    r"\s{0,3}:\s{0,9}$",
    re.I,
)
_FENCES = (("```", "```"), ('"""', '"""'), ("<text>", "</text>"), ("<article>", "</article>"))
_ARTICLE = re.compile(
    r"title:[^\n]{0,1000}\n(?:[a-z]{1,12}:[^\n]{0,1000}\n){0,4}\s{0,9}content:\s{0,9}", re.I
)
_COUNT = re.compile(
    r"\b(?:(\d{1,3}) ?(?:-|–|to|or) ?)?(\d{1,3}|one|two|three|four|five|six|seven|eight|nine|ten)"
    r" (?:\w{1,12} ){0,2}(sentence|bullet|point|line)",
    re.I,
)
_BULLETS = re.compile(r"\bbullet|\bkey points as a list\b", re.I)
_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True, slots=True)
class Wish:
    """A task as far as it was said. What was not is None."""

    task: Literal["translate", "summarize"] | None = None
    source: str | None = None
    target: str | None = None
    length: Length | None = None
    format: SummaryFormat | None = None
    max_sentences: int | None = None

    def over(self, other: "Wish") -> "Wish":
        """Return what this one says, and where it says nothing, what the other one does."""
        if self.task and other.task and self.task != other.task:
            return self
        names = ("task", "source", "target", "length", "format", "max_sentences")
        mine = {name: getattr(self, name) for name in names}
        return replace(other, **{name: value for name, value in mine.items() if value is not None})


class PromptReader:
    """Reads messages as a task and a text."""

    def __init__(self, names: LanguageNames):
        self._names = names
        language = names.pattern
        self._pair = re.compile(
            rf"\bfrom\s(?:the\s)?({language})(?:\s\([^()]{{0,40}}\))?\W{{0,3}}\s?(?:in)?to\s(?:the\s)?({language})"
            rf"|({language})\s?(?:→|->|=>|-to-)\s?({language})",
            re.I,
        )
        self._to = re.compile(
            rf"\b(?:in)?to\s(?:(?:the|an?|fluent|natural|native|idiomatic|plain|standard|modern)\s){{0,3}}({language})"
            rf"|\btarget language\s?(?:is|:|=)\s?({language})",
            re.I,
        )
        self._in = re.compile(rf"\bin\s(?:the\s)?({language})", re.I)

    def read(self, system: Sequence[str], user: str, named: Wish) -> tuple[Wish, str]:
        """Return what is wanted, by the model's name and the messages, and the text it is wanted for.

        Raises InvalidInput where the messages say something else than the model's name.
        """
        general = named.over(self._wish(" ".join(each[:SYSTEM_CHARACTERS] for each in system)))
        head, text = _split(user)
        own = self._wish(head)
        if not own.task or not text.strip() or (general.task and own.task != general.task):
            return general, _unwrapped(user, general)
        if named.target and own.target and named.target != own.target:
            raise InvalidInput(
                f"the model's name says {named.target}, and the message {own.target}",
                field="model",
                allowed="`translate` or `summarize`, which leave the language to the message",
            )
        wish = named.over(own.over(general))
        return wish, _unwrapped(text, wish)

    def _wish(self, instruction: str) -> Wish:
        said = " ".join(instruction.split())
        at = next(
            (found.start() for found in _SUMMARIZES.finditer(said) if not _is_negated(said, found)), None
        )
        translates = _TRANSLATES.search(said)
        source, target = self._languages(said) if translates else (None, None)
        if translates and (at is None or (target and translates.start() < at)):
            return Wish("translate", source, target)
        if at is None or (translates and not target):
            return Wish()
        sentences, bullets = _shape(said)
        return Wish(
            "summarize",
            target=target or self._one(self._in.finditer(said[at:])),
            format="bullets" if bullets else None,
            max_sentences=sentences,
        )

    def _languages(self, said: str) -> tuple[str | None, str | None]:
        """The source and the target of a translation, each None where it is not said, or said in two ways."""
        after = said[_first(_TRANSLATES, said) :]
        pairs = {self._codes(found.groups()) for found in self._pair.finditer(said)}
        if pairs:
            source, target = pairs.pop() if len(pairs) == 1 else (None, None)
            return source, target
        found = self._one(self._to.finditer(after))
        sentence = re.split(r"[.!?] ", after, maxsplit=1)[0]
        return None, found or (None if self._to.search(after) else self._one(self._in.finditer(sentence)))

    def _codes(self, groups: Iterable[str | None]) -> tuple[str | None, str | None]:
        source, target = (self._names.code(each) for each in groups if each)
        return source, target

    def _one(self, found: Iterable[re.Match[str]]) -> str | None:
        codes = {self._names.code(next(filter(None, each.groups()))) for each in found} - {None}
        return codes.pop() if len(codes) == 1 else None


def _first(pattern: re.Pattern[str], said: str) -> int:
    found = pattern.search(said)
    return found.start() if found else 0


def _is_negated(said: str, found: re.Match[str]) -> bool:
    return bool(_NEGATED.search(said[max(0, found.start() - 80) : found.start()]))


def _shape(said: str) -> tuple[int | None, bool]:
    """The most sentences that a summary is to have, and whether in bullets."""
    found = _COUNT.search(said)
    number = None
    if found:
        number = _WORDS.index(found[2].lower()) + 1 if found[2].lower() in _WORDS else int(found[2])
    listed = bool(found and found[3].lower() in ("bullet", "point"))
    return (number if number and number <= MAX_SENTENCES else None), listed or bool(_BULLETS.search(said))


def _split(user: str) -> tuple[str, str]:
    """A message's instruction and its text; no instruction where it does not begin with one."""
    start = 0
    for _ in range(MOST_PREAMBLES):
        found = _PREAMBLE.match(user, start, HEAD_CHARACTERS)
        if not found:
            break
        start = found.end()
    begins = _BEGINS.match(user, start, HEAD_CHARACTERS)
    if not begins:
        return "", user
    end = _hand_over(user, begins.end())
    if not end:
        return "", user
    start = end.end()
    while end[0] == "\n" and (more := _FURTHER.match(user, start, HEAD_CHARACTERS)):
        start = more.end()
    text = user[start:]
    if text.startswith("\\n"):  # as FreshRSS's summarizer has it in its own prompt
        text = text.replace("\\n", "\n")
    if _LISTS.search(
        user, max(0, end.start() - 20), end.start()
    ):  # what follows are rules, and then the text
        label = _LABEL_LINE.search(user, end.end(), HEAD_CHARACTERS)
        if not label:
            return "", user
        end, text = label, user[label.end() :]
    tail = _TAIL.search(text, max(0, len(text) - TAIL_CHARACTERS))
    text = text[: tail.start()] if tail else text
    named = _LABEL.match(text.lstrip())
    return user[: max(start, end.start())], text.lstrip()[named.end() :] if named else text


def _hand_over(user: str, start: int) -> re.Match[str] | None:
    """The colon or line end that the instruction ends with, outside brackets."""
    for found in _HAND_OVER.finditer(user, start, HEAD_CHARACTERS):
        before = user[start : found.start()]
        if found[0] == "\n" or before.count("(") <= before.count(")"):
            return found
    return None


def _unwrapped(text: str, wish: Wish) -> str:
    """The text without the marks around all of it, and what feed readers put before an article."""
    inner = text.strip("\n ")
    for opening, closing in _FENCES:
        if inner.startswith(opening) and inner.endswith(closing) and len(inner) > len(opening + closing):
            return inner[len(opening) : -len(closing)].strip("\n")
    if wish.task == "summarize" and (found := _ARTICLE.match(inner)):
        return inner[found.end() :]
    return inner if wish.task else text
