"""The contract of every engine: token ids in, token ids out.

An engine knows nothing of text, languages, tasks or HTTP.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Literal, Protocol

LATE = "the request passed its deadline and was cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """A way to search for the output; each field means what it means in transformers' `GenerationConfig`.

    Two generations with equal decodings may share a batch.
    """

    max_new_tokens: int
    min_new_tokens: int = 0
    num_beams: int = 1
    num_return_sequences: int = 1
    """At most `num_beams`; those after the first are the output's `others`."""
    length_penalty: float = 1.0
    early_stopping: bool | Literal["never"] = False
    no_repeat_ngram_size: int = 0
    repetition_penalty: float = 1.0
    forced_bos_token_id: int | None = None
    forced_eos_token_id: int | None = None
    suppressed_token_ids: tuple[int, ...] = ()
    renormalize_logits: bool = False
    """Beam search shares out what suppressed tokens would have had; Marian's models want it."""
    stop_token_ids: tuple[int, ...] = ()
    """The first of these ends the output; empty means the model's own end token."""
    ends_loops: bool = False
    """Where an engine can, a greedy output ends, with `finish` `length`, once it repeats itself for as many
    tokens as its source has."""
    only_scores: bool = False
    """Nothing is searched: the output is what the model tells of its source, `token_log_probabilities`."""


@dataclass(frozen=True, slots=True)
class Generation:
    """One request: the encoder's input, or a causal model's prompt, with its special tokens."""

    source_ids: Sequence[int]
    """A tuple, or in a process that has engines an array."""
    decoding: Decoding
    deadline: float | None = None
    """On `time.monotonic()`'s clock; past it the request is dropped with DeadlineExceeded."""
    on_token: Callable[[int], None] | None = field(default=None, compare=False)
    """Called from the engine's thread with each new token id; greedy search only."""
    flow: str = field(default="", compare=False)
    """Whose it is: while several flows wait, the queue goes round them; see `models.engine.flows`."""


@dataclass(frozen=True, slots=True)
class Output:
    """The output of one request, without prompt, start, forced first and stop tokens."""

    token_ids: tuple[int, ...]
    score: float | None = None
    """The hypothesis' log probability, normalized by its length as beam search ranks it."""
    finish: Literal["stop", "length"] = "stop"
    """`length`: the limit of new tokens ended it, so something may be missing."""
    others: tuple["Output", ...] = ()
    """The hypotheses that beam search ranks below it, best first, where more than one was asked for."""
    token_log_probabilities: tuple[float, ...] = ()
    """Of each of `token_ids`; of the source's tokens after the first, where only these were asked for. Empty
    where an engine does not tell them, as none does for beam search."""
    usage: tuple[int, int] | None = None
    """The tokens read and written, where the ids are not tokens and somebody else counted them."""


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """One batch as it was run, for metrics."""

    size: int
    source_tokens: int
    output_tokens: int
    seconds: float
    hypotheses: int = 1
    """Of each that were wanted; a sentence that is tried again gets several."""
    waited_s: float = 0.0
    """The time that its generations waited for it, together."""


@dataclass(frozen=True, slots=True)
class EngineStats:
    """A look at an engine: requests waiting and running, totals since its start, and its pace of late."""

    queued: int = 0
    running: int = 0
    requests: int = 0
    batches: int = 0
    source_tokens: int = 0
    output_tokens: int = 0
    ready: bool = True
    lost: str = ""
    """Why it will answer nothing any more, if so: its process has to end."""
    slots: int = 0
    """The most that run at a time, where others may join what runs; else 0."""
    step_s: float = 0.0
    cards: "Mapping[str, EngineStats]" = field(default_factory=dict)
    """Of each card's copy, by the card's number, where there are several cards."""


def settle(future: Future[Output], result: Output | Exception) -> None:
    """Answer a generation, unless its caller cancelled it."""
    if not future.set_running_or_notify_cancel():
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)


class Engine(Protocol):
    """Runs generations on one device. All methods may be called from any thread."""

    def submit(self, generations: Sequence[Generation], *, wait: bool = False) -> list[Future[Output]]:
        """Queue the generations, all or none, and return their futures in the same order.

        All are of one flow, and each flow has a queue: a full one raises Overloaded, or blocks until there is
        room if `wait`. A future ends with an Output, DeadlineExceeded, InvalidInput (this request cannot fit
        this model) or EngineFailed; `future.cancel()` before it is done frees its place.
        """

    def stats(self) -> EngineStats: ...

    def close(self) -> None:
        """Finish what is queued, then free the model."""
