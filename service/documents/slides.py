"""Presentations (.pptx): slides with their tables and drawings, and speakers' notes."""

from service.documents.office_document import DRAWN, OfficeDocument


class SlideDocument(OfficeDocument):
    """One .pptx file."""

    suffix = ".pptx"
    kind = "PowerPoint presentation"
    article_parts = ("slide+xml",)
    other_parts = ("notesSlide+xml", *DRAWN)
