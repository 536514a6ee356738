"""Batches whose texts several processes do: the bytes of one process, whoever is killed."""

import json
import os
import signal
from pathlib import Path

import pytest
from batch_program import Program, articles, until, written

from models.errors import EngineFailed, InvalidInput, ModelUnavailable
from models.translate.translator import TranslationRequest
from service.batch.executor import Unit
from service.batch.processes import TextProcesses, text_processes
from service.batch.record import Content
from service.batch.task import Task, WorkerSpec
from service.cli.session import Session
from service.settings import Settings
from service.store.batch_cache import BatchCache
from service.workers import server_workers, visible_cards

UNIT_SENTENCES = 8 * 5
"""At most, with the windows of `batch_runtime`."""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    program = Program(tmp_path_factory.mktemp("one"))
    yield program
    program.close()


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    program = Program(tmp_path_factory.mktemp("several"), DRAGOMAN_WORKERS="3")
    yield program
    program.close()


def is_there(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_three_processes_one_of_them_killed(program, several, tmp_path):
    """One round at a time is in the engine, as with one process; the killed one's unit is done again."""
    source = written(tmp_path / "in.jsonl", articles(110))
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    assert program.run(source, whole) == 3

    own = several.start(source, out, delay_s=0.2)
    until(lambda: len(several.opened(out)) == 4 and several.done(out).total() > UNIT_SENTENCES)
    os.kill(next(pid for pid in several.opened(out) if pid != own), signal.SIGKILL)
    assert several.end() == 3, several.errors()
    assert len(set(several.opened(out))) == 5, "the command, three processes, and one more"
    assert out.read_bytes() == whole.read_bytes()
    errors = [row["error"]["type"] for row in map(json.loads, out.read_text().splitlines()) if "error" in row]
    assert {"engine-failed", "invalid-input"} == set(errors)
    once, often = program.done(whole).total(), several.done(out).total()
    assert once <= often <= once + UNIT_SENTENCES, "each remembers what the others made"


def test_each_card_has_one_round_at_a_time_and_the_bytes_are_those_of_one(program, tmp_path):
    """Three processes and two cards, whose engines refuse a second submission."""
    source = written(tmp_path / "in.jsonl", articles(110, seed=2))
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    assert program.run(source, whole) == 3
    cards = Program(tmp_path, DRAGOMAN_WORKERS="3", CARDS="2")
    assert cards.run(source, out, delay_s=0.05) == 3, cards.errors()
    cards.close()
    assert out.read_bytes() == whole.read_bytes()
    assert set(out.with_name(out.name + ".log.cards").read_text().split()) == {"0", "1"}


def test_what_several_processes_have_begun_one_ends(program, several, tmp_path):
    source = written(tmp_path / "in.jsonl", articles(110, seed=1))
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    assert program.run(source, whole) == 3
    assert several.cut_off(source, out, sentences=UNIT_SENTENCES, delay_s=0.2) == -9
    until(lambda: not any(map(is_there, several.opened(out))))  # nobody outlives the command
    assert program.run(source, out) == 3, program.errors()
    assert out.read_bytes() == whole.read_bytes()
    assert several.done(out).total() <= program.done(whole).total() + UNIT_SENTENCES


def test_an_interrupted_command_leaves_no_process(several, tmp_path):
    source, out = written(tmp_path / "in.jsonl", articles(110)), tmp_path / "out.jsonl"
    own = several.start(source, out, delay_s=0.8)
    until(lambda: several.done(out).total() > UNIT_SENTENCES)
    os.kill(own, signal.SIGINT)
    assert several.end() == 130, several.errors()
    assert not any(map(is_there, several.opened(out)))
    assert several.run(source, out) == 3, several.errors()


# ------------------------------------------------------------------ one unit


def opened_never():
    raise ModelUnavailable("it is not here")


def ends_itself():
    os._exit(9)


@pytest.fixture
def cache():
    with BatchCache(None) as cache:
        yield cache


@pytest.mark.parametrize(
    ("open_runtime", "type_", "said"),
    [
        (opened_never, ModelUnavailable, "it is not here"),
        (ends_itself, EngineFailed, "2 times a process ended"),
    ],
)
def test_what_goes_wrong_in_a_process_is_told(monkeypatch, open_runtime, type_, said, cache):
    monkeypatch.setattr("service.batch.processes.TRIES", 2)
    spec = WorkerSpec(open_runtime, Task("translate", TranslationRequest(text="", target="fr"), {}), {}, 5.0)
    with (
        TextProcesses(spec, [Path("engines.at")], cache, count=2) as executor,
        pytest.raises(type_, match=said),
    ):
        executor.submit(Unit(1, 0, (Content("text", "Yes."),))).result()


# ------------------------------------------------------------------ how many


@pytest.mark.parametrize(
    ("number", "server", "beside_gpu", "writing", "reading", "gpu_batch"),
    [(1, 1, 1, 1, 1, 1), (2, 1, 1, 1, 1, 1), (4, 2, 2, 1, 4, 2), (16, 4, 8, 2, 8, 8), (64, 4, 8, 8, 8, 8)],
)
def test_processes_suit_the_machine(
    monkeypatch, tmp_path, number, server, beside_gpu, writing, reading, gpu_batch
):
    """Beside eight GPUs, half of the cores do text work, up to eight processes for each GPU."""
    monkeypatch.setattr("models.cpu.usable", lambda: float(number))
    monkeypatch.delenv("DRAGOMAN_WORKERS")
    settings = Settings()
    assert server_workers(settings, cards=0) == server
    assert server_workers(settings, cards=1) == beside_gpu
    assert text_processes(settings, "cpu", writes=True) == writing
    assert text_processes(settings, "cpu", writes=False) == reading
    assert text_processes(settings, "cuda", writes=True) == gpu_batch
    assert text_processes(settings, "cuda", writes=True, cards=8) == max(1, number // 2)
    assert server_workers(settings, cards=8) == max(1, number // 2)
    assert text_processes(Settings(workers=3), "cpu", writes=True) == 3


@pytest.mark.parametrize(
    ("device", "visible", "cards", "left"),
    [
        ("cuda", None, ("0", "1", "2"), None),
        ("auto", "GPU-a, GPU-b,5,7", ("GPU-a", "GPU-b", "5"), "GPU-a, GPU-b,5,7"),
        ("cpu", None, (), None),
        ("cuda:1", "4,6,2", ("6",), "6"),
        ("cuda:1", None, ("1",), "1"),
        ("cuda:3", None, None, None),
    ],
)
def test_cards_are_those_that_cuda_shows(monkeypatch, tmp_path, device, visible, cards, left):
    """The stand-in for torch counts three cards, or as many as CUDA_VISIBLE_DEVICES names."""
    count = "import os; v = os.environ.get('CUDA_VISIBLE_DEVICES', '1,2,3'); print(min(3, len(v.split(','))))"
    starts = tmp_path / "starts"
    monkeypatch.setattr("service.workers.COUNT_CARDS", f"{count}; open({str(starts)!r}, 'a').write('.')")
    monkeypatch.setattr("service.workers.may_have_gpu", lambda: True)
    monkeypatch.setenv("DRAGOMAN_DEVICE", device)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible or "")
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    if cards is None:
        with pytest.raises(InvalidInput, match="no such card") as raised:
            Session().settings()
        assert raised.value.allowed == ["auto", "cpu", "cuda", "cuda:0", "cuda:1", "cuda:2"]
        return
    for _ in range(2):  # as in a process that this one starts
        settings = Session().settings()
        assert settings.device == device.removesuffix(":1")
        assert visible_cards(settings.device) == cards
        assert os.environ.get("CUDA_VISIBLE_DEVICES") == left
    assert device == "cpu" or len(starts.read_text()) == (2 if device == "cuda:1" else 1)
