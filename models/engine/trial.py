"""The trial of an engine at load: on this device it must compute what the plain model computes, and fast.

Random requests go through the engine, then the plain model scores the same tokens (teacher forcing). In
bfloat16 two correct computations may round differently and choose different tokens, so tokens are not
compared: each greedy token must be as good as the best, and each score must be its tokens' log probability.
An engine that is right is then raced with another: both have the same requests for two seconds each.
"""

import itertools
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from transformers import LogitNormalization, LogitsProcessorList
from transformers.generation import logits_process as lp

from models.engine.generate import GenerateBackend
from models.engine.native.model import end_token_ids, start_token_id
from models.engine.protocol import Decoding, Engine, Generation, Output
from models.errors import DragomanError, EngineFailed

NUM_LATE = 4
"""The number of requests that join while the others run."""

SOURCE_LENGTHS = (2, 0, 3, 4, 5, 9, 2, 17, 33, 1, 65, 129)
"""Zero is the longest that fits. Mostly short: there one token too few or too many is felt."""

LONGEST_OUTPUT = 72
"""New tokens of a trial's longest output: more than the blocks of time that the kernels read (32 and 64)."""


FLOAT32, HALF_PRECISION = (1e-3, 1e-3), (0.12, 0.06)
"""The most that rounding may be off, in standard deviations of the logits over the vocabulary, in float32 and
in bfloat16 or float16. First, by how much the logits of greedy tokens may miss the best, on average over an
output, because a model in bfloat16 may be beside itself at single places, this engine or not. Second, by how
much an output's log probability may be off, divided by its number of tokens. Right engines of random weights
were off by up to 0.046 and 0.028 in bfloat16 on a CPU, and in float32 by 0 and 4e-6;
tests/engine/test_trial.py shows by how much wrong ones are."""

WORSE_BEAMS = 0.1
"""The most that beam search may be worse than transformers', relative to its scores; measured: 0.03."""


RACE_REQUESTS, RACE_S = 64, 2.0
RACE_OUTPUT = (16, 64)
"""The fewest and the most new tokens of a race's outputs."""


class WrongOutput(EngineFailed):
    """The engine answered, and not as the plain model would have."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of a trial's requests: the engine's limits, the beams of its searches and its retries."""

    max_source_tokens: int
    max_new_tokens: int
    num_beams: int
    most_beams: int


def try_out(engine: Engine, model: Any, bounds: Bounds, *, time_limit_s: float = 120.0) -> None:
    """Run random requests and compare; EngineFailed, with the reason, unless all is as the model has it.

    WrongOutput is what the comparison found; anything else, as a time-out, may go better another time.

    `model` is the transformers model whose weights the engine runs. Nothing else may use the engine yet. The
    limit is for the engine's answers; comparing them takes some seconds more.
    """
    generations = list(_generations(model, bounds))
    try:
        outputs = _run(engine, generations, time_limit_s)
        oracle = _Oracle(model)
        for generation, output in zip(generations, outputs, strict=True):
            oracle.compare(generation, output)
        oracle.compare_searches(generations, outputs)
    except DragomanError as error:
        kind = WrongOutput if isinstance(error, WrongOutput) else EngineFailed
        raise kind(f"the trial failed: {error.message}") from error
    except Exception as error:
        raise EngineFailed(f"the trial failed: {error!r}") from error


def _generations(model: Any, bounds: Bounds) -> Iterator[Generation]:
    """The same requests each time: sources of one token up to the most, and each way to search."""
    rng = random.Random(0)  # noqa: S311 - no secret
    ordinary = _ordinary_tokens(model)
    decodings = itertools.cycle(_decodings(model, bounds, rng.choice(ordinary)))
    longest = bounds.max_source_tokens
    for length, decoding in zip(SOURCE_LENGTHS, decodings, strict=False):
        length = min(length, longest) or longest
        yield Generation(tuple(rng.choices(ordinary, k=length)), decoding)


def _ordinary_tokens(model: Any) -> list[int]:
    vocabulary = model.get_encoder().get_input_embeddings().weight.shape[0]
    special = {model.config.pad_token_id, *end_token_ids(model), start_token_id(model)}
    return [token for token in range(vocabulary) if token not in special]


def race_requests(model: Any, decoding: Decoding, lengths: tuple[int, int]) -> list[Generation]:
    """Return the requests of a race, the same each time: random sources of such lengths."""
    rng = random.Random(1)  # noqa: S311 - no secret
    ordinary = _ordinary_tokens(model)
    least, most = (min(each, decoding.max_new_tokens) for each in RACE_OUTPUT)
    decoding = replace(decoding, min_new_tokens=least, max_new_tokens=most)
    sources = (rng.choices(ordinary, k=rng.randint(*lengths)) for _ in range(RACE_REQUESTS))
    return [Generation(tuple(source), decoding) for source in sources]


def rate_of(
    engine: Engine,
    requests: Sequence[Generation],
    clock: Callable[[], float] = time.perf_counter,
    *,
    time_limit_s: float = 120.0,
) -> float:
    """Return how many requests a second the engine answers, while it has all of these and again as many.

    All are answered once before that, as libraries set themselves up in the first batch. Raises what a
    request ends with, and EngineFailed after waiting for one for `time_limit_s`: its GPU may have hung.
    """

    def wait_for(futures: Iterable[Future[Output]]) -> None:
        for future in futures:
            try:
                future.result(time_limit_s)
            except TimeoutError:
                raise EngineFailed(f"no answer within {time_limit_s:g} seconds") from None

    wait_for(engine.submit(requests))
    started, rounds = clock(), 0
    under_way = deque([engine.submit(requests), engine.submit(requests)])
    try:
        while not rounds or clock() - started < RACE_S:
            wait_for(under_way.popleft())
            under_way.append(engine.submit(requests))
            rounds += 1
        return rounds * len(requests) / (clock() - started)
    finally:
        for future in itertools.chain.from_iterable(under_way):
            future.cancel()


def _decodings(model: Any, bounds: Bounds, first_token: int) -> list[Decoding]:
    """Greedy and with beams, plain and with all edits of the logits.

    None writes padding: in a whole text M2M100 and NLLB count no position for it, step by step they do.
    """
    most = min(bounds.max_new_tokens, LONGEST_OUTPUT)
    padding = model.config.pad_token_id
    plain = Decoding(
        max_new_tokens=most,
        suppressed_token_ids=() if padding is None or padding in end_token_ids(model) else (padding,),
        renormalize_logits=bool(model.generation_config.renormalize_logits),
    )
    edited = replace(plain, min_new_tokens=most, no_repeat_ngram_size=3, repetition_penalty=2.0)
    beams = replace(plain, num_beams=bounds.num_beams, max_new_tokens=max(1, most // 2))
    edited_beams = replace(
        edited,
        num_beams=bounds.most_beams,
        min_new_tokens=most // 2,
        length_penalty=2.0,
        early_stopping=True,
        forced_bos_token_id=first_token,
        forced_eos_token_id=end_token_ids(model)[0],
    )
    return [plain, beams, edited, edited_beams]


def _run(engine: Engine, generations: Sequence[Generation], time_limit_s: float) -> list[Output]:
    """Return the engine's outputs; the last requests join when the first output has begun."""
    until = time.monotonic() + time_limit_s
    begun, streamed = threading.Event(), list[int]()

    def on_token(token: int) -> None:
        streamed.append(token)
        begun.set()

    first = replace(generations[0], on_token=on_token)
    futures = engine.submit([first, *generations[1:-NUM_LATE]])
    futures[0].add_done_callback(lambda _: begun.set())
    try:
        begun.wait(time_limit_s)
        if futures[0].done():
            futures[0].result()  # the reason, before the engine is asked for more
        futures += engine.submit(generations[-NUM_LATE:])
        outputs = [future.result(max(0.0, until - time.monotonic())) for future in futures]
    except TimeoutError:
        raise EngineFailed(f"no answer within {time_limit_s:g} seconds") from None
    finally:
        for future in futures:
            future.cancel()
    if tuple(streamed) != outputs[0].token_ids:
        raise WrongOutput("the streamed tokens are not those of the answer")
    return outputs


class _Oracle:
    """The plain model, and what it thinks of the engine's outputs."""

    def __init__(self, model: Any):
        self._model = model
        self._ends = end_token_ids(model)
        self._token_room, self._score_room = FLOAT32 if model.dtype == torch.float32 else HALF_PRECISION

    @torch.inference_mode()
    def compare(self, generation: Generation, output: Output) -> None:
        """EngineFailed unless the output is one that the model could have given."""
        logits, tokens = self._forced(generation, output)
        spread = float(logits.std(-1).mean())
        raw, processed = self._processed(generation, logits, tokens)
        chosen = torch.tensor(tokens, device=logits.device)[:, None]
        if generation.decoding.num_beams == 1:
            gap = float((processed.amax(-1) - processed.gather(1, chosen)[:, 0]).mean())
            self._within("greedy tokens' logits are below the best", gap, self._token_room * spread)
        forced = processed.isfinite().sum(-1) == 1
        gains = raw.gather(1, chosen)[:, 0].masked_fill(forced, 0.0)
        score = output.score
        if score is None:
            raise WrongOutput("an answer has no score")
        total = score * len(tokens) ** generation.decoding.length_penalty
        off = abs(total - float(gains.sum())) / len(tokens)
        self._within("a score is off", off, self._score_room * spread)

    def compare_searches(self, generations: Sequence[Generation], outputs: Sequence[Output]) -> None:
        """EngineFailed if beam search finds worse outputs than transformers' own does, on average.

        A tie that falls the other way may end better or worse; over several outputs that evens out.
        """
        pairs = [pair for pair in zip(generations, outputs, strict=True) if pair[0].decoding.num_beams > 1]
        backend = GenerateBackend(self._model, causal=False, max_source_tokens=0)
        lost, largest = 0.0, 0.0
        for generation, output in pairs:
            [reference] = backend.run([generation], lambda _: False)
            best, found = reference.score, output.score
            if best is None or found is None:
                raise WrongOutput("an answer has no score")
            lost += best - found
            largest = max(largest, abs(best))
        if pairs:
            loss = lost / len(pairs)
            self._within("beam search's scores are worse than they should be", loss, WORSE_BEAMS * largest)

    def _forced(self, generation: Generation, output: Output) -> tuple[Tensor, list[int]]:
        """The logits [n, V] at each place of the output, and its tokens, those the protocol omits as well."""
        decoding = generation.decoding
        first = () if decoding.forced_bos_token_id is None else (decoding.forced_bos_token_id,)
        known = [*first, *output.token_ids]
        logits = self._logits(generation.source_ids, known)
        if output.finish == "stop":
            known.append(max(self._ends, key=lambda end: float(logits[-1, end])))
        elif decoding.forced_eos_token_id is not None:
            known.append(decoding.forced_eos_token_id)
        if not 1 <= len(known) <= decoding.max_new_tokens:
            raise WrongOutput(f"{len(known)} tokens came, and {decoding.max_new_tokens} is the most")
        if output.finish == "length" and len(known) != decoding.max_new_tokens:
            raise WrongOutput(f"an output ended after {len(known)} of {decoding.max_new_tokens} tokens")
        return logits[: len(known)].float(), known

    def _logits(self, source_ids: Sequence[int], known: Sequence[int]) -> Tensor:
        """The logits [n + 1, V] at the place of each new token, and after the last."""
        source = torch.tensor([source_ids], device=self._model.device)
        target = torch.tensor([[start_token_id(self._model), *known]], device=self._model.device)
        output = self._model(input_ids=source, decoder_input_ids=target, use_cache=False)
        logits: Tensor = output.logits[0]
        return logits

    def _processed(self, generation: Generation, logits: Tensor, tokens: list[int]) -> tuple[Tensor, Tensor]:
        """Return the values that scores are made of, and those that tokens are chosen by, both [n, V].

        Greedy search edits logits and scores by the model's own probabilities, as `Output.score` has it; beam
        search edits the probabilities and scores by those.
        """
        decoding = generation.decoding
        log_probs, beams = logits.log_softmax(-1), decoding.num_beams > 1
        edited = (log_probs if beams else logits).clone()
        processors = _processors(decoding, self._ends, logits.device)
        if decoding.renormalize_logits and beams:
            processors.append(LogitNormalization())
        so_far: Any = torch.tensor([[start_token_id(self._model), *tokens]], device=logits.device)
        for place in range(len(tokens)):
            scores: Any = edited[place : place + 1]
            edited[place] = processors(so_far[:, : 1 + place], scores)[0]
        return edited if beams else log_probs, edited

    def _within(self, what: str, value: float, most: float) -> None:
        if not value <= most:  # a NaN is not
            raise WrongOutput(f"{what} by {value:.3g}, and rounding explains {most:.3g}")


def _processors(decoding: Decoding, ends: Sequence[int], device: Any) -> LogitsProcessorList:
    """The edits of the logits that `generate` makes for a decoding, in its order."""
    processors = LogitsProcessorList()
    if decoding.repetition_penalty != 1.0:
        processors.append(lp.RepetitionPenaltyLogitsProcessor(decoding.repetition_penalty))
    if decoding.no_repeat_ngram_size:
        processors.append(lp.NoRepeatNGramLogitsProcessor(decoding.no_repeat_ngram_size))
    if decoding.min_new_tokens:
        least, stops = decoding.min_new_tokens, list(ends)
        processors.append(lp.MinNewTokensLengthLogitsProcessor(1, least, stops, device=device))
    if decoding.forced_bos_token_id is not None:
        processors.append(lp.ForcedBOSTokenLogitsProcessor(decoding.forced_bos_token_id))
    if decoding.forced_eos_token_id is not None:
        longest, last = 1 + decoding.max_new_tokens, decoding.forced_eos_token_id
        processors.append(lp.ForcedEOSTokenLogitsProcessor(longest, last, device=device))
    if decoding.suppressed_token_ids:
        suppressed = list(decoding.suppressed_token_ids)
        processors.append(lp.SuppressTokensLogitsProcessor(suppressed, device=device))
    return processors
