"""Long work as a generator, whose caller can give up at each of its pauses."""

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")

Pausing = Generator[None, None, T]
"""Yields None now and then, and returns what it comes to."""


def finish(work: Pausing[T]) -> T:
    """Return what the work comes to, without a pause."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: T = end.value
            return found
