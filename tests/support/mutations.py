"""What is done to a value, a text, bytes or a form so that it is no longer what was meant."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

UNITS = (
    "a", "<b>a", "<p>a", "<a ", "</b>", "<!--", "&amp;", "&#x", "O'", "a…!x", "a!x ", "“", "«»", "(", "[a](",
    "![", "**", "`", "# ", "> ", "- a\n", "1. ", "\n", "\r\n\r\n", "\t", " ", "\u00a0", "\u200b", "\u202e",
    "\ufeff", "\0", "\x1b[", "\x7f", "\u0085", "\u2028", "-1.", "1,000.", "12:30 ", "1/2/", "€9", "+", "a@b.",
    "a_", "www.a.", "http://a/", "Dr. ", "A. ", "Ж", "中文", "ß", "İ", "é", "e\u0301", "\u0301", "👩‍👩‍👧",
    "𝔘", "ﷺ", "QX7", "{0}", "%s", "\\", '"', "'", ";", "--> ", "January 5 ", "not ", "The minister said. ",
)  # fmt: skip
ATTACKS = (
    ("a", "!x"), ("_", "!x"), ("O'", ""), ("<b>a", ""), ("<p>a", ""), ("<a", ""), ("<div>", "a"),
    ("a\n", "x"), ("\n", "x"), ("_to_", "-"), ("QX7 ", ""), ("1,", ""),
)  # fmt: skip
"""Units and endings that once stopped everybody, when there were enough of them."""
NUMBERS = (
    "NaN", "Infinity", "-Infinity", "1e400", "-0", "1" * 400, "1e-400", "0.1" + "0" * 300, "01", "1.", "0x1",
)  # fmt: skip
WORDS = (
    "", " ", "null", "en", "fr", "xx", "en-Latn-x-a", "__proto__", "../../etc/passwd", "id' OR '1'='1", "١٢",
    "🙂",
)  # fmt: skip
SOURCES = (
    "The ferry to Sark did not sail on Monday. About 40 passengers slept in the school hall, she said.",
    "Ministers met in Vienna on 3 May 2024 and agreed on €1.5 million; Dr. O'Neill of the U.N. did not.",
    "Der Minister sagte am Montag, daß „nichts“ entschieden sei. 中文也可以。 Это предложение по-русски.",
    '<p>The <b>council</b> met in <a href="https://example.org/a?b=1">Ellery</a>.</p><ul><li>One</li></ul>',
    "# Title\n\n- *One* [link](http://example.org)\n- `code`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
)


def repeated(rng: random.Random) -> str:
    """A unit, or two in turn, so often that what is quadratic in it shows; mostly short, seldom long."""
    unit = rng.choice(UNITS) + (rng.choice(UNITS) if rng.random() < 0.5 else "")
    most = rng.choices((60, 2_000, 20_000, 210_000), (68, 25, 5, 2))[0]
    if most > 2_000 and rng.random() < 0.25:
        return attack(rng, rng.randint(most // 2, most))
    body = unit * max(1, rng.randint(1, most) // len(unit))
    around = rng.choice(("", "x", "!x", "<", "\n", "The end."))
    return rng.choice((body, body + around, around + body, around + body + around))


def attack(rng: random.Random, characters: int) -> str:
    """One of ATTACKS, about so long."""
    unit, end = rng.choice(ATTACKS)
    return rng.choice(("x", "")) + unit * (characters // len(unit)) + end


def attacked(rng: random.Random, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields, sound but for an attack in place of one of their longest texts."""
    lengths = {name: len(str(value)) for name, value in fields.items() if isinstance(value, str | list)}
    longest = sorted(lengths, key=lambda name: lengths[name])[-2:]
    name = rng.choice(longest or ["text"])
    found = attack(rng, rng.choice((5_000, 20_000, 90_000, 199_000)))
    return {**fields, name: [found] if isinstance(fields.get(name), list) else found}


def text(rng: random.Random, was: str = "") -> str:
    """Another text than `was`, or that one damaged."""
    was = was or rng.choice(SOURCES)
    at = rng.randrange(len(was) + 1)
    return rng.choice(
        (
            lambda: repeated(rng),
            lambda: was[:at] + repeated(rng)[:5_000] + was[at:],
            lambda: was[:at] + rng.choice(UNITS) + was[at:],
            lambda: was[at:],
            lambda: was * rng.randint(2, 20),
            lambda: "".join(
                chr(rng.choice((rng.randrange(0x20), rng.randrange(0x3000), 0x1F600))) for _ in was
            ),
            lambda: rng.choice(WORDS),
            lambda: rng.choice(SOURCES),
        )
    )()


def scrambled(rng: random.Random, data: bytes) -> bytes:
    """Bytes flipped, cut, doubled, moved, or strewn with others."""
    data = data or b"\0"
    a, b = sorted((rng.randrange(len(data) + 1), rng.randrange(len(data) + 1)))
    return rng.choice(
        (
            lambda: _flipped(rng, data, rng.randint(1, 8)),
            lambda: data[:a],
            lambda: data[b:],
            lambda: data[:a] + data[b:],
            lambda: data[:b] + data[a:b] * rng.randint(1, 30) + data[b:],
            lambda: data[:a] + rng.randbytes(rng.randint(1, 40)) + data[a:],
            lambda: data * 2,
            lambda: data[:a] + rng.choice((b"\0", b"\xff\xfe", b"\xc3", b"\r\n", b"9" * 5_000)) + data[b:],
        )
    )()


def _flipped(rng: random.Random, data: bytes, times: int) -> bytes:
    flipped = bytearray(data)
    for _ in range(times):
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
    return bytes(flipped)


# ---------------------------------------------------------------------- JSON


def wrong_value(rng: random.Random, was: Any) -> Any:
    """A value of another kind, or of the same kind and wrong."""
    if isinstance(was, str) and rng.random() < 0.6:
        return text(rng, was)
    if isinstance(was, list) and rng.random() < 0.6:
        return rng.choice(
            (was * rng.choice((2, 50, 200)), [*was, rng.choice((None, 1, [], {}, ""))], [], [was])
        )
    makers: Sequence[Callable[[], Any]] = (
        lambda: None,
        lambda: rng.random() < 0.5,
        lambda: rng.choice((0, -1, 1, 2**31, 2**63, 2**64, 10**30, -(10**300), 0.5, 1e308)),
        lambda: rng.choice(WORDS),
        lambda: text(rng),
        lambda: [],
        lambda: {},
        lambda: [text(rng)[:200], 1, None, [], {}],
        lambda: {rng.choice(UNITS): text(rng)[:200]},
        lambda: [[] for _ in range(rng.choice((1, 100, 3_000)))],
        lambda: {repeated(rng)[:300] + str(i): repeated(rng)[:300] for i in range(rng.choice((1, 30, 300)))},
        lambda: [text(rng)[:500] for _ in range(rng.choice((1, 4, 127, 129)))],
    )
    return rng.choice(makers)()


def json_value(rng: random.Random, was: Any, depth: int = 0) -> Any:
    """The value with one thing in it changed."""
    if not was or not isinstance(was, dict | list) or rng.random() < 0.1 or depth > 4:
        return wrong_value(rng, was)
    if isinstance(was, list):
        at = rng.randrange(len(was))
        return [json_value(rng, each, depth + 1) if i == at else each for i, each in enumerate(was)]
    name = rng.choice(list(was))
    changed = dict(was)
    act = rng.random()
    if act < 0.1:
        del changed[name]
    elif act < 0.2:
        changed[rng.choice((*WORDS, name.upper(), repeated(rng)[:500]))] = wrong_value(rng, changed[name])
    else:
        changed[name] = json_value(rng, was[name], depth + 1)
    return changed


def json_bytes(rng: random.Random, value: Any) -> bytes:
    """The value as JSON, mostly sound; else with what JSON, or a reader of it, does not expect."""
    told = json.dumps(value, ensure_ascii=rng.random() < 0.5)
    act = rng.random()
    if act < 0.75:
        return told.encode("utf-8", "surrogatepass")
    if act < 0.79:
        return told.encode(rng.choice(("utf-16", "utf-8-sig", "utf-32", "latin-1", "cp1252")), "replace")
    if act < 0.83:
        return scrambled(rng, told.encode("utf-8", "surrogatepass"))
    deep = rng.choice((10, 150, 1_000, 30_000))
    damage: Sequence[Callable[[], str]] = (
        lambda: told.replace("}", ', "a": ' + rng.choice(NUMBERS) + "}", 1),
        lambda: told.replace(":", ": " + rng.choice(NUMBERS) + ', "b":', 1),
        lambda: told.replace('"', '"\\ud800', 1 + rng.randrange(4)),
        lambda: told.replace('": "', '": "\\u0000\\u001b\\udc00', 1),
        lambda: told.replace("{", "{" + told[1:-1] + ", ", 1),  # each name twice
        lambda: told[:-1] + ', "x": ' + "[" * deep + "]" * deep + "}",
        lambda: '{"a":' * deep + "1" + "}" * deep,
        lambda: "[" * deep,
        lambda: told + rng.choice((told, "}", ",", "\0", " " * 10_000)),
        lambda: told.replace('"', "'"),
        lambda: "",
    )
    return rng.choice(damage)().encode("utf-8", "surrogatepass")
