"""Tiny models of every family: their codecs and what each is asked."""

from copy import copy
from pathlib import Path

import tiny_models
from conftest import TinyHub

from models.codec import Codec, Purpose, codec_of
from models.convert import to_ctranslate2
from models.engine.batching import Backend
from models.engine.ct2 import Ct2Backend
from models.engine.generate import GenerateBackend
from models.languages import Languages

KINDS = sorted(tiny_models.MAKERS)
_CODECS: dict[str, Codec] = {}
_MADE: dict[str, tuple[Backend, Backend]] = {}


def _codec(tiny_hub: TinyHub, languages: Languages, kind: str) -> Codec:
    """The codec, of which a test may change the fields."""
    if kind not in _CODECS:
        entry, store = tiny_hub.entry(kind), tiny_hub.store
        codec = codec_of(entry, store.tokenizer(entry), store.generation_config(entry), languages)
        codec.encode("Talks.", _purpose(codec))  # what it works out once is in the copies
        _CODECS[kind] = codec
    return copy(_CODECS[kind])


def _purpose(codec: Codec) -> Purpose:
    task = codec.entry.tasks[-1]
    return Purpose(task, "en", "fr" if task == "translate" else None, sentences=2)


def _backends(tiny_hub: TinyHub, codec: Codec, _folder: Path | None = None) -> tuple[Backend, Backend]:
    """CTranslate2 in float32, and the plain one; made once a run."""
    entry, store = codec.entry, tiny_hub.store
    if entry.name not in _MADE:
        causal = entry.kind == "causal"
        folder = tiny_hub.folder / f"{entry.name.replace('/', '-')}-float32"
        model = store.load(entry, dtype="float32")
        to_ctranslate2(model, store.tokenizer(entry), store.folder(entry), folder, quantization="float32")
        window = entry.max_source_tokens
        ct2 = Ct2Backend(folder, causal=causal, max_source_tokens=window, threads=1)
        plain = GenerateBackend(store.load(entry, dtype="float32"), causal=causal, max_source_tokens=window)
        _MADE[entry.name] = ct2, plain
    return _MADE[entry.name]
