"""The plain backend: transformers' own `generate`. Exact and slow; the reference for other engines.

On CUDA it runs the models that no faster engine supports.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from models.engine.batching import CPU_SIZES
from models.engine.gpu import context_lost
from models.engine.protocol import Decoding, Generation, Output


class _StreamingCriteria(StoppingCriteria):
    """Passes on each new token of a greedy search, and ends the rows of requests that were stopped."""

    def __init__(self, batch: Sequence[Generation], stopped: Callable[[int], bool], stops: tuple[int, ...]):
        self._batch = batch
        self._stopped = stopped
        self._stops = stops
        decoding = batch[0].decoding
        self._listening = {
            i for i, each in enumerate(batch) if each.on_token is not None and decoding.num_beams == 1
        }
        self._first = decoding.forced_bos_token_id is not None

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        if self._listening and not self._first:
            self._pass_on(input_ids[:, -1].tolist())
        self._first = False
        beams = input_ids.shape[0] // len(self._batch)
        flags = [self._stopped(row // beams) for row in range(input_ids.shape[0])]
        return torch.tensor(flags, device=input_ids.device)

    def _pass_on(self, tokens: list[int]) -> None:
        for i in sorted(self._listening):
            on_token = self._batch[i].on_token
            if on_token is None or tokens[i] in self._stops:
                self._listening.discard(i)  # what follows is padding
            else:
                on_token(tokens[i])


class _Likely(LogitsProcessor):
    """Keeps how likely each greedy token was; `generate` itself would keep all logits to say that.

    A token's probability is the model's own, before anything was forbidden; a forced token is certain.
    """

    def __init__(self) -> None:
        self.steps: list[torch.Tensor] = []
        self._logits = torch.empty(0)

    def hear(self, model: Any, arguments: Any, output: Any) -> None:
        """As a hook of the model: its logits of this step."""
        self._logits = output.logits[:, -1].float()

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        chosen = scores.argmax(-1, keepdim=True)
        gains = self._logits.gather(-1, chosen)[:, 0] - self._logits.logsumexp(-1)
        forced = scores.isfinite().sum(-1) == 1
        self.steps.append(gains.masked_fill(forced, 0.0))
        return scores

    def score(self, i: int, row: list[int], decoding: Decoding, stops: tuple[int, ...]) -> float:
        """The normalized log probability of the batch's row `i`, as beam search would rank it."""
        tokens = min(_end(row, stops) + 1, len(self.steps))
        gains = torch.stack([step[i] for step in self.steps[:tokens]]).sum()
        return float(gains) / float(tokens**decoding.length_penalty)


class GenerateBackend:
    """Runs a loaded transformers model with padding; see `Backend`."""

    workers = batches_at_a_time = 1
    sizes = CPU_SIZES

    def __init__(self, model: Any, *, causal: bool, max_source_tokens: int):
        self.max_source_tokens = max_source_tokens
        self._model = model
        self._causal = causal
        config = model.config.get_text_config(decoder=True)
        self._pad = next(
            i for i in (config.pad_token_id, getattr(config, "bos_token_id", None), 0) if i is not None
        )

    def at_a_time(self, cores: int) -> int:
        """See `Backend.at_a_time`."""
        return self.workers

    def vocabulary_size(self) -> int:
        return int(self._model.get_input_embeddings().weight.shape[0])

    @torch.inference_mode()
    def run(
        self,
        batch: Sequence[Generation],
        stopped: Callable[[int], bool],
        finished: Callable[[int, Output], object] | None = None,
    ) -> list[Output]:
        """See `Backend.run`; all of a batch finish together."""
        decoding = batch[0].decoding
        if decoding.only_scores:
            return [self._scored(generation) for generation in batch]
        stops = _stops_of(decoding, self._model)
        likely = _Likely()
        ids, mask = self._padded([generation.source_ids for generation in batch])
        greedy = decoding.num_beams == 1
        hook = self._model.register_forward_hook(likely.hear) if greedy else None
        try:
            result = self._model.generate(
                input_ids=ids,
                attention_mask=mask,
                stopping_criteria=StoppingCriteriaList([_StreamingCriteria(batch, stopped, stops)]),
                logits_processor=LogitsProcessorList([likely] if greedy else []),
                return_dict_in_generate=True,
                pad_token_id=self._pad,
                **_options(decoding),
            )
        finally:
            if hook is not None:
                hook.remove()
        scores = getattr(result, "sequences_scores", None)
        skip = ids.shape[1] if self._causal else 1  # the prompt, or the decoder's start token
        rows = result.sequences[:, skip:].tolist()
        outputs = [
            _output_of(
                row,
                likely.score(i, row, decoding, stops) if scores is None else float(scores[i]),
                decoding,
                stops,
            )
            for i, row in enumerate(rows)
        ]
        many = decoding.num_return_sequences
        return [
            replace(outputs[i], others=tuple(outputs[i + 1 : i + many])) for i in range(0, len(outputs), many)
        ]

    def is_alive(self) -> bool:
        return not context_lost()

    def close(self) -> None:
        del self._model

    def _scored(self, generation: Generation) -> Output:
        if not self._causal:
            return Output(())
        ids = torch.tensor([list(generation.source_ids)], device=self._model.device)
        told = self._model(ids).logits[0, :-1].float().log_softmax(-1).gather(-1, ids[0, 1:, None])[:, 0]
        return Output((), token_log_probabilities=tuple(round(each, 3) for each in told.tolist()))

    def _padded(self, rows: list[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids and mask [rows, longest], padded on the left for a causal model, else on the right."""
        longest = max(map(len, rows))
        ids = torch.full((len(rows), longest), self._pad)
        mask = torch.zeros((len(rows), longest), dtype=torch.long)
        for i, row in enumerate(rows):
            where = slice(longest - len(row), longest) if self._causal else slice(0, len(row))
            ids[i, where] = torch.tensor(row)
            mask[i, where] = 1
        return ids.to(self._model.device), mask.to(self._model.device)


def _options(decoding: Decoding) -> dict[str, Any]:
    """A decoding as `generate`'s arguments; all of them, so that the model's own defaults play no part."""
    options: dict[str, Any] = {
        "do_sample": False,
        "max_new_tokens": decoding.max_new_tokens,
        "min_new_tokens": decoding.min_new_tokens or None,
        "min_length": None if decoding.min_new_tokens else 0,
        "num_beams": decoding.num_beams,
        "num_return_sequences": decoding.num_return_sequences,
        "no_repeat_ngram_size": decoding.no_repeat_ngram_size,
        "repetition_penalty": decoding.repetition_penalty,
        "forced_bos_token_id": decoding.forced_bos_token_id,
        "forced_eos_token_id": decoding.forced_eos_token_id,
        "suppress_tokens": list(decoding.suppressed_token_ids) or None,
        "bad_words_ids": None,
        "renormalize_logits": decoding.renormalize_logits,
        "output_scores": False,
    }
    if decoding.num_beams > 1:
        options |= {"length_penalty": decoding.length_penalty, "early_stopping": decoding.early_stopping}
        options["output_scores"] = True
    if decoding.stop_token_ids:
        options["eos_token_id"] = list(decoding.stop_token_ids)
    return options


def _stops_of(decoding: Decoding, model: Any) -> tuple[int, ...]:
    """The tokens that end an output of this model."""
    if decoding.stop_token_ids:
        return decoding.stop_token_ids
    eos = model.generation_config.eos_token_id
    return tuple(eos) if isinstance(eos, list) else () if eos is None else (eos,)


def _output_of(row: list[int], score: float | None, decoding: Decoding, stops: tuple[int, ...]) -> Output:
    """Cut a row of `generate`'s result at its end token and take the forced first token off."""
    end = _end(row, stops)
    natural = decoding.max_new_tokens - (decoding.forced_eos_token_id is not None)
    start = 0 if decoding.forced_bos_token_id is None else 1
    return Output(tuple(row[start:end]), score, "stop" if end < natural else "length")


def _end(row: list[int], stops: tuple[int, ...]) -> int:
    """Return where the first end token stands, or would."""
    return next((i for i, token in enumerate(row) if token in stops), len(row))
