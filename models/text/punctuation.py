"""Normalizes punctuation as translation models were trained. Knows no model and no tokenizer.

`normalized` is Moses' normalize-punctuation, which Helsinki's servers apply by source language. `spelled`
replaces characters that a vocabulary lacks.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping

_Step = tuple[str | re.Pattern[str], str | Callable[[re.Match[str]], str]]

_SPACES: _Step = (re.compile(" +"), " ")

_STEPS: tuple[_Step, ...] = (
    ("\r", ""),
    ("(", " ("),
    (")", ") "),
    _SPACES,
    (re.compile(r"\) ([.!:?;,])"), r")\1"),
    ("( ", "("),
    (" )", ")"),
    (re.compile(r"(\d) %"), r"\1%"),
    (" :", ":"),
    (" ;", ";"),
    ("`", "'"),
    ("''", ' " '),
    *((quote, '"') for quote in "„“”"),
    ("–", "-"),
    ("—", " - "),
    _SPACES,
    *((quote, "'") for quote in "´‘‚’"),
    ("''", '"'),
    ("…", "..."),
    *((quote, '"') for quote in ("\u00a0«\u00a0", "«\u00a0", "«", "\u00a0»\u00a0", "\u00a0»", "»")),
    ("\u00a0%", "%"),
    ("nº\u00a0", "nº "),
    ("\u00a0:", ":"),
    ("\u00a0ºC", " ºC"),
    ("\u00a0cm", " cm"),
    *(("\u00a0" + mark, mark) for mark in "?!;"),
    (",\u00a0", ", "),
    _SPACES,
)

_QUOTED_COMMAS: dict[str, tuple[_Step, ...]] = {
    "en": ((re.compile(r'"([,.]+)'), r'\1"'),),
    "de": (
        (',"', '",'),
        # A run of full stops is passed over whole if no quote follows it, so that the time stays linear.
        (re.compile(r'(\.+)"(\s*[^<])|\.+'), lambda m: f'"{m[1]}{m[2]}' if m[1] else m[0]),
    ),
}
_QUOTED_COMMAS |= dict.fromkeys(("es", "fr"), _QUOTED_COMMAS["de"])

_CHANGED = re.compile(r"""[\r()`„“”–—´‘’‚…«»\u00a0]|\s{2}|''|\d %| [:;]|"[,.]|[,.]\"""")
"""What any step changes. Most sentences have nothing of it."""


def normalized(text: str, language: str) -> str:
    """Return the text with its punctuation as Moses normalizes it, without spaces around.

    Equal to sacremoses' MosesPunctNormalizer, but that it leaves spaces in numbers, which Moses takes for a
    point or a comma: "10 000" would become "10.000" in an English text.
    """
    if _CHANGED.search(text):
        for old, new in (*_STEPS, *_QUOTED_COMMAS.get(language, ())):
            text = text.replace(old, str(new)) if isinstance(old, str) else old.sub(new, text)
    return text.strip()


_SPELLINGS: dict[str, str] = {  # of what is still itself after NFKC
    **dict.fromkeys("“”„‟«»″「」『』《》", '"'),
    **dict.fromkeys("‘’‚‛´`′ʼʻ‹›", "'"),
    **dict.fromkeys("–‐‑‒−━", "-"),
    **dict.fromkeys("—―", " - "),
    **dict.fromkeys("•·●▪◦‣∙・", " - "),
    "。": ". ",
    "、": ", ",
    **dict(zip("【】〈〉", "[]<>", strict=True)),
    "€": " EUR ",
    "£": " GBP ",
    "₹": " INR ",
    "₽": " RUB ",
    "₴": " UAH ",
    "₩": " KRW ",
    "₺": " TRY ",
    "×": "x",
    "⁄": "/",
    **dict(zip("łŁøØđĐı", "lLoOdDi", strict=True)),
    "æ": "ae",
    "Æ": "Ae",
    "œ": "oe",
    "Œ": "Oe",
    "ß": "ss",
}


def spelled(text: str, vocabulary: Mapping[str, int]) -> str:
    """Return the text with each character that a vocabulary of SentencePiece lacks in a form that it has."""
    composed = unicodedata.normalize("NFKC", text)  # as SentencePiece reads it
    forms = {c: form for c in set(composed) if c not in vocabulary and (form := _form(c, vocabulary))}
    if not forms:
        return text

    def other(match: re.Match[str]) -> str:
        begins_word = composed[match.start() - 1 : match.start()] in ("", " ")
        return match[0] if begins_word and f"▁{match[0]}" in vocabulary else forms[match[0]]

    return re.sub("[" + re.escape("".join(forms)) + "]", other, composed)


def _form(character: str, vocabulary: Mapping[str, int]) -> str | None:
    """Return a spelling or the plain letter of a character, if the vocabulary has all of that."""
    plain = unicodedata.normalize("NFD", character)[0]
    is_latin = plain != character and plain.isascii()
    form = _SPELLINGS.get(character) or (plain if is_latin else None)
    return form if form and all(each in vocabulary for each in form.replace(" ", "")) else None
