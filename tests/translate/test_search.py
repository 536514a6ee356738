"""How sentences are searched: the qualities, and the second searches of many sentences together."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest
from fake_pool import FakePool, cipher

from models.driver import CancelToken, Driver, run, run_all
from models.engine.batching import CPU_SIZES, BatchingEngine
from models.engine.protocol import LATE, Generation, Output
from models.errors import ClientDisconnected, DeadlineExceeded
from models.languages import Languages
from models.text.detect import LanguageDetector
from models.translate.sentence import OTHER_BEAMS, UNSURE_BELOW, UNSURE_FROM, UNSURE_TOKENS
from models.translate.translator import SegmentReady, TranslationRequest, Translator

GEMMA = "dragoman/gemma3-270m-translate"
SURE, UNSURE, LOST = -0.001, -0.05, -2.0
"""The scores of outputs."""
EASY, HARD, HOPELESS = "They paid for it.", "They talked for long?", "They walked the dogs!"
LONG = "They talked for longer than anybody had thought?"
assert len(HARD) <= UNSURE_TOKENS < len(LONG)


class Backend:
    """Is unsure of questions, and sure of the better translation that it finds with four beams."""

    max_source_tokens, workers, batches_at_a_time = 512, 2, 1
    sizes = replace(CPU_SIZES, own_limits=True)

    def __init__(self) -> None:
        self.batches: list[list[Generation]] = []

    def vocabulary_size(self) -> int:
        return 1 << 20

    def run(
        self, batch: Sequence[Generation], stopped: Callable[[int], bool], finished: Any = None
    ) -> list[Output]:
        self.batches.append(list(batch))
        return [self._output(each) for each in batch]

    def _output(self, generation: Generation) -> Output:
        text = "".join(map(chr, generation.source_ids[1:-1]))
        has_beams = generation.decoding.num_beams > 1
        found = generation.decoding.num_beams == OTHER_BEAMS
        score = SURE if found else {"?": UNSURE, "!": LOST}.get(text[-1], SURE)
        token_ids = tuple(map(ord, cipher(cipher(text) if has_beams else text)))
        return Output(token_ids, score, token_log_probabilities=(score,) * len(token_ids))

    def close(self) -> None:
        pass

    def beams(self) -> list[list[int]]:
        return [[each.decoding.num_beams for each in batch] for batch in self.batches]


def translator(engine: BatchingEngine, **changes: Any) -> Translator:
    languages = Languages.load()
    pool = FakePool(languages, **changes)
    pool.engine = engine  # type: ignore[assignment]
    return Translator(pool.as_pool, languages, LanguageDetector(), default_model=GEMMA)


def asked(text: str, **more: Any) -> TranslationRequest:
    return TranslationRequest(text=text, source="en", target="fr", **more)


@pytest.mark.parametrize(
    ("quality", "text", "own_beams", "beams"),
    [
        ("auto", EASY, 1, [1]),
        ("auto", HARD, 1, [1, OTHER_BEAMS]),
        ("auto", HOPELESS, 1, [1]),
        ("auto", LONG, 1, [1]),
        ("auto", HARD, 6, [6]),
        ("best", HARD, 1, [OTHER_BEAMS]),
        ("best", HARD, 6, [6]),
        ("fast", HARD, 1, [1]),
        ("fast", HARD, 6, [1]),
    ],
)
def test_the_searches_of_each_quality(quality: Any, text: str, own_beams: int, beams: list[int]) -> None:
    backend = Backend()
    done = run(
        translator(BatchingEngine(backend), decoding={"num_beams": own_beams}).steps(
            asked(text, quality=quality)
        )
    ).unwrap()
    assert backend.beams() == [[each] for each in beams]
    assert done.translation == cipher(cipher(text) if beams[-1] > 1 else text)
    if beams == [1]:
        assert (UNSURE_FROM <= done.segments[0].confidence < UNSURE_BELOW) == (text in (HARD, LONG))


@pytest.mark.parametrize(("quality", "beams"), [("auto", 2), ("best", 2), ("fast", 1)])
def test_a_model_that_nobody_calibrated_gets_no_more_beams_than_its_own(quality: Any, beams: int) -> None:
    backend = Backend()
    one = translator(BatchingEngine(backend), decoding={"num_beams": 2})
    run(one.steps(asked(HARD, quality=quality, model="facebook/m2m100_418M"))).unwrap()
    assert backend.beams() == [[beams]]


def texts() -> list[str]:
    return [f"{(EASY, HARD)[i % 2][:-1]} {'so on ' * (i % 3)}{i}{'.?'[i % 2]}" for i in range(16)]


def test_first_and_second_searches_of_an_array_share_a_batch_each_and_change_nothing() -> None:
    together, alone = Backend(), Backend()
    both = translator(BatchingEngine(together), max_new_tokens=4096)  # the sentences' limits differ
    many = [both.steps(asked(text)) for text in texts()]
    done = [each.unwrap().translation for each in run_all(many)]
    assert together.beams() == [[1] * 16, [OTHER_BEAMS] * 8]
    assert len({each.decoding.max_new_tokens for each in together.batches[0]}) > 1
    one = translator(BatchingEngine(alone), max_new_tokens=4096)
    assert done == [run(one.steps(asked(text))).unwrap().translation for text in texts()]


def test_a_stream_tells_each_segment_at_once_and_the_better_one_in_its_place() -> None:
    backend = Backend()
    driver = Driver(
        [translator(BatchingEngine(backend)).steps(asked("\n".join(texts())))],
        in_rounds=False,
        is_watched=True,
    )
    told: list[SegmentReady] = []
    (outcome,) = driver.run(lambda event: told.append(event) if isinstance(event, SegmentReady) else None)
    kept = {each.index: each.segment for each in told}
    assert [kept[i] for i in range(16)] == list(outcome.unwrap().segments)
    assert {each.index for each in told[:16]} == set(range(16))
    assert sorted(each.index for each in told[:16] if each.again) == list(range(1, 16, 2))
    assert sorted(each.index for each in told[16:]) == list(range(1, 16, 2))


def test_time_that_runs_out_in_second_searches_costs_no_translation() -> None:
    class Late(BatchingEngine):
        def submit(self, generations: Sequence[Generation], *, wait: bool = False) -> list[Future[Output]]:
            if generations[0].decoding.num_beams == 1:
                return super().submit(generations, wait=wait)
            futures: list[Future[Output]] = [Future() for _ in generations]
            for future in futures:
                future.set_exception(DeadlineExceeded(LATE))
            return futures

    done = run(translator(Late(Backend())).steps(asked(f"{EASY} {HARD}"))).unwrap()
    assert done.translation == f"{cipher(EASY)} {cipher(HARD)}"
    assert done.notes[-1] == "time ran out before 1 of 2 segments could be tried again"
    assert not done.partial


def test_a_translation_whose_words_cannot_be_scored_stays() -> None:
    class Unscored(Backend):
        def run(self, batch: Any, *more: Any) -> list[Output]:
            if batch[0].decoding.only_scores:
                raise RuntimeError("out of memory")
            found = super().run(batch, *more)
            return [replace(each, score=LOST, token_log_probabilities=()) for each in found]

    done = run(translator(BatchingEngine(Unscored())).steps(asked(EASY, quality="best"))).unwrap()
    assert [(flag.kind, flag.weakest) for flag in done.segments[0].flags] == [("doubtful", None)]


@pytest.mark.parametrize(("quality", "scored"), [("best", True), ("fast", False)])
def test_words_are_scored_after_beams_unless_speed_is_wanted(quality: Any, scored: bool) -> None:
    class Wordless(Backend):
        def run(self, batch: Any, *more: Any) -> list[Output]:
            return [
                replace(each, score=LOST, token_log_probabilities=()) for each in super().run(batch, *more)
            ]

    backend = Wordless()
    done = run(translator(BatchingEngine(backend)).steps(asked(EASY, quality=quality))).unwrap()
    assert [flag.kind for flag in done.segments[0].flags] == ["doubtful"]
    assert any(each[0].decoding.only_scores for each in backend.batches) == scored


def test_a_cancelled_request_ends_its_second_searches() -> None:
    cancel = CancelToken()
    stops: list[bool] = []

    class Cancelled(Backend):
        def run(self, batch: Any, stopped: Callable[[int], bool], finished: Any = None) -> list[Output]:
            if batch[0].decoding.num_beams > 1:
                cancel.cancel()
                end = time.monotonic() + 60
                while not all(map(stopped, range(len(batch)))) and time.monotonic() < end:
                    time.sleep(0.01)
                stops.extend(map(stopped, range(len(batch))))
            return super().run(batch, stopped, finished)

    engine = BatchingEngine(Cancelled())
    one = translator(engine)
    outcomes = run_all([one.steps(asked(text)) for text in texts()], cancel=cancel)
    engine.close()
    assert [type(each.error) for each in outcomes] == [type(None), ClientDisconnected] * 8
    assert stops == [True] * 8
