"""All that a GPU has to show of the native engine: it is exact, its tests pass, how fast it is.

    python3 bench/gpu.py --out FILE           within 8 minutes on an H100; without a GPU it says so and ends
    python3 bench/gpu.py --tiny --out FILE    on a CPU, tiny shapes: shows that it runs, and nothing else

Each family's tiny model runs random requests in float32, and each token is held against transformers'
`generate`; in bfloat16 it must pass the trial that the product puts it to. Needs torch and transformers; the
CUDA tests run too where pytest and hypothesis are. One JSON file.
"""

import argparse
import importlib.util
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from engine import TINY, WORKLOADS, Bench, about
from seq2seq_models import (
    ARCHITECTURES,
    MAX_NEW,
    MAX_SOURCE,
    content,
    random_decoding,
    random_source,
    reference,
    tiny_model,
)

from models.engine.native import NativeEngine
from models.engine.native.limits import Limits
from models.engine.native.runner import kernels_on
from models.engine.protocol import Generation
from models.engine.trial import Bounds, try_out
from models.errors import DragomanError

ROOT = Path(__file__).parents[1]
WIDTHS = (4, 1, 5, 8)
TESTS = ("tests/engine/test_native_cuda.py", "tests/engine/test_native_kernels.py")
TESTS_LIMIT_S = 180
LIMITS = Limits(
    max_slots=12,
    beam_widths=WIDTHS,
    max_stop_tokens=2,
    max_source_tokens=MAX_SOURCE,
    max_new_tokens=MAX_NEW,
)


def exactness(architecture: str, device: str, each: int) -> dict[str, object]:
    """How many of a family's outputs are not `generate`'s, and whether bfloat16 passes the trial."""
    started = time.perf_counter()
    rng = random.Random(architecture)
    generations = [
        Generation(random_source(rng), random_decoding(rng, width)) for width in WIDTHS for _ in range(each)
    ]
    oracle = tiny_model(architecture)
    engine = NativeEngine(tiny_model(architecture), LIMITS, device=device)
    outputs = [future.result(60) for future in engine.submit(generations)]
    engine.close()
    wrong = 0
    for generation, output in zip(generations, outputs, strict=True):
        tokens, score = reference(oracle, generation.source_ids, generation.decoding)
        room = 1e-4 * max(1.0, len(tokens) ** (1.0 - generation.decoding.length_penalty)) + 1e-5 * abs(score)
        same = list(output.token_ids) == content(oracle, tokens, generation.decoding)
        wrong += not (same and abs(output.score - score) <= room)
    return {
        "case": "exactness",
        "model": architecture,
        "requests": len(generations),
        "wrong": wrong,
        "bfloat16": trial(architecture, device),
        "seconds": time.perf_counter() - started,
    }


def trial(architecture: str, device: str) -> str:
    """`passed`, or why not."""
    model = tiny_model(architecture).to(device, torch.bfloat16)
    engine = NativeEngine(model, LIMITS, device=device, dtype=torch.bfloat16)
    try:
        try_out(engine, model, Bounds(MAX_SOURCE, MAX_NEW, num_beams=4, most_beams=4), time_limit_s=60)
    except DragomanError as error:
        return error.message
    finally:
        engine.close()
    return "passed"


def tests() -> dict[str, object]:
    """The CUDA tests' last line, or what is missing for them."""
    lacking = [name for name in ("pytest", "hypothesis") if importlib.util.find_spec(name) is None]
    if lacking:
        return {"case": "tests", "told": f"not run: no {' and no '.join(lacking)}"}
    command = [sys.executable, "-m", "pytest", "-q", *TESTS]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=TESTS_LIMIT_S)
    except subprocess.TimeoutExpired:
        return {"case": "tests", "told": f"given up after {TESTS_LIMIT_S} s", "code": 1}
    lines = done.stdout.strip().splitlines() or [done.stderr[-300:]]
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return {"case": "tests", "told": lines[-1], "failed": failed, "code": done.returncode}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="where the JSON file goes")
    parser.add_argument("--tiny", action="store_true", help="on the CPU, with tiny shapes")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each open stream of arrivals")
    options = parser.parse_args()
    if not options.tiny and not torch.cuda.is_available():
        print("No GPU here: torch finds no CUDA device. Nothing was run.")
        return 0
    options.profile = False
    bench = Bench(options)
    started = time.perf_counter()
    bench.record(case="kernels", usable=kernels_on(torch.device(bench.device)) is not None)
    for architecture in ARCHITECTURES:
        bench.record(**exactness(architecture, bench.device, each=2 if options.tiny else 10))
    if not options.tiny:
        bench.record(**tests())
    for workload in TINY if options.tiny else WORKLOADS:
        bench.run(workload, ["engine"])
    bench.record(case="all", seconds=time.perf_counter() - started)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(
        json.dumps({"about": about(bench, options), "cases": bench.records}, indent=1) + "\n"
    )
    bad = [each for each in bench.records if each.get("wrong") or each.get("code") or _failed_trial(each)]
    return int(bool(bad))


def _failed_trial(record: dict[str, object]) -> bool:
    return record["case"] == "exactness" and record["bfloat16"] != "passed"


if __name__ == "__main__":
    sys.exit(main())
