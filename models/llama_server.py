"""Runs llama.cpp's server for one GGUF file in its own process; `models/server_model.py` is the client.

xllamacpp could run in this process too, but it holds the interpreter while it reads a model (13 s for 1.1 GB
from a cold disk), and llama.cpp aborts its process on unexpected input. A separate process also returns all
its memory.
"""

import contextlib
import json
import logging
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections import deque
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from models import cpu
from models.errors import ModelUnavailable

log = logging.getLogger(__name__)

MISSING = "llama.cpp is not installed; `pip install 'dragoman[llama]'` installs it"
WORKING_BYTES = 500_000_000
"""What llama.cpp works in, beside the weights and the caches; its process is counted too."""
SLIDING = {"gemma3": 6}
"""Architectures in which only one layer of so many keeps all tokens; the others keep a window of them."""
BATCH_TOKENS = 512
KEPT_LINES = 20
PROGRAM = "from models.llama_server import serve; serve()"
CLOSES_WITHIN_S, AGAIN_AFTER_S = 10.0, 10.0


def require_package(name: str) -> None:
    """Raise ModelUnavailable if llama.cpp is not installed, for the model of this name."""
    if find_spec("xllamacpp") is None:
        raise ModelUnavailable(f"{name}: {MISSING}")


class LlamaServer:
    """The server, started. It takes `places` requests at a time, with so many `tokens` for each.

    It listens on 127.0.0.1, with a key. `threads` 0 means all cores. A `chat_template` is one of llama.cpp's
    own, by its name, in place of the file's. Raises ModelUnavailable with the reason.
    """

    def __init__(
        self,
        name: str,
        file: Path,
        *,
        places: int,
        tokens: int,
        threads: int = 0,
        use_gpu: bool = False,
        chat_template: str | None = None,
    ):
        require_package(name)
        self.key = secrets.token_urlsafe(24)
        self.on_gpu = False
        self._name = name
        self._start: dict[str, Any] = {
            "file": str(file),
            "key": self.key,
            "places": places,
            "tokens": tokens,
            "threads": threads or _all_threads(),
            "use_gpu": use_gpu,
            "chat_template": chat_template,
            "needed_bytes": _needed_bytes(name, file, places, tokens, chat_template),
        }
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._url = ""
        self._process: subprocess.Popen[bytes] | None = None
        self.url()
        threading.Thread(target=self._watch, name=f"watch {name}", daemon=True).start()

    def url(self) -> str:
        """Return its address, after starting it if it does not run. Raises ModelUnavailable."""
        with self._lock:
            if not self.is_alive() and not self._closing.is_set():
                self._run()
            return self._url

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def is_alive(self) -> bool:
        return bool(self._url) and self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """End it."""
        self._closing.set()
        with self._lock:
            if self._process is not None:
                _end(self._process)

    # ------------------------------------------------------------------ inside

    def _watch(self) -> None:
        """Start it again whenever it ends by itself."""
        while (process := self._process) is not None:
            status = process.wait()
            if self._closing.is_set():
                return
            log.error("%s: llama.cpp ended (%s); restarting it", self._name, status)
            try:
                self.url()
            except ModelUnavailable as error:
                log.error("%s", error.message)
                if self._closing.wait(AGAIN_AFTER_S):
                    return

    def _run(self) -> None:
        self._url = ""
        if self._process is not None:
            _end(self._process)
        self._process = process = subprocess.Popen(  # noqa: S603 - our own
            [sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}; {PROGRAM}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdin and process.stdout and process.stderr  # noqa: S101 - they were asked for
        told: deque[str] = deque(maxlen=KEPT_LINES)
        listening = threading.Thread(target=_listen, args=(process.stderr, told), daemon=True)
        listening.start()
        try:
            process.stdin.write(json.dumps(self._start).encode() + b"\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = b""
        started = json.loads(answer) if answer else {}
        if "url" not in started:
            _end(process)
            listening.join(CLOSES_WITHIN_S)
            raise ModelUnavailable(
                f"{self._name}: {started.get('error') or _reason(told, process.returncode)}"
            )
        self._url, self.on_gpu = started["url"], started["on_gpu"]


def _all_threads() -> int:
    """Return how many threads suit all processors that may be used; -1 has llama.cpp see for itself."""
    usable = cpu.whole(cpu.usable())
    return -1 if usable >= (os.cpu_count() or 1) else usable


def _needed_bytes(name: str, file: Path, places: int, tokens: int, chat_template: str | None) -> int:
    """Return about how much memory a file takes. Raises ModelUnavailable for one that cannot be used."""
    from models.gguf import metadata  # numpy and gguf, which a server without such a model does without

    try:
        facts = metadata(file)
    except ModelUnavailable as error:
        raise ModelUnavailable(f"{name}: {error.message}", folder=file) from error
    if chat_template is None and "tokenizer.chat_template" not in facts:
        raise ModelUnavailable(
            f"{name}: its file has no chat template, so it is no instruct model; if it is, name one of "
            "llama.cpp's templates in `chat_template`"
        )
    return file.stat().st_size + cache_bytes(facts, places, tokens) + WORKING_BYTES


def cache_bytes(facts: dict[str, Any], places: int, tokens: int) -> int:
    """Return the bytes of keys and values, in 16 bits, of so many tokens in each place."""
    kind = facts.get("general.architecture", "")

    def fact(key: str, default: int) -> int:
        value = facts.get(f"{kind}.{key}")
        return value if isinstance(value, int) else default  # some have one for each layer

    heads = max(1, fact("attention.head_count", 1))
    width = fact("embedding_length", 0) // heads
    sizes = fact("attention.key_length", width) + fact("attention.value_length", width)
    token_bytes = 2 * sizes * fact("attention.head_count_kv", heads)
    layers = fact("block_count", 0)
    whole = -(-layers // SLIDING[kind]) if kind in SLIDING else layers
    window = min(tokens, fact("attention.sliding_window", tokens) + BATCH_TOKENS)
    return places * token_bytes * (whole * tokens + (layers - whole) * window)


def _listen(lines: IO[bytes], told: deque[str]) -> None:
    """Keep the last errors that llama.cpp tells, and show them to nobody: they may quote a text."""
    with lines:
        for line in lines:
            told.append(line.decode(errors="replace").strip())


def _reason(told: deque[str], status: int | None) -> str:
    """Return why it did not start, in llama.cpp's own words where these say."""
    for line in told:
        if "error loading model: " in line and "failed to load model from" not in line:
            return f"llama.cpp cannot load its file: {line.partition('error loading model: ')[2]}"
    if status is not None and status < 0:
        return f"llama.cpp ended by signal {-status} while it loaded the file; is there enough memory?"
    return "llama.cpp cannot load its file"


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a process that ends with its input, and by force if it does not."""
    assert process.stdin and process.stdout  # noqa: S101 - they were asked for
    with contextlib.suppress(OSError):  # of words that nobody has read
        process.stdin.close()
    try:
        process.wait(CLOSES_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()


# ------------------------------------------------------------------------------------ the process itself


def serve() -> None:
    """Serve the file that standard input names, say where on standard output, and end with standard input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; whoever started it ends it
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    start = json.loads(sys.stdin.readline())
    try:
        _server, answer = _started(start)  # it serves as long as it is held
    except Exception:  # noqa: BLE001 - its words say nothing; those before it went to stderr
        os._exit(1)
    out.write(json.dumps(answer) + "\n")
    out.flush()
    sys.stdin.read()
    os._exit(0)


def _started(start: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    import xllamacpp

    kinds = xllamacpp.ggml_backend_dev_type
    gpus = (kinds.GGML_BACKEND_DEVICE_TYPE_GPU, kinds.GGML_BACKEND_DEVICE_TYPE_IGPU)
    on_gpu = start["use_gpu"] and any(each["type"] in gpus for each in xllamacpp.get_device_info())
    memory = cpu.memory()
    if not on_gpu and memory is not None and start["needed_bytes"] > memory[1]:
        needed, free = start["needed_bytes"] / 1e9, memory[1] / 1e9
        return None, {"error": f"it needs about {needed:,.1f} GB of memory, and {free:,.1f} GB are free"}
    params = xllamacpp.CommonParams()
    params.model.path = start["file"]
    params.port = 0
    params.api_keys = [start["key"]]
    params.n_parallel = start["places"]
    params.n_ctx = start["places"] * start["tokens"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = start["threads"]
    params.n_gpu_layers = -1 if on_gpu else 0
    params.no_kv_offload = params.no_op_offload = not on_gpu
    params.n_batch = BATCH_TOKENS  # between two of them it sees who has gone, and goes on with the others
    params.cache_ram_mib = 0  # else it keeps up to 8 GB of what it was asked
    params.ui = params.endpoint_slots = False
    params.verbosity = 1  # errors alone
    if start["chat_template"] is not None:
        params.chat_template = start["chat_template"]
        params.use_jinja = False  # with Jinja the name would be the template itself
    server = xllamacpp.Server(params)
    return server, {"url": f"{server.listening_address}/v1", "on_gpu": on_gpu}
