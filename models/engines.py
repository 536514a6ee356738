"""Which engine runs a model: by its family, the device and the settings. Loads the model for it."""

from collections.abc import Callable
from typing import Any, Literal

from models.catalog import ModelEntry
from models.engine.batching import Backend, BatchingEngine
from models.engine.protocol import BatchRecord, Engine
from models.errors import ModelUnavailable
from models.loading import Store

Device = Literal["auto", "cpu", "cuda"]

EngineChoice = Literal["auto", "native", "generate"]
"""`auto` is CTranslate2 on a CPU and `generate` on a GPU; `native` takes encoder-decoders, on either.

On a GPU the native engine is to become `auto`'s choice once it has been run on one.
"""

CAUSAL_FAMILIES = ("completion", "instruct")


class EngineMaker:
    """Makes engines for one device. `threads` are a CPU engine's, 0 for all cores.

    `on_batch(model, record)` hears of every batch; the native engine has steps instead.
    """

    def __init__(
        self,
        store: Store,
        *,
        device: Device = "auto",
        choice: EngineChoice = "auto",
        threads: int = 0,
        max_batch_size: int = 32,
        on_batch: Callable[[str, BatchRecord], None] | None = None,
    ):
        self._store = store
        self._wanted = device
        self._choice = choice
        self._threads = threads
        self._max_batch_size = max_batch_size
        self._on_batch = on_batch

    @property
    def device(self) -> str:
        """`cuda` or `cpu`. Raises ModelUnavailable if the one that is asked for is not there."""
        import torch

        if self._wanted == "cuda" and not torch.cuda.is_available():
            raise ModelUnavailable("device is set to cuda, but torch finds no CUDA device")
        return "cuda" if self._wanted != "cpu" and torch.cuda.is_available() else "cpu"

    def make(self, entry: ModelEntry) -> Engine:
        """Load the entry and start its engine. Raises ModelUnavailable."""
        causal = entry.family in CAUSAL_FAMILIES
        if self._choice == "native" and not causal:
            return self._native(entry)
        if self._choice == "generate" or self.device == "cuda":
            return self._batching(entry, self._generate(entry, causal))
        return self._batching(entry, self._ct2(entry, causal))

    def _native(self, entry: ModelEntry) -> Engine:
        from models.engine.seq2seq import Seq2SeqEngine

        model = self._torch_model(entry)
        return Seq2SeqEngine(
            model,
            device=model.device,
            dtype=model.dtype,
            max_source_tokens=entry.max_source_tokens,
            max_new_tokens=entry.max_new_tokens,
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
        return Ct2Backend(folder, causal=causal, max_source_tokens=window, threads=self._threads)

    def _torch_model(self, entry: ModelEntry) -> Any:
        """bfloat16 on a GPU; a CPU computes float32 faster."""
        dtype = "bfloat16" if self.device == "cuda" else "float32"
        return self._store.load(entry, dtype=dtype, device=self.device)
