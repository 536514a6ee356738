"""Long work as a generator, whose caller can give up at each of its pauses."""

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")

Pausing = Generator[None, None, T]
"""Yields None at each pause and returns its result."""


def read(holder: object, *parts: str) -> Pausing[None]:
    """Find these parts of a thing ahead of their first use, with a pause after each."""
    for part in parts:
        getattr(holder, part)
        yield


def finish(work: Pausing[T]) -> T:
    """Run the work without a pause and return its result."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: T = end.value
            return found
