"""All that a GPU has to show: kernels and families are exact, how fast the engines are, the tests pass.

    python3 bench/gpu.py --out FILE           within 8 minutes on an H100; without a GPU it says so and ends
    python3 bench/gpu.py --tiny --out FILE    on a CPU, tiny shapes: shows that it runs, and nothing else

Each case runs in a process of its own, so that none takes another one's memory, or its CUDA context, with it;
the JSON file is written anew after each, and a table is printed at the end. What matters most comes first:
kernels and one family, then speed beside CTranslate2 and transformers' `generate`, then the other families
and the CUDA tests. Each family's tiny model runs random requests in float32, and each token is held against
`generate`'s; in bfloat16 it must pass the trial that the product puts it to. Needs torch and transformers,
and pytest and hypothesis for the tests.
"""

import argparse
import importlib.util
import json
import random
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

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
SYSTEMS = ("engine", "ctranslate2", "transformers")
TOTAL_S = 470.0
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


def tests(*files: str) -> dict[str, object]:
    """The tests' last line, or what is missing for them."""
    lacking = [name for name in ("pytest", "hypothesis") if importlib.util.find_spec(name) is None]
    if lacking:
        return {"case": "tests", "told": f"not run: no {' and no '.join(lacking)}"}
    command = [sys.executable, "-m", "pytest", "-q", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    lines = done.stdout.strip().splitlines() or [done.stderr[-300:]]
    failed = [line for line in lines if line.startswith(("FAILED", "ERROR"))]
    return {"case": "tests", "told": lines[-1], "failed": failed, "code": done.returncode}


def cases(tiny: bool) -> dict[str, float]:
    """The cases in their order, each with the seconds that it may take."""
    speed = [f"{each.name} {system}" for each in (TINY if tiny else WORKLOADS) for system in SYSTEMS]
    first, *others = ARCHITECTURES
    return {
        "kernels": 120.0,
        first: 90.0,
        **dict.fromkeys(speed, 90.0),
        **dict.fromkeys(others, 60.0),
        "tests": 180.0,
    }


def run_case(name: str, bench: Bench) -> None:
    """Run a case in this process; its records are printed."""
    if name == "kernels":
        bench.record(case="kernels", usable=kernels_on(torch.device(bench.device)) is not None)
        if not bench.tiny:
            bench.record(**tests("tests/engine/test_native_kernels.py"))
    elif name == "tests":
        if not bench.tiny:
            bench.record(**tests("tests/engine/test_native_cuda.py"))
    elif name in ARCHITECTURES:
        bench.record(**exactness(name, bench.device, each=2 if bench.tiny else 10))
    else:
        model, _, system = name.rpartition(" ")
        [workload] = (each for each in (TINY if bench.tiny else WORKLOADS) if each.name == model)
        bench.run(workload, [system])


def in_a_process(name: str, limit_s: float, options: argparse.Namespace) -> list[dict[str, object]]:
    """Return the records of a case, with one more that says how it failed, if it did."""
    command = [sys.executable, __file__, "--out", str(options.out), "--case", name]
    command += ["--seconds", str(options.seconds), *(["--tiny"] if options.tiny else [])]
    failure: dict[str, object] | None = None
    try:
        done = subprocess.run(command, capture_output=True, timeout=limit_s)
        output = done.stdout
        if done.returncode:
            told = done.stderr.decode(errors="replace").strip().splitlines()[-5:]
            failure = {"case": name, "code": done.returncode, "told": told}
    except subprocess.TimeoutExpired as error:
        output = error.stdout or b""
        failure = {"case": name, "code": 1, "told": f"given up after {limit_s:.0f} s"}
    lines = output.decode(errors="replace").splitlines()
    records = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
    return records if failure is None else [*records, failure]


def table(records: list[dict[str, object]]) -> str:
    """What each system made of each model a second, in lines."""
    rates: dict[tuple[object, ...], dict[str, float]] = {}
    for each in records:
        if "per_s" in each:
            row = rates.setdefault((each["model"], each["num_beams"], each["case"]), {})
            row[str(each["system"])] = max(float(str(each["per_s"])), row.get(str(each["system"]), 0.0))
    lines = [f"{'model':12} {'beams':>5} {'case':18}" + "".join(f"{system:>14}" for system in SYSTEMS)]
    for (model, beams, case), row in sorted(rates.items(), key=str):
        told = (f"{row[system]:14.1f}" if system in row else f"{'':14}" for system in SYSTEMS)
        lines.append(f"{model:12} {beams:5} {case:18}" + "".join(told))
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="where the JSON file goes")
    parser.add_argument("--tiny", action="store_true", help="on the CPU, with tiny shapes")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each case that is cut off by time")
    parser.add_argument("--case", help="run this case alone, in this process, and print its records")
    options = parser.parse_args()
    if not options.tiny and not torch.cuda.is_available():
        print("No GPU here: torch finds no CUDA device. Nothing was run.")
        return 0
    bench = Bench(SimpleNamespace(tiny=options.tiny, seconds=options.seconds, profile=False))
    if options.case:
        run_case(options.case, bench)
        return 0
    started, records = time.perf_counter(), []
    options.out.parent.mkdir(parents=True, exist_ok=True)
    for name, limit_s in cases(options.tiny).items():
        left_s = TOTAL_S - (time.perf_counter() - started)
        if left_s > 0:
            records += in_a_process(name, min(limit_s, left_s), options)
        else:
            records.append({"case": name, "told": "not run: the time was up"})
        print(f"{time.perf_counter() - started:5.0f} s  {name}", flush=True)
        known = {"about": about(bench, options), "seconds": time.perf_counter() - started, "cases": records}
        options.out.write_text(json.dumps(known, indent=1) + "\n")
    print(table(records))
    bad = [each for each in records if each.get("wrong") or each.get("code") or _failed_trial(each)]
    for each in bad:
        print("BAD", json.dumps(each))
    return int(bool(bad))


def _failed_trial(record: dict[str, object]) -> bool:
    return record["case"] == "exactness" and record["bfloat16"] != "passed"


if __name__ == "__main__":
    sys.exit(main())
