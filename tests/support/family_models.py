"""Tiny models of every family: their codecs and what each is asked."""

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


def _codec(tiny_hub: TinyHub, languages: Languages, kind: str) -> Codec:
    entry = tiny_hub.entry(kind)
    store = tiny_hub.store
    return codec_of(entry, store.tokenizer(entry), store.generation_config(entry), languages)


def _purpose(codec: Codec) -> Purpose:
    task = codec.entry.tasks[-1]
    return Purpose(task, "en", "fr" if task == "translate" else None, sentences=2)


def _backends(tiny_hub: TinyHub, codec: Codec, folder: Path) -> tuple[Backend, Backend]:
    """CTranslate2 in float32, and the plain one."""
    entry, store = codec.entry, tiny_hub.store
    causal = entry.kind == "causal"
    model = store.load(entry, dtype="float32")
    to_ctranslate2(model, store.tokenizer(entry), store.folder(entry), folder, quantization="float32")
    window = entry.max_source_tokens
    ct2 = Ct2Backend(folder, causal=causal, max_source_tokens=window, threads=1)
    plain = GenerateBackend(store.load(entry, dtype="float32"), causal=causal, max_source_tokens=window)
    return ct2, plain
