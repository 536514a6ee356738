"""Damage done on purpose to a translation, for `translation_checks.py`: what a check is to find again.

What the checks on translations find in professional translations, and in the same ones damaged on purpose.

    python bench/translation_checks.py FOLDER

FOLDER holds `news_dev.jsonl.gz`: {"doc", "i", "en", "fr", ...}, one sentence a line, in document order. All
pairs of English and another language, both ways. Three tables: sentences flagged by each check (a false alarm
unless the translator was wrong), damage found by the check that it is for, and whole documents, of which
sentences are taken out or to which they are added.
"""

import argparse
import gzip
import json
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from babel import Locale

from models.checks.flag import Flag
from models.checks.language.reading import Reading
from models.checks.pair import Pair
from models.checks.registry import TRANSLATION_CHECKS, check_translation, run
from models.cooperative import finish
from models.text.span import Span

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
        found = [name for name in listed if _name(name, target, listed).search(output)]
        if not found:
            return None
        name = rng.choice(found)
        other = rng.choice([n for n in listed if n != name])
        return source, _name(name, target, listed).sub(other, output, count=1)

    return damage


def _name(name: str, target: str, listed: Sequence[str] = ()) -> re.Pattern[str]:
    """Finds the name, but in Chinese not within a longer one of the list: Indonesia begins like India."""
    if target != "zh":
        return re.compile(rf"(?<![\w-]){re.escape(name)}(?![\w-])")
    longer = [each.partition(name) for each in listed if name in each and name != each]
    return re.compile("".join(f"(?!(?<={before}){name}{after})" for before, _, after in longer) + name)


def calendar(kind: str) -> dict[str, list[str]]:
    found = {}
    for code in LANGUAGES:
        names = getattr(Locale(code), kind)["format"]["wide"]
        found[code] = [name for name in names.values() if name not in ("May", "March")]
    return found


def same_twice(source: str, output: str, rng: random.Random, target: str) -> tuple[str, str] | None:
    """The second of two countries that the output has becomes the first one."""
    listed = COUNTRY_NAMES[target]
    found = [name for name in listed if _name(name, target, listed).search(output)]
    if len(found) < 2:
        return None
    first, second = rng.sample(found, 2)
    return source, _name(second, target, listed).sub(first, output)


def another_magnitude(source: str, output: str, rng: random.Random, target: str) -> tuple[str, str] | None:
    """A thousand, a million or a billion becomes another of them."""
    groups = [group.split() for group in MAGNITUDES[target]]
    found = [
        (i, j)
        for i, group in enumerate(groups)
        for j, word in enumerate(group)
        if _name(word, target).search(output)
    ]
    if not found:
        return None
    i, j = rng.choice(found)
    other = rng.choice([group for group in groups if group is not groups[i]])
    return source, _name(groups[i][j], target).sub(other[j], output)


def other_direction(source: str, output: str, rng: random.Random, target: str) -> tuple[str, str] | None:
    """A country that both name becomes North Korea in an English source, and South Korea in the output."""
    for code in COUNTRIES if target != "en" else ():
        theirs, ours = (_name(Locale(each).territories[code], each) for each in ("en", target))
        if theirs.search(source) and ours.search(output):
            one, other = Locale("en").territories["KP"], Locale(target).territories["KR"]
            return theirs.sub(one, source), ours.sub(other, output)
    return None


LANGUAGES = ("en", "fr", "es", "de", "it", "pt", "ru", "zh")
COUNTRIES = "US GB DE FR RU CN IT ES JP IN ID IR IQ IL SY GR PL TR CA AU BR MX AF UA EG".split()  # noqa: SIM905
COUNTRY_NAMES = {c: [Locale(c).territories[each] for each in COUNTRIES] for c in LANGUAGES}
SEASONS = {
    "en": ["spring", "summer", "autumn", "winter"],
    "fr": ["printemps", "été", "automne", "hiver"],
    "es": ["primavera", "verano", "otoño", "invierno"],
    "de": ["Frühling", "Sommer", "Herbst", "Winter"],
    "it": ["primavera", "estate", "autunno", "inverno"],
    "pt": ["primavera", "verão", "outono", "inverno"],
    "ru": ["весной", "летом", "осенью", "зимой"],
    "zh": ["春季", "夏季", "秋季", "冬季"],
}
MAGNITUDES = {  # one, and several
    "en": ["thousand thousands", "million millions", "billion billions"],
    "fr": ["mille milliers", "million millions", "milliard milliards"],
    "es": ["mil miles", "millón millones", "billón billones"],
    "de": ["tausend Tausende", "Million Millionen", "Milliarde Milliarden"],
    "it": ["mille migliaia", "milione milioni", "miliardo miliardi"],
    "pt": ["mil milhares", "milhão milhões", "bilhão bilhões"],
    "ru": ["тысяча тысяч", "миллион миллионов", "миллиард миллиардов"],
    "zh": ["千", "百万", "十亿"],
}
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
BOUNDS = {  # the first becomes the second
    "en": {"less than": "at least", "more than": "less than", "at least": "at most", "up to": "more than"},
    "fr": {"moins de": "au moins", "plus de": "moins de", "au moins": "au plus", "jusqu’à": "plus de"},
    "de": {
        "weniger als": "mindestens",
        "mehr als": "weniger als",
        "mindestens": "höchstens",
        "bis zu": "über",
    },
    "es": {"menos de": "al menos", "más de": "menos de", "al menos": "como máximo", "hasta": "más de"},
    "it": {"meno di": "almeno", "più di": "meno di", "almeno": "al massimo", "fino a": "più di"},
    "pt": {"menos de": "pelo menos", "mais de": "menos de", "pelo menos": "no máximo", "até": "mais de"},
    "ru": {"не менее": "не более", "более": "менее", "менее": "более"},
    "zh": {"超过": "不到", "至少": "最多"},
}


def other_bound(source: str, output: str, rng: random.Random, target: str) -> tuple[str, str] | None:
    """`Less than` becomes `at least`, and so on, where the source bounds something, too."""
    words = [word for word in BOUNDS[target] if word in output]
    if not words or not any(word in source for table in BOUNDS.values() for word in table):
        return None
    return source, output.replace(words[0], BOUNDS[target][words[0]], 1)


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
        another(COUNTRY_NAMES),
    ),
    "the other Korea": ("place", other_direction),
    "a country named twice for two": ("place", same_twice),
    "another season": ("date", another(SEASONS)),
    "another magnitude": ("number", another_magnitude),
    "a negation dropped": ("negation", drop_negation),
    "less than for at least": ("number", other_bound),
}


Row = dict[str, str]


def read(folder: Path) -> list[Row]:
    with gzip.open(folder / "news_dev.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def directions(row: Row) -> list[tuple[str, str]]:
    others = [code for code in row if code not in ("doc", "i", "en")]
    return [pair for other in others for pair in (("en", other), (other, "en"))]


def pairs(rows: list[Row]) -> Iterator[tuple[str, str, str, str]]:
    for row in rows:
        for source, target in directions(row):
            yield source, target, row[source], row[target]


def _all(text: str, output: str, source: str, target: str) -> list[Flag]:
    return finish(run(TRANSLATION_CHECKS, Pair(Reading(text, source), Reading(output, target))))


def false_alarms(rows: list[Row]) -> None:
    found: dict[str, Counter[str]] = defaultdict(Counter)
    total, started = 0, time.process_time()
    for source, target, text, output in pairs(rows):
        flags = _all(text, output, source, target)
        total += 1
        for kind in {flag.kind for flag in flags} | ({"any"} if flags else set()):
            own = [flag.severity for flag in flags if kind in ("any", flag.kind)]
            found[kind]["error" if "error" in own else "warning"] += 1
    took = (time.process_time() - started) / total
    print(f"{total} sentences, {1000 * took:.2f} ms of CPU each\n")
    print("| kind | errors % | warnings alone % |\n|---|---|---|")
    for kind, counts in sorted(found.items()):
        print(f"| {kind} | {100 * counts['error'] / total:.2f} | {100 * counts['warning'] / total:.2f} |")


def detection(rows: list[Row], rng: random.Random) -> None:
    print(
        "\n| damage | kind | cases | as an error % | at all % | by any check % | untouched, flagged % |\n"
        "|---|---|---|---|---|---|---|"
    )
    for name, (kind, damage) in DAMAGES.items():
        counts: Counter[str] = Counter()
        for source, target, text, output in pairs(rows):
            damaged = damage(text, output, rng, target)
            if damaged is None:
                continue
            flags = _all(*damaged, source, target)
            own = {flag.severity for flag in flags if flag.kind == kind}
            before = _all(text, output, source, target)
            counts.update(cases=1, error="error" in own, own=bool(own), any=bool(flags), before=bool(before))
        shares = [100 * counts[key] / max(1, counts["cases"]) for key in ("error", "own", "any", "before")]
        print(
            f"| {name} | {kind} | {counts['cases']} | "
            + " | ".join(f"{share:.1f}" for share in shares)
            + " |"
        )


def text_of(sentences: list[str]) -> tuple[str, list[Span]]:
    """The sentences as one paragraph, and where each stands."""
    text, spans = "", []
    for sentence in sentences:
        text += " " if text else ""
        spans.append(Span(len(text), len(text) + len(sentence)))
        text += sentence
    return text, spans


def meets(one: Span | None, other: Span) -> bool:
    return one is not None and one.start < other.end and other.start < one.end


def documents(rows: list[Row], rng: random.Random) -> None:
    docs: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        docs[row["doc"]].append(row)
    counts: Counter[str] = Counter()
    started = time.process_time()
    for doc in (doc for doc in docs.values() if len(doc) > 3):
        for source, target in directions(doc[0]):
            theirs, ours = [row[source] for row in doc], [row[target] for row in doc]
            at = rng.randrange(len(doc))
            text, spans = text_of(theirs)
            flags = _flags(text, text_of(ours)[0], source, target)
            counts.update(
                sentences=len(doc), docs=1, moved=sum(f.kind in ("omission", "addition") for f in flags)
            )
            counts["errors"] += sum(flag.severity == "error" for flag in flags)
            flags = _flags(text, text_of(ours[:at] + ours[at + 1 :])[0], source, target)
            counts["lost"] += any(flag.kind == "omission" and meets(flag.source, spans[at]) for flag in flags)
            output, spans = text_of(ours)
            flags = _flags(text_of(theirs[:at] + theirs[at + 1 :])[0], output, source, target)
            counts["added"] += any(flag.kind == "addition" and meets(flag.span, spans[at]) for flag in flags)
    took = (time.process_time() - started) / 3 / counts["sentences"]
    print(f"\n{counts['docs']} documents, {1000 * took:.2f} ms of CPU a sentence")
    print(f"errors in whole ones: {100 * counts['errors'] / counts['sentences']:.2f} for 100 sentences")
    print(f"lost or added in whole ones: {100 * counts['moved'] / counts['sentences']:.2f} for 100 sentences")
    print(f"found: a lost sentence {100 * counts['lost'] / counts['docs']:.1f}%, an added one ", end="")
    print(f"{100 * counts['added'] / counts['docs']:.1f}%")


def _flags(source: str, output: str, source_language: str, target_language: str):  # type: ignore[no-untyped-def]
    found = finish(check_translation(source, output, source_language, target_language))
    return [flag for sentence in found for flag in sentence.flags]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rows = read(options.folder)
    rng = random.Random(options.seed)
    false_alarms(rows)
    detection(rows, rng)
    documents(rows, rng)


if __name__ == "__main__":
    main()
