"""Scores how far one text follows from another, with models trained for that.

Knows nothing of summaries: it takes pairs of texts. Each kind of model has its own prompt. Torch is imported
only when such a model is loaded.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from models.errors import ModelUnavailable
from models.families import Judge
from models.hf_import import one_at_a_time

_BATCH_PAIRS = 16

_QUESTION = (
    "{premise}\n\nChoose your answer: based on the paragraph above can we conclude that "
    '"{hypothesis}"?\n\nOPTIONS:\n- Yes\n- No\nI think the answer is '
)
"""FactCG's form, in which its second label means yes: github.com/derenlei/FactCG, factcg/utils.py."""

_NO_SUPPORT, _SUPPORT = 3, 209
"""MiniCheck-Flan-T5's first tokens for no and yes: github.com/Liyan06/MiniCheck, minicheck/inference.py."""


class Entailment:
    """A classifier of pairs and its tokenizer from one folder; one may be shared by threads.

    Runs no code from the folder. Raises ModelUnavailable if none of the model's labels is called entailment.
    One thread does all of torch's work: OpenMP keeps a team for each thread that computes, and those of
    requests would stay for as long as their threads do.
    """

    auto_class = "AutoModelForSequenceClassification"

    def __init__(self, folder: Path, device: str = "cpu", *, max_tokens: int = 512):
        import torch
        import transformers

        self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        with one_at_a_time:
            model = getattr(transformers, self.auto_class).from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                weights_only=True,
                use_safetensors=any(folder.glob("*.safetensors")),
                dtype=torch.float32,
            )
        self._model: Any = model.to(device).eval()
        self._device = device
        self._max_tokens = max_tokens
        self._label = self.label_of(dict(model.config.id2label))
        self._thread = ThreadPoolExecutor(1, "dragoman-entailment")

    def scores(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """For each (premise, hypothesis) the probability, 0 to 1, that the hypothesis follows.

        Of a pair over `max_tokens` the longer text is cut, or the premise.
        """
        return self._thread.submit(self._scores, pairs).result()

    def _scores(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        import torch

        found: list[float] = []
        with torch.inference_mode():
            for start in range(0, len(pairs), _BATCH_PAIRS):
                inputs = self._inputs(pairs[start : start + _BATCH_PAIRS]).to(self._device)
                found += self._logits(inputs).softmax(-1)[:, self._label].tolist()
        return found

    @classmethod
    def label_of(cls, labels: dict[int, str]) -> int:
        """Return which of the logits means that it follows. Raises ModelUnavailable if none does."""
        for number, name in labels.items():
            if name.casefold().startswith("entail"):
                return int(number)
        raise ModelUnavailable(f"the model tells {', '.join(labels.values())}, and not entailment")

    @classmethod
    def feed(cls, tokenizer: Any, premise: str, hypothesis: str) -> list[int]:
        """Return the ids of one pair of any length, as the model reads it."""
        ids: list[int] = tokenizer(premise, hypothesis).input_ids
        return ids

    def _inputs(self, pairs: Sequence[tuple[str, str]]) -> Any:
        premises, hypotheses = zip(*pairs, strict=True)
        return self._tokenizer(
            list(premises),
            list(hypotheses),
            padding=True,
            truncation="longest_first",
            max_length=self._max_tokens,
            return_tensors="pt",
        )

    def _logits(self, inputs: Any) -> Any:
        return self._model(**inputs).logits


class QuestionEntailment(Entailment):
    """FactCG: one text that ends in a question, and two labels without a telling name, the second for yes."""

    @classmethod
    def label_of(cls, labels: dict[int, str]) -> int:
        if len(labels) != 2:
            raise ModelUnavailable(f"the model has {len(labels)} labels, and not two")
        return 1

    @classmethod
    def feed(cls, tokenizer: Any, premise: str, hypothesis: str) -> list[int]:
        ids: list[int] = tokenizer(cls.form(tokenizer, premise, hypothesis)).input_ids
        return ids

    @classmethod
    def form(cls, tokenizer: Any, premise: str, hypothesis: str) -> str:
        """Return the one text that a pair becomes."""
        return _QUESTION.format(premise=premise, hypothesis=hypothesis)

    def _inputs(self, pairs: Sequence[tuple[str, str]]) -> Any:
        texts = [self._text(*map(self._plain, pair)) for pair in pairs]
        return self._tokenizer(
            texts, padding=True, truncation=True, max_length=self._max_tokens, return_tensors="pt"
        )

    def _text(self, premise: str, hypothesis: str) -> str:
        """Return the text of a pair, of whose premise no more is left than fits: what is asked comes last."""
        around = len(self.feed(self._tokenizer, "", hypothesis))
        room = max(1, self._max_tokens - around)
        ids = self._tokenizer(premise, add_special_tokens=False, verbose=False).input_ids
        fitting = premise if len(ids) <= room else self._tokenizer.decode(ids[:room])
        return self.form(self._tokenizer, fitting, hypothesis)

    def _plain(self, text: str) -> str:
        """Return the text with a space put into what would be read as the end of it."""
        end = self._tokenizer.eos_token or self._tokenizer.sep_token
        return text.replace(end, f"{end[0]} {end[1:]}") if end else text


class SupportEntailment(QuestionEntailment):
    """MiniCheck-Flan-T5: an encoder-decoder whose first token says no or yes."""

    auto_class = "AutoModelForSeq2SeqLM"

    @classmethod
    def label_of(cls, labels: dict[int, str]) -> int:
        return 1

    @classmethod
    def form(cls, tokenizer: Any, premise: str, hypothesis: str) -> str:
        return f"predict: {premise}{tokenizer.eos_token}{hypothesis}"

    def _logits(self, inputs: Any) -> Any:
        import torch

        start = self._model.config.decoder_start_token_id
        first = torch.full((len(inputs.input_ids), 1), start, device=self._device)
        logits = self._model(**inputs, decoder_input_ids=first).logits
        return logits[:, 0, [_NO_SUPPORT, _SUPPORT]]


JUDGES: Mapping[Judge, type[Entailment]] = {
    "pair": Entailment,
    "question": QuestionEntailment,
    "support": SupportEntailment,
}
