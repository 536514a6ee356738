"""Comments in a Word document, each on a sentence of it, by python-docx."""

from collections.abc import Sequence
from copy import deepcopy
from io import BytesIO
from typing import Any

import docx
from docx.document import Document as Docx
from docx.oxml.ns import qn
from docx.text.paragraph import Paragraph
from docx.text.run import Run

from service.documents.document import Comment
from service.documents.office import OfficeLeaf, leaves_of
from service.documents.paragraphs import legible

AUTHOR, INITIALS = "Dragoman", "D"
PARAGRAPH = qn("w:p")
MOST_COMMENTS = 1000
"""In a document: each takes time with those before it."""
Anchored = tuple[int | None, Comment]
"""A comment, after the number of its paragraph in the body, text boxes' counted; None outside of the body."""


def commented(data: bytes, comments: Sequence[Anchored]) -> bytes:
    """Return the document with the comments.

    Word takes none in headers, notes and text boxes: those stand at the first paragraph, with the sentence.
    """
    document = docx.Document(BytesIO(data))
    body = list(document.element.iter(PARAGRAPH))
    places = [i for i, each in enumerate(body) if _may_have_comments(each)]
    for number, comment in comments:
        at = number if number is not None and _may_have_comments(body[number]) else None
        runs = [] if at is None else _runs(body[at], comment.sentence)
        if runs:
            _add(document, runs, comment.text)
        elif places:
            elsewhere = _runs(body[places[0]], "")
            _add(document, elsewhere, f"“{comment.sentence}”: {comment.text}")
    out = BytesIO()
    document.save(out)
    return out.getvalue()


def _may_have_comments(paragraph: Any) -> bool:
    return next(paragraph.iterancestors(qn("w:txbxContent")), None) is None and bool(leaves_of(paragraph))


def _add(document: Docx, runs: Sequence[Any], text: str) -> None:
    parent: Any = Paragraph(runs[0].getparent(), document._body)
    document.add_comment([Run(each, parent) for each in runs], legible(text), AUTHOR, INITIALS)


def _runs(paragraph: Any, sentence: str) -> list[Any]:
    """Return the runs that are the sentence, cut where it begins and ends; all if it is not found."""
    leaves = leaves_of(paragraph)
    texts = [leaf.text for leaf in leaves]
    start = _find("".join(texts), sentence)
    if start is None:
        return [leaf.element for leaf in leaves]
    end, at, found = start + len(sentence), 0, []
    for leaf, text in zip(leaves, texts, strict=True):
        first, last = max(0, start - at), min(len(text), end - at)
        if first < last:
            found.append(_cut(leaf, text, first, last))
        at += len(text)
    return found


def _find(text: str, sentence: str) -> int | None:
    """Return where the sentence begins; breaks and tabs count as spaces."""
    at = text.translate({9: " ", 10: " "}).find(sentence) if sentence else -1
    return at if at >= 0 else None


def _cut(leaf: OfficeLeaf, text: str, first: int, last: int) -> Any:
    """Make a run of its own of `text[first:last]`; return it."""
    run = leaf.element
    model = deepcopy(run)
    if last < len(text):
        after = deepcopy(model)
        run.addnext(after)
        OfficeLeaf(after).put(text[last:])
    if first > 0:
        middle = deepcopy(model)
        run.addnext(middle)
        OfficeLeaf(middle).put(text[first:last])
        leaf.put(text[:first])
        return middle
    leaf.put(text[first:last])
    return run
