"""Verdicts of trials: kept for what they are about, and for nothing else."""

import logging
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import TinyHub
from fake_runtime import FakeRuntime
from test_trial import OnTheCpu

from models.engine import trial, verdicts
from models.engine.batching import BatchingEngine
from models.engine.card import Card
from models.engine.causal import CausalEngine
from models.engine.seq2seq import Seq2SeqEngine
from models.engine.verdicts import Verdicts, subject
from models.engines import EngineMaker
from models.errors import EngineFailed
from service.cli.main import cli
from service.cli.session import Session


@pytest.fixture
def kept(tmp_path: Path) -> Verdicts:
    return Verdicts(tmp_path / "cache")


@pytest.fixture
def trials(tiny_hub: TinyHub, kept: Verdicts, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Loads a model on a GPU that is believed in; returns its engine, the trials and the loads so far."""
    tried: list[str] = []
    monkeypatch.setattr(EngineMaker, "_has_kernels", lambda _: True)

    def load(
        failure: str = "", card: str = "H100", revision: str = "r1", model: str = "m2m100"
    ) -> tuple[type, int, int]:
        def try_out(*_: object, **__: object) -> None:
            tried.append(card)
            if failure:
                raise EngineFailed(failure)

        monkeypatch.setattr(trial, "try_out", try_out)
        monkeypatch.setattr(EngineMaker, "_card", lambda _: Card(card, (9, 0), 80 << 30))
        store: Any = OnTheCpu(tiny_hub.store)
        store.revision = lambda _: revision
        entry = tiny_hub.entry(model, max_source_tokens=64, max_new_tokens=16)
        engine = EngineMaker(store, verdicts=kept).make(entry)
        engine.close()
        return type(engine), len(tried), store.loads

    return load


def test_a_model_that_passed_is_not_tried_again(trials: Any) -> None:
    assert trials() == (Seq2SeqEngine, 1, 1)
    assert trials("it would fail now") == (Seq2SeqEngine, 1, 1)


def test_a_failure_is_kept_too_and_says_so(trials: Any, caplog: pytest.LogCaptureFixture) -> None:
    assert trials("scores are off") == (BatchingEngine, 1, 2)
    with caplog.at_level(logging.WARNING):
        assert trials() == (BatchingEngine, 1, 1), "nor is the model loaded for the native engine"
    assert "scores are off (on 20" in caplog.text


def test_a_causal_engine_s_verdicts_are_kept_as_well(trials: Any) -> None:
    assert trials(model="completion") == (CausalEngine, 1, 1)
    assert trials("it would fail now", model="completion") == (CausalEngine, 1, 1)
    assert trials("wrong tokens", card="H200", model="completion") == (BatchingEngine, 2, 1)
    assert trials(card="H200", model="completion") == (BatchingEngine, 2, 1)


def test_whatever_changes_asks_for_a_new_trial(trials: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert trials()[1] == 1
    assert trials(card="H200")[1] == 2
    assert trials()[1] == 2, "each card has its own"
    assert trials(revision="r2")[1] == 3
    monkeypatch.setattr(verdicts, "version", lambda name: f"{name} of another day")
    assert trials(revision="r2")[1] == 4
    assert trials(revision="r2")[1] == 4


@pytest.mark.parametrize("told", ["", "[1]", '[{"about": 3}]', "{"])
def test_a_file_that_is_something_else_is_none(kept: Verdicts, told: str) -> None:
    about = subject("a", "r", "H100")
    kept.keep(about, "no")
    file = kept._file
    file.write_text(told)
    assert kept.of(about) is None
    kept.keep(about, "")
    assert [(each.about, each.failure) for each in kept.all()] == [(about, "")]


def test_a_folder_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    Verdicts(tmp_path / "file").keep(subject("a", "r", "H100"), "")


def test_doctor_tells_them_and_asks_for_new_ones(tmp_path: Path) -> None:
    kept = Verdicts(tmp_path)
    kept.keep(subject("some/model", "r", "H100"), "scores are off")
    given = {"DRAGOMAN_CACHE_DIR": str(tmp_path), "DRAGOMAN_DATA_DIR": str(tmp_path)}

    def doctor(*options: str) -> str:
        return CliRunner().invoke(cli, ["doctor", *options], obj=Session(FakeRuntime), env=given).stdout

    assert "some/model on H100" in doctor() and "scores are off" in doctor()
    assert "some/model" not in doctor("--new-trials")
    assert kept.all() == []
