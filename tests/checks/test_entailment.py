"""Entailment: a tiny classifier, loaded as the real ones are."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from fake_pool import FakePool
from tiny_judge import _save

from models.catalog import ModelEntry
from models.checker import Checker
from models.driver import run
from models.entailment import Entailment
from models.errors import ModelUnavailable
from models.languages import Languages
from models.loaded import EntailmentModel
from models.text.detect import LanguageDetector


def test_the_label_is_found_and_a_pair_scores_the_same_in_any_batch(tmp_path: Path) -> None:
    folder = _save(tmp_path, {0: "contradiction", 1: "neutral", 2: "Entailment"})
    entailment = Entailment(folder)
    pairs = [("the minister met his colleague", "the minister met nobody"), ("in vienna", "on sunday")] * 20
    together = entailment.scores(pairs)
    assert together == pytest.approx([entailment.scores([pair])[0] for pair in pairs], abs=1e-5)
    assert all(0 <= score <= 1 for score in together)
    assert together[0] != pytest.approx(together[1], abs=1e-6)
    other = _save(tmp_path / "other", {0: "entailment", 1: "neutral", 2: "contradiction"})
    assert Entailment(other).scores(pairs[:1])[0] != pytest.approx(together[0], abs=1e-6)


def test_of_a_long_premise_the_end_is_cut_and_not_the_hypothesis(tmp_path: Path) -> None:
    folder = _save(tmp_path, {0: "neutral", 1: "entailment"})
    entailment = Entailment(folder, max_tokens=12)
    long = "the minister met his colleague " * 20
    scores = entailment.scores([(long, "in vienna"), (long, "on sunday"), (long + "nobody", "in vienna")])
    assert scores[0] != pytest.approx(scores[1], abs=1e-6)
    assert scores[0] == pytest.approx(scores[2], abs=1e-7)


def test_a_hypothesis_that_is_too_long_is_cut_too(tmp_path: Path) -> None:
    entailment = Entailment(_save(tmp_path, {0: "neutral", 1: "entailment"}), max_tokens=12)
    long = "the minister met his colleague " * 20
    assert entailment.scores([("in vienna", long), (long, long)]) == pytest.approx(
        [entailment.scores([pair])[0] for pair in (("in vienna", long), (long, long + "nobody"))], abs=1e-5
    )


def test_no_pairs_are_no_work(tmp_path: Path) -> None:
    assert Entailment(_save(tmp_path, {0: "neutral", 1: "entailment"})).scores([]) == []


def test_a_model_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="positive, negative"):
        Entailment(_save(tmp_path, {0: "positive", 1: "negative"}))


def test_what_is_not_entailed_is_flagged(languages: Languages) -> None:
    class Pool(FakePool):
        @contextmanager
        def use(self, entry: ModelEntry) -> Iterator[Any]:
            yield EntailmentModel(entry, cast(Entailment, self))

        def scores(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
            self.pairs = list(pairs)
            return [0.2 for _ in pairs]

    pool = Pool(languages)
    detector = LanguageDetector()
    checker = Checker(
        pool.as_pool, languages, detector, "MoritzLaurer/mDeBERTa-v3-base-xnli-multilingual-nli-2mil7"
    )
    source = "The ministers met in Vienna. They signed two agreements. Nobody spoke."
    output = "The ministers met in Vienna. They refused to sign two agreements."
    copied, other = run(checker.check_summary(source, output, "en", "en")).unwrap()
    assert not copied.flags
    (flag,) = [flag for flag in other.flags if flag.kind == "entailment"]
    assert flag.span == other.span
    ((premise, hypothesis),) = pool.pairs
    assert hypothesis == "They refused to sign two agreements."
    assert "They signed two agreements." in premise
