"""Translation servers that can be held against each other: how each is started, and how it is asked.

All serve the cipher model's weights on 127.0.0.1. LibreTranslate and txtai have environments of their own:

    python -m venv FOLDER/libretranslate && FOLDER/libretranslate/bin/pip install libretranslate spacy
    python -m venv FOLDER/txtai && FOLDER/txtai/bin/pip install 'txtai[api,pipeline-text]'
"""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cipher_model

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
        from models.loading import Store

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
        return f"not installed: {folder} is no environment; see bench/peers_systems.py"

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
