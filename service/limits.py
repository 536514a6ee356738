"""Limits on the texts of requests and jobs, and on what callers may store."""

from typing import TYPE_CHECKING

from service.errors import TooLong

if TYPE_CHECKING:
    from service.settings import Settings

MAX_JOB_CHARACTERS = 20_000_000
"""Over all texts of a job."""
MAX_JOB_TEXTS = 10_000


def job_limits(settings: "Settings") -> "Settings":
    """Return the settings with a job's limits in place of a request's."""
    return settings.model_copy(
        update={
            "max_request_characters": MAX_JOB_CHARACTERS,
            "max_html_characters": MAX_JOB_CHARACTERS,
            "max_texts": MAX_JOB_TEXTS,
        }
    )


def check_length(field: str, text: str, limits: "Settings") -> None:
    """Raise TooLong for a text, or a page in the field `html`, over the limit."""
    most = limits.max_html_characters if field == "html" else limits.max_request_characters
    if len(text) > most:
        raise too_long(field, len(text), most)


def too_long(field: str, characters: int, most: int, over: str = "") -> TooLong:
    """Return the error for so many characters in the field."""
    allowed = f"at most {most} characters{over}"
    return TooLong(f"{field} has {characters} characters", field=field, allowed=allowed)
