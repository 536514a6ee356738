"""Sentences as unit vectors, by a BERT-like encoder (all-MiniLM-L6-v2) and what its family pools them by.

Knows nothing of articles or of what the vectors are for.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from models.families import Pooling

Embeddings = NDArray[np.float32]
"""[sentences, dimension], each row of length 1."""

_BATCH_SENTENCES = 32


class SentenceEncoder:
    """An encoder and its tokenizer from one folder; one may be shared by threads.

    Reads `model.safetensors` alone, runs no code from the folder and looks nowhere else. A sentence longer
    than `max_tokens` is embedded by its beginning: the window that the encoder was trained with, 256
    tokens for MiniLM, is some 180 words and holds nearly every sentence whole. `form` is what an encoder
    reads around a sentence, such as "query: {text}".

    One thread does all of torch's work: OpenMP keeps a team for each thread that computes, and those of
    requests would stay for as long as their threads do.
    """

    max_tokens = 256

    def __init__(self, folder: Path, device: str = "cpu", *, form: str = "{text}", pooling: Pooling = "mean"):
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModel.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
        self._model = model.to(device).eval()
        self._device = device
        self._form = form
        self._pooling = pooling
        self._thread = ThreadPoolExecutor(1, "dragoman-encoder")

    def embed(self, sentences: Sequence[str]) -> Embeddings:
        """A row for each sentence, at length 1."""
        return self._thread.submit(self._embed, sentences).result()

    @torch.inference_mode()
    def _embed(self, sentences: Sequence[str]) -> Embeddings:
        rows = np.zeros((len(sentences), self._model.config.hidden_size), dtype=np.float32)
        by_length = sorted(range(len(sentences)), key=lambda i: len(sentences[i]))
        for start in range(0, len(by_length), _BATCH_SENTENCES):
            batch = by_length[start : start + _BATCH_SENTENCES]
            rows[batch] = self._embed_batch([sentences[i] for i in batch])
        return rows

    def _embed_batch(self, sentences: list[str]) -> Embeddings:
        texts = [self._form.replace("{text}", sentence) for sentence in sentences]
        inputs = self._tokenizer(
            texts, padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt"
        ).to(self._device)
        output = self._model(**inputs)
        if self._pooling == "pooler":
            pooled = output.pooler_output
        else:
            hidden = output.last_hidden_state
            mask = inputs["attention_mask"].unsqueeze(-1).to(hidden.dtype)
            pooled = (hidden * mask).sum(1) / mask.sum(1)
        rows: Embeddings = torch.nn.functional.normalize(pooled, dim=1).cpu().numpy()
        return rows
