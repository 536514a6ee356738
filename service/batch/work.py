"""The protocol of the work on each content of a batch, and the keys of its results. Knows no files."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Protocol

from models.tasks.steps import Steps
from service.batch.record import Content

KEY_BYTES = 16

Result = dict[str, Any]
Parameters = Mapping[str, Any]


@dataclass(slots=True)
class Ran:
    """A task that has ended."""

    value: Result | None
    error: Exception | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Tasks:
    """The tasks of one content, which share their rounds, and the function that joins their ends."""

    steps: Sequence[Steps[Result]]
    join: Callable[[Sequence[Ran]], Ran] = itemgetter(0)


class Work(Protocol):
    """The work on every content."""

    def tasks(self, content: Content) -> Tasks:
        """Return the tasks for a content. They raise, as they run, what is wrong with it."""

    def parameters(self, content: Content) -> Parameters:
        """Return all that decides this content's result beside itself; JSON."""

    def describe(self, error: Exception, content: Content | None) -> dict[str, Any]:
        """Return the JSON for an error of this content, or of a record that has none."""


@dataclass(frozen=True, slots=True)
class ResultKeys:
    """Makes keys of results from the content, its parameters, and `job`: JSON, and the same for all."""

    work: Work
    job: Mapping[str, Any]

    def key(self, content: Content) -> bytes:
        """Return a key that is equal for equal results."""
        decisive = [self.job, self.work.parameters(content), content.form]
        head = json.dumps(decisive, sort_keys=True, ensure_ascii=True).encode()
        digest = hashlib.blake2b(head, digest_size=KEY_BYTES)
        digest.update(b"\0" + content.value.encode())
        return digest.digest()


def touching(
    protect: Sequence[str], glossary: Mapping[str, str], text: str
) -> tuple[list[str], dict[str, str]]:
    """Return the terms that may stand in a text: those whose letters do, whatever is between them."""
    if not protect and not glossary:
        return [], {}
    there = _letters(text)
    return (
        [term for term in protect if _letters(term) in there],
        {term: to for term, to in glossary.items() if _letters(term) in there},
    )


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))
