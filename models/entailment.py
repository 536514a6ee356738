"""Scores of how far one text follows from another, by a classifier trained on natural language inference.

Knows nothing of summaries: it is given pairs of texts.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from models.errors import ModelUnavailable

_BATCH_PAIRS = 16


class Entailment:
    """A classifier and its tokenizer from one folder; one may be shared by threads.

    Reads safetensors alone and runs no code from the folder. Raises ModelUnavailable if none of the
    model's labels is called entailment. One thread does all of torch's work, as in `SentenceEncoder`.
    """

    def __init__(self, folder: Path, device: str = "cpu", *, max_tokens: int = 512):
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModelForSequenceClassification.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
        self._model = model.to(device).eval()
        self._device = device
        self._max_tokens = max_tokens
        self._label = _entailment_label(model.config.id2label)
        self._thread = ThreadPoolExecutor(1, "dragoman-entailment")

    def scores(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """For each (premise, hypothesis) the probability, 0 to 1, that the hypothesis follows.

        Of a pair over `max_tokens` the longer text is cut.
        """
        return self._thread.submit(self._scores, pairs).result()

    @torch.inference_mode()
    def _scores(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        found: list[float] = []
        for start in range(0, len(pairs), _BATCH_PAIRS):
            premises, hypotheses = zip(*pairs[start : start + _BATCH_PAIRS], strict=True)
            inputs = self._tokenizer(
                list(premises),
                list(hypotheses),
                padding=True,
                truncation="longest_first",
                max_length=self._max_tokens,
                return_tensors="pt",
            ).to(self._device)
            found += self._model(**inputs).logits.softmax(-1)[:, self._label].tolist()
        return found


def _entailment_label(labels: dict[int, str]) -> int:
    for number, name in labels.items():
        if name.casefold().startswith("entail"):
            return int(number)
    raise ModelUnavailable(f"the model tells {', '.join(labels.values())}, and not entailment")
