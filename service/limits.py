"""Limits on the texts of requests and jobs, and on what callers may store."""

from typing import TYPE_CHECKING

from service.errors import TooLong

if TYPE_CHECKING:
    from service.settings import Settings

ANONYMOUS_SHARES = 8
"""Each key has a share of what is kept, and each address without one; but addresses are many, and anybody's.
So all without a key have together no more than this many shares, and take none of a key's."""

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


def shares(caller: str, owner: str | None) -> list[tuple[str, str, str | None, int]]:
    """Return whose rows in a table of `caller` and `owner` count together with the caller's, and how far.

    A share has its name in words, an SQL condition and its value, and the number of callers' limits that it
    holds: the caller has one limit, and all callers without a key have a few between them.
    """
    own: list[tuple[str, str, str | None, int]] = [("this caller", "caller = ?", caller, 1)]
    if owner is None:
        own.append(("all callers without a key", "owner IS ?", None, ANONYMOUS_SHARES))
    return own
