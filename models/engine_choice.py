"""Chooses and creates a model's engine, by the model's family, the device and the settings."""

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from models.catalog import ModelEntry
from models.codec import base_decoding
from models.engine.batching import Backend, BatchingEngine
from models.engine.gpu import (
    WORKING_BYTES,
    Gpu,
    Verdicts,
    batch_sizes,
    context_lost,
    has_cuda,
    lack_of_triton,
    look,
    parameters_in,
    subject,
)
from models.engine.protocol import BatchRecord, Decoding, Engine
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

`auto` is CTranslate2, but on a GPU the native engine for encoder-decoders where it has shown there that it is
right and faster: in a trial and a race when a model is first loaded. `native` takes encoder-decoders on both
devices; on a GPU a failed trial is then an error. What CTranslate2 cannot convert, or cannot run on this GPU,
is transformers' `generate`'s.
"""

Kind = Literal["native", "ct2", "generate"]

CT2_FAILURES = (EngineFailed, RuntimeError, ValueError)
"""What loading CTranslate2 on a GPU raises: ours, and its own for devices and for numbers."""

GPU_BATCH_LIMIT_S = 300.0
"""The largest batches take seconds, or ask at each step whether to stop; one that gives no sign for so long
waits for a GPU that has hung."""

RACE_SENTENCES, RACE_ARTICLES = (8, 64), (200, 1000)
"""The fewest and the most tokens of a race's sources, by what a model is for."""

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
    `verdicts` engines are raced, and a model that was tried before is not tried again. `secret(name)` is the
    server's key that an entry's `api_key_env` names.
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
        bytes_each = 1 if self._choice in ("auto", "ct2") else 2  # CTranslate2 has int8 as well
        why = gpu.lack(
            parameters_in(self._store.folder(entry)),
            float16=FAMILIES[entry.family].float16,
            bytes_each=bytes_each,
        )
        return ("cpu", why) if why else ("cuda", "")

    def need_bytes(self, entry: ModelEntry) -> int | None:
        """What an engine of the entry needs of a GPU at least; None if it runs elsewhere."""
        if entry.weights == "elsewhere":
            return None
        folder = self._store.folder(entry)
        files = [self._store.gguf_file(entry)] if entry.weights == "gguf" else []
        weights = sum(file.stat().st_size for file in files) or 2 * parameters_in(folder)
        return weights + WORKING_BYTES

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
            trim_cuda_memory()  # of an engine, or a model, that is not used
            if engine is not None:
                return engine
            if self._choice == "native":
                raise ModelUnavailable(f"{entry.name}: the native engine cannot be used here: {reason}")
            if reason:
                self._fall_back(
                    entry, "the native engine cannot be used here, falling back to another engine", reason
                )
        try:
            backend = self._generate(entry, device) if kind == "generate" else self._ct2(entry, device)
        except Exception as error:
            if not reason:
                raise
            raise ModelUnavailable(
                f"{entry.name}: the native engine cannot be used here ({reason}), and after that no other "
                f"one could be loaded ({error}); start again with the engine `ct2` or `generate`"
            ) from error
        return self._batching(entry, backend, device)

    def _batching(self, entry: ModelEntry, backend: Backend, device: str) -> BatchingEngine:
        on_batch, heard = None, self._on_batch
        if heard is not None:
            on_batch = lambda record: heard(entry.name, record)  # noqa: E731
        most = max(self._max_batch_size, backend.sizes.good_rows)
        limit_s = GPU_BATCH_LIMIT_S if device == "cuda" else None
        return BatchingEngine(backend, max_batch_size=most, on_batch=on_batch, batch_limit_s=limit_s)

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
        try:
            return self._ct2_on_cuda(entry) if device == "cuda" else self._ct2_on_cpu(entry)
        except NotConvertible as error:
            reason = error.message
        except CT2_FAILURES as error:
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

    def _ct2_on_cpu(self, entry: ModelEntry) -> Backend:
        from models.engine.ct2 import Ct2Backend

        return Ct2Backend(
            self._store.ct2_folder(entry),
            causal=entry.kind == "causal",
            max_source_tokens=entry.max_source_tokens,
            threads=self._threads,
        )

    def _ct2_on_cuda(self, entry: ModelEntry) -> Backend:
        """CTranslate2 in 16 bits, or with int8 weights where the GPU has no room for such.

        Raises NotConvertible or one of CT2_FAILURES.
        """
        from models.engine.ct2 import Ct2Backend, sees_cuda

        if not sees_cuda():
            raise EngineFailed("CTranslate2 finds no CUDA device; its wheel needs a driver for CUDA 12")
        numbers, whole = self._numbers(entry), self._has_room(entry)
        folder = self._store.folder(entry)
        free_bytes = 0 if (gpu := self._gpu()) is None else gpu.free_bytes
        weights = parameters_in(folder) * (2 if whole else 1)
        return Ct2Backend(
            self._store.ct2_folder(entry, numbers if whole else "int8"),
            causal=entry.kind == "causal",
            max_source_tokens=entry.max_source_tokens,
            device="cuda",
            compute_type=numbers if whole else f"int8_{numbers}",
            sizes=batch_sizes(
                folder, max(0, free_bytes - weights), entry.max_source_tokens, entry.max_new_tokens
            ),
        )

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
        """The engine that has shown that it serves best here, or None and why it is not the native one.

        None for no reason where CTranslate2 was faster. ModelUnavailable without weights. The error itself
        does not leave this method: its frames would hold on to the device's memory.
        """
        if not self._has_room(entry):
            return None, "the GPU has no room for its weights in 16 bits"
        if lack := self._lack_of_kernels():  # plain PyTorch on a GPU gathers whole caches; others are quicker
            return None, lack
        about = {} if self._verdicts is None else self._subject(entry)
        verdict = None if self._verdicts is None else self._verdicts.of(about)
        if verdict is not None and verdict.failure:
            return None, f"{verdict.failure} (on {verdict.date}; that verdict is kept)"
        races = self._choice == "auto" and self._verdicts is not None
        if verdict is not None and races and verdict.fastest != "native":
            log.info("%s: %s", entry.name, verdict.in_words())
            return None, ""
        model = self._torch_model(entry, "cuda")
        try:
            engine = self._native(entry, model)
        except Exception as error:  # noqa: BLE001 - drivers and compilers raise what they like
            return None, error.message if isinstance(error, DragomanError) else repr(error)
        if verdict is None and (failure := self._failure(engine, model, about)):
            close_soon(engine)
            return None, failure
        if races and (verdict is None or not verdict.rates):
            return self._faster(entry, engine, model, about), ""
        return engine, ""

    def _failure(self, engine: "NativeEngine", model: Any, about: Mapping[str, str]) -> str:
        """Put the engine to its trial; the reason why it failed, or an empty word.

        The verdict is kept, but not of a failure that may pass, as a time-out or too little memory.
        """
        from models.engine.trial import Bounds, WrongOutput, try_out

        limits = engine.limits
        own, most = limits.beam_widths[0], max(limits.beam_widths)
        bounds = Bounds(limits.max_source_tokens, limits.max_new_tokens, own, most)
        failure, decided = "", True
        try:
            try_out(engine, model, bounds, time_limit_s=self._trial_limit_s)
        except EngineFailed as error:
            failure, decided = error.message, isinstance(error, WrongOutput) or context_lost()
        if decided and self._verdicts is not None:
            self._verdicts.keep(about, failure)
        return failure

    def _faster(
        self, entry: ModelEntry, engine: "NativeEngine", model: Any, about: Mapping[str, str]
    ) -> Engine:
        """Race the native engine and CTranslate2; return the faster one, and close the other.

        Where CTranslate2 cannot run, or fails, there is no race, and the native engine serves.
        """
        from models.engine.trial import race_requests, rate_of

        assert self._verdicts is not None  # noqa: S101 - else there is no race
        base = base_decoding(entry, model.generation_config)
        decoding = Decoding(**{**base, "max_new_tokens": engine.limits.max_new_tokens, "min_new_tokens": 0})
        longest = engine.limits.max_source_tokens
        least, most = RACE_SENTENCES if "translate" in entry.tasks else RACE_ARTICLES
        requests = race_requests(model, decoding, (min(least, longest), min(most, longest)))
        other: Engine | None = None
        try:
            rates = {"native": rate_of(engine, requests)}
            # Kept by now: where CTranslate2 ends the process, it is not tried at each start again.
            self._verdicts.keep(about, "", rates)
            other = self._batching(entry, self._ct2_on_cuda(entry), "cuda")
            rates["ct2"] = rate_of(other, requests)
        except (NotConvertible, *CT2_FAILURES) as error:
            log.warning("%s: the race was broken off, and the native engine serves: %s", entry.name, error)
            self._verdicts.keep(about, "")
            if other is not None:
                close_soon(other)
            return engine
        verdict = self._verdicts.keep(about, "", rates)
        log.info("%s: %s", entry.name, verdict.in_words())
        faster, slower = (engine, other) if verdict.fastest == "native" else (other, engine)
        close_soon(slower)
        return faster

    def _lack_of_kernels(self) -> str:
        """Return why the native engine's kernels cannot run on the GPU, or an empty word."""
        return lack_of_triton()

    def _has_room(self, entry: ModelEntry) -> bool:
        """Return whether the GPU has room for the entry's weights in 16 bits."""
        gpu = self._gpu()
        return gpu is None or gpu.holds(parameters_in(self._store.folder(entry)))

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
