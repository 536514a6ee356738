"""Rates as they are written in settings and beside keys: `60/minute`, `10/second;1000/day`."""

from models.errors import InvalidInput

ALLOWED = "such as 60/minute, or several: 10/second;1000/day"


def checked_rate(rate: str) -> str:
    """The rate as it is, if it can be read and lets something through. Raises InvalidInput."""
    from limits import parse_many  # takes a sixth of a second, and most commands do without

    try:
        limits = parse_many(rate)
    except ValueError:
        limits = []
    if not limits or any(limit.amount < 1 for limit in limits):
        raise InvalidInput(f"{rate[:100]!r} is not a rate", field="rate", allowed=ALLOWED)
    return rate
