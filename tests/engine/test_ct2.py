"""The CTranslate2 backend on a CPU: its workers' threads, batches that go in parts, its tokens."""

import dataclasses
import json
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import TinyHub
from family_models import _codec, _purpose
from hypothesis import given, settings
from hypothesis import strategies as st

from models import cpu
from models.codec import CompletionCodec, Purpose
from models.convert import to_ctranslate2
from models.engine import ct2
from models.engine.ct2 import TokenTable, is_loop, read_tokens
from models.engine.protocol import Generation, Output
from models.languages import Languages

TEXTS = ("The cat sat on the mat.", "A dog.", "It rains in Oslo today and tomorrow.")


def _never(_: int) -> bool:
    return False


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.lists(st.integers(1, 8), min_size=1, max_size=6))
def test_every_free_worker_is_told_once(workers: int, wanted: list[int]) -> None:
    told: list[tuple[int, int]] = []
    library = SimpleNamespace(omp_set_num_threads=lambda n: told.append((threading.get_native_id(), n)))
    with ThreadPoolExecutor(workers) as pool:
        for _ in range(workers):  # as CTranslate2 does, start them all
            pool.submit(threading.Event().wait, 0.001)

        def probe(callback: Callable[[Any], bool]) -> None:
            pool.submit(callback, None).result()

        threads = ct2.WorkerThreads([library, library], probe, workers)
        for number in wanted:
            told.clear()
            threads.set(number, free=workers)
            again = len(told)
            threads.set(number, free=workers)
            assert len(told) == again, "who knows it is not told again"
            assert {n for _, n in told} <= {number}
            assert len({worker for worker, _ in told}) == len(told) / 2, "both libraries, no worker twice"
            assert list(threads._threads.values()) == [number] * workers


@pytest.mark.skipif(not ct2.openmp(), reason="CTranslate2 has another OpenMP here")
def test_the_model_s_own_workers_follow_and_write_the_same(
    tiny_hub: TinyHub, languages: Languages, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = _codec(tiny_hub, languages, "marian")
    purpose = _purpose(codec)
    folder = tiny_hub.store.ct2_folder(tiny_hub.entry("marian"))
    backend = ct2.Ct2Backend(folder, causal=False, max_source_tokens=64, threads=2)
    monkeypatch.setattr(cpu.Neighbours, "busy", lambda _: 0.0)
    monkeypatch.setattr(cpu, "bound", lambda: {0, 1})
    decoding = codec.decoding(purpose, max_new_tokens=12)
    batch = [Generation(codec.encode(text, purpose), decoding) for text in TEXTS]
    outputs = []
    for at_a_time, threads in ((1, 2), (2, 1), (1, 2)):
        backend.batches_at_a_time = at_a_time
        outputs.append(backend.run(batch, _never))
        assert backend._threads is not None
        assert list(backend._threads._threads.values()) == ([threads] * 2)
    assert outputs[0] == outputs[1] == outputs[2]
    assert backend.at_a_time(2) == 1
    monkeypatch.setattr(cpu.Neighbours, "busy", lambda _: 1.0)
    assert backend.at_a_time(2) == 2
    assert backend.run(batch, _never) == outputs[0]
    assert set(backend._threads._threads.values()) == {1}, "a neighbour has the other core"
    backend.close()


def test_without_a_listener_no_python_runs_with_each_token(
    tiny_hub: TinyHub, languages: Languages, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = _codec(tiny_hub, languages, "marian")
    purpose = _purpose(codec)
    folder = tiny_hub.store.ct2_folder(tiny_hub.entry("marian"))
    backend = ct2.Ct2Backend(folder, causal=False, max_source_tokens=64, threads=1)
    heard: list[int] = []
    decoding = dataclasses.replace(codec.decoding(purpose, max_new_tokens=12), num_beams=1)
    silent, loud = (
        [Generation(codec.encode(text, purpose), decoding, on_token=on_token) for text in TEXTS]
        for on_token in (None, heard.append)
    )
    with_callback = backend.run(loud, _never)
    assert heard
    monkeypatch.setattr(ct2, "_StepCallback", None)
    assert backend.run(silent, _never) == with_callback
    backend.close()


def test_every_copy_of_openmp_is_told(tmp_path: Path) -> None:
    import torch

    maps = Path("/proc/self/maps")
    if not ct2.openmp():
        pytest.skip("CTranslate2 has another OpenMP here")
    paths = {line.split()[-1] for line in maps.read_text().splitlines() if "/libgomp" in line}
    assert {library._name for library in ct2.openmp()} == paths
    assert torch.get_num_threads() >= 1  # it stays loaded
    (tmp_path / "maps").write_text("7f00-7f01 r-xp 0000 fe:00 1  /usr/lib/libgomp.so.1\n")
    assert ct2.openmp(tmp_path / "maps") == []
    assert ct2.openmp(tmp_path / "nowhere") == []


SENTENCES = ("The talks failed.", "They spoke about trade.", "A statement.", "The capital.", "In spring.")


@pytest.fixture(scope="module")
def batch(tiny_hub: TinyHub, languages: Languages) -> list[Generation]:
    entry, store = tiny_hub.entry("completion"), tiny_hub.store
    codec = CompletionCodec(entry, store.tokenizer(entry), store.generation_config(entry), languages)
    purpose = Purpose("translate", "en", "fr")
    decoding = dataclasses.replace(codec.decoding(purpose, max_new_tokens=8), num_beams=4)
    return [Generation(codec.encode(text, purpose), decoding) for text in SENTENCES]


@pytest.fixture
def backend(tiny_hub: TinyHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ct2.Ct2Backend:
    entry, store = tiny_hub.entry("completion"), tiny_hub.store
    model = store.load(entry, dtype="float32")
    to_ctranslate2(model, store.tokenizer(entry), store.folder(entry), tmp_path, quantization="float32")
    monkeypatch.setattr(ct2, "BEAM_ROWS", 8)
    return ct2.Ct2Backend(tmp_path, causal=True, max_source_tokens=128, threads=1)


def test_each_part_is_told_when_it_is_done(backend: ct2.Ct2Backend, batch: list[Generation]) -> None:
    told: list[tuple[int, Output]] = []
    asked: list[int] = []

    def stopped(i: int) -> bool:
        asked.append(len(told))
        return False

    outputs = backend.run(batch, stopped, lambda i, output: told.append((i, output)))
    assert told == list(enumerate(outputs))
    assert sorted(set(asked)) == [0, 2, 4], "two sentences of four beams at a time"
    alone = [backend.run([generation], lambda _: False)[0] for generation in batch]
    assert [each.token_ids for each in outputs] == [each.token_ids for each in alone]


def test_a_greedy_search_ends_at_its_own_limit_in_any_batch(
    backend: ct2.Ct2Backend, batch: list[Generation]
) -> None:
    greedy = [
        dataclasses.replace(
            each, decoding=dataclasses.replace(each.decoding, num_beams=1, max_new_tokens=1 + 3 * i)
        )
        for i, each in enumerate(batch)
    ]
    together = backend.run(greedy, _never)
    assert backend.sizes.of(greedy[0].decoding).own_limits
    for generation, output in zip(greedy, together, strict=True):
        (alone,) = backend.run([generation], _never)
        assert (output.token_ids, output.finish) == (alone.token_ids, alone.finish)
        assert output.score == pytest.approx(alone.score, abs=1e-3)
        assert len(output.token_log_probabilities) == len(output.token_ids)
    assert [each.finish for each in together[:2]] == ["length", "length"]


def test_a_loop_ends_early_and_all_else_as_it_does(backend: ct2.Ct2Backend, batch: list[Generation]) -> None:
    greedy = dataclasses.replace(
        batch[0].decoding, num_beams=1, max_new_tokens=90, stop_token_ids=(1,), ends_loops=True
    )
    only = tuple(i for i in range(backend.vocabulary_size()) if i not in (1, 30))
    sources = [tuple(range(first, first + 20)) for first in range(20, 60, 5)]
    for decoding in (greedy, dataclasses.replace(greedy, suppressed_token_ids=only, min_new_tokens=60)):
        told: dict[int, Output] = {}
        ended = backend.run([Generation(each, decoding) for each in sources], _never, told.__setitem__)
        plain = dataclasses.replace(decoding, ends_loops=False)
        whole = backend.run([Generation(each, plain) for each in sources], _never)
        if decoding is greedy:
            assert ended == whole
        else:
            assert min(len(each.token_ids) for each in whole) >= 60
            assert {(each.token_ids, each.finish) for each in ended} == {((30,) * 24, "length")}
            assert ended == [told[i] for i in range(len(sources))]
            assert {len(each.token_log_probabilities) for each in ended} == {24}


@given(st.data())
def test_only_what_comes_three_times_or_more_is_a_loop(data: st.DataObject) -> None:
    source = data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=40, unique=True), label="source")
    tokens = max(ct2.LEAST_LOOP, len(source))
    period = data.draw(st.lists(st.integers(10, 12), min_size=1, max_size=tokens // 3))
    before = data.draw(st.lists(st.integers(0, 9), max_size=30, unique=True))
    loop = [*before, *(period * tokens)[:tokens]]
    assert is_loop(source, loop)
    assert not is_loop(source, loop[1 - tokens :]), "too short"
    assert not is_loop(source, [*loop, 99]), "it is over"
    assert not is_loop([1] * 50, period * 50), "the source repeats itself too"


def test_a_part_that_nobody_waits_for_is_left_out(backend: ct2.Ct2Backend, batch: list[Generation]) -> None:
    told: list[int] = []
    outputs = backend.run(batch, lambda i: i in (2, 3, 4), lambda i, _: told.append(i))
    assert told == [0, 1]
    assert len(outputs) == len(batch)
    assert [bool(each.token_ids) for each in outputs[2:]] == [False] * 3


@given(st.lists(st.text(st.characters())))
def test_each_id_has_its_token(tokens: list[str]) -> None:
    table = TokenTable(tokens)
    assert len(table) == len(tokens)
    assert list(table) == tokens
    for i in (-1, len(tokens)):
        with pytest.raises(IndexError):
            table[i]


def test_a_table_takes_a_fifth_of_the_memory_of_strings() -> None:
    tokens = [f"▁token{i}" for i in range(10_000)]
    table = TokenTable(tokens)
    taken = sum(map(sys.getsizeof, vars(table).values()))
    assert taken < sum(map(sys.getsizeof, tokens)) / 5


def test_a_side_has_its_own_file_or_the_shared_one(tmp_path: Path) -> None:
    (tmp_path / "shared_vocabulary.json").write_text(json.dumps(["<s>", "▁both"]), "utf-8")
    (tmp_path / "target_vocabulary.json").write_text(json.dumps(["</s>", "größer"]), "utf-8")
    assert list(read_tokens(tmp_path, "source")) == ["<s>", "▁both"]
    assert list(read_tokens(tmp_path, "target")) == ["</s>", "größer"]
    with pytest.raises(FileNotFoundError):
        read_tokens(tmp_path / "none", "source")
