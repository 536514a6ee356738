"""Tokens and early outputs of the backends, with tiny models: what is told on the way is what comes out."""

import dataclasses
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import TinyHub
from family_models import KINDS, _backends, _codec, _purpose

from models.engine.batching import CPU_SIZES, BatchingEngine
from models.engine.protocol import Decoding, Generation, Output
from models.languages import Languages

TEXTS = ("The cat sat on the mat.", "A dog.", "It rains in Oslo today and tomorrow.")


SCORES = Decoding(max_new_tokens=1, only_scores=True)


def _never(_: int) -> bool:
    return False


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_and_early_outputs_are_those_that_come_out(
    tiny_hub: TinyHub, languages: Languages, kind: str, tmp_path: Path
) -> None:
    codec = _codec(tiny_hub, languages, kind)
    purpose = _purpose(codec)
    searched: list[list[tuple[float, ...]]] = []
    for backend in _backends(tiny_hub, codec, tmp_path):
        decoding = dataclasses.replace(codec.decoding(purpose, max_new_tokens=12), num_beams=1)
        sources = [codec.encode(text, purpose) for text in TEXTS]
        [first, *_] = backend.run([Generation(source, decoding) for source in sources], _never)
        # A token that occurs, so that one of them stops before its limit.
        stops = (*decoding.stop_token_ids, first.token_ids[len(first.token_ids) // 2])
        for each in (decoding, dataclasses.replace(decoding, stop_token_ids=stops, length_penalty=2.0)):
            tokens: list[list[int]] = [[] for _ in sources]
            early: dict[int, Output] = {}
            batch = [
                Generation(source, each, on_token=seen.append)
                for source, seen in zip(sources, tokens, strict=True)
            ]
            outputs = backend.run(batch, _never, early.__setitem__)
            assert [tuple(seen) for seen in tokens] == [output.token_ids for output in outputs]
            for i, output in early.items():
                assert (output.token_ids, output.finish) == (outputs[i].token_ids, outputs[i].finish)
                assert output.score == pytest.approx(outputs[i].score, abs=1e-4)
                assert output.token_log_probabilities == outputs[i].token_log_probabilities
            assert type(backend).__name__ != "Ct2Backend" or len(early) == len(sources)
        if codec.entry.kind != "causal":
            continue
        written = [each.token_ids for each in outputs]
        asked = [Generation((*source, *ids), SCORES) for source, ids in zip(sources, written, strict=True)]
        scored = [each.token_log_probabilities for each in backend.run(asked, _never)]
        found = [told[-len(ids) :] for told, ids in zip(scored, written, strict=True)]
        searched.append(found)
        if type(backend).__name__ == "Ct2Backend":  # its greedy search tells them at no cost
            for each, output in zip(found, outputs, strict=True):
                assert each == pytest.approx(output.token_log_probabilities, abs=2e-3)
    for one, other in pairwise(searched):
        for each, same in zip(one, other, strict=True):
            assert len(each) != len(same) or each == pytest.approx(same, abs=0.01)


class _OneByOne:
    """Says that its items have finished, the last first, and then fails if it is told to."""

    max_source_tokens = 8
    workers = 1
    sizes = CPU_SIZES

    def is_alive(self) -> bool:
        return True

    def __init__(self, *, fails: bool):
        self.fails = fails
        self.batches: list[int] = []

    def vocabulary_size(self) -> int:
        return 10

    def run(self, batch, stopped, finished=None):
        self.batches.append(len(batch))
        for i in reversed(range(1, len(batch))):
            finished(i, Output((i,)))
        if self.fails and len(batch) > 1:
            raise RuntimeError("out of memory")
        return [Output((0,)) for _ in batch]

    def close(self) -> None:
        pass


@pytest.mark.parametrize("fails", [False, True])
def test_what_has_finished_is_answered_once_and_not_run_again(fails: bool) -> None:
    backend = _OneByOne(fails=fails)
    engine = BatchingEngine(backend)
    order: list[int] = []
    futures = engine.submit([Generation((i,), Decoding(max_new_tokens=4)) for i in range(3)])
    for i, future in enumerate(futures):
        future.add_done_callback(lambda _, i=i: order.append(i))
    outputs = [future.result(5).token_ids for future in futures]
    engine.close()
    assert sorted(outputs) == [(0,), (1,), (2,)]
    assert order[-1] == outputs.index((0,)), "it ended with its batch"
    assert backend.batches == ([3, 1] if fails else [3])
