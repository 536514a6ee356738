"""Translation servers side by side with the same weights on the same CPU, every answer known and checked.

    python bench/peers.py --folder /tmp/peers
    python bench/peers.py --folder /tmp/peers --systems dragoman ct2 --beams 4 --cases one clients array

Makes a Marian of real size (see cipher_model.py), starts one server at a time on 127.0.0.1, warms it up,
measures and stops it; then `dragoman batch` over files. CTranslate2 runs in processes of this program, at its
best. LibreTranslate and txtai take part if they are installed, in environments of their own:

    python -m venv FOLDER/libretranslate && FOLDER/libretranslate/bin/pip install libretranslate spacy
    python -m venv FOLDER/txtai && FOLDER/txtai/bin/pip install 'txtai[api,pipeline-text]'

Prints one JSON line a case, then a table of sentences a second and whether the goals are met. A case during
which others computed is tried again, and left out of the table if it never was quiet; `--noise` shows it. A
busy machine may be measured in pieces: with `--earlier FILE` the table has an earlier run too. Dragoman and
CTranslate2 take some nine minutes.
"""

import argparse
import http.client
import itertools
import json
import math
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cipher_model
from cipher_model import Cipher

ROOT = Path(__file__).parent.parent
STARTS_IN_S, STOPS_IN_S = 180.0, 20.0


class Models:
    """The cipher model in each form that a system takes, made the first time."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.catalog = folder / "catalog.toml"
        self.cache = folder / "cache"

    def transformers(self, num_beams: int) -> Path:
        """Return the model's folder in transformers' layout, which says how many beams to search with."""
        folder = self.folder / f"marian-b{num_beams}"
        if not (folder / "config.json").is_file():
            cipher_model.make(folder, num_beams)
        return folder

    def ctranslate2(self, num_beams: int) -> Path:
        """Return the folder of int8 weights that Dragoman makes of it."""
        from models.catalog import Catalog
        from models.languages import Languages
        from models.store import Store

        self.transformers(num_beams)
        fields = 'family = "marian"\ntasks = ["translate"]\nlanguages = ["en", "fr"]\n'
        limits = "max_source_tokens = 512\nmax_new_tokens = 512\n"
        self.catalog.write_text(
            "\n".join(
                f'[[model]]\nname = "bench/marian-b{n}"\npath = "{self.folder}/marian-b{n}"\n{fields}{limits}'
                f"decoding = {{ num_beams = {n} }}\n"
                for n in (1, 4)
            )
        )
        catalog = Catalog.load(Languages.load(), self.catalog)
        return Store(self.cache, offline=True).ct2_folder(catalog.get(f"bench/marian-b{num_beams}"))


class System:
    """A server in a session of its own. `variables` are set for it beside this process's environment."""

    name = ""
    environment = ""
    ready = "/"

    def __init__(self, models: Models, num_beams: int, **variables: str):
        self.models = models
        self.num_beams = num_beams
        self.variables = variables
        self.port = _free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def missing(self) -> str | None:
        """What to do to have this system; None if it is there."""
        folder = self.models.folder / self.environment
        if not self.environment or (folder / "bin/python").exists():
            return None
        return f"not installed: {folder} is no environment; see the head of bench/peers.py"

    def start(self) -> float:
        """Start it; the seconds until it is ready."""
        command, variables = self.command()
        start = time.perf_counter()
        with (self.models.folder / f"{self.environment or 'dragoman'}.log").open("wb") as log:
            self.process = subprocess.Popen(
                command,
                env={**os.environ, **variables, **self.variables},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while time.perf_counter() < start + STARTS_IN_S:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.name} ended at its start: see {log.name}")
            try:
                self._call("GET", self.ready)
                return time.perf_counter() - start
            except (OSError, RuntimeError):
                time.sleep(0.1)
        raise RuntimeError(f"{self.name} is not ready after {STARTS_IN_S:.0f} s: see {log.name}")

    def stop(self) -> None:
        """End all of its processes."""
        assert self.process is not None
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(STOPS_IN_S)
                return
            except ProcessLookupError:
                return
            except subprocess.TimeoutExpired:
                continue

    def command(self) -> tuple[Sequence[str], Mapping[str, str]]:
        raise NotImplementedError

    def translate(self, text: str) -> str:
        raise NotImplementedError

    def translate_all(self, texts: list[str]) -> list[str]:
        raise NotImplementedError

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        try:
            sent = None if body is None else json.dumps(body).encode()
            connection.request(method, path, sent, {"Content-Type": "application/json"} if sent else {})
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise RuntimeError(f"{response.status}: {data[:200]!r}")
        return json.loads(data) if data[:1] in b'{["' and data else data.decode()


class Dragoman(System):
    name = "dragoman"
    ready = "/readyz"

    def command(self) -> tuple[Sequence[str], Mapping[str, str]]:
        self.models.ctranslate2(self.num_beams)
        return [sys.executable, "-m", "service", "serve"], {
            "PYTHONPATH": str(ROOT),
            "PORT": str(self.port),
            "DRAGOMAN_OFFLINE": "true",
            "DRAGOMAN_CATALOG": str(self.models.catalog),
            "DRAGOMAN_TRANSLATE_MODEL": f"bench/marian-b{self.num_beams}",
            "DRAGOMAN_CACHE_DIR": str(self.models.cache),
            "DRAGOMAN_DATA_DIR": str(self.models.folder / "data"),
        }

    def translate(self, text: str) -> str:
        return str(self._call("POST", "/v1/translate", self._body(text=text))["translation"])

    def translate_all(self, texts: list[str]) -> list[str]:
        results = self._call("POST", "/v1/translate", self._body(texts=texts))["results"]
        return [result["translation"] for result in results]

    def summarize(self, text: str) -> None:
        self._call("POST", "/v1/summarize", {"text": text})

    def _body(self, **texts: Any) -> dict[str, Any]:
        return {"source": "en", "target": "fr", **texts}


class Bundled(Dragoman):
    """With the models that come with it, as it starts where nothing is set."""

    name = "bundled"

    def command(self) -> tuple[Sequence[str], Mapping[str, str]]:
        return [sys.executable, "-m", "service", "serve"], {
            "PYTHONPATH": str(ROOT),
            "PORT": str(self.port),
            "DRAGOMAN_OFFLINE": "true",
            "DRAGOMAN_CACHE_DIR": str(self.models.folder / "bundled-cache"),
            "DRAGOMAN_DATA_DIR": str(self.models.folder / "data"),
        }


class LibreTranslate(System):
    """As its package starts it, or with `tuned` threads and batches."""

    name = "libretranslate"
    environment = "libretranslate"
    ready = "/health"
    threads = 4

    def command(self) -> tuple[Sequence[str], Mapping[str, str]]:
        home = self.models.folder / "libretranslate-home"
        programs = self.models.folder / self.environment / "bin"
        self._package(home / "packages", programs / "python")
        options = ["--host", "127.0.0.1", "--port", str(self.port), "--threads", str(self.threads)]
        return [str(programs / "libretranslate"), "--disable-files-translation", *options], {
            "XDG_DATA_HOME": str(home / "data"),
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_CACHE_HOME": str(home / "cache"),
            "ARGOS_PACKAGES_DIR": str(home / "packages"),
            "ARGOS_CHUNK_TYPE": "SPACY",
            "ARGOS_BEAM_SIZE": str(self.num_beams),
        }

    def _package(self, packages: Path, python: Path) -> None:
        """Both directions: with fewer than two languages it would download some."""
        weights = self.models.ctranslate2(4)
        for source, target in (("en", "fr"), ("fr", "en")):
            folder = packages / f"translate-{source}_{target}-1_0"
            if (folder / "metadata.json").exists():
                continue
            (folder / "model").mkdir(parents=True, exist_ok=True)
            for name in ("model.bin", "shared_vocabulary.json"):
                shutil.copy(weights / name, folder / "model")
            config = json.loads((weights / "config.json").read_text()) | {"add_source_eos": True}
            (folder / "model/config.json").write_text(json.dumps(config))
            shutil.copy(self.models.transformers(4) / "source.spm", folder / "sentencepiece.model")
            splitter = f"import spacy; spacy.blank({source!r}).to_disk({str(folder / 'spacy')!r})"
            subprocess.run([str(python), "-c", splitter], check=True)
            about = {"package_version": "1.0", "argos_version": "1.9", "type": "translate"}
            codes = {"from_code": source, "from_name": source, "to_code": target, "to_name": target}
            (folder / "metadata.json").write_text(json.dumps(about | codes))

    def translate(self, text: str) -> str:
        return str(self._ask(text))

    def translate_all(self, texts: list[str]) -> list[str]:
        return list(self._ask(texts))

    def _ask(self, what: Any) -> Any:
        body = {"q": what, "source": "en", "target": "fr", "format": "text"}
        return self._call("POST", "/translate", body)["translatedText"]


class LibreTranslateTuned(LibreTranslate):
    """Two batches at a time on one core each, whole articles in a batch, a thread for every client."""

    name = "libretranslate, tuned"
    threads = 16

    def __init__(self, models: Models, num_beams: int):
        cores = str(os.cpu_count() or 1)
        tuned = {"ARGOS_INTER_THREADS": cores, "ARGOS_INTRA_THREADS": "1", "ARGOS_BATCH_SIZE": "1024"}
        super().__init__(models, num_beams, **tuned)


class Txtai(System):
    """As its documentation starts it, in float32: torch's int8 gets too many of the cipher's words wrong."""

    name = "txtai"
    environment = "txtai"
    ready = "/docs"
    workers = 1

    def command(self) -> tuple[Sequence[str], Mapping[str, str]]:
        path = self.models.transformers(self.num_beams)
        config = self.models.folder / f"txtai-b{self.num_beams}.yml"
        config.write_text(f"translation:\n  path: {path}\n  findmodels: false\n")
        program = self.models.folder / self.environment / "bin/uvicorn"
        options = ["--host", "127.0.0.1", "--port", str(self.port), "--workers", str(self.workers)]
        return [str(program), "txtai.api:app", *options], {"CONFIG": str(config), "HF_HUB_OFFLINE": "1"}

    def translate(self, text: str) -> str:
        query = urllib.parse.urlencode({"text": text, "source": "en", "target": "fr"})
        return str(self._call("GET", f"/translate?{query}"))

    def translate_all(self, texts: list[str]) -> list[str]:
        return list(self._call("POST", "/batchtranslate", {"texts": texts, "source": "en", "target": "fr"}))


class TxtaiTuned(Txtai):
    """A process a core, each with one thread."""

    name = "txtai, tuned"
    workers = os.cpu_count() or 1

    def __init__(self, models: Models, num_beams: int):
        super().__init__(models, num_beams, OMP_NUM_THREADS="1")


SYSTEMS: dict[str, list[type[System]]] = {
    "dragoman": [Dragoman],
    "libretranslate": [LibreTranslateTuned, LibreTranslate],
    "txtai": [TxtaiTuned, Txtai],
}


def _free_port() -> int:
    with socket.socket() as each:
        each.bind(("127.0.0.1", 0))
        return int(each.getsockname()[1])


ARRAY, ARTICLE, PARAGRAPH, CLIENTS, SUMMARIES = 64, 40, 4, 16, 64
QUIET = 0.12
"""Processors that others may keep busy in a case; with more of them its figures say nothing."""
WAITS_S = 30.0
TICK = os.sysconf("SC_CLK_TCK")


class Load:
    """CPU time from now on: of a system's session (or this process and its ended children), this program, and
    everybody else."""

    def __init__(self, session: int | None = None):
        self._session = session
        self._start, self._at = self._look(), time.perf_counter()

    def _look(self) -> tuple[float, int, int]:
        own = system = 0
        here = os.getsid(0)
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            ticks = sum(map(int, fields[11:15]))  # with those of children that have ended
            own += ticks if int(fields[3]) in (here, self._session) else 0
            system += ticks if int(fields[3]) == self._session else 0
        user, nice, kernel, _idle, _io, irq, soft, *_ = map(
            int, Path("/proc/stat").read_text().splitlines()[0].split()[1:]
        )
        of_system = sum(os.times()[:4]) if self._session is None else system / TICK
        return of_system, own, user + nice + kernel + irq + soft

    def look(self) -> tuple[float, float]:
        """Return the system's CPU seconds, and how many processors everybody else kept busy."""
        cpu_s, own, busy = (b - a for a, b in zip(self._start, self._look(), strict=True))
        return cpu_s, max(0.0, (busy - own) / TICK / (time.perf_counter() - self._at))


def wait_for_quiet(most_s: float = WAITS_S) -> None:
    """Wait until others do little, or so many seconds are over."""
    end = time.perf_counter() + most_s
    while time.perf_counter() < end:
        load = Load()
        time.sleep(1.0)
        if load.look()[1] < QUIET:
            return


@contextmanager
def busy_process(wanted: bool) -> Iterator[None]:
    """Keep one processor busy from another process of this session."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if wanted else None
    try:
        yield
    finally:
        if process is not None:
            process.kill()
            process.wait()


class Tally:
    """What was asked and answered in one case, from any thread."""

    def __init__(self, cipher: Cipher):
        self._cipher = cipher
        self._lock = threading.Lock()
        self.seconds: list[float] = []
        self.sentences = self.wrong = 0
        self.error = ""

    def ask(self, sources: list[list[str]], request: Callable[[], list[str]]) -> bool:
        """Time a request, and check its answers against the sentences of each text; False if it fails."""
        start = time.perf_counter()
        try:
            answers = request()
        except Exception as error:  # noqa: BLE001 - a case tells what happened
            self.error = repr(error)[:300]
            return False
        took = time.perf_counter() - start
        with self._lock:
            self.seconds.append(took)
        self.check(sources, answers)
        return True

    def check(self, sources: list[list[str]], answers: list[str]) -> None:
        """Count the sentences of each text, and those that its answer does not have."""
        wrong = sum(self._cipher.wrong(*each) for each in zip(sources, answers, strict=True))
        with self._lock:
            self.sentences += sum(map(len, sources))
            self.wrong += wrong

    def record(self, seconds: float) -> dict[str, Any]:
        ordered = sorted(self.seconds) or [float("nan")]
        return {
            "sentences": self.sentences,
            "sentences_per_s": round(self.sentences / seconds, 2),
            "median_s": round(statistics.median(ordered), 3),
            "p95_s": round(ordered[int(0.95 * (len(ordered) - 1))], 3),
            "wrong": self.wrong,
            **({"error": self.error} if self.error else {}),
        }


def measured(session: int | None, run: Callable[[], dict[str, Any]], tries: int) -> dict[str, Any]:
    """Run a case when it is quiet; again if others computed meanwhile, and then say so.

    `cpu_ms` is the system's CPU time for a sentence, which says something beside others too.
    """
    record: dict[str, Any] = {}
    for _ in range(tries):
        if tries > 1:
            wait_for_quiet()
        load = Load(session)
        found = run()
        cpu_s, others = load.look()
        found |= {
            "cpu_ms": round(1000 * cpu_s / max(1, found["sentences"]), 1),
            "others_cores": round(others, 2),
        }
        if not record or found["others_cores"] < record["others_cores"]:
            record = found
        if record["others_cores"] < QUIET:
            return record
    return {**record, "noisy": True}


def from_clients(count: int, *, beside: bool = False) -> "Run":
    """So many clients, each sending one sentence after another."""

    def run(system: System, cipher: Cipher, seconds: float) -> dict[str, Any]:
        tally, order, lock = Tally(cipher), itertools.cycle(cipher.sentences), threading.Lock()

        def client() -> None:
            going = True
            while going and time.perf_counter() < end:
                with lock:
                    sentence = next(order)
                going = tally.ask([[sentence]], lambda sentence=sentence: [system.translate(sentence)])

        with busy_process(beside):
            start = time.perf_counter()
            end = start + seconds
            in_threads(client, count)
            return tally.record(time.perf_counter() - start)

    return run


def summarize_all(system: Dragoman, cipher: Cipher) -> None:
    """Have sixteen clients summarize some articles of 40 sentences."""
    texts = iter([" ".join(part) for part in in_parts(cipher.sentences, ARTICLE)][:SUMMARIES])
    lock = threading.Lock()

    def client() -> None:
        while True:
            with lock:
                text = next(texts, None)
            if text is None:
                return
            system.summarize(text)

    in_threads(client, CLIENTS)


def in_parts(items: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def as_article(sentences: list[str]) -> str:
    """Return a text of paragraphs, four sentences in each."""
    return "\n".join(" ".join(part) for part in in_parts(sentences, PARAGRAPH))


def in_threads(work: Callable[[], None], count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def of_arrays(system: System, cipher: Cipher, seconds: float) -> dict[str, Any]:
    """Send requests of 64 sentences, one after another."""
    tally, order, start = Tally(cipher), itertools.cycle(cipher.sentences), time.perf_counter()
    going = True
    while going and time.perf_counter() < start + seconds:
        texts = list(itertools.islice(order, ARRAY))
        going = tally.ask([[text] for text in texts], lambda texts=texts: system.translate_all(texts))
    return tally.record(time.perf_counter() - start)


def of_articles(system: System, cipher: Cipher, seconds: float) -> dict[str, Any]:
    """Send articles of 40 sentences, one after another."""
    tally, order, start = Tally(cipher), itertools.cycle(cipher.sentences), time.perf_counter()
    going = True
    while going and time.perf_counter() < start + seconds:
        sentences = list(itertools.islice(order, ARTICLE))
        article = as_article(sentences)
        going = tally.ask([sentences], lambda article=article: [system.translate(article)])
    return tally.record(time.perf_counter() - start)


Run = Callable[[System, Cipher, float], dict[str, Any]]

CASES: dict[str, Run] = {
    "one": from_clients(1),
    "clients": from_clients(CLIENTS),
    "array": of_arrays,
    "article": of_articles,
    "one beside": from_clients(1, beside=True),
    "clients beside": from_clients(CLIENTS, beside=True),
    "one after": from_clients(1),
    "clients after": from_clients(CLIENTS),
}
"""`beside` one busy process; `after` 64 summaries from sixteen clients, which Dragoman alone is asked for."""


FILES = {"file": 1, "file of articles": ARTICLE}
"""Sentences in a record."""
SENTENCES = {1: 2_000, 4: 1_000}
"""In a file, by the number of beams: some 40 seconds of work for two cores."""


def measure_files(
    models: Models, num_beams: int, cipher: Cipher, cases: Sequence[str], tries: int
) -> Iterator[dict[str, Any]]:
    """Translate each file in a process of its own.

    Seconds are those of the batch's own summary: from the first record read to the last one written, models
    loaded before. `cpu_ms` and `others_cores` are of the whole process, its start and the loading too.
    """
    for case in cases:
        sources = list(in_parts(cipher.sentences[: SENTENCES[num_beams]], FILES[case]))
        found = measured(None, lambda sources=sources: _translated(models, num_beams, cipher, sources), tries)
        yield {"case": case, **found}


def _translated(models: Models, num_beams: int, cipher: Cipher, sources: list[list[str]]) -> dict[str, Any]:
    serve, variables = Dragoman(models, num_beams).command()
    with tempfile.TemporaryDirectory(dir=models.folder) as name:
        folder = Path(name)
        records = (json.dumps({"text": as_article(source)}) + "\n" for source in sources)
        (folder / "in.jsonl").write_text("".join(records))
        paths = [str(folder / each) for each in ("in.jsonl", "out.jsonl", "summary.json")]
        options = ["--from", "en", "--to", "fr", paths[0], paths[1], "--summary", paths[2]]
        ended = subprocess.run(
            [*serve[:-1], "batch", "translate", *options],
            env={**os.environ, **variables},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode:
            return {"sentences": 0, "error": f"it ended with {ended.returncode}: {ended.stderr[-300:]}"}
        summary = json.loads(Path(paths[2]).read_text())
        rows = [json.loads(line) for line in Path(paths[1]).read_text().splitlines()]
    tally = Tally(cipher)
    tally.check(sources, [row["result"]["translation"] for row in rows])
    kept = ("seconds", "engine_share", "text_s")
    return {
        "sentences": tally.sentences,
        "sentences_per_s": round(tally.sentences / summary["seconds"], 2),
        "wrong": tally.wrong,
        **{each: summary[each] for each in kept},
    }


ALL = [*CASES, *FILES]
BEST = "ct2 at its best"
OURS = "dragoman"
AT_A_TIME = {"clients": CLIENTS, "array": ARRAY, "article": ARTICLE}
"""The sentences that a case has there at a time. CTranslate2 is measured with as many, beside at its best;
and with all of a file's in one call."""
MOST_WRONG = 0.05
"""The part of the answers that may be wrong: int8 gets some words wrong by itself, in every system alike."""

GOALS = (
    ("sixteen clients over one", "clients", "one", 3.0),
    ("the same after use", "clients after", "one after", 3.0),
    ("a lone request beside a busy process", "one beside", "one", 1 / 3),
    ("sixteen clients beside a busy process", "clients beside", "clients", 0.5),
)
"""Two cases, and the least that the first one's rate may be of the second one's."""


class Rates:
    """The highest rate of each system in each case; with `noise` also those that others computed beside."""

    def __init__(self, records: list[dict[str, Any]], *, noise: bool):
        self._systems = list(dict.fromkeys(each["system"] for each in records))
        self._best: dict[tuple[int, str, str], float] = {}
        self._as_many: dict[tuple[int, str], float] = {}
        for each in records:
            rate = each.get("sentences_per_s")
            if rate is None or each.get("error") or (each.get("noisy") and not noise):
                continue
            if each["wrong"] <= MOST_WRONG * each["sentences"]:
                self._add(each["beams"], each["case"], each["system"], rate)

    def _add(self, beams: int, case: str, system: str, rate: float) -> None:
        cases = [case]
        if system == BEST:
            self._as_many[beams, case] = max(rate, self._as_many.get((beams, case), 0.0))
            if case == "file":
                cases = list(FILES)
            elif case != "one":  # whole batches are its best wherever there are several sentences
                cases = [name for name in ALL if not name.startswith("one")]
        for each in cases:
            key = beams, each, system
            self._best[key] = max(rate, self._best.get(key, 0.0))

    def table(self) -> str:
        """Return a row for each case; Dragoman's ratios to CTranslate2 (see AT_A_TIME)."""
        rows = [["beams", "case", *self._systems, "of CTranslate2", "of it with as many"]]
        for beams, case in dict.fromkeys((beams, case) for beams, case, _ in self._best):
            rates = [self._best.get((beams, case, system)) for system in self._systems]
            ours = self._best.get((beams, case, OURS), math.nan)
            quiet = case.split(" ")[0]
            ratios = (
                ours / self._best.get((beams, quiet, BEST), math.nan),
                ours / self._as_many.get((beams, quiet), math.nan),
            )
            told = ["-" if rate is None else f"{rate:.1f}" for rate in rates]
            told += ["-" if math.isnan(ratio) else f"{ratio:.2f}" for ratio in ratios]
            rows.append([str(beams), case, *told])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows)

    def goals(self) -> Iterator[str]:
        """Say how Dragoman stands to each goal whose cases are there."""
        for beams in sorted({beams for beams, _, _ in self._best}, reverse=True):
            for name, case, other, least in GOALS:
                ratio = self._best.get((beams, case, OURS), math.nan) / self._best.get(
                    (beams, other, OURS), math.nan
                )
                if not math.isnan(ratio):
                    met = "met" if ratio >= least else "MISSED"
                    yield f"{beams} beams, {name}: {ratio:.2f} times the rate, at least {least:.2f}: {met}"


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
