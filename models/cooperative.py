"""Long computations as generators whose caller can stop at any checkpoint."""

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")

Cooperative = Generator[None, None, T]
"""Yields None at each checkpoint and returns its result."""


def finish(work: Cooperative[T]) -> T:
    """Run the work without stopping at a checkpoint and return its result."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: T = end.value
            return found


def prepare(holder: object, *parts: str) -> Cooperative[None]:
    """Compute these cached properties ahead of their first use, with a checkpoint after each."""
    for part in parts:
        getattr(holder, part)
        yield
