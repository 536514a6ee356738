"""Makes a model's engine, by the model's family, the device and the settings, and loads the model for it."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from models.codec import base_decoding
from models.engine.batching import Backend, BatchingEngine
from models.engine.card import Card, has_cuda, look, parameters_in
from models.engine.protocol import BatchRecord, Engine
from models.engine.verdicts import Verdict, Verdicts, subject
from models.entry import ModelEntry
from models.errors import DragomanError, EngineFailed, ModelUnavailable, NotConvertible
from models.families import FAMILIES
from models.freed import close_soon, give_back_cuda
from models.loading import Store

if TYPE_CHECKING:
    from models.engine.seq2seq import Seq2SeqEngine
    from models.engine.trial import Bounds

log = logging.getLogger(__name__)

Device = Literal["auto", "cpu", "cuda"]

EngineChoice = Literal["auto", "native", "generate"]
"""The engines that a user may ask for.

`auto` is CTranslate2 on a CPU. On a GPU it is the native engine for encoder-decoders and the causal engine
for decoder-only models, where these pass their trial when the model is loaded, and `generate` for what is
left. `native` takes encoder-decoders on either device; on a GPU a failed trial is then an error.
"""

Kind = Literal["native", "causal", "generate", "ct2"]

NO_CUDA = "device is set to cuda, but torch finds no CUDA device"


def kind_of(choice: EngineChoice, device: str, *, causal: bool) -> Kind:
    """The engine to try first."""
    if not causal and (choice == "native" or (choice == "auto" and device == "cuda")):
        return "native"
    if choice == "generate":
        return "generate"
    return "causal" if device == "cuda" else "ct2"


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
        return [f"{name}: {told}" for name, told in self._fallbacks.items()]

    def device_for(self, entry: ModelEntry) -> tuple[str, str]:
        """The device for a model that writes, and why it is not the GPU that there is; else an empty word."""
        card = self._card()
        if card is None:
            return "cpu", ""
        if self._wanted == "cuda":
            return "cuda", ""
        num_parameters = parameters_in(self._store.folder(entry))
        why = card.lack(num_parameters, float16=FAMILIES[entry.family].float16)
        return ("cpu", why) if why else ("cuda", "")

    def make(self, entry: ModelEntry) -> Engine:
        """Load the entry and start its engine. Raises ModelUnavailable."""
        if entry.weights == "elsewhere":
            return self._server(entry)
        if entry.weights == "gguf":
            return self._llama(entry)
        causal = entry.kind == "causal"
        device, why = self.device_for(entry)
        kind = kind_of(self._choice, device, causal=causal)
        self._fallbacks.pop(entry.name, None)
        if why:
            self._set_back(entry, "it runs on the CPU", why)
        log.info("%s: engine %s on %s", entry.name, kind, device)
        if kind == "native":
            return self._native_or_generate(entry, device)
        if kind == "causal":
            return self._causal_or_generate(entry, device)
        if kind == "ct2":
            return self._batching(entry, self._ct2_or_generate(entry, causal))
        return self._batching(entry, self._generate(entry, causal, device))

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
        self._fallbacks.pop(entry.name, None)
        if self._wanted == "cuda" and not server.on_gpu:
            self._set_back(entry, "it runs on the CPU", "the xllamacpp that is installed knows no GPU here")
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

    def _ct2_or_generate(self, entry: ModelEntry, causal: bool) -> Backend:
        try:
            return self._ct2(entry, causal)
        except NotConvertible as error:
            log.warning("%s: transformers' generate takes its place: %s", entry.name, error.message)
            return self._generate(entry, causal, "cpu")

    def _card(self) -> Card | None:
        """The GPU that models may run on."""
        card = None if self._wanted == "cpu" else look()
        if card is None and self._wanted == "cuda":
            raise ModelUnavailable(NO_CUDA)
        return card

    def _set_back(self, entry: ModelEntry, told: str, reason: str) -> None:
        """Tell the log why, and everyone that it is so: drivers' and compilers' words may hold paths."""
        self._fallbacks[entry.name] = told
        log.warning("%s: %s: %s", entry.name, told, reason)

    def _native_or_generate(self, entry: ModelEntry, device: str) -> Engine:
        if device == "cpu":
            return self._native(entry, self._torch_model(entry, device))  # the tests prove it without a trial
        engine, reason = self._tried_native(entry)
        if engine is not None:
            return engine
        if self._choice == "native":
            raise ModelUnavailable(f"{entry.name}: the native engine cannot be used here: {reason}")
        told = "the native engine cannot be used here, transformers' generate takes its place"
        self._set_back(entry, told, reason)
        give_back_cuda()
        try:
            return self._batching(entry, self._generate(entry, causal=False, device="cuda"))
        except Exception as error:
            raise ModelUnavailable(
                f"{entry.name}: the native engine cannot be used here ({reason}), and after that generate "
                f"could not be loaded ({error}); start again with the engine `generate`"
            ) from error

    def _tried_native(self, entry: ModelEntry) -> tuple[Engine | None, str]:
        """The engine if it passes its trial, or None and why there is none. ModelUnavailable without weights.

        The error itself does not leave this method: its frames would hold on to the device's memory.
        """
        from models.engine.trial import Bounds

        if not self._has_kernels():  # plain PyTorch on a GPU gathers whole caches, and `generate` is quicker
            return None, "Triton, or a C compiler for it (gcc or clang), is missing"
        verdict = self._verdict(entry)
        if verdict is not None and verdict.failure:
            return None, verdict.told
        model = self._torch_model(entry, "cuda")
        try:
            engine = self._native(entry, model)
        except Exception as error:  # noqa: BLE001 - drivers and compilers raise what they like
            return None, error.message if isinstance(error, DragomanError) else repr(error)
        limits = engine.limits
        own, most = limits.beam_widths[0], max(limits.beam_widths)
        bounds = Bounds(limits.max_source_tokens, limits.max_new_tokens, own, most)
        failure = "" if verdict is not None else self._failure(entry, engine, model, bounds)
        if failure:
            close_soon(engine)
            return None, failure
        return engine, ""

    def _failure(self, entry: ModelEntry, engine: Engine, model: Any, bounds: "Bounds") -> str:
        """Put the engine to its trial, and keep the verdict: the reason, or an empty word."""
        from models.engine.trial import try_out

        try:
            try_out(engine, model, bounds, time_limit_s=self._trial_limit_s)
            failure = str(getattr(engine, "failure", ""))  # of a causal engine, which goes on without it
        except EngineFailed as error:
            failure = error.message
        if self._verdicts is not None:
            self._verdicts.keep(self._subject(entry), failure)
        return failure

    def _verdict(self, entry: ModelEntry) -> Verdict | None:
        return None if self._verdicts is None else self._verdicts.of(self._subject(entry))

    def _subject(self, entry: ModelEntry) -> dict[str, str]:
        """Return what a verdict about the entry is about."""
        card, dtype = self._card_and_dtype(entry, "cuda")
        limits = f"{entry.max_source_tokens} and {entry.max_new_tokens} tokens"
        told = card.name if card is not None else ""
        revision = self._store.revision(entry)
        return subject(entry.name, revision, told, dtype=dtype, limits=limits)

    def _causal_or_generate(self, entry: ModelEntry, device: str) -> Engine:
        """The engine if it passes its trial; else `generate`, with the weights that are there."""
        from models.engine.causal import CausalEngine
        from models.engine.generate import GenerateBackend
        from models.engine.trial import Bounds

        model, window = self._torch_model(entry, device), entry.max_source_tokens
        verdict = self._verdict(entry)
        engine, reason = None, verdict.told if verdict is not None else ""
        try:
            if not reason:
                on_batch, size = self._listener(entry), self._max_batch_size
                engine = CausalEngine(model, max_source_tokens=window, max_batch_size=size, on_batch=on_batch)
            if engine is not None and verdict is None:
                bounds = Bounds(window, entry.max_new_tokens, num_beams=1, most_beams=1)
                reason = self._failure(entry, engine, model, bounds)
        except Exception as error:  # noqa: BLE001 - models and devices raise what they like
            reason = error.message if isinstance(error, DragomanError) else repr(error)
        if engine is not None:
            if not reason:
                return engine
            close_soon(engine)
        told = "its texts do not join batches that run, transformers' generate takes one batch after another"
        self._set_back(entry, told, reason)
        give_back_cuda()
        return self._batching(entry, GenerateBackend(model, causal=True, max_source_tokens=window))

    def _has_kernels(self) -> bool:
        """Return True if the native engine's kernels can run on the GPU."""
        import torch

        from models.engine.seq2seq import kernels

        return kernels.usable_on(torch.device("cuda"))

    def _native(self, entry: ModelEntry, model: Any) -> "Seq2SeqEngine":
        from models.engine.seq2seq import Seq2SeqEngine
        from models.engine.seq2seq.memory import limits_for

        decoding = base_decoding(entry, model.generation_config)
        beams, stops = decoding.get("num_beams", 1), len(decoding["stop_token_ids"])
        limits = limits_for(beams, entry.max_source_tokens, entry.max_new_tokens, stops)
        return Seq2SeqEngine(model, limits, device=model.device, dtype=model.dtype)

    def _batching(self, entry: ModelEntry, backend: Backend) -> Engine:
        on_batch = self._listener(entry)
        return BatchingEngine(backend, max_batch_size=self._max_batch_size, on_batch=on_batch)

    def _listener(self, entry: ModelEntry) -> Callable[[BatchRecord], None] | None:
        heard = self._on_batch
        return None if heard is None else lambda record: heard(entry.name, record)

    def _generate(self, entry: ModelEntry, causal: bool, device: str) -> Backend:
        from models.engine.generate import GenerateBackend

        window = entry.max_source_tokens
        model = self._torch_model(entry, device)
        return GenerateBackend(model, causal=causal, max_source_tokens=window)

    def _ct2(self, entry: ModelEntry, causal: bool) -> Backend:
        from models.engine.ct2 import Ct2Backend

        folder, window = self._store.ct2_folder(entry), entry.max_source_tokens
        return Ct2Backend(folder, causal=causal, max_source_tokens=window, threads=self._threads)

    def _torch_model(self, entry: ModelEntry, device: str) -> Any:
        """In 16 bits on a GPU that has such as the model bears; a CPU computes float32 faster."""
        _, dtype = self._card_and_dtype(entry, device)
        return self._store.load(entry, dtype=dtype, device=device)

    def _card_and_dtype(self, entry: ModelEntry, device: str) -> tuple[Card | None, str]:
        card = self._card() if device == "cuda" else None
        dtype = card and card.dtype(float16=FAMILIES[entry.family].float16)
        return card, dtype or "float32"
