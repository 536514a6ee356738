"""Word boundaries, in scripts that put spaces between them and in those that don't."""

import re
import unicodedata

UNSPACED = (
    r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    r"\uff66-\uff9f\U00020000-\U0003ffff"
)
"""Thai, Lao, Burmese, Khmer, kana and Chinese characters, as a class of a pattern: words end anywhere."""

_UNSPACED = re.compile(f"[{UNSPACED}]")


def is_unspaced(text: str) -> bool:
    """Return whether the text begins with a character of a script that writes words without spaces."""
    return _UNSPACED.match(text) is not None


def inside_word(text: str, at: int) -> bool:
    """Return whether a cut at this offset would go through a word, or part a mark from its character."""
    if at <= 0 or at >= len(text):
        return False
    before, after = text[at - 1], text[at]
    if unicodedata.combining(after) or unicodedata.category(after) in ("Mn", "Mc", "Cf"):
        return True
    if after in "'’" and at + 1 < len(text):
        return before.isalnum() and text[at + 1].isalnum()
    return before.isalnum() and after.isalnum() and not (is_unspaced(before) or is_unspaced(after))
