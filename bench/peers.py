"""Translation servers side by side with the same weights on the same CPU, every answer known and checked.

    python bench/peers.py --folder /tmp/peers
    python bench/peers.py --folder /tmp/peers --systems dragoman ct2 --beams 4 --cases one clients array

Makes a Marian of real size (see cipher_model.py), starts one server at a time, warms it up, measures and
stops it; then `dragoman batch` over files. CTranslate2 runs in processes of this program, at its best.
LibreTranslate and txtai take part if they are installed (see peers_systems.py). Prints one JSON line a case,
then a table of sentences a second and whether the goals are met. A case during which others computed is tried
again, and left out of the table if it never was quiet; `--noise` shows it. A busy machine may be measured in
pieces: with `--earlier FILE` the table has an earlier run too. Dragoman and CTranslate2 take some nine
minutes.
"""

import argparse
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cipher_model import Cipher
from peers_cases import CASES, Tally, in_threads, measured, summarize_all
from peers_files import FILES, SENTENCES, measure_files
from peers_systems import ROOT, SYSTEMS, Dragoman, Models, System
from peers_table import ALL, AT_A_TIME, BEST, OURS, Rates

CORES = len(os.sched_getaffinity(0))
ALL_CORES = "one batch on all cores"
WAYS = {ALL_CORES: (1, 0), "a batch a core": (0, 1)}
"""How CTranslate2 is loaded: workers and threads of each, 0 for as many as there are cores."""
SIZES = (8, 16, 32, 64)


def measure_server(system: System, cipher: Cipher, asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    if system.missing:
        yield {"case": "start", "error": system.missing}
        return
    try:
        ready_s = system.start()
        assert system.process is not None
        system.translate(cipher.sentences[-1])
        system.translate_all(cipher.sentences[-6:-1])
        in_threads(lambda: (system.translate(cipher.sentences[-7]), None)[1], 4)
        yield {"case": "start", "ready_s": round(ready_s, 1), "resident_mb": resident_mb(system.process.pid)}
        for name in asked.cases:
            if name in FILES or (name.endswith("after") and not isinstance(system, Dragoman)):
                continue
            if name == "one after":
                assert isinstance(system, Dragoman)
                summarize_all(system, cipher)
            run, session = CASES[name], system.process.pid
            found = measured(session, lambda run=run: run(system, cipher, asked.seconds), asked.tries)
            yield {"case": name, **found}
        yield {"case": "end", "resident_mb": resident_mb(system.process.pid)}
    finally:
        if system.process is not None:
            system.stop()


def resident_mb(session: int) -> int:
    """Return the memory of a session's processes; what they share counts once for each."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[3]) == session:
                pages = int((stat.parent / "statm").read_text().split()[1])
                total += pages * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            continue
    return total >> 20


# ------------------------------------------------------------------ CTranslate2, in a process of its own


Translate = Callable[[list[str], int], list[str]]
"""Translates texts in batches of so many, 0 for all of them at once."""


def ctranslate2_loaded(models: Models, num_beams: int, way: str, cipher: Cipher) -> Translate:
    """Load the model.

    A thread does it that ends then: libgomp counts a loading thread's team among those that compete.
    """
    import ctranslate2

    workers, threads = (number or CORES for number in WAYS[way])
    converted, loaded = str(models.ctranslate2(num_beams)), []

    def load() -> None:
        loaded.append(ctranslate2.Translator(converted, inter_threads=workers, intra_threads=threads))

    loading = threading.Thread(target=load)
    loading.start()
    loading.join()

    def translate(texts: list[str], batch: int) -> list[str]:
        tokens = [[*cipher.tokens(text), "</s>"] for text in texts]
        results = loaded[0].translate_batch(
            tokens, beam_size=num_beams, max_batch_size=batch, max_decoding_length=512, max_input_length=0
        )
        return [cipher.pieces.decode_pieces(result.hypotheses[0]) for result in results]

    return translate


def ctranslate2_alone(asked: argparse.Namespace) -> None:
    """Measure one way to load the model; prints its records."""
    models, num_beams, way = Models(asked.folder), asked.beams[0], asked.alone
    cipher = Cipher(models.transformers(num_beams))
    translate = ctranslate2_loaded(models, num_beams, way, cipher)

    def case(size: int, batch: int, at_least: int = 1) -> dict[str, Any]:
        tally, order, start = Tally(cipher), itertools.cycle(cipher.sentences), time.perf_counter()
        while tally.sentences < at_least or time.perf_counter() < start + asked.seconds:
            texts = list(itertools.islice(order, size))
            tally.ask([[text] for text in texts], lambda texts=texts: translate(texts, batch))
        return tally.record(time.perf_counter() - start)

    def tell(name: str, size: int, batch: int, at_least: int = 1) -> None:
        found = measured(None, lambda: case(size, batch, at_least), asked.tries)
        print(json.dumps({"case": name, "batch": batch, **found}), flush=True)

    translate(cipher.sentences[:4], 0)
    if way == ALL_CORES:
        tell("one", 1, 0)
    for name, size in AT_A_TIME.items():
        tell(name, size, max(1, size // CORES))
    for batch in SIZES:
        tell("best", 256, batch, 256)
    if way != ALL_CORES and FILES.keys() & set(asked.cases):
        for batch in SIZES[1:]:
            tell("file", SENTENCES[num_beams], batch)


def measure_ctranslate2(asked: argparse.Namespace, num_beams: int) -> Iterator[dict[str, Any]]:
    for way in WAYS:
        given = ["--folder", asked.folder, "--alone", way, "--beams", num_beams]
        given += ["--seconds", min(3.0, asked.seconds), "--tries", asked.tries, "--cases", *asked.cases]
        process = subprocess.Popen(
            [sys.executable, __file__, *map(str, given)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "GOMP_SPINCOUNT": "20000", "PYTHONPATH": str(ROOT)},
        )
        assert process.stdout is not None
        for line in process.stdout:
            yield {"way": way, **json.loads(line)}
        if process.wait():
            yield {"way": way, "case": "start", "error": f"it ended with {process.returncode}"}


# ------------------------------------------------------------------ all of it


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True, help="where models and environments are kept")
    parser.add_argument("--systems", nargs="*", default=[*SYSTEMS, "ct2"], choices=[*SYSTEMS, "ct2"])
    parser.add_argument("--beams", type=int, nargs="+", default=[4, 1])
    parser.add_argument("--cases", nargs="+", default=ALL, choices=ALL)
    parser.add_argument("--seconds", type=float, default=7.0, help="of a case")
    parser.add_argument(
        "--tries", type=int, default=2, help="of a case that is not quiet; with 1 nothing waits for quiet"
    )
    parser.add_argument("--noise", action="store_true", help="show noisy figures in the table too")
    parser.add_argument(
        "--earlier", type=Path, nargs="+", default=[], help="outputs of earlier runs; the table has them too"
    )
    parser.add_argument("--alone", choices=list(WAYS), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    asked.folder = asked.folder.resolve()
    asked.folder.mkdir(parents=True, exist_ok=True)
    if asked.alone:
        ctranslate2_alone(asked)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # and no server stays behind
    models = Models(asked.folder)
    cipher = Cipher(models.transformers(4))
    lines = (line for each in asked.earlier for line in each.read_text().splitlines())
    records = [json.loads(line) for line in lines if line.startswith("{")]

    def tell(system: str, beams: int, found: dict[str, Any]) -> None:
        records.append({"system": system, "beams": beams, **found})
        print(json.dumps(records[-1]), flush=True)

    for beams, name in itertools.product(asked.beams, asked.systems):
        for kind in SYSTEMS.get(name, []) if set(asked.cases) & CASES.keys() else ():
            try:
                for found in measure_server(kind(models, beams), cipher, asked):
                    tell(kind.name, beams, found)
            except (RuntimeError, OSError) as error:
                tell(kind.name, beams, {"case": "start", "error": str(error)})
        if name == OURS:
            files = [case for case in asked.cases if case in FILES]
            for found in measure_files(models, beams, cipher, files, asked.tries):
                tell(name, beams, found)
        if name == "ct2":
            for found in measure_ctranslate2(asked, beams):
                tell(BEST, beams, found)
    rates = Rates(records, noise=asked.noise)
    print("\n".join((rates.table(), *rates.goals())))


if __name__ == "__main__":
    main()
