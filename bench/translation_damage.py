"""Damage done on purpose to a translation, for `translation_checks.py`: what a check is to find again."""

import random
import re
from collections.abc import Callable

from babel import Locale

Damage = Callable[[str, str, random.Random, str], tuple[str, str] | None]
"""(source, output, random numbers, the output's language) -> both, damaged; None where it cannot be."""
URL = "https://news.example.org/a/2019?id=7"
DIGITS = re.compile(r"\d+")


def drop_number(source: str, output: str, rng: random.Random, target: str) -> tuple[str, str] | None:
    found = list(DIGITS.finditer(output))
    if not found:
        return None
    match = rng.choice(found)
    return source, output[: match.start()] + output[match.end() :]


def change_digit(source: str, output: str, rng: random.Random, target: str) -> tuple[str, str] | None:
    places = [match.start() for match in re.finditer(r"\d", output)]
    if not places:
        return None
    at = rng.choice(places)
    digit = rng.choice([d for d in "123456789" if d != output[at]])
    return source, output[:at] + digit + output[at + 1 :]


def cut(share: float) -> Damage:
    def damage(source: str, output: str, rng: random.Random, target: str) -> tuple[str, str]:
        return source, output[: int(len(output) * (1 - share))]

    return damage


def double(source: str, output: str, rng: random.Random, target: str) -> tuple[str, str]:
    return source, output + " " + output


def loop(source: str, output: str, rng: random.Random, target: str) -> tuple[str, str]:
    spaced = " " in output
    words = output.split() if spaced else list(output)
    at = rng.randrange(max(1, len(words) - 3))
    group = words[at : at + rng.randint(2, 6)]
    return source, (" " if spaced else "").join(words[: at + len(group)] + group * 3)


def leave(source: str, output: str, rng: random.Random, target: str) -> tuple[str, str] | None:
    return (source, source) if source != output else None


def leave_half(source: str, output: str, rng: random.Random, target: str) -> tuple[str, str]:
    return source, output[: len(output) // 3] + source[len(source) // 3 :]


def lose_address(source: str, output: str, rng: random.Random, target: str) -> tuple[str, str]:
    return f"{source} {URL}", output


def change_address(source: str, output: str, rng: random.Random, target: str) -> tuple[str, str]:
    return f"{source} {URL}", f"{output} {URL.replace('id=7', 'id=1')}"


def lose_placeholder(source: str, output: str, rng: random.Random, target: str) -> tuple[str, str]:
    return f"{source} {{user_name}} %(count)d", f"{output} {{user_name}} % (count) d"


def misspell(source: str, output: str, rng: random.Random, target: str) -> tuple[str, str] | None:
    """One letter inside a word of a name of several words that both sides have."""
    names = re.findall(r"[A-Z][a-z]{3,} [A-Z][a-z]{4,}", source)
    words = [word for name in names for word in name.split() if len(word) > 4 and word in output]
    if not words:
        return None
    word = rng.choice(words)
    at = rng.randrange(1, len(word) - 1)
    letter = rng.choice([x for x in "aeioubdgklmnprst" if x != word[at]])
    return source, output.replace(word, word[:at] + letter + word[at + 1 :])


def another(languages: dict[str, list[str]]) -> Damage:
    """The first of the names that the output has becomes another one of the list."""

    def damage(source: str, output: str, rng: random.Random, target: str) -> tuple[str, str] | None:
        listed = languages[target]
        found = [name for name in listed if _name(name, target).search(output)]
        if not found:
            return None
        name = rng.choice(found)
        return source, _name(name, target).sub(rng.choice([n for n in listed if n != name]), output, count=1)

    return damage


def _name(name: str, target: str) -> re.Pattern[str]:
    return re.compile(re.escape(name) if target == "zh" else rf"(?<![\w-]){re.escape(name)}(?![\w-])")


def calendar(kind: str) -> dict[str, list[str]]:
    found = {}
    for code in LANGUAGES:
        names = getattr(Locale(code), kind)["format"]["wide"]
        found[code] = [name for name in names.values() if name not in ("May", "March")]
    return found


LANGUAGES = ("en", "fr", "es", "de", "it", "pt", "ru", "zh")
COUNTRIES = "US GB DE FR RU CN IT ES JP IN ID IR IQ IL SY GR PL TR CA AU BR MX AF UA EG".split()  # noqa: SIM905
NEGATIONS = {
    "en": r"n[’']t\b| not\b| never\b",
    "fr": r"\b[Nn](?:e |[’'])|\bpas ",
    "es": r"\b[Nn]o (?=\w)",
    "de": r"\bnicht |\bk(?=eine?)",
    "it": r"\b[Nn]on ",
    "pt": r"\b[Nn]ão ",
    "ru": r"\b[Нн]е ",
    "zh": r"不会|没有|不能|不是|不",
}


def drop_negation(source: str, output: str, rng: random.Random, target: str) -> tuple[str, str] | None:
    """One negation out of the output; in French both its words."""
    pattern = re.compile(NEGATIONS[target])
    if not NEGATED.search(source) or not pattern.search(output):
        return None
    return source, pattern.sub("", output, count=2 if target == "fr" else 1)


NEGATED = re.compile("|".join(NEGATIONS.values()))

DAMAGES: dict[str, tuple[str, Damage]] = {
    "a number dropped": ("number", drop_number),
    "a digit changed": ("number", change_digit),
    "the last half cut off": ("omission", cut(0.5)),
    "the last third cut off": ("omission", cut(1 / 3)),
    "empty": ("omission", cut(1.0)),
    "all of it twice": ("repetition", double),
    "a group of words in a loop": ("repetition", loop),
    "left in the source language": ("echo", leave),
    "two thirds left in the source language": ("echo", leave_half),
    "an address dropped": ("verbatim", lose_address),
    "an address changed": ("verbatim", change_address),
    "a placeholder broken": ("verbatim", lose_placeholder),
    "a letter of a name changed": ("name", misspell),
    "another day of the week": ("date", another(calendar("days"))),
    "another month": ("date", another(calendar("months"))),
    "another country": (
        "place",
        another({c: [Locale(c).territories[each] for each in COUNTRIES] for c in LANGUAGES}),
    ),
    "a negation dropped": ("negation", drop_negation),
}
