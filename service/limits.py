"""Limits on the texts of a request or a job, and the errors for texts over them."""

from service.errors import TooLong
from service.settings import Settings


def job_limits(settings: Settings) -> Settings:
    """The settings with a job's limits in the places of a request's."""
    most = settings.max_job_characters
    return settings.model_copy(
        update={
            "max_request_characters": most,
            "max_html_characters": max(most, settings.max_html_characters),
            "max_texts": settings.max_job_texts,
        }
    )


def check_length(field: str, text: str, limits: Settings) -> None:
    """Raises TooLong for a text, or a page in the field `html`, over the limit."""
    most = limits.max_html_characters if field == "html" else limits.max_request_characters
    if len(text) > most:
        raise too_long(field, len(text), most)


def too_long(field: str, characters: int, most: int, over: str = "") -> TooLong:
    allowed = f"at most {most} characters{over}"
    return TooLong(f"{field} has {characters} characters", field=field, allowed=allowed)
