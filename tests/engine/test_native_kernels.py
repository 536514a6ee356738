"""Triton kernels against the plain PyTorch functions: on CUDA, or in Triton's interpreter.

Without a GPU: `TRITON_INTERPRET=1 pytest tests/engine/test_native_kernels.py`, as `make test` does.
"""

import inspect
import random
from dataclasses import replace
from functools import cache

import pytest
import torch
from seq2seq_models import VOCABULARY, assert_as_expected, engine_of, random_source

from models.engine.native import attention, search
from models.engine.native.attention import Batch, Norm
from models.engine.native.limits import Lane, Limits, Plan
from models.engine.native.runner import kernels_on
from models.engine.native.scheduler import Place, Request
from models.engine.native.search import SearchState
from models.engine.protocol import Decoding, Generation

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
kernels = kernels_on(DEVICE)
pytestmark = [
    pytest.mark.skipif(kernels is None, reason="needs CUDA, or TRITON_INTERPRET=1"),
    # Of Triton's interpreter; tried with 3.7 and 3.9, and NumPy 2.4.
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning"),
]
HEADS, MAX_NEW, MAX_SOURCE, SLOTS = 3, 40, 300, 5


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Have Triton's interpreter look through its language once, and not in each call: a third of the time."""
    if DEVICE.type != "cuda":
        from triton.language.core import is_builtin

        getmembers = inspect.getmembers
        names = cache(lambda owner: [name for name, member in getmembers(owner) if is_builtin(member)])
        quick = lambda owner: [(name, getattr(owner, name)) for name in names(owner)]  # noqa: E731
        monkeypatch.setattr("triton.runtime.interpreter.inspect.getmembers", quick)


def rand(*shape):
    return torch.randn(*shape, device=DEVICE)


def a_batch(num_beams):
    active = torch.tensor([3, 0, 4], dtype=torch.int32, device=DEVICE)
    position = torch.tensor([0, 39, 7, 33, 12, 0], dtype=torch.int32, device=DEVICE)
    # Rows as the engine gives them: no row is shared by two hypotheses at the time that is written.
    rows = torch.arange(SLOTS * num_beams, dtype=torch.int32, device=DEVICE).view(SLOTS, num_beams, 1)
    order = torch.randint(0, num_beams, (SLOTS, num_beams, MAX_NEW), device=DEVICE)
    table = rows.expand(-1, -1, MAX_NEW).gather(1, order)
    now = position[:SLOTS].long()[:, None, None].expand(-1, num_beams, 1)
    table = table.scatter(2, now, rows)
    source_length = torch.tensor([1, 5, 5, 300, 130, 1], dtype=torch.int32, device=DEVICE)
    return Batch(active, num_beams, position, table.contiguous(), source_length)


@pytest.mark.parametrize("num_beams", [1, 4, 5])
@pytest.mark.parametrize(("width", "with_bias"), [(8, False), (32, True), (24, False)])
def test_self_attention(num_beams, width, with_bias):
    batch = a_batch(num_beams)
    qkv = rand(batch.num_rows, 3, HEADS, width)
    bias = rand(HEADS, MAX_NEW) if with_bias else None
    cache = rand(2, SLOTS * num_beams, MAX_NEW, HEADS, width)
    twin = cache.clone()
    ours = kernels.self_attention(qkv, cache, batch, bias, 0.3)
    plain = attention.self_attention(qkv, twin, batch, bias, 0.3)
    torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(cache, twin)


@pytest.mark.parametrize("num_beams", [1, 4, 8])
@pytest.mark.parametrize("splits", [1, 4])
def test_cross_attention(num_beams, splits, monkeypatch):
    monkeypatch.setattr(kernels, "_splits", lambda *_: splits)
    batch = a_batch(num_beams)
    query = rand(batch.num_rows, HEADS, 24)
    cache = rand(2, SLOTS + 1, HEADS, MAX_SOURCE, 24)
    ours = kernels.cross_attention(query, cache, batch, 0.3)
    plain = attention.cross_attention(query, cache, batch, 0.3)
    torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rms", [False, True])
def test_add_norm(rms):
    norm = Norm(rand(48), None if rms else rand(48), 1e-5, rms)
    residual, update = rand(7, 48), rand(7, 48)
    ours = kernels.add_norm(residual, update, norm)
    torch.testing.assert_close(ours, attention.add_norm(residual, update, norm), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("architecture", ["bart", "flan-t5"])
def test_the_engine_on_kernels(architecture):
    rng = random.Random(11)
    generations = [
        Generation(random_source(rng)[:8], a_decoding(rng, num_beams))
        for num_beams in (1, 4)
        for _ in range(2)
    ]
    engine = engine_of(architecture)
    outputs = [future.result(280) for future in engine.submit(generations)]
    engine.close()
    for generation, output in zip(generations, outputs, strict=True):
        assert_as_expected(architecture, generation, output)


def a_decoding(rng, num_beams):
    choose = rng.choice
    return Decoding(
        max_new_tokens=choose([6, 12]),
        min_new_tokens=choose([0, 5]),
        num_beams=num_beams,
        length_penalty=choose([0.0, 1.0, 2.0, -0.5]),
        early_stopping=choose([True, False, "never"]),
        no_repeat_ngram_size=choose([0, 1, 2, 3]),
        repetition_penalty=choose([1.0, 1.4]),
        forced_bos_token_id=choose([None, 7]),
        forced_eos_token_id=choose([None, 9]),
        suppressed_token_ids=choose([(), (11, 12, 30)]),
    )


def a_state(rng, num_beams, num_stops, renormalized):
    """Renormalized searches beside such that are not, where any are."""
    limits = Limits(beam_widths=(8,), max_new_tokens=20)
    state = SearchState(Plan(SLOTS, SLOTS * 8), limits, start_token_id=2, device=DEVICE)
    stops = tuple(rng.sample(range(10, VOCABULARY), num_stops))
    requests = []
    for slot in range(SLOTS):
        decoding = replace(a_decoding(rng, num_beams), renormalize_logits=renormalized and slot % 2 == 0)
        requests.append(Request(Generation((3, 4, 5), decoding), Lane(num_beams, 2 * num_beams), stops))
        requests[-1].place = Place(slot, tuple(range(slot * 8, slot * 8 + num_beams)))
    state.begin(requests)
    return state


EXACT = ("position", "finished", "improvable", "done")
CLOSE = ("score", "done_score")


@pytest.mark.parametrize(
    ("num_beams", "num_stops", "renormalized", "seed"),
    [
        (1, 1, False, 0),
        (1, 1, False, 1),
        (1, 1, False, 56),  # no penalties, but suppressed tokens
        (4, 1, True, 0),
        (5, 3, False, 0),
        (8, 1, False, 1),
    ],
)
def test_search(num_beams, num_stops, renormalized, seed, monkeypatch):
    monkeypatch.setattr(kernels, "MIN_CHUNK", 32)
    ours = a_state(random.Random(seed), num_beams, num_stops, renormalized)
    plain = a_state(random.Random(seed), num_beams, num_stops, renormalized)
    lane = Lane(num_beams, max(2, num_stops + 1) * num_beams if num_beams > 1 else 1)
    # Wide searches of all slots take minutes in Triton's interpreter.
    is_short = num_beams > 4 and DEVICE.type != "cuda"
    slots = [0, 4] if is_short else [2, 0, 1, 4, 3]
    active = torch.tensor([*slots, SLOTS], dtype=torch.int32, device=DEVICE)
    torch.manual_seed(seed)
    for _ in range(8 if is_short else 12):
        # Rows of logits begin aligned, with some room between them.
        logits = (rand(len(active) * num_beams, VOCABULARY + 5) * 3)[:, :VOCABULARY]
        given = logits.clone()
        search.advance(plain, active, lane, logits)
        assert torch.equal(logits, given), "both are to see the same"
        kernels.advance(ours, active, lane, logits)
        assert_same_books(ours, plain, num_beams)


def assert_same_books(ours, plain, num_beams):
    """Equal wherever a later step or the host would look."""
    for name in EXACT:
        assert torch.equal(getattr(ours, name)[:SLOTS], getattr(plain, name)[:SLOTS]), name
    for name in CLOSE:
        mine, reference = getattr(ours, name)[:SLOTS], getattr(plain, name)[:SLOTS]
        torch.testing.assert_close(mine, reference, rtol=1e-5, atol=1e-5)
    for slot in range(SLOTS):
        if not plain.finished[slot]:
            # After a forced token all beams but the first are equal placeholders, in any order.
            real = int((plain.score[slot, :num_beams] > -1e8).sum())
            so_far = slice(0, int(plain.position[slot]) + 1)
            for name in ("history", "table"):
                mine, reference = getattr(ours, name)[slot], getattr(plain, name)[slot]
                assert torch.equal(mine[:real, so_far], reference[:real, so_far]), name
            assert torch.equal(ours.token[slot, :real], plain.token[slot, :real])
        # A hypothesis that is not done is a placeholder: which of several equal ones does not matter.
        for beam in plain.done[slot].nonzero()[:, 0].tolist() or ([0] if num_beams == 1 else []):
            end = int(plain.done_length[slot, beam])
            assert int(ours.done_length[slot, beam]) == end
            assert torch.equal(ours.done_tokens[slot, beam, :end], plain.done_tokens[slot, beam, :end])
