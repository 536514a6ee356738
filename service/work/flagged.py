"""Findings of the checks, as a translated document carries them: comments, counts, and a report beside it."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import PurePath
from typing import TYPE_CHECKING
from zipfile import ZIP_DEFLATED, ZipFile

from service.documents.formats import Comment, File

if TYPE_CHECKING:
    from models.translate.translator import Segment
    from service.schemas.answers import SegmentPart

DOUBTFUL = "doubtful"


def comments_on(segments: "Sequence[Segment] | Sequence[SegmentPart]") -> tuple[Comment, ...]:
    """Return a comment for each sentence that the checks found something in."""
    return tuple(
        Comment(
            each.source.start,
            each.text,
            "\n".join(f"{flag.severity}: {flag.kind}: {flag.reason}" for flag in each.flags),
        )
        for each in segments
        if each.flags
    )


def counts(segments: "Sequence[Segment]") -> str:
    """Return how many segments are flagged, as a dictionary of HTTP's structured fields (RFC 9651)."""
    flagged = [each for each in segments if each.flags]
    errors = sum(any(flag.severity == "error" for flag in each.flags) for each in flagged)
    doubtful = sum(any(flag.kind == DOUBTFUL for flag in each.flags) for each in flagged)
    return f"segments={len(segments)}, flagged={len(flagged)}, errors={errors}, doubtful={doubtful}"


def with_report(file: File, name: str, report: bytes) -> File:
    """Return a ZIP file of the translated document, under its name, and its report."""
    out = BytesIO()
    with ZipFile(out, "w", ZIP_DEFLATED) as both:
        both.writestr(name, file.data)
        both.writestr(f"{PurePath(name).stem}.json", report)
    return File(".zip", "application/zip", out.getvalue())
