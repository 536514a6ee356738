"""Flags tokens that a translation must keep as they are: addresses, handles, placeholders, tags, file names.

A token counts as kept wherever it stands. The patterns read ASCII only, so that Chinese text right after an
address is not taken for a part of it.
"""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice

from models.checks.flag import Flag, Severity
from models.checks.pair import Pair
from models.text.span import Span

KIND = "verbatim"
_FILE_ENDINGS = (
    "py|js|ts|json|ya?ml|toml|xml|html?|css|csv|tsv|txt|md|rst|pdf|docx?|xlsx?|pptx?|odt|png|jpe?g|gif|svg|mp[34]|"
    "zip|gz|tar|exe|dll|so|sh|ini|cfg|conf|log|sql|c|h|cpp|java|rb|go|rs"
)
_DOMAINS = "com|org|net|edu|gov|info|io|eu|fr|de|es|it|pt|br|ru|cn|uk|jp|ch|at"
_A_WORD_ENDS = r"(?![A-Za-z0-9_])"
_STARTS = r"(?<![A-Za-z0-9_@./-])"
_TOKENS: tuple[tuple[str, str, Severity, str], ...] = (
    ("address", "web address", "error", r"(?:https?|ftp)://[A-Za-z0-9\-._~:/?#@!$&'*+,;=%()\[\]]+"),
    (
        "mail",
        "e-mail address",
        "error",
        _STARTS + r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+",
    ),
    (
        "tag",
        "tag",
        "error",
        r"</?[A-Za-z][A-Za-z0-9:-]*(?:\s+[A-Za-z:-]+(?:=(?:\"[^\"<>]*\"|'[^'<>]*'|[^\s<>\"']+))?)*\s*/?>",
    ),
    (
        "placeholder",
        "placeholder",
        "error",
        r"\{\{[^{}\n]{1,80}\}\}|\$?\{[A-Za-z0-9_.:!-]{1,60}\}|%\([A-Za-z0-9_]+\)[-+#0]*[0-9]*(?:\.[0-9]+)?[a-zA-Z]"
        r"|(?<![0-9%])%[-+#0]?[0-9]*(?:\.[0-9]+)?[sdifxgcr]" + _A_WORD_ENDS + r"|%[0-9]+\$[sd]"
        r"|(?<![A-Za-z0-9$])\$(?:[a-z_][a-z0-9_]*|[A-Z]{4,}|[A-Z][A-Z0-9]*_[A-Z0-9_]*)" + _A_WORD_ENDS,
    ),
    (
        "site",
        "web address",
        "error",
        _STARTS + r"www\.[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+(?:/[A-Za-z0-9\-._~/?#&=%+]*)?"
        r"|" + _STARTS + rf"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.(?:{_DOMAINS})/[A-Za-z0-9\-._~/?#&=%+]+",
    ),
    (
        "file",
        "file name",
        "error",
        _STARTS + rf"[A-Za-z0-9_*-]{{1,255}}(?:\.[A-Za-z0-9_-]+)*\.(?:{_FILE_ENDINGS})" + _A_WORD_ENDS,
    ),
    (
        "domain",
        "name of a site",
        "warning",
        _STARTS + rf"[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.(?:{_DOMAINS})" + _A_WORD_ENDS,
    ),
    ("handle", "handle", "error", r"(?<![A-Za-z0-9_@./])@[A-Za-z_][A-Za-z0-9_]+"),
    ("hashtag", "hashtag", "error", r"(?<![A-Za-z0-9_&/#])#[A-Za-z][A-Za-z0-9_]+"),
    ("shortcode", "emoji", "error", r"(?<![A-Za-z0-9_:]):[a-z][a-z0-9_+-]+:(?![A-Za-z0-9_:])"),
    ("emoji", "emoji", "warning", "[\U0001f300-\U0001faff\u2600-\u26ff]"),
    (
        "code",
        "piece of code",
        "error",
        r"(?<![A-Za-z0-9_$])(?:_*[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)+|__[A-Za-z0-9_]+__)" + _A_WORD_ENDS,
    ),
    ("option", "option", "error", r"(?<![A-Za-z0-9_-])--[a-z][a-z0-9]+(?:-[a-z0-9]+)*"),
    (
        "designation",
        "designation",
        "warning",
        r"(?<![A-Za-z0-9_$#-])[A-Z]{1,4}-?[0-9]{2,}[A-Z]?" + _A_WORD_ENDS,
    ),
)
_ANY = re.compile("|".join(f"(?P<{name}>{pattern})" for name, _, _, pattern in _TOKENS))
_NAMES = {name: (words, severity) for name, words, severity, _ in _TOKENS}
_WORTH_A_LOOK = re.compile(
    r"[@#{$%<_\u2600-\u26ff\U0001f300-\U0001faff]|://|\.[A-Za-z]|:[a-z]|--[a-z]|[A-Z]-?[0-9]{2}"
)
_TRAILING = ".,;:!?'*"
_OPENING = {")": "(", "]": "["}
_MOST_SOUGHT = 1000
"""The most lost or added tokens looked for within longer ones: each search reads the other text whole."""


def check(pair: Pair) -> Iterator[Flag]:
    """Yield a flag for each token that only the source or only the output has."""
    source, output = tokens(pair.source.text), tokens(pair.output.text)
    yield from _lost(pair, source, output)
    yield from _added(pair, source, output)


Token = tuple[str, str, Span]
"""A kind of `_NAMES`, the text, and its place."""


def tokens(text: str) -> list[Token]:
    """Return the tokens of `text`, in order, without the punctuation that follows an address."""
    if not _WORTH_A_LOOK.search(text):
        return []
    found = []
    for match in _ANY.finditer(text):
        name, token = str(match.lastgroup), match[0]
        if name in ("address", "site"):
            token = _unpunctuated(token)
        found.append((name, token, Span(match.start(), match.start() + len(token))))
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


def _lost(pair: Pair, source: list[Token], output: list[Token]) -> Iterator[Flag]:
    wanted = Counter(token for _, token, _ in source)
    found = Counter(token for _, token, _ in output)
    lacking = {token: count - found[token] for token, count in wanted.items() if count > found[token]}
    for token in islice(lacking, _MOST_SOUGHT):
        lacking[token] = wanted[token] - max(found[token], pair.output.text.count(token))
    for name, token, span in source:
        if lacking.get(token, 0) > 0:
            lacking[token] -= 1
            words, severity = _NAMES[name]
            reason = f"The {words} {token} of the source is missing."
            yield Flag(KIND, Span(0, len(pair.output.text)), reason, severity, span)


def _added(pair: Pair, source: list[Token], output: list[Token]) -> Iterator[Flag]:
    kinds = {name for name, _, _ in source}
    known = {token for _, token, _ in source}
    added = dict.fromkeys(token for _, token, _ in output if token not in known)
    for token in islice(added, _MOST_SOUGHT):
        if token in pair.source.text:
            known.add(token)
    for name, token, span in output:
        words, severity = _NAMES[name]
        if token not in known:
            # A translator may write a designation or a site's name where the source has words for it.
            certain = severity == "error" and (name in kinds or name in ("address", "mail", "placeholder"))
            reason = f"The source has no such {words} as {token}."
            yield Flag(KIND, span, reason, "error" if certain else "warning")
