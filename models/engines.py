"""Makes a model's engine, by the model's family, the device and the settings, and loads the model for it."""

import gc
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from models.codec import base_decoding
from models.engine.batching import Backend, BatchingEngine
from models.engine.protocol import BatchRecord, Engine
from models.entry import ModelEntry
from models.errors import DragomanError, EngineFailed, ModelUnavailable
from models.loading import Store

if TYPE_CHECKING:
    from models.engine.seq2seq import Seq2SeqEngine

log = logging.getLogger(__name__)

Device = Literal["auto", "cpu", "cuda"]

EngineChoice = Literal["auto", "native", "generate"]
"""The engines that a user may ask for.

`auto` is CTranslate2 on a CPU. On a GPU it is the native engine for encoder-decoders, where that passes its
trial when the model is loaded, and `generate` for what is left. `native` takes encoder-decoders on either
device; on a GPU a failed trial is then an error.
"""

Kind = Literal["native", "generate", "ct2"]

NATIVE_MEMORY_FRACTION = 0.5
"""The share of a GPU's free memory for a native engine's caches: other models may have to be loaded yet."""


def kind_of(choice: EngineChoice, device: str, *, causal: bool) -> Kind:
    """The engine to try first."""
    if not causal and (choice == "native" or (choice == "auto" and device == "cuda")):
        return "native"
    return "generate" if choice == "generate" or device == "cuda" else "ct2"


class EngineMaker:
    """Makes engines for one device. `threads` are a CPU engine's, 0 for all cores.

    `on_batch(model, record)` hears of every batch; the native engine has steps instead. `trial_limit_s` is
    how long a native engine on a GPU may take for the answers of its trial (see `models.engine.trial`).
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
    ):
        self._store = store
        self._wanted = device
        self._choice = choice
        self._threads = threads
        self._max_batch_size = max_batch_size
        self._on_batch = on_batch
        self._trial_limit_s = trial_limit_s

    @property
    def device(self) -> str:
        """`cuda` or `cpu`. Raises ModelUnavailable if the one that is asked for is not there."""
        import torch

        if self._wanted == "cuda" and not torch.cuda.is_available():
            raise ModelUnavailable("device is set to cuda, but torch finds no CUDA device")
        return "cuda" if self._wanted != "cpu" and torch.cuda.is_available() else "cpu"

    def make(self, entry: ModelEntry) -> Engine:
        """Load the entry and start its engine. Raises ModelUnavailable."""
        causal = entry.kind == "causal"
        kind = kind_of(self._choice, self.device, causal=causal)
        if kind == "native":
            return self._native_or_generate(entry)
        return self._batching(entry, (self._generate if kind == "generate" else self._ct2)(entry, causal))

    def _native_or_generate(self, entry: ModelEntry) -> Engine:
        if self.device == "cpu":
            return self._native(entry, self._torch_model(entry))  # the tests prove it, without a trial
        engine, reason = self._tried_native(entry)
        if engine is not None:
            return engine
        if self._choice == "native":
            raise ModelUnavailable(f"{entry.name}: the native engine cannot be used here: {reason}")
        log.warning(
            "%s: the native engine cannot be used here, transformers' generate takes its place: %s",
            entry.name,
            reason,
        )
        _free_memory()
        try:
            return self._batching(entry, self._generate(entry, causal=False))
        except Exception as error:
            raise ModelUnavailable(
                f"{entry.name}: the native engine cannot be used here ({reason}), and after that generate "
                f"could not be loaded ({error}); start again with the engine `generate`"
            ) from error

    def _tried_native(self, entry: ModelEntry) -> tuple[Engine | None, str]:
        """The engine if it passes its trial, or None and why there is none. ModelUnavailable without weights.

        The error itself does not leave this method: its frames would hold on to the device's memory.
        """
        from models.engine.trial import Bounds, try_out

        if not self._has_kernels():  # plain PyTorch on a GPU gathers whole caches, and `generate` is quicker
            return None, "Triton, or a C compiler for it (gcc or clang), is missing"
        model = self._torch_model(entry)
        try:
            engine = self._native(entry, model)
        except Exception as error:  # noqa: BLE001 - drivers and compilers raise what they like
            return None, error.message if isinstance(error, DragomanError) else repr(error)
        try:
            limits = engine.limits
            bounds = Bounds(limits.max_source_tokens, limits.max_new_tokens, limits.beam_widths[0])
            try_out(engine, model, bounds, time_limit_s=self._trial_limit_s)
        except EngineFailed as error:
            _close_soon(engine)
            return None, error.message
        return engine, ""

    def _has_kernels(self) -> bool:
        """Return True if the native engine's kernels can run on the GPU."""
        import torch

        from models.engine.seq2seq import kernels

        return kernels.usable_on(torch.device("cuda"))

    def _native(self, entry: ModelEntry, model: Any) -> "Seq2SeqEngine":
        from models.engine.seq2seq import Seq2SeqEngine

        num_beams = base_decoding(entry, model.generation_config).get("num_beams", 1)
        return Seq2SeqEngine(
            model,
            device=model.device,
            dtype=model.dtype,
            beam_widths=(num_beams, 1) if num_beams > 1 else (1,),
            max_source_tokens=entry.max_source_tokens,
            max_new_tokens=entry.max_new_tokens,
            memory_fraction=NATIVE_MEMORY_FRACTION,
        )

    def _batching(self, entry: ModelEntry, backend: Backend) -> Engine:
        heard = self._on_batch
        return BatchingEngine(
            backend,
            max_batch_size=self._max_batch_size,
            on_batch=None if heard is None else lambda record: heard(entry.name, record),
        )

    def _generate(self, entry: ModelEntry, causal: bool) -> Backend:
        from models.engine.generate import GenerateBackend

        window = entry.max_source_tokens
        return GenerateBackend(self._torch_model(entry), causal=causal, max_source_tokens=window)

    def _ct2(self, entry: ModelEntry, causal: bool) -> Backend:
        from models.engine.ct2 import Ct2Backend

        folder, window = self._store.ct2_folder(entry), entry.max_source_tokens
        return Ct2Backend(
            folder,
            causal=causal,
            max_source_tokens=window,
            threads=self._threads,
        )

    def _torch_model(self, entry: ModelEntry) -> Any:
        """bfloat16 on a GPU; a CPU computes float32 faster."""
        dtype = "bfloat16" if self.device == "cuda" else "float32"
        return self._store.load(entry, dtype=dtype, device=self.device)


def _close_soon(engine: Engine, *, within_s: float = 10.0) -> None:
    """Close an engine that may hang; then its thread and its memory stay behind until the process ends."""
    closing = threading.Thread(target=engine.close, name="close-native", daemon=True)
    closing.start()
    closing.join(within_s)
    if closing.is_alive():
        log.warning("the native engine does not stop; its memory stays taken until the process ends")


def _free_memory() -> None:
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
