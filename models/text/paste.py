"""An article pasted as plain text: its paragraphs and its title, without what the web page put around.

What was left out is told, with the reason. Knows nothing of HTML, sentences or models.
"""

from models.text.article import Article, Dropped, line_spans, read_verbatim
from models.text.clutter import Context, ends_like_a_sentence, find_clutter, words

_MOST_TITLE_WORDS = 20


def read_pasted(text: str) -> Article:
    """Plain text as it is pasted from a web page, each line a paragraph.

    If the rules would leave nothing, the text is read as it is.
    """
    spans = line_spans(text)
    lines = [text[s.start : s.end] for s in spans]
    title_at = _find_title(lines)
    title = None if title_at is None else lines[title_at]
    clutter = find_clutter(Context(lines, title, title_at))
    kept = tuple(span for i, span in enumerate(spans) if i not in clutter and i != title_at)
    if not kept:
        return read_verbatim(text)
    return Article(text, title, kept, tuple(Dropped(lines[i], reason) for i, reason in clutter.items()))


def _find_title(lines: list[str]) -> int | None:
    """The first line, if it is short, doesn't end like a sentence or comes twice, and more follows."""
    if len(lines) < 2:
        return None
    first = words(lines[0])
    if not 0 < len(first) <= _MOST_TITLE_WORDS:
        return None
    twice = any(words(line) == first for line in lines[1:])
    return 0 if twice or not ends_like_a_sentence(lines[0]) else None
