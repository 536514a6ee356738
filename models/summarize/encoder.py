"""Sentence embeddings with a BERT-like encoder (all-MiniLM-L6-v2) and its family's pooling.

On a CPU CTranslate2 computes them in float32, without torch; the vectors differ by at most 2e-7. Knows
nothing of articles or of what the vectors are for.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models import cpu
from models.catalog import ModelEntry
from models.errors import NotConvertible
from models.families import FAMILIES, Pooling
from models.hf_import import one_at_a_time
from models.tokenizer import RustTokenizer

if TYPE_CHECKING:
    from models.store import Store

Embeddings = NDArray[np.float32]
"""[sentences, dimension], each row of length 1."""

log = logging.getLogger(__name__)


class SentenceEncoder:
    """An encoder and its tokenizer from one folder, by torch; one may be shared by threads.

    Reads `model.safetensors` alone, runs no code from the folder and looks nowhere else. A sentence longer
    than `max_tokens` is embedded by its beginning: the window that the encoder was trained with, 256
    tokens for MiniLM, is some 180 words and holds nearly every sentence whole. `form` is what an encoder
    reads around a sentence, such as "query: {text}".

    One thread does all of torch's work: OpenMP keeps a team for each thread that computes, and those of
    requests would stay for as long as their threads do.
    """

    max_tokens = 256
    batch_sentences = 32

    def __init__(self, folder: Path, device: str = "cpu", *, form: str = "{text}", pooling: Pooling = "mean"):
        import torch
        from transformers import AutoModel, AutoTokenizer

        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        with one_at_a_time:
            model = AutoModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
            )
        self._model: Any = model.to(device).eval()
        self._device = device
        self._form, self._pooling = form, pooling
        self._dimension: int = model.config.hidden_size
        self._pool = ThreadPoolExecutor(1, "dragoman-encoder")

    def embed(self, sentences: Sequence[str]) -> Embeddings:
        """A row for each sentence, at length 1."""
        rows = np.zeros((len(sentences), self._dimension), dtype=np.float32)
        by_length = sorted(range(len(sentences)), key=lambda i: len(sentences[i]))
        step = self.batch_sentences
        batches = [by_length[start : start + step] for start in range(0, len(by_length), step)]
        texts = [[self._form.replace("{text}", sentences[i]) for i in batch] for batch in batches]
        for batch, pooled in zip(batches, self._pool.map(self._embed_batch, texts), strict=True):
            rows[batch] = pooled / np.linalg.norm(pooled, axis=1, keepdims=True).clip(1e-12)
        return rows

    def _embed_batch(self, sentences: list[str]) -> Embeddings:
        """What the family pools of each sentence: its tokens' mean, or the first through the pooler."""
        import torch

        inputs = self._tokenizer(
            sentences, padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt"
        ).to(self._device)
        with torch.inference_mode():
            output = self._model(**inputs)
            hidden = output.last_hidden_state
            mask = inputs["attention_mask"].unsqueeze(-1).to(hidden.dtype)
            is_mean = self._pooling == "mean"
            rows = (hidden * mask).sum(1) / mask.sum(1) if is_mean else output.pooler_output
            pooled: Embeddings = rows.cpu().numpy()
        return pooled


class ConvertedEncoder(SentenceEncoder):
    """The same from a folder that CTranslate2 converted. Each core has batches of its own, and none waits."""

    batch_sentences = 8

    def __init__(
        self, folder: Path, tokenizer: RustTokenizer, *, form: str = "{text}", pooling: Pooling = "mean"
    ):
        import ctranslate2

        threads = cpu.whole(cpu.usable())
        self._form, self._pooling = form, pooling
        self._tokenizer = tokenizer.cut(self.max_tokens)
        self._model = ctranslate2.Encoder(str(folder), inter_threads=threads, intra_threads=1)
        self._pool = ThreadPoolExecutor(threads, "dragoman-encoder")
        self._dimension = self._embed_batch([""]).shape[1]

    def _embed_batch(self, sentences: list[str]) -> Embeddings:
        ids = [self._tokenizer(sentence).input_ids for sentence in sentences]
        output = self._model.forward_batch(ids)
        if self._pooling == "pooler":
            return np.array(output.pooler_output)
        hidden = np.array(output.last_hidden_state)
        return np.stack([own[: len(each)].mean(0) for own, each in zip(hidden, ids, strict=True)])


def encoder_of(store: "Store", entry: ModelEntry, device: str) -> SentenceEncoder:
    """Load the entry's encoder, on a CPU without torch if CTranslate2 has its kind."""
    form, pooling = entry.prompt.get("summarize", "{text}"), FAMILIES[entry.family].pooling
    if device == "cpu":
        try:
            converted, tokenizer = store.ct2_folder(entry), store.plain_tokenizer(entry)
            if isinstance(tokenizer, RustTokenizer):
                return ConvertedEncoder(converted, tokenizer, form=form, pooling=pooling)
        except NotConvertible as error:
            log.warning("%s: falling back to torch: %s", entry.name, error.message)
    return SentenceEncoder(store.folder(entry), device, form=form, pooling=pooling)
