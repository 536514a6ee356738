"""Reads the task, its languages and its text from chat messages, if the model's name does not say.

A user's message is a known prompt of another program from first to last character (`openai_prompts.toml`), or
it is all text. A system message may state the task in a plain sentence.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any, Literal

from babel import Locale
from babel.core import UnknownLocaleError

from models.choices import Length, SummaryFormat
from models.errors import InvalidInput, UnsupportedLanguage
from models.languages import Languages

SYSTEM_CHARACTERS = 8000
"""The most that the system messages of one request have together."""
SLOT_CHARACTERS = 1000
"""The most that a language or anything else but the text has within a form."""

_SLOT = re.compile(r"\{(source|target|any|text)\}")
_SENTENCE_END = re.compile(r"[.!?:;]\s|\n")
_REGIONAL = re.compile(r"([a-z]{2,3})-(?:[a-z]{2}|\d{3})")


@dataclass(frozen=True, slots=True)
class PromptTask:
    """A task as far as it was said. What was not is None."""

    task: Literal["translate", "summarize"] | None = None
    source: str | None = None
    target: str | None = None
    length: Length | None = None
    format: SummaryFormat | None = None
    max_sentences: int | None = None

    def over(self, other: "PromptTask") -> "PromptTask":
        """Return what this one says, and where it says nothing, what the other one does."""
        if self.task and other.task and self.task != other.task:
            return self
        names = ("task", "source", "target", "length", "format", "max_sentences")
        mine = {name: getattr(self, name) for name in names}
        return replace(other, **{name: value for name, value in mine.items() if value is not None})


class LanguageNames:
    """Finds languages as prompts write them: `French`, `français`, `Brazilian Portuguese`, `zh-CN`.

    Making it reads CLDR's names, which takes a moment.
    """

    def __init__(self, languages: Languages, more: Mapping[str, str]):
        self._languages = languages
        self._names = {**_names(languages), **more}

    def code(self, said: str) -> str | None:
        """Return the language's code, with the region if one was said; None for what is no language."""
        name = said.strip("\"'“”‘’`*<>[]{} ").lower().replace("_", "-")
        plain = name.partition(" (")[0]  # `Deutsch (Förmlich: Sie)`
        if name not in self._names and (found := _REGIONAL.fullmatch(name)) and found[1] in self._names:
            return self._languages.with_region(name, "target")
        return self._names.get(name) or self._names.get(plain)


def _names(languages: Languages) -> dict[str, str]:
    """English names, those of variants among them, each language's own name, and codes: in lower case."""
    found = {name.lower(): code for code, name in languages.names().items()}
    for code, name in Locale("en").languages.items():
        try:
            own = languages.with_region(code, "target")
        except UnsupportedLanguage:
            continue
        found.setdefault(name.lower(), own)
        found.setdefault(code.replace("_", "-").lower(), own)
    for code in languages.names():
        found[code.lower()] = code
        try:
            locale = Locale.parse(code, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
        named = [locale.languages.get(str(locale)), locale.languages.get(locale.language)]
        found |= {name.lower(): code for name in named if name and name.lower() not in found}
    return found


class Form:
    """A prompt with slots, as `openai_prompts.toml` explains them, and what it asks for."""

    def __init__(self, form: str, task: PromptTask):
        self._task = task
        self._head, *parts = _SLOT.split(form)
        self._slots = list(zip(parts[::2], parts[1::2], strict=True))

    def match(self, said: str, names: LanguageNames) -> tuple[PromptTask, str] | None:
        """Return what is asked for, and for what text; None where any of it differs from the form."""
        if not said.startswith(self._head):
            return None
        start = len(self._head)
        text, codes = "", {}
        for slot, after in self._slots:
            if slot == "text" or not after:
                end = len(said) - len(after) if said.endswith(after) else -1
            else:
                end = said.find(after, start, start + SLOT_CHARACTERS + len(after))
            if end < start:
                return None
            value = said[start:end]
            start = end + len(after)
            if slot == "text":
                text = value
            elif len(value) > SLOT_CHARACTERS or "\n" in value:
                return None
            elif slot != "any":
                if (code := names.code(value)) is None:
                    return None
                codes[slot] = code
        if start < len(said):
            return None
        return replace(self._task, source=codes.get("source"), target=codes.get("target")), text


class PromptReader:
    """Reads messages as a task and a text."""

    def __init__(self, languages: Languages):
        table = tomllib.loads((files(__package__) / "openai_prompts.toml").read_text("utf-8"))
        self._languages = languages
        self._names = LanguageNames(languages, table["names"])
        self._prompts = list(_forms(table["user"]))
        self._sentences = list(_forms(table["system"]))

    def read(self, system: Sequence[str], user: str, named: PromptTask) -> tuple[PromptTask, str]:
        """Return what is wanted, by the model's name and the messages, and the text it is wanted for.

        Raises InvalidInput for system messages that are too long, and where the user's message is a prompt
        that asks for another language than the model's name.
        """
        if (size := sum(map(len, system))) > SYSTEM_CHARACTERS:
            raise InvalidInput(
                f"the system messages have {size} characters together",
                field="messages",
                allowed=f"at most {SYSTEM_CHARACTERS} characters of system messages",
            )
        general = named.over(self._said("\n".join(system)))
        own, text = self._first(self._prompts, user) or (PromptTask(), user)
        if not own.task or (general.task and own.task != general.task):
            return general, user
        wanted = [self._languages.normalize(each, "target") for each in (named.target, own.target) if each]
        if len(set(wanted)) > 1:
            raise InvalidInput(
                f"the model's name says {named.target}, and the message {own.target}",
                field="model",
                allowed="`translate` or `summarize`, which leave the language to the message",
            )
        return named.over(own.over(general)), text

    def _said(self, system: str) -> PromptTask:
        """What the first plain sentence asks for."""
        for sentence in _SENTENCE_END.split(system):
            said = sentence.strip(" \t.!?:;*#-").lower().removeprefix("please ")
            for each in (said, said.partition(",")[0]):
                if found := self._first(self._sentences, each):
                    return found[0]
        return PromptTask()

    def _first(self, forms: Iterable[Form], said: str) -> tuple[PromptTask, str] | None:
        return next((found for form in forms if (found := form.match(said, self._names))), None)


def _forms(rows: Iterable[Mapping[str, Any]]) -> Iterable[Form]:
    for row in rows:
        given = {name: row[name] for name in ("task", "format", "max_sentences") if name in row}
        yield from (Form(form, PromptTask(**given)) for form in row["forms"])
