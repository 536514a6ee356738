"""How fast the native engine is, beside transformers' `generate` and CTranslate2, on the same requests.

    python3 bench/engine.py --out FILE        on a GPU, bf16, the real models' shapes
    python3 bench/engine.py --tiny --out FILE anywhere, tiny shapes: shows that it runs, and nothing else

Weights are random, as the time of a given number of steps does not depend on them; each output's length is
drawn as real ones are, and forced. One JSON line a case. Needs torch, transformers and `models/engine`.
"""

import argparse
import contextlib
import datetime
import gc
import importlib.util
import json
import os
import platform
import random
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
import transformers
from transformers import BartConfig, BartForConditionalGeneration, MarianConfig, MarianMTModel

from models.engine.batching import CPU_SIZES, BatchingEngine
from models.engine.ct2 import Ct2Backend
from models.engine.gpu import GPU_SIZES, load_cublas
from models.engine.native import NativeEngine
from models.engine.native.limits import limits_for
from models.engine.protocol import Decoding, Generation


def ids_and_targets(workload):
    """The source ids and the forced numbers of new tokens of all requests."""
    generations = workload.generations(workload.num_requests, 1)
    return [list(each.source_ids) for each in generations], [
        each.decoding.max_new_tokens for each in generations
    ]


@torch.inference_mode()
def generate(model, requests, num_beams):
    """One batch by transformers."""
    longest = max(len(ids) for ids, _ in requests)
    pad = model.config.pad_token_id
    ids = torch.tensor([ids + [pad] * (longest - len(ids)) for ids, _ in requests])
    mask = torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids, _ in requests])
    target = max(target for _, target in requests)
    model.generate(
        input_ids=ids.to(model.device),
        attention_mask=mask.to(model.device),
        num_beams=num_beams,
        do_sample=False,
        min_new_tokens=target,
        max_new_tokens=target,
        forced_bos_token_id=None,
        forced_eos_token_id=None,
    )
    if model.device.type == "cuda":
        torch.cuda.synchronize()


def translate(translator, requests, num_beams):
    """One batch by CTranslate2."""
    target = max(target for _, target in requests)
    translator.translate_batch(
        [[f"t{token}" for token in ids] for ids, _ in requests],
        beam_size=num_beams,
        min_decoding_length=target,
        max_decoding_length=target,
        max_batch_size=len(requests),
    )


def convert(model, folder):
    """The random model in CTranslate2's format, with a made-up vocabulary."""
    from ctranslate2.converters import transformers as converters

    model.config.normalize_before = False
    loader = converters._MODEL_LOADERS[type(model.config).__name__]
    spec = loader.get_model_spec(model)
    size = spec.encoder.embeddings[0].weight.shape[0]
    loader.set_vocabulary(spec, [f"t{number}" for number in range(size)])
    for name in ("bos_token", "eos_token", "unk_token", "decoder_start_token"):
        setattr(spec.config, name, "t2")
    spec.validate()
    spec.optimize(quantization=None)
    spec.save(folder)


@dataclass(frozen=True)
class Workload:
    """A model's shape and the lengths of what goes in and out."""

    name: str
    source_mean: float
    source_spread: float
    source_range: tuple[int, int]
    target_range: tuple[int, int]
    num_requests: int
    static_batch: int
    max_source_tokens: int
    """As the model's entry in the catalog has it, and so the next."""
    max_new_tokens: int

    def model(self, tiny: bool):
        torch.manual_seed(0)
        return _bart(tiny) if self.name == "bart-large" else _marian(tiny)

    def lengths(self, count: int, seed: int = 0):
        """(source tokens, new tokens) of each request."""
        rng = random.Random(seed)
        low, high = self.source_range
        sources = [int(rng.gauss(self.source_mean, self.source_spread)) for _ in range(count)]
        return [(min(high, max(low, source)), rng.randint(*self.target_range)) for source in sources]

    def generations(self, count: int, num_beams: int, seed: int = 0):
        rng = random.Random(seed + 1)
        return [
            Generation(
                tuple(rng.randrange(5, 1000) for _ in range(source)),
                Decoding(max_new_tokens=target, min_new_tokens=target, num_beams=num_beams),
            )
            for source, target in self.lengths(count, seed)
        ]


WORKLOADS = (
    Workload("bart-large", 750, 180, (200, 1024), (40, 140), 512, 64, 1024, 256),
    Workload("marian", 32, 14, (4, 128), (10, 64), 4096, 256, 512, 512),
)
TINY = (
    Workload("bart-large", 30, 8, (8, 48), (4, 12), 24, 8, 64, 16),
    Workload("marian", 10, 4, (2, 20), (3, 10), 24, 8, 64, 16),
)


def _bart(tiny: bool):
    small = {"vocab_size": 1000, "d_model": 32, "layers": 2, "heads": 2, "ffn": 64, "positions": 64}
    large = {"vocab_size": 50264, "d_model": 1024, "layers": 12, "heads": 16, "ffn": 4096, "positions": 1024}
    config = BartConfig(**_shape(small if tiny else large))
    return BartForConditionalGeneration(config).eval()


def _marian(tiny: bool):
    small = {"vocab_size": 1100, "d_model": 32, "layers": 2, "heads": 2, "ffn": 64, "positions": 64}
    large = {"vocab_size": 58101, "d_model": 512, "layers": 6, "heads": 8, "ffn": 2048, "positions": 512}
    shape = _shape(small if tiny else large)
    pad = shape["vocab_size"] - 1
    config = MarianConfig(
        **shape,
        scale_embedding=True,
        activation_function="swish",
        pad_token_id=pad,
        eos_token_id=0,
        decoder_start_token_id=pad,
        forced_eos_token_id=None,
    )
    return MarianMTModel(config).eval()


def _shape(sizes):
    shape = {"vocab_size": sizes["vocab_size"], "d_model": sizes["d_model"]}
    for side in ("encoder", "decoder"):
        shape[f"{side}_layers"] = sizes["layers"]
        shape[f"{side}_attention_heads"] = sizes["heads"]
        shape[f"{side}_ffn_dim"] = sizes["ffn"]
    return {**shape, "max_position_embeddings": sizes["positions"]}


class Bench:
    """Runs the cases and keeps their records."""

    def __init__(self, options):
        self.tiny = options.tiny
        self.device = "cuda" if torch.cuda.is_available() and not options.tiny else "cpu"
        self.dtype = torch.bfloat16 if self.device == "cuda" else torch.float32
        self.profile = options.profile and self.device == "cuda"
        self.seconds = 2.0 if options.tiny else options.seconds
        self.records = []

    def record(self, **fields):
        fields = {
            key: round(value, 4) if isinstance(value, float) else value for key, value in fields.items()
        }
        self.records.append(fields)
        print(json.dumps(fields), flush=True)

    def run(self, workload: Workload, systems):
        if "engine" in systems:
            self.engine_cases(workload)
        if "transformers" in systems:
            self.transformers_cases(workload)
        if "ctranslate2" in systems and importlib.util.find_spec("ctranslate2"):
            self.ctranslate2_cases(workload)

    # -- this engine

    def engine_cases(self, workload: Workload):
        for num_beams in (4, 1):
            self.engine_case(workload, num_beams)

    def engine_case(self, workload: Workload, num_beams: int):
        """An engine as the product makes it for a model that searches with so many beams."""
        started = time.perf_counter()
        limits = limits_for(num_beams, workload.max_source_tokens, workload.max_new_tokens)
        model = workload.model(self.tiny)
        engine = NativeEngine(model, limits, device=self.device, dtype=self.dtype, max_queued=1 << 20)
        # As a server does once it is up: thousands of new futures then do not make Python's collector walk
        # through everything that torch and transformers have imported.
        gc.collect()
        gc.freeze()
        case = {"system": "engine", "model": workload.name}
        start_s = time.perf_counter() - started
        start = {"num_beams": num_beams, "seconds": start_s, "slots": engine.stats().slots}
        self.record(**case, case="start", **start)
        rate = self.engine_throughput(engine, workload, num_beams, case)
        if self.profile:
            self.engine_kernels(engine, workload, num_beams, case)
        idle_s = self.engine_alone(engine, workload, num_beams, case)
        self.engine_stream(engine, workload, num_beams, 0.7 * rate, idle_s, case)
        engine.close()

    def engine_throughput(self, engine, workload, num_beams, case):
        """All requests at once; the better of two runs, both recorded."""
        _run(engine, workload.generations(workload.num_requests // 4, num_beams, seed=9))
        best = 0.0
        for seed in (0, 1):
            generations = workload.generations(workload.num_requests, num_beams, seed=seed)
            seconds = _run(engine, generations)
            stats = engine.stats()
            rate = len(generations) / seconds
            best = max(best, rate)
            self.record(
                **case,
                case="all at once",
                num_beams=num_beams,
                requests=len(generations),
                per_s=rate,
                seconds=seconds,
                step_ms=stats.step_s * 1e3,
            )
        return best

    def engine_kernels(self, engine, workload, num_beams, case):
        """Where the device's time goes, in the middle of a full run."""
        from torch.profiler import ProfilerActivity, profile

        futures = engine.submit(workload.generations(workload.num_requests, num_beams))
        while engine.stats().running < 0.9 * min(engine.stats().slots, workload.num_requests):
            time.sleep(0.002)
        with profile(activities=[ProfilerActivity.CUDA]) as profiler:
            time.sleep(0.05)
        for future in futures:
            future.result()
        kernels = sorted(profiler.key_averages(), key=lambda each: -each.device_time_total)
        total = sum(each.device_time_total for each in kernels) or 1.0
        for each in kernels[:20]:
            self.record(
                **case,
                case="kernel",
                num_beams=num_beams,
                name=each.key[:80],
                share=each.device_time_total / total,
                each_us=each.device_time_total / max(1, each.count),
                count=each.count,
            )

    def engine_alone(self, engine, workload, num_beams, case):
        """One request at a time: the latency of an idle engine, in seconds."""
        taken = [_run(engine, [each]) for each in workload.generations(12, num_beams, seed=5)][2:]
        self.record(
            **case,
            case="one alone",
            num_beams=num_beams,
            per_s=len(taken) / sum(taken),
            median_s=statistics.median(taken),
        )
        return statistics.median(taken)

    def engine_stream(self, engine, workload, num_beams, rate, idle_s, case):
        """Arrivals at random moments, so many a second on average, for some seconds."""
        rng = random.Random(3)
        generations = workload.generations(max(8, int(rate * self.seconds / 2)), num_beams, seed=7)
        latencies, lock = [], threading.Lock()
        next_at = time.perf_counter()
        futures = []
        for generation in generations:
            next_at += rng.expovariate(rate)
            time.sleep(max(0.0, next_at - time.perf_counter()))
            submitted = time.perf_counter()

            def done(_, submitted=submitted):
                with lock:
                    latencies.append(time.perf_counter() - submitted)

            future = engine.submit([generation])[0]
            future.add_done_callback(done)
            futures.append(future)
        for future in futures:
            future.result()
        median = statistics.median(latencies)
        self.record(
            **case,
            case="open stream",
            num_beams=num_beams,
            arrivals_per_s=rate,
            requests=len(futures),
            median_s=median,
            p95_s=statistics.quantiles(latencies, n=20)[-1],
            times_idle=median / idle_s,
        )

    # -- transformers

    def transformers_cases(self, workload: Workload):
        model = workload.model(self.tiny).to(self.device, self.dtype)
        case = {"system": "transformers", "model": workload.name}
        for num_beams in (4, 1):
            self.static(workload, num_beams, workload.static_batch, case, lambda *a: generate(model, *a))
            self.static(workload, num_beams, 1, case, lambda *a: generate(model, *a))

    def static(self, workload, num_beams, batch, case, run):
        """Batches sorted by length, each to its longest target, within the time allowed."""
        requests = sorted(zip(*ids_and_targets(workload), strict=True), key=lambda request: -len(request[0]))
        run(requests[:batch], num_beams)
        done, started = 0, time.perf_counter()
        # From the middle on: the lengths of a short run are then those of a long one.
        for start in range(len(requests) // 2 // batch * batch, len(requests), batch):
            done += len(requests[start : start + batch])
            run(requests[start : start + batch], num_beams)
            if time.perf_counter() - started > self.seconds:
                break
        seconds = time.perf_counter() - started
        self.record(
            **case, case=f"batches of {batch}", num_beams=num_beams, per_s=done / seconds, seconds=seconds
        )

    # -- CTranslate2

    def ctranslate2_cases(self, workload: Workload):
        import ctranslate2

        load_cublas()
        with tempfile.TemporaryDirectory() as folder:
            convert(workload.model(self.tiny), folder)
            compute = "bfloat16" if self.device == "cuda" else "float32"
            translator = ctranslate2.Translator(folder, device=self.device, compute_type=compute)
            case = {"system": "ctranslate2", "model": workload.name}
            for num_beams in (4, 1):
                for batch in (workload.static_batch * 2, 1):
                    self.static(workload, num_beams, batch, case, lambda *a: translate(translator, *a))
            translator.unload_model()
            self.ctranslate2_product(workload, folder, compute, case)

    def ctranslate2_product(self, workload: Workload, folder: str, compute: str, case):
        """All requests at once through the product's own engine, each output of the average length."""
        sizes = GPU_SIZES if self.device == "cuda" else CPU_SIZES
        backend = Ct2Backend(
            Path(folder),
            causal=False,
            max_source_tokens=workload.max_source_tokens,
            device=self.device,
            compute_type=compute,
            sizes=sizes,
        )
        engine = BatchingEngine(backend, max_batch_size=sizes.most_rows, max_queue=1 << 20)
        length = sum(workload.target_range) // 2
        for num_beams in (4, 1):
            decoding = Decoding(max_new_tokens=length, min_new_tokens=length, num_beams=num_beams)
            generations = [
                replace(each, decoding=decoding)
                for each in workload.generations(workload.num_requests, num_beams)
            ]
            _run(engine, generations[: workload.num_requests // 4])
            seconds = _run(engine, generations)
            rate = len(generations) / seconds
            self.record(**case, case="all at once", num_beams=num_beams, per_s=rate, seconds=seconds)
        engine.close()


def _run(engine, generations) -> float:
    """Seconds from the submission to the last answer."""
    started = time.perf_counter()
    for future in engine.submit(generations):
        future.result()
    return time.perf_counter() - started


def about(bench, options) -> dict[str, object]:
    """The card, the versions and the date."""
    found = {
        "device": torch.cuda.get_device_name() if bench.device == "cuda" else "cpu",
        "dtype": str(bench.dtype),
        "machine": f"{_processor()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "tiny": options.tiny,
    }
    if importlib.util.find_spec("triton"):
        import triton

        found["triton"] = triton.__version__
    return found


def _processor() -> str:
    """The processor's name, as Linux tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="where the JSON file goes")
    parser.add_argument("--tiny", action="store_true", help="tiny shapes, on the CPU")
    parser.add_argument("--models", nargs="+", default=["bart-large", "marian"])
    parser.add_argument("--systems", nargs="+", default=["engine", "transformers", "ctranslate2"])
    parser.add_argument("--seconds", type=float, default=20.0, help="for each case that is cut off by time")
    parser.add_argument("--profile", action="store_true", help="say which kernels take the engine's time")
    options = parser.parse_args()
    bench = Bench(options)
    for workload in TINY if options.tiny else WORKLOADS:
        if workload.name in options.models:
            bench.run(workload, options.systems)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(
        json.dumps({"about": about(bench, options), "cases": bench.records}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
