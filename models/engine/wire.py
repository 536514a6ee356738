"""The messages between a process that has engines and the processes that use them.

They are pickled, so both ends must be processes of one installation, over a connection that nobody else can
open. Each is sent in a list with what else is waiting to be sent. Messages, and what there is of each
generation in them, are tuples: a dataclass takes ten times as long to be pickled and read.
"""

import pickle
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from functools import lru_cache
from multiprocessing.connection import Connection
from operator import attrgetter
from typing import Any, NamedTuple

from models.engine.protocol import BatchRecord, Decoding, EngineStats, Generation, Output

# ------------------------------------------------------------------------------------- to the engines


class Load(NamedTuple):
    """Make the engine `name` out of `what`, if there is none yet. Answered by Loaded."""

    name: str
    what: Any


class Unload(NamedTuple):
    """Let the engine finish, and close it once no other process uses it. Answered by Unloaded."""

    name: str


class Submission(NamedTuple):
    """Generations for one engine, each `(number, source_length, decoding, deadline, streams)`.

    `number` is the sender's own; `decoding` is as `from_decoding` gives it; `deadline` is on
    `time.monotonic()`'s clock, which processes of one machine share; `streams` asks for each token. Each has
    its end in an Ended.
    """

    name: str
    generations: Sequence[tuple[Any, ...]]
    source_ids: "array[int]"
    """Of all, one after the other: a token takes 4 bytes, and as an object of Python's own 40."""


class Cancel(NamedTuple):
    """Nobody waits for these generations any more."""

    numbers: Sequence[int]


class AskStats(NamedTuple):
    """Answered by Stats."""

    name: str


# ------------------------------------------------------------------------------------- from the engines


class Loaded(NamedTuple):
    """The engine is there, or the error says why it is not; and what is to be told of all engines there."""

    name: str
    error: Exception | None = None
    notes: Sequence[str] = ()


class Unloaded(NamedTuple):
    """The engine has answered all that it had of this process."""

    name: str


class Token(NamedTuple):
    """The next token of a generation that streams."""

    number: int
    token_id: int


class Ended(NamedTuple):
    """The ends of generations: the number of each, and an Output as `from_output` gives it or an error."""

    results: Sequence[tuple[int, tuple[Any, ...] | Exception]]


class Stats(NamedTuple):
    """An engine's statistics."""

    name: str
    stats: EngineStats


class BatchRan(NamedTuple):
    """An engine ran a batch."""

    name: str
    record: BatchRecord


from_decoding: Callable[[Decoding], tuple[Any, ...]] = attrgetter(*(each.name for each in fields(Decoding)))


def from_generations(name: str, numbers: Iterable[int], generations: Sequence[Generation]) -> Submission:
    """Return the generations as they go over, under these numbers."""
    told, source_ids = [], array("i")
    for number, each in zip(numbers, generations, strict=True):
        source_ids.extend(each.source_ids)
        streams = each.on_token is not None
        told.append((number, len(each.source_ids), from_decoding(each.decoding), each.deadline, streams))
    return Submission(name, told, source_ids)


def to_generations(told: Submission, on_token: Callable[[int], Callable[[int], None]]) -> list[Generation]:
    """Return the generations; `on_token(number)` is told of the tokens of one that streams."""
    generations, start = [], 0
    for number, length, decoding, deadline, streams in told.generations:
        source_ids = told.source_ids[start : start + length]
        start += length
        listener = on_token(number) if streams else None
        generations.append(Generation(source_ids, to_decoding(decoding), deadline, listener))
    return generations


@lru_cache(maxsize=1024)
def to_decoding(told: tuple[Any, ...]) -> Decoding:
    """Return the decoding; equal ones are one."""
    return Decoding(**{each.name: value for each, value in zip(fields(Decoding), told, strict=True)})


def from_output(output: Output) -> tuple[Any, ...]:
    """Return the output's fields."""
    others = tuple(map(from_output, output.others))
    return output.token_ids, output.score, output.finish, others, output.usage


def to_output(told: tuple[Any, ...]) -> Output:
    """Return the output."""
    token_ids, score, finish, others, usage = told
    return Output(token_ids, score, finish, tuple(map(to_output, others)), usage)


def send(connection: Connection, messages: list[Any]) -> None:
    """Send messages. Raises OSError once the other end has gone."""
    connection.send_bytes(pickle.dumps(messages, pickle.HIGHEST_PROTOCOL))


def receive(connection: Connection) -> list[Any]:
    """Wait for the next messages. Raises EOFError or OSError once the other end has gone."""
    messages: list[Any] = pickle.loads(connection.recv_bytes())  # noqa: S301 - our own processes'
    return messages
