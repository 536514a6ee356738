"""Chooses and creates a model's engine, by the model's family, the device and the settings."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from models.catalog import ModelEntry
from models.codec import base_decoding
from models.engine.batching import Backend, BatchingEngine
from models.engine.gpu import Gpu, Verdicts, has_cuda, look, parameters_in, subject
from models.engine.protocol import BatchRecord, Engine
from models.errors import DragomanError, EngineFailed, ModelUnavailable, NotConvertible
from models.families import FAMILIES
from models.store import Store
from models.trim_memory import close_soon, trim_cuda_memory

if TYPE_CHECKING:
    from models.engine.native import NativeEngine

log = logging.getLogger(__name__)

Device = Literal["auto", "cpu", "cuda"]

EngineChoice = Literal["auto", "native", "ct2", "generate"]
"""The engines that a user may ask for.

`auto` is CTranslate2, but on a GPU the native engine for encoder-decoders that pass their trial when they are
loaded. `native` takes encoder-decoders on either device; on a GPU a failed trial is then an error. What
CTranslate2 cannot convert, or cannot run on this GPU, is transformers' `generate`'s.
"""

Kind = Literal["native", "ct2", "generate"]

NO_CUDA = "device is set to cuda, but torch finds no CUDA device"


def kind_of(choice: EngineChoice, device: str, *, causal: bool) -> Kind:
    """The engine to try first."""
    if choice == "generate":
        return "generate"
    native = choice == "native" or (choice == "auto" and device == "cuda")
    return "native" if native and not causal else "ct2"


class EngineMaker:
    """Makes engines for one device. `threads` are a CPU engine's, 0 for all cores.

    `on_batch(model, record)` hears of every batch; the native engine has steps instead. `trial_limit_s` is
    how long a native engine on a GPU may take for the answers of its trial (see `models.engine.trial`). With
    `verdicts` a model that was tried before is not tried again. `secret(name)` is the server's key that an
    entry's `api_key_env` names.
    """

    def __init__(
        self,
        store: Store,
        *,
        device: Device = "auto",
        choice: EngineChoice = "auto",
        threads: int = 0,
        max_batch_size: int = 64,
        on_batch: Callable[[str, BatchRecord], None] | None = None,
        trial_limit_s: float = 120.0,
        verdicts: Verdicts | None = None,
        secret: Callable[[str], str | None] = lambda _name: None,
    ):
        self._store = store
        self._secret = secret
        self._wanted = device
        self._choice = choice
        self._threads = threads
        self._max_batch_size = max_batch_size
        self._on_batch = on_batch
        self._trial_limit_s = trial_limit_s
        self._verdicts = verdicts
        self._fallbacks: dict[str, str] = {}

    @property
    def device(self) -> str:
        """`cuda` or `cpu`. Raises ModelUnavailable if the one that is asked for is not there."""
        there = has_cuda()
        if self._wanted == "cuda" and not there:
            raise ModelUnavailable(NO_CUDA)
        return "cuda" if self._wanted != "cpu" and there else "cpu"

    @property
    def fallbacks(self) -> list[str]:
        """The models that run slower than this machine's GPU could have them, and how; the log says why."""
        return [f"{name}: {how}" for name, how in self._fallbacks.items()]

    def device_for(self, entry: ModelEntry) -> tuple[str, str]:
        """The device for a model that writes, and why it is not the GPU that there is; else an empty word."""
        gpu = self._gpu()
        if gpu is None:
            return "cpu", ""
        if self._wanted == "cuda":
            return "cuda", ""
        num_parameters = parameters_in(self._store.folder(entry))
        why = gpu.lack(num_parameters, float16=FAMILIES[entry.family].float16)
        return ("cpu", why) if why else ("cuda", "")

    def make(self, entry: ModelEntry) -> Engine:
        """Load the entry and start its engine. Raises ModelUnavailable."""
        self._fallbacks.pop(entry.name, None)
        if entry.weights == "elsewhere":
            return self._server(entry)
        if entry.weights == "gguf":
            return self._llama(entry)
        device, why = self.device_for(entry)
        kind = kind_of(self._choice, device, causal=entry.kind == "causal")
        if why:
            self._fall_back(entry, "it runs on the CPU", why)
        log.info("%s: engine %s on %s", entry.name, kind, device)
        if kind == "native" and device == "cpu":
            return self._native(entry, self._torch_model(entry, device))  # the tests prove it without a trial
        reason = ""
        if kind == "native":
            engine, reason = self._tried_native(entry)
            if engine is not None:
                return engine
            if self._choice == "native":
                raise ModelUnavailable(f"{entry.name}: the native engine cannot be used here: {reason}")
            self._fall_back(
                entry, "the native engine cannot be used here, falling back to another engine", reason
            )
            trim_cuda_memory()
        try:
            backend = self._generate(entry, device) if kind == "generate" else self._ct2(entry, device)
        except Exception as error:
            if not reason:
                raise
            raise ModelUnavailable(
                f"{entry.name}: the native engine cannot be used here ({reason}), and after that no other "
                f"one could be loaded ({error}); start again with the engine `ct2` or `generate`"
            ) from error
        on_batch, heard = None, self._on_batch
        if heard is not None:
            on_batch = lambda record: heard(entry.name, record)  # noqa: E731
        return BatchingEngine(backend, max_batch_size=self._max_batch_size, on_batch=on_batch)

    # ------------------------------------------------------------------ engines of other programs

    def _server(self, entry: ModelEntry) -> Engine:
        from models.server_model import ServerEngine

        key = None
        if entry.api_key_env is not None and not (key := self._secret(entry.api_key_env)):
            raise ModelUnavailable(f"{entry.name}: the variable {entry.api_key_env} with its key is not set")
        url, model = str(entry.url), str(entry.model)
        return ServerEngine(entry.name, url, model, api_key=key, concurrency=entry.concurrency)

    def _llama(self, entry: ModelEntry) -> Engine:
        from models.llama_server import LlamaServer
        from models.server_model import ServerEngine

        server = LlamaServer(
            entry.name,
            self._store.gguf_file(entry),
            places=entry.concurrency,
            tokens=entry.max_source_tokens + entry.max_new_tokens,
            threads=self._threads,
            use_gpu=self._wanted != "cpu",
            chat_template=entry.chat_template,
        )
        if self._wanted == "cuda" and not server.on_gpu:
            self._fall_back(entry, "it runs on the CPU", "the xllamacpp that is installed knows no GPU here")
        log.info("%s: llama.cpp on %s", entry.name, "the GPU" if server.on_gpu else "the CPU")
        return ServerEngine(
            entry.name,
            server.url,
            entry.name,
            api_key=server.key,
            concurrency=entry.concurrency,
            is_alive=server.is_alive,
            on_close=server.close,
        )

    # ------------------------------------------------------------------ engines of this process

    def _ct2(self, entry: ModelEntry, device: str) -> Backend:
        """CTranslate2, or `generate` where it has not the model, or not this GPU."""
        from models.engine.ct2 import Ct2Backend, sees_cuda

        try:
            if device == "cuda" and not sees_cuda():
                raise EngineFailed("CTranslate2 finds no CUDA device")
            numbers = self._numbers(entry) if device == "cuda" else None
            return Ct2Backend(
                self._store.ct2_folder(entry, numbers),
                causal=entry.kind == "causal",
                max_source_tokens=entry.max_source_tokens,
                threads=self._threads,
                device=device,
                compute_type=numbers or "default",
            )
        except NotConvertible as error:
            reason = error.message
        except (EngineFailed, RuntimeError) as error:
            if device == "cpu":
                raise
            reason = str(error)  # a library that is missing, or a driver that is too old
            if self._choice == "ct2":
                raise ModelUnavailable(f"{entry.name}: CTranslate2 cannot be used here: {reason}") from error
        how = "falling back to transformers' generate"
        if device == "cuda":
            self._fall_back(entry, how, reason)
        else:
            log.warning("%s: %s: %s", entry.name, how, reason)
        return self._generate(entry, device)

    def _generate(self, entry: ModelEntry, device: str) -> Backend:
        from models.engine.generate import GenerateBackend

        model, causal = self._torch_model(entry, device), entry.kind == "causal"
        return GenerateBackend(model, causal=causal, max_source_tokens=entry.max_source_tokens)

    def _native(self, entry: ModelEntry, model: Any) -> "NativeEngine":
        from models.engine.native import NativeEngine
        from models.engine.native.limits import limits_for

        decoding = base_decoding(entry, model.generation_config)
        beams, stops = decoding.get("num_beams", 1), len(decoding["stop_token_ids"])
        limits = limits_for(beams, entry.max_source_tokens, entry.max_new_tokens, stops)
        return NativeEngine(model, limits, device=model.device, dtype=model.dtype)

    def _tried_native(self, entry: ModelEntry) -> tuple[Engine | None, str]:
        """The engine if it passes its trial, or None and why there is none. ModelUnavailable without weights.

        The error itself does not leave this method: its frames would hold on to the device's memory.
        """
        if not self._has_kernels():  # plain PyTorch on a GPU gathers whole caches, and others are quicker
            return None, "Triton, or a C compiler for it (gcc or clang), is missing"
        about = {} if self._verdicts is None else self._subject(entry)
        verdict = None if self._verdicts is None else self._verdicts.of(about)
        if verdict is not None and verdict.failure:
            return None, f"{verdict.failure} (on {verdict.date}; that verdict is kept)"
        model = self._torch_model(entry, "cuda")
        try:
            engine = self._native(entry, model)
        except Exception as error:  # noqa: BLE001 - drivers and compilers raise what they like
            return None, error.message if isinstance(error, DragomanError) else repr(error)
        if verdict is None:
            failure = self._failure(engine, model)
            if self._verdicts is not None:
                self._verdicts.keep(about, failure)
            if failure:
                close_soon(engine)
                return None, failure
        return engine, ""

    def _failure(self, engine: "NativeEngine", model: Any) -> str:
        """Put the engine to its trial; the reason why it failed, or an empty word."""
        from models.engine.trial import Bounds, try_out

        limits = engine.limits
        own, most = limits.beam_widths[0], max(limits.beam_widths)
        bounds = Bounds(limits.max_source_tokens, limits.max_new_tokens, own, most)
        try:
            try_out(engine, model, bounds, time_limit_s=self._trial_limit_s)
        except EngineFailed as error:
            return error.message
        return ""

    def _has_kernels(self) -> bool:
        """Return True if the native engine's kernels can run on the GPU."""
        import torch

        from models.engine.native.runner import kernels_on

        return kernels_on(torch.device("cuda")) is not None

    def _subject(self, entry: ModelEntry) -> dict[str, str]:
        """Return what a verdict about the entry is about."""
        gpu = self._gpu()
        limits = f"{entry.max_source_tokens} and {entry.max_new_tokens} tokens"
        name = "" if gpu is None else gpu.name
        return subject(
            entry.name, self._store.revision(entry), name, dtype=self._numbers(entry), limits=limits
        )

    # ------------------------------------------------------------------ the device

    def _gpu(self) -> Gpu | None:
        """The GPU that models may run on."""
        gpu = None if self._wanted == "cpu" else look()
        if gpu is None and self._wanted == "cuda":
            raise ModelUnavailable(NO_CUDA)
        return gpu

    def _numbers(self, entry: ModelEntry) -> str:
        """Return the numbers of an entry on the GPU: in 16 bits, if the GPU has such as the model bears."""
        gpu = self._gpu()
        return (gpu and gpu.dtype(float16=FAMILIES[entry.family].float16)) or "float32"

    def _torch_model(self, entry: ModelEntry, device: str) -> Any:
        dtype = self._numbers(entry) if device == "cuda" else "float32"  # which a CPU computes faster
        return self._store.load(entry, dtype=dtype, device=device)

    def _fall_back(self, entry: ModelEntry, how: str, reason: str) -> None:
        """Log the reason and report the fact alone: drivers' and compilers' words may hold paths."""
        self._fallbacks[entry.name] = how
        log.warning("%s: %s: %s", entry.name, how, reason)
