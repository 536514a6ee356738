"""The engine of decoder-only models beside transformers' `generate`: the same tokens, and how fast.

    python3 bench/gpu_causal.py     on a GPU in bfloat16, of Gemma 3 270m's shape; else on a CPU, made narrow

Weights are random. Outputs end where a text comes to a multiple of `EVERY` tokens, so that their lengths
differ as translations' do. `bench/gpu.py` has this among its cases.
"""

import json
import random
import statistics
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from causal_models import (
    ARCHITECTURES,
    END,
    MAX_NEW,
    MAX_SOURCE,
    OTHER_END,
    VOCABULARY,
    causal_model,
    generated,
)
from transformers import Gemma3ForCausalLM, Gemma3TextConfig

from models.engine.batching import BatchingEngine
from models.engine.causal import CausalEngine
from models.engine.generate import GenerateBackend
from models.engine.protocol import Decoding, Generation
from models.engine.trial import Bounds, try_out
from models.errors import DragomanError

EVERY, LONGEST_SOURCE = 48, 120
LOAD = 0.7
"""Of the rate of the slower engine, at which requests arrive one by one."""


def causal_exactness(architecture: str, device: str, each: int) -> dict[str, object]:
    """How many of a model's outputs are not `generate`'s, and whether bfloat16 passes the trial."""
    started = time.perf_counter()
    rng = random.Random(architecture)
    decodings = [
        Decoding(max_new_tokens=MAX_NEW),
        Decoding(max_new_tokens=9, repetition_penalty=1.3),
        Decoding(max_new_tokens=10, no_repeat_ngram_size=2),
        Decoding(max_new_tokens=8, min_new_tokens=6, suppressed_token_ids=(3, END)),
        Decoding(max_new_tokens=5, forced_eos_token_id=OTHER_END),
    ]
    generations = [
        Generation(tuple(rng.choices(range(8, VOCABULARY), k=rng.randint(1, MAX_SOURCE))), decoding)
        for decoding in decodings
        for _ in range(each)
    ]
    rng.shuffle(generations)
    references = generated(architecture, generations, device)
    engine = CausalEngine(causal_model(architecture), max_source_tokens=MAX_SOURCE, max_batch_size=8)
    outputs = [future.result(60) for future in engine.submit(generations)]
    engine.close()
    wrong = sum(
        output.token_ids != reference.token_ids or abs(output.score - reference.score) > 1e-3
        for output, reference in zip(outputs, references, strict=True)
    )
    return {
        "case": "exactness",
        "model": architecture,
        "requests": len(generations),
        "wrong": wrong + bool(engine.failure),
        "bfloat16": _trial(architecture, device),
        "seconds": time.perf_counter() - started,
    }


def _trial(architecture: str, device: str) -> str:
    """`passed`, or why not."""
    model = causal_model(architecture, torch.bfloat16).to(device)
    engine = CausalEngine(model, max_source_tokens=MAX_SOURCE, max_batch_size=5)
    try:
        try_out(engine, model, Bounds(MAX_SOURCE, MAX_NEW, num_beams=1, most_beams=1), time_limit_s=60)
    except DragomanError as error:
        return error.message
    finally:
        engine.close()
    return engine.failure or "passed"


def causal_rates(device: str, requests: int) -> list[dict[str, object]]:
    """Requests a second when all come at once, and the wait of those that come one by one, of each engine."""
    model = _model(device)
    rng = random.Random(5)
    decoding = Decoding(max_new_tokens=EVERY + 1, stop_token_ids=(END,))
    words = range(8, model.config.vocab_size)
    generations = [
        Generation(tuple(rng.choices(words, k=rng.randint(20, LONGEST_SOURCE))), decoding)
        for _ in range(requests)
    ]
    backend = GenerateBackend(model, causal=True, max_source_tokens=LONGEST_SOURCE)
    engines = {
        "generate": BatchingEngine(backend),
        "causal": CausalEngine(model, max_source_tokens=LONGEST_SOURCE),
    }
    records = [_at_once(name, engine, model, generations) for name, engine in engines.items()]
    rate = LOAD * min(float(str(record["per_s"])) for record in records)
    records += [_one_by_one(name, engine, generations, rate) for name, engine in engines.items()]
    return records


def _model(device: str) -> Gemma3ForCausalLM:
    """Gemma 3 270m's shape with random weights; on a CPU its layers alone, as narrow as they can be."""
    small = device == "cpu"
    config = Gemma3TextConfig(
        vocab_size=512 if small else 262_144,
        hidden_size=8 if small else 640,
        intermediate_size=8 if small else 2048,
        num_hidden_layers=18,
        num_attention_heads=1 if small else 4,
        num_key_value_heads=1,
        head_dim=8 if small else 256,
        sliding_window=512,
        max_position_embeddings=2048,
        eos_token_id=END,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    model = Gemma3ForCausalLM(config).eval().to(device, torch.float32 if small else torch.bfloat16)
    model.register_forward_hook(_end, with_kwargs=True)
    model.steps = 0
    return model


def _end(model: object, _args: object, asked: dict[str, torch.Tensor], output: object) -> None:
    """End the texts that have come to a multiple of `EVERY` tokens; count the step, prefills too."""
    model.steps += 1
    ends = asked["position_ids"][:, -1] % EVERY == 0
    output.logits[:, -1, END] = torch.where(ends, 1e4, -1e4).to(output.logits.dtype)


def _at_once(
    name: str, engine: BatchingEngine, model: Gemma3ForCausalLM, generations: list[Generation]
) -> dict[str, object]:
    engine.submit(generations[:1])[0].result(60)
    model.steps = 0
    answered_at: list[int] = []
    started, cpu = time.perf_counter(), time.process_time()
    futures = engine.submit(generations)
    for future in futures:
        future.add_done_callback(lambda _: answered_at.append(model.steps))
    outputs = [future.result(600) for future in futures]
    seconds = time.perf_counter() - started
    tokens = sum(len(output.token_ids) for output in outputs)
    return {
        "case": "decoder-only, all at once",
        "engine": name,
        "requests": len(generations),
        "per_s": len(generations) / seconds,
        "tokens_per_s": tokens / seconds,
        "steps": model.steps,
        "median_answered_at_step": statistics.median(answered_at),
        "cpu_s": time.process_time() - cpu,
    }


def _one_by_one(
    name: str, engine: BatchingEngine, generations: list[Generation], rate: float
) -> dict[str, object]:
    """Random arrivals; the engine is closed after them."""
    rng = random.Random(7)
    alone = time.perf_counter()
    engine.submit(generations[:1])[0].result(60)
    alone = time.perf_counter() - alone
    waits: list[float] = []
    futures = []
    due = time.perf_counter()
    for generation in generations:
        due += rng.expovariate(rate)
        time.sleep(max(0.0, due - time.perf_counter()))
        [future] = engine.submit([generation])
        future.add_done_callback(lambda _, since=due: waits.append(time.perf_counter() - since))
        futures.append(future)
    for future in futures:
        future.result(600)
    engine.close()
    return {
        "case": "decoder-only, one by one",
        "engine": name,
        "arrivals_per_s": rate,
        "alone_s": alone,
        "median_s": statistics.median(waits),
        "p95_s": statistics.quantiles(waits, n=20)[-1],
    }


def main() -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        torch.set_num_threads(1)
    for architecture in ARCHITECTURES:
        print(json.dumps(causal_exactness(architecture, device, each=10 if device == "cuda" else 3)))
    for record in causal_rates(device, requests=2000 if device == "cuda" else 200):
        print(json.dumps(record))


if __name__ == "__main__":
    main()
