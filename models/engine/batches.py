"""Shares out requests that wait into batches of about the size at which backends are fastest."""

import time
from concurrent.futures import Future
from dataclasses import dataclass
from math import ceil, sqrt

from models.engine.protocol import Generation, Output, settle
from models.errors import DragomanError, EngineFailed, InvalidInput

LEAST_ROWS, GOOD_ROWS, MOST_ROWS = 32, 64, 128
"""Hypotheses in a batch. A Marian of 61 million parameters in int8 took, on one core with four beams, 203 ms
of CPU a sentence alone, 69 in batches of 8, 58 of 16 and 55 of 32; greedy 160, 35, 26 and 21, and 20 in
batches of 64. So beyond 32 rows there is less to gain than by a second core that has a batch of its own. An
array of 64 sentences of all lengths took 72, 63, 64 and 66 ms each in batches of 8, 16, 32 and 64, and greedy
41, 31, 27 and 26."""

MOST_TOKENS = 8192
"""Of the sources in a batch with its padding: its memory is bounded, and how long others wait for it."""

STEP_TOKENS = 16
"""A step of a batch costs as much CPU time as so many source tokens, with four beams as half of them. Parts
with equally many tokens, of 64 or 40 sentences, differed by 1.3 times: the longest sentence sets them."""


@dataclass(eq=False, slots=True)
class QueueEntry:
    """A request that waits; `since` when, on `time.monotonic()`'s clock."""

    generation: Generation
    future: Future[Output]
    since: float
    single: bool = False
    """Submitted by itself, and not in a list."""
    answered: bool = False

    @property
    def rows(self) -> int:
        """Hypotheses that are searched for it."""
        return self.generation.decoding.num_beams

    @property
    def tokens(self) -> int:
        """Tokens of its source."""
        return len(self.generation.source_ids)

    def expired(self) -> bool:
        return self.generation.deadline is not None and time.monotonic() > self.generation.deadline

    def stopped(self) -> bool:
        return self.future.cancelled() or self.expired()

    def finish(self, result: Output | Exception) -> None:
        """Answer once, unless the caller cancelled: futures stay cancellable until this moment."""
        if self.answered:
            return
        self.answered = True
        settle(self.future, result)


def refusal(generation: Generation, max_source_tokens: int, vocabulary: int) -> DragomanError | None:
    """Return why a model of these sizes cannot take the generation's source; None if it can."""
    ids = generation.source_ids
    if not 0 < len(ids) <= max_source_tokens:
        told = f"the input has {len(ids)} tokens; this model takes 1 to {max_source_tokens}"
        return InvalidInput(told, field="text")
    if min(ids) < 0 or max(ids) >= vocabulary:
        return EngineFailed("the input holds a token id that this model does not have")
    return None


def shared_out(alike: list[QueueEntry], max_batch_size: int) -> list[list[QueueEntry]]:
    """Share out requests of one decoding, the longest first, into batches of about equal work.

    One batch, if there are fewer rows than two want, else an even number: there may be a second core. They
    have about `GOOD_ROWS`, and no more than `MOST_ROWS`, `MOST_TOKENS` and `max_batch_size` allow.
    """
    alike = sorted(alike, key=lambda r: r.tokens, reverse=True)
    rows = alike[0].rows
    most = max(1, min(max_batch_size, MOST_ROWS // rows))
    all_rows = len(alike) * rows
    even = 2 * max(1, round(all_rows / (2 * GOOD_ROWS)))
    low, high = 0, ceil(work_of(alike))
    count = max(even if all_rows >= 2 * LEAST_ROWS else 1, len(_filled(alike, most, high)))
    while low < high:  # the least work of the largest of so many batches
        middle = (low + high) // 2
        if len(_filled(alike, most, middle)) <= count:
            high = middle
        else:
            low = middle + 1
    return _filled(alike, most, high)


def work_of(batch: list[QueueEntry]) -> float:
    """Return the work of a batch, the longest first, in tokens: those of its sources, and of its steps."""
    return sum(request.tokens for request in batch) + batch[0].tokens * STEP_TOKENS / sqrt(batch[0].rows)


def _filled(alike: list[QueueEntry], most: int, work: float) -> list[list[QueueEntry]]:
    """Return batches in order, each filled until it has so much work or is as large as it may be."""
    parts: list[list[QueueEntry]] = []
    done = 0.0
    for request in alike:
        part = parts[-1] if parts else []
        full = len(part) == most or (part and (len(part) + 1) * part[0].tokens > MOST_TOKENS)
        if not part or full or done + request.tokens > work:
            parts.append([request])
            done = work_of([request])
        else:
            part.append(request)
            done += request.tokens
    return parts


def in_order(part: list[QueueEntry], alike: list[QueueEntry]) -> list[QueueEntry]:
    """Return the part with the earliest of `alike` in the places of its longest ones.

    A part of longer requests, whose turn has not come, may hold earlier ones of that same length.
    """
    longest = part[0].tokens
    shorter = [request for request in part if request.tokens < longest]
    equals = [request for request in alike if request.tokens == longest]
    return equals[: len(part) - len(shorter)] + shorter


def without_late_singles(part: list[QueueEntry], most: int) -> list[QueueEntry]:
    """Return the part with its latest single requests left out, as far as it has more than `most` requests.

    Clients who each wait for their answer fall into groups that share a batch, and stay in them. Where each
    batch took all that waited, sixteen simulated clients on two cores were soon fifteen beside one: 42.4
    sentences a second, greedy, and 50.2 in two batches of eight (26.2 and 28.0 with four beams).
    """
    singles = sorted((request for request in part if request.single), key=lambda request: request.since)
    together = len(part) - len(singles)
    late = {id(request) for request in singles[max(1, most - together) :]}
    return [request for request in part if id(request) not in late]
