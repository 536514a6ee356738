"""Word documents (.docx): body, tables, text boxes, headers and footers, notes and comments."""

from collections.abc import Sequence

from service.documents.document import Comment, File
from service.documents.office_document import DRAWN, OfficeDocument
from service.documents.packed import MAX_UNPACKED_BYTES as MAX_UNPACKED_BYTES
from service.documents.word_comments import MOST_COMMENTS, PARAGRAPH, Anchored, commented


class WordDocument(OfficeDocument):
    """One .docx file."""

    suffix = ".docx"
    kind = "Word document"
    article_parts = ("main+xml", "header+xml", "footer+xml")
    other_parts = ("footnotes+xml", "endnotes+xml", "comments+xml", *DRAWN)

    def translated(self, translation: str, language: str, comments: Sequence[Comment] = ()) -> File:
        file = super().translated(translation, language)
        if not comments:
            return file
        return File(
            file.suffix, file.media_type, commented(file.data, self._anchored(comments[:MOST_COMMENTS]))
        )

    def _anchored(self, comments: Sequence[Comment]) -> list[Anchored]:
        """Say of each comment which of the body's paragraphs it belongs to."""
        root = self._roots.get(self._names()[0][0])
        elements = () if root is None else root.iter(PARAGRAPH)
        ordinals = {element: i for i, element in enumerate(elements)}
        return [
            (ordinals.get(self._paragraphs[self.paragraph_at(each.place)].element), each) for each in comments
        ]
