"""Articles, and the product's own work on them, for an engine that computes nothing.

The task, its codec and its checks are the product's. An article's tokens are made as many as the workload
says, and what the engine "writes" is put in the place of its output: a cipher of the sentence, or the
article's own beginning, which the checks take for an answer.
"""

import itertools
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cache
from typing import Any

from batch import articles
from engine_workloads import Workload
from fake_pool import FakePool, cipher
from tokenizers import ByteLevelBPETokenizer
from transformers import GenerationConfig, PreTrainedTokenizerFast

from models.checker import Checker
from models.codec import Codec
from models.engine.protocol import Engine, EngineStats, Generation, Output, settle
from models.entry import ModelEntry
from models.languages import Languages
from models.loaded import TextModel
from models.steps import Steps
from models.summarize.summarizer import Summarizer, SummaryRequest
from models.text.language import LanguageDetector
from models.translate.translator import TranslationRequest, Translator

BART, MARIAN = "facebook/bart-large-cnn", "Helsinki-NLP/opus-mt-en-fr"
SENTENCES = {"bart-large": (22, 34), "marian": (12, 12)}
"""An article's. Its tokens are then about as many as the workload has."""
SUMMARY_WORDS = 60


def texts_of(workload: Workload, num_generations: int, seed: int) -> list[str]:
    """Return so many articles that a first round of their tasks wants so many generations."""
    least, most = SENTENCES[workload.name]
    count = num_generations if workload.name == "bart-large" else round(num_generations / most)
    return articles(count, seed, (least, most))


class OwnTime:
    """What is the benchmark's own of a process's CPU time: nobody would do it beside a real engine."""

    seconds = 0.0
    lock = threading.Lock()

    @classmethod
    @contextmanager
    def own(cls) -> Iterator[None]:
        started = time.thread_time()
        try:
            yield
        finally:
            with cls.lock:
                cls.seconds += time.thread_time() - started


class WritingEngine:
    """Gives `engine` requests of the workload's lengths, and answers with what is to be read."""

    def __init__(self, engine: Engine, workload: Workload, num_beams: int, seed: int):
        self._engine = engine
        self._workload = workload
        self._num_beams = num_beams
        self._seeds = itertools.count(100 * seed)
        self._tokenizer = tokenizer()
        self._summarizes = workload.name == "bart-large"
        self.submitted: Callable[[], None] = lambda: None
        """Called after each submission."""

    def submit(self, generations: Sequence[Generation], *, wait: bool = False) -> list[Future[Output]]:
        with OwnTime.own():
            written = [self._written(generation) for generation in generations]
            shapes = self._workload.generations(len(written), self._num_beams, next(self._seeds))
        futures = self._engine.submit(shapes, wait=wait)
        self.submitted()
        answers: list[Future[Output]] = [Future() for _ in futures]
        for future, answer, output in zip(futures, answers, written, strict=True):
            future.add_done_callback(lambda _, answer=answer, output=output: settle(answer, output))
        return answers

    def _written(self, generation: Generation) -> Output:
        text = self._tokenizer.decode(list(generation.source_ids), skip_special_tokens=True)
        if self._summarizes:
            words = text.split()[:SUMMARY_WORDS]
            text = re.sub(r"\.[^.]*\Z", ".", " ".join(words))
        else:
            text = cipher(text)
        return Output(tuple(self._tokenizer(text, verbose=False).input_ids), -0.1)

    def stats(self) -> EngineStats:
        return self._engine.stats()

    def close(self) -> None:
        self._engine.close()


class WritingPool(FakePool):
    """Has every model of the catalog, each with that engine and a tokenizer of the bench's own texts."""

    def __init__(self, engine: Engine, languages: Languages):
        super().__init__(languages, pairs=("opus-mt-en-fr",))
        self.engine = engine  # type: ignore[assignment]
        self._languages = languages

    @contextmanager
    def use(self, entry: ModelEntry) -> Iterator[TextModel]:
        config = GenerationConfig(num_beams=1, eos_token_id=2)
        yield TextModel(entry, Codec(entry, tokenizer(), config, self._languages), self.engine)


class TextTask:
    """Summaries or translations, as the product makes them."""

    def __init__(self, workload: Workload, engine: Engine):
        self._summarizes = workload.name == "bart-large"
        languages, detector = Languages.load(), LanguageDetector()
        pool = WritingPool(engine, languages).as_pool
        self._translator = Translator(pool, languages, detector, default_model=MARIAN)
        checker = Checker(pool, languages, detector)
        self._summarizer = Summarizer(
            pool, languages, detector, self._translator, checker, default_model=BART
        )

    def steps(self, text: str) -> Steps[Any]:
        if self._summarizes:
            return self._summarizer.steps(SummaryRequest(text=text))
        return self._translator.steps(TranslationRequest(text=text, target="fr", source="en", model=MARIAN))


@cache
def tokenizer() -> Any:
    """A byte-level BPE as BART has it, made of the bench's own texts."""
    bpe = ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    texts = articles(200, 1, (2, 12))
    bpe.train_from_iterator(
        [*texts, *map(cipher, texts)], vocab_size=800, special_tokens=special, show_progress=False
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe._tokenizer,
        bos_token="<s>",
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
    )
