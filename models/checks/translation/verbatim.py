"""Flags what a translation must keep and lost: addresses, placeholders, tags, file names, people's names.

A token may stand anywhere. A name counts as kept if any of its own words is found, in any spelling; titles,
ordinary words (`Cold War`) and countries are not its own.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import islice
from typing import NamedTuple

from rapidfuzz import fuzz, process
from rapidfuzz.distance import Hamming, Prefix

from models.checks.flag import Flag, Severity
from models.checks.language.names import are_transliterations, is_ordinary, latin, skeleton, titles
from models.checks.language.reading import WordForm, common_words, key_of
from models.checks.pair import Pair
from models.text.sentences import is_unspaced
from models.text.span import Span

_FILE_ENDINGS = (
    "py|js|ts|json|ya?ml|toml|xml|html?|css|csv|tsv|txt|md|rst|pdf|docx?|xlsx?|pptx?|odt|png|jpe?g|gif|svg|mp[34]|"
    "zip|gz|tar|exe|dll|so|sh|ini|cfg|conf|log|sql|c|h|cpp|java|rb|go|rs"
)
_DOMAINS = "com|org|net|edu|gov|info|io|eu|fr|de|es|it|pt|br|ru|cn|uk|jp|ch|at"
_A_WORD_ENDS = r"(?![A-Za-z0-9_])"
_STARTS = r"(?<![A-Za-z0-9_@./-])"
# ASCII only, so that Chinese text right after an address is not taken for a part of it
_PATTERNS = {
    "address": r"(?:https?|ftp)://[A-Za-z0-9\-._~:/?#@!$&'*+,;=%()\[\]]+",
    "mail": _STARTS + r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+",
    "tag": r"</?[A-Za-z][A-Za-z0-9:-]*(?:\s+[A-Za-z:-]+(?:=(?:\"[^\"<>]*\"|'[^'<>]*'|[^\s<>\"']+))?)*\s*/?>",
    "placeholder": (
        r"\{\{[^{}\n]{1,80}\}\}|\$?\{[A-Za-z0-9_.:!-]{1,60}\}|%\([A-Za-z0-9_]+\)[-+#0]*[0-9]*(?:\.[0-9]+)?[a-zA-Z]"
        r"|(?<![0-9%])%[-+#0]?[0-9]*(?:\.[0-9]+)?[sdifxgcr]" + _A_WORD_ENDS + r"|%[0-9]+\$[sd]"
        r"|(?<![A-Za-z0-9$])\$(?:[a-z_][a-z0-9_]*|[A-Z]{4,}|[A-Z][A-Z0-9]*_[A-Z0-9_]*)" + _A_WORD_ENDS
    ),
    "site": (
        _STARTS + r"www\.[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?:/[A-Za-z0-9\-._~/?#&=%+]*)?"
        r"|" + _STARTS + rf"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.(?:{_DOMAINS})/[A-Za-z0-9\-._~/?#&=%+]+"
    ),
    "file": _STARTS + rf"[A-Za-z0-9_*-]{{1,255}}(?:\.[A-Za-z0-9_-]+)*\.(?:{_FILE_ENDINGS})" + _A_WORD_ENDS,
    "domain": _STARTS + rf"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.(?:{_DOMAINS})" + _A_WORD_ENDS,
    "handle": r"(?<![A-Za-z0-9_@./])@[A-Za-z_][A-Za-z0-9_]+",
    "hashtag": r"(?<![A-Za-z0-9_&/#])#[A-Za-z][A-Za-z0-9_]+",
    "shortcode": r"(?<![A-Za-z0-9_:]):[a-z][a-z0-9_+-]+:(?![A-Za-z0-9_:])",
    "emoji": "[\U0001f300-\U0001faff\u2600-\u26ff]",
    "code": r"(?<![A-Za-z0-9_$])(?:_*[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+|__[A-Za-z0-9_]+__)"
    + _A_WORD_ENDS,
    "option": r"(?<![A-Za-z0-9_-])--[a-z][a-z0-9]+(?:-[a-z0-9]+)*",
    "designation": r"(?<![A-Za-z0-9_$#-])[A-Z]{1,4}-?[0-9]{2,}[A-Z]?" + _A_WORD_ENDS,
}
_ANY = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _PATTERNS.items()))
_CALLED = {
    "address": "web address",
    "mail": "e-mail address",
    "site": "web address",
    "file": "file name",
    "domain": "name of a site",
    "shortcode": "emoji",
    "code": "piece of code",
}
"""What a reader knows a kind by, where that is not its name."""
_WARNINGS = frozenset(("domain", "emoji", "designation"))
_WORTH_A_LOOK = re.compile(
    r"[@#{$%<_\u2600-\u26ff\U0001f300-\U0001faff]|://|\.[A-Za-z]|:[a-z]|--[a-z]|[A-Z]-?[0-9]{2}"
)
_TRAILING = ".,;:!?'*"
_OPENING = {")": "(", "]": "["}
_MOST_SOUGHT = 1000
"""The most lost or added tokens looked for within longer ones: each search reads the other text whole."""


class Token(NamedTuple):
    """Something to keep to the letter."""

    kind: str
    """Of `_PATTERNS`."""
    written: str
    span: Span


def check_tokens(pair: Pair) -> Iterator[Flag]:
    """Yield a flag for each token that only the source or only the output has."""
    source, output = tokens(pair.source.text), tokens(pair.output.text)
    wanted = Counter(token.written for token in source)
    found = Counter(token.written for token in output)
    lacking = wanted - found
    for written in islice(lacking, _MOST_SOUGHT):
        lacking[written] = wanted[written] - max(found[written], pair.output.text.count(written))
    for kind, written, span in source:
        if lacking[written] > 0:
            lacking[written] -= 1
            reason = f"The {_CALLED.get(kind, kind)} {written} of the source is missing."
            severity: Severity = "warning" if kind in _WARNINGS else "error"
            yield Flag("verbatim", pair.output.whole, reason, severity, span)
    added = [written for written in found if written not in wanted]
    known = {*wanted, *(written for written in added[:_MOST_SOUGHT] if written in pair.source.text)}
    kinds = {token.kind for token in source} | {"address", "mail", "placeholder"}
    for kind, written, span in output:
        if written not in known:
            # a translator may write a designation or a site's name where the source has words for it
            severity = "error" if kind in kinds - _WARNINGS else "warning"
            reason = f"The source has no such {_CALLED.get(kind, kind)} as {written}."
            yield Flag("verbatim", span, reason, severity)


def tokens(text: str) -> list[Token]:
    """Return the tokens of `text`, in order, without the punctuation that follows an address."""
    found = []
    for match in _ANY.finditer(text) if _WORTH_A_LOOK.search(text) else ():
        kind, token = str(match.lastgroup), match[0]
        if kind in ("address", "site"):
            token = _unpunctuated(token)
        found.append(Token(kind, token, Span(match.start(), match.start() + len(token))))
    return found


def _unpunctuated(address: str) -> str:
    left = Counter(address)
    end = len(address)
    while end and (
        address[end - 1] in _TRAILING
        or (address[end - 1] in _OPENING and left[address[end - 1]] > left[_OPENING[address[end - 1]]])
    ):
        end -= 1
        left[address[end]] -= 1
    return address[:end]


# Names. Warnings alone: some are translated. Works between alphabets only: in Chinese and its like a name's
# sound is too vague to look for. Skips single words: too many are exonyms, as `Londres` is, and German writes
# every noun like a name.

_UPPER = "A-ZÀ-ÖØ-ÞĀ-ŽΑ-ΩЀ-Я"
# possessive and bounded: `O'O'O'...` is looked at once from each of its capitals, and not far
_NAME_WORD = rf"[{_UPPER}][^\W\d_]{{0,40}}+(?:['’-][^\W\d_]{{1,40}}+){{0,9}}+"
# a name of as many words may have become it: `B.C.` for `British Columbia`
_ACRONYM = re.compile(r"\b(?:[A-Z]{2,5}\b|(?:[A-Z]\.){2})")
_PARTICLES = "de|da|di|del|della|van|von|den|al|bin|ben|la|le|dos|du|el"
_OF_INSTITUTIONS = frozenset(("fr", "es", "it", "pt"))
"""Languages in which most names of several ordinary words are of institutions, which are translated."""
_NAME = re.compile(rf"{_NAME_WORD}(?: (?:(?:{_PARTICLES}) ){{0,4}}+{_NAME_WORD}){{1,29}}")
_WORD = re.compile(r"[^\W\d_]{2,}")
_MOST_NAMES = 300
"""No sentence has more; each is compared with all words of the output."""
_MOST_PLACES = 20
"""The most places of a name's word in the output beside which a misspelled one is looked for."""
_LEAST_LETTERS = 4
"""The least letters of a word that is looked for by its sound."""
_MOST_SOUNDS, _MOST_COMPARED = 1000, 50_000
"""The most sounds looked for and pairs of words compared; a sentence has a few dozen."""
_SAME_SOUND = 66
_LEAST_ANCHOR = 3
"""The least letters of a kept word of a name beside which its other words are looked for."""
_LEAST_SOUNDS = 3
"""Shorter sounds have to be the same."""
_LEAST_SPELLED_LETTERS = 5
_ALMOST = 70
"""The least similarity in percent of two spellings of a word."""
_ENDING_LETTERS = 2
"""A difference in only this many last letters is inflection."""


class _FullName(NamedTuple):
    """A name of several words, as the source writes it."""

    words: list[WordForm]
    own: list[WordForm]
    """Those that are neither titles nor ordinary words nor parts of a country's name."""
    sure: bool
    """True if they are enough, with a title, to be somebody's."""

    @property
    def span(self) -> Span:
        return Span(self.words[0].span.start, self.words[-1].span.end)


def check_names(pair: Pair) -> Iterator[Flag]:
    """Yield a warning for each name that is gone, and for each word of a name that is spelled differently."""
    names = list(islice(_names(pair), _MOST_NAMES))
    if not names or any(map(is_unspaced, pair.output.text)):
        return
    output = _words(pair.output.text, pair.output.whole)
    places: dict[str, list[int]] = defaultdict(list)
    for i, word in enumerate(output):
        places[word.form].append(i)
    languages = pair.source.base_language, pair.output.base_language
    heard = _Sounds({skeleton(text) for text in places})
    left = _MOST_COMPARED
    new = set(_ACRONYM.findall(pair.output.text)) - set(_ACRONYM.findall(pair.source.text))
    short = {len(acronym.replace(".", "")) for acronym in new}
    for name in names:
        kept = any(word.form in places for word in name.own)
        if name.sure and not kept and len(name.words) not in short and not heard.holds(name):
            reason = f"The name {pair.source.at(name.span)} of the source is missing."
            yield Flag("name", pair.output.whole, reason, "warning", name.span)
        if left <= 0:
            continue
        sure = [
            word.form for word in name.words if len(word.form) >= _LEAST_ANCHOR and not word.form.isupper()
        ]
        here = {i for form in sure for i in places.get(form, ())[:_MOST_PLACES]}
        near = sorted({i + step for i in here for step in (-1, 0, 1)} - {-1, len(output)})
        beside = [output[i] for i in near]
        left -= len(name.words) * len(beside)
        for word, other in _misspelled(name, beside, places, languages):
            reason = f"The source spells this name {word.form}."
            yield Flag("name", other.span, reason, "warning", word.span)


def _names(pair: Pair) -> Iterator[_FullName]:
    reading, base = pair.source, pair.source.base_language
    common = common_words(base)
    known: list[Span] | None = None
    for match in _NAME.finditer(reading.text):
        words = _words(reading.text, Span(*match.span()))
        while words and words[0].form.lower() in common:
            words = words[1:]
        if match[0].isupper():
            continue
        if known is None:
            known = [each.span for each in pair.source_mentions if each.entity.kind != "person"]
        own = [word for word in words if _is_own(word, base) and not word.span.is_within(known)]
        if len(words) > 1:
            titled = any(key_of(word.form) in titles() for word in words)
            sure = len(own) > 1 or (bool(own) and titled)
            yield _FullName(words, own, sure and base not in _OF_INSTITUTIONS)


def _is_own(word: WordForm, language: str) -> bool:
    """Return whether the word may be somebody's, and is long enough to tell."""
    key = key_of(word.form)
    return (
        len(key) >= _LEAST_LETTERS
        and not word.form.isupper()
        and key not in titles()
        and not is_ordinary(key, language)
    )


def _words(text: str, within: Span) -> list[WordForm]:
    return [WordForm(m[0], Span(*m.span())) for m in _WORD.finditer(text, within.start, within.end)]


class _Sounds:
    """The sounds of an output's words, to look for names in; only for the first of very many names."""

    def __init__(self, sounds: Set[str]):
        self._sounds = sounds
        self._long = [sound for sound in sounds if len(sound) >= _LEAST_SOUNDS]
        self._known: dict[str, bool] = {}

    def holds(self, name: _FullName) -> bool:
        """Return whether one of the name's words sounds like one of these, or none is long enough to tell."""
        sounds = {skeleton(word.form) for word in name.own}
        return not sounds or not sounds.isdisjoint(self._sounds) or any(map(self._is_near, sounds))

    def _is_near(self, sound: str) -> bool:
        if len(sound) < _LEAST_SOUNDS:
            return False
        if sound not in self._known and len(self._known) < _MOST_SOUNDS:
            near = process.extractOne(sound, self._long, scorer=fuzz.ratio, score_cutoff=_SAME_SOUND)
            self._known[sound] = near is not None
        return self._known.get(sound, True)


def _misspelled(
    name: _FullName,
    beside: Sequence[WordForm],
    places: Mapping[str, Sequence[int]],
    languages: tuple[str, str],
) -> Iterator[tuple[WordForm, WordForm]]:
    """Yield words of the name with the output's near spellings, beside a word that it has to the letter."""
    own = {word.form for word in name.own}
    for word in name.words:
        form = word.form
        if form in places or len(form) < _LEAST_SPELLED_LETTERS or key_of(form) in titles():
            continue
        for other in beside:
            if not other.form[0].isupper() or not _is_almost(form, other.form):
                continue
            # an ordinary word may have a cousin in the other language: `League` for `Ligue`
            if is_ordinary(key_of(other.form), languages[1]) or are_transliterations(
                form, other.form, languages
            ):
                continue
            differ_by_one = len(form) == len(other.form) and Hamming.distance(form, other.form) == 1
            if form in own or differ_by_one:
                yield word, other


def _is_almost(one: str, other: str) -> bool:
    one, other = latin(one), latin(other)
    differs = Prefix.similarity(one, other) < min(len(one), len(other)) - _ENDING_LETTERS
    return one != other and differs and fuzz.ratio(one, other) >= _ALMOST
