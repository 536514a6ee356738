"""`--engine ray`: the local engine's bytes whoever dies, and what is told when nothing comes of it."""

import json
import os
import pickle
import signal
import sys
from concurrent.futures import Future
from dataclasses import replace
from socket import gethostname
from types import SimpleNamespace

import pytest
from batch_program import Program, articles, until, written
from batch_runtime import BatchRuntime
from click.testing import CliRunner
from fake_runtime import FakeRuntime

from models.driver import Effort
from models.engine.protocol import Output
from models.errors import EngineFailed, InvalidInput, ModelUnavailable
from models.translate.translator import TranslationRequest
from service.batch import executor, preflight, ray_executor
from service.batch.executor import Unit, UnitResult
from service.batch.ray_executor import Actors, RayExecutor, RayFailed, RayOutputs, RayWorker, planned
from service.batch.record import Content
from service.batch.task import Task, WorkerSpec
from service.cli.main import cli
from service.cli.session import Session
from service.settings import Settings
from service.store.batch_cache import REMEMBERED_UNITS
from service.store.results import StoredResult

UNIT_SENTENCES = 8 * 5
"""At most, with the windows of `batch_runtime`."""

# ------------------------------------------------------------------ whole runs


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    program = Program(tmp_path_factory.mktemp("ray"))
    yield program
    program.close()


def test_what_one_engine_has_begun_two_actors_end_one_of_them_killed(program, tmp_path):
    """The bytes are the local engine's; the killed actor is replaced, and its units are done again."""
    source = written(tmp_path / "in.jsonl", articles(110))
    local, out = tmp_path / "local.jsonl", tmp_path / "out.jsonl"
    assert program.run(source, local) == 3
    assert program.cut_off(source, out, sentences=UNIT_SENTENCES, delay_s=0.2) == -9
    begun = program.done(out).total()
    driver = program.start(source, out, "--engine", "ray", "--actors", "2", delay_s=0.4)
    until(lambda: len(program.opened(out)) == 4 and program.done(out).total() > begun + UNIT_SENTENCES)
    os.kill(next(pid for pid in program.opened(out)[1:] if pid != driver), signal.SIGKILL)
    assert program.end() == 3, program.errors()
    assert len(set(program.opened(out)[1:])) == 4, "the driver, two actors, and one more"
    assert out.read_bytes() == local.read_bytes()
    errors = [row["error"]["type"] for row in map(json.loads, out.read_text().splitlines()) if "error" in row]
    assert {"engine-failed", "invalid-input"} == set(errors)
    once, often = program.done(local).total(), program.done(out).total()
    assert once <= often <= once + 3 * UNIT_SENTENCES, "sentences are remembered between actors"
    said = program.errors()
    assert "ray" not in said.replace("--engine ray", "").lower(), "Ray itself says nothing"


# ------------------------------------------------------------------ the memory


def test_the_memory_remembers_as_long_as_a_unit_may_see_it():
    memory = RayOutputs()
    memory.put(1, {b"s": Output((1,), -0.5)})
    memory.put(2, {b"s": Output((2,), None, "length"), b"t": Output((3,))})
    assert memory.recall([b"s", b"t", b"u"], 1) == {b"s": Output((1,), -0.5)}
    assert memory.recall([b"s", b"t"], 2) == {b"s": Output((1,), -0.5), b"t": Output((3,))}
    memory.recall([], 1 + REMEMBERED_UNITS)
    assert b"t" in memory.recall([b"t"], 2), "the window before is in work still"
    memory.recall([], 2 + REMEMBERED_UNITS)
    assert memory.recall([b"s"], 2) == {b"s": Output((2,), None, "length")}


# ------------------------------------------------------------------ workers

TASK = Task(
    "translate",
    TranslationRequest(text="", target="fr", source="en"),
    {"target": "fr", "protect": [], "glossary": {}},
)
MODELS = {"dragoman/gemma3-270m-translate": "r1"}


class FakeActor:
    """An actor's handle, whose methods answer at once with a Future, as `ObjectRef.future` gives it."""

    def __init__(self, actor):
        self._actor = actor

    def __getattr__(self, name):
        if name == "future":
            raise AttributeError
        return FakeMethod(getattr(self._actor, name))


class FakeMethod:
    """A method of an actor; what it returns is an ObjectRef and its future in one."""

    def __init__(self, method):
        self._method = method

    def options(self, **_options):
        return self

    def remote(self, *given):
        future = Future()
        try:
            future.set_result(self._method(*given))
        except Exception as error:  # noqa: BLE001 - as Ray's own
            future.set_exception(error)
        future.future = lambda: future
        return future


@pytest.fixture
def ray(monkeypatch):
    """No Ray: what is got is there, who is killed is noted."""
    fake = SimpleNamespace(
        get=lambda answer: answer.result(), wait=lambda answers, **_options: (answers, []), killed=[]
    )
    fake.kill = fake.killed.append
    monkeypatch.setattr(ray_executor, "head_answers", lambda: True)
    monkeypatch.setattr(ray_executor, "ray", fake)
    return fake


@pytest.fixture
def worker(ray):
    """Makes workers that need no Ray."""

    def made(runtime=BatchRuntime, models=MODELS, memory=None):
        def open_runtime(**given):
            assert given == {"device": "cpu", "threads": 2}
            return runtime(Settings(**given))

        return RayWorker(WorkerSpec(open_runtime, TASK, models, 5.0), Actors(1, 2), memory)

    return made


UNIT = Unit(3, 0, (Content("text", "A text."), Content("text", "")))


def test_a_worker_does_units_and_tells_what_is_to_be_remembered(worker):
    memory = RayOutputs()
    one = worker(memory=FakeActor(memory))
    one.begin()
    assert worker().progress()[1:] == (0, {})
    name, tokens, _ = one.progress()
    assert tokens == 0
    done = one.do(UNIT)
    assert [result.failed for result in done.results] == [False, True]
    assert memory.recall(list(done.outputs), 3) == done.outputs != {}
    assert one.progress() == (name, done.effort.output_tokens, {})
    again = worker(memory=FakeActor(memory)).do(replace(UNIT, number=4, cache_horizon=3))
    assert [each.data for each in again.results] == [each.data for each in done.results]
    assert again.effort.output_tokens == 0, "it is all remembered"


def test_what_goes_wrong_with_a_worker_says_where(worker):
    with pytest.raises(ModelUnavailable) as caught:
        worker(models={"dragoman/gemma3-270m-translate": "r2"}).begin()
    assert f"at revision r1, and the run is of revision r2 (on {gethostname()})" in caught.value.message
    with pytest.raises(EngineFailed, match=r"ZeroDivisionError: .* \(on "):
        worker(runtime=lambda settings: 1 / 0).do(UNIT)


def test_models_are_had_at_the_revisions_of_the_driver():
    runtime, pulled = FakeRuntime(Settings()), []

    def pull(entry):
        pulled.append((entry.name, entry.revision))
        runtime.store.revisions[entry.name] = entry.revision

    runtime.store.pull = pull
    models = {
        "google/flan-t5-base": "0123abc",
        "dragoman/extractive": "r1",
        "Helsinki-NLP/opus-mt-*": "by pair",
    }
    runtime.store.state = lambda entry: "not pulled" if entry.name.startswith("google") else "ready"
    preflight.fetch(runtime, models)
    assert pulled == [("google/flan-t5-base", "0123abc")]
    with pytest.raises(ModelUnavailable, match="revision r1"):
        preflight.fetch(runtime, {"dragoman/extractive": "r2"})


def test_another_process_opens_the_same_runtime(monkeypatch, tmp_path):
    monkeypatch.setenv("DRAGOMAN_CALLBACK_SECRET", "a secret of some length")
    monkeypatch.setenv("DRAGOMAN_OFFLINE", "true")
    monkeypatch.setenv("DRAGOMAN_DATA_DIR", str(tmp_path))
    sent = pickle.dumps(Session(FakeRuntime).opener())
    assert b"a secret" not in sent
    for name in ("CALLBACK_SECRET", "OFFLINE", "DATA_DIR"):
        monkeypatch.delenv(f"DRAGOMAN_{name}")
    monkeypatch.setenv("DRAGOMAN_CACHE_DIR", "/there")
    opened = pickle.loads(sent)(device="cpu", threads=3).settings
    assert (opened.offline, opened.data_dir, opened.threads) == (True, tmp_path, 3)
    assert str(opened.cache_dir) == "/there", "where models are kept is each machine's own affair"


# ------------------------------------------------------------------ the driver


DONE_UNIT = UnitResult((StoredResult(b"{}"),), {b"s": Output((1,))}, Effort())


class UnitActor:
    """A worker that begins and does units as it is told: an error is raised, all else returned."""

    def __init__(self, *answers, begins=None):
        self.answers = list(answers)
        self.begins = begins
        self.made = 0

    def begin(self):
        if self.begins is not None:
            raise self.begins

    def progress(self):
        self.made += 1
        return "name", self.made, {7: 0.5}

    def do(self, _unit):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def executor_of(ray):
    """Makes executors, of which each is stopped in the end."""
    made = []

    def make(*actors, **options):
        made.append(RayExecutor([FakeActor(actor) for actor in actors], **options))
        return made[-1]

    yield make
    for each in made:
        each.stop()
    assert len(ray.killed) == len(made)


def task_error(cause):
    from ray.exceptions import RayTaskError

    return RayTaskError("do", "first\n  more\nthe cause", cause, "ray", 1, "10.0.0.1").as_instanceof_cause()


def died():
    from ray.exceptions import ActorDiedError

    return ActorDiedError()


def test_a_unit_whose_actor_died_is_done_again(executor_of):
    assert executor_of(UnitActor(died(), died(), died(), DONE_UNIT)).submit(UNIT).result(5) == DONE_UNIT


@pytest.mark.parametrize(
    ("actor", "type_", "said"),
    [
        (
            lambda: UnitActor(*(died() for _ in range(4))),
            EngineFailed,
            "4 times an actor died over the same 2",
        ),
        (lambda: UnitActor(task_error(ModelUnavailable("none (on b)"))), ModelUnavailable, "none (on b)"),
        (lambda: UnitActor(task_error(ValueError("x"))), RayFailed, "the same command resumes"),
        (lambda: UnitActor(begins=task_error(ModelUnavailable("none"))), ModelUnavailable, "none"),
        (lambda: UnitActor(begins=died()), RayFailed, "ActorDiedError: The actor died"),
    ],
)
def test_units_that_will_not_be_done_end_with_the_reason(executor_of, actor, type_, said):
    error = executor_of(actor()).submit(UNIT).exception(5)
    assert type(error) is type_
    assert said in error.message


def test_tokens_are_asked_for_and_a_run_that_says_nothing_ends(executor_of):
    actor = UnitActor()
    running = executor_of(actor, stalled_s=30.0)
    assert [running.tokens(), running.tokens()] == [1, 2]
    assert running.shares() == {7: 0.5}
    actor.progress = lambda: ("name", 3, {})
    assert [running.tokens(), running.tokens()] == [3, 3]
    running._heard_at -= 31  # as if so much time had passed
    with pytest.raises(RayFailed, match=r"no actor has reported .* the same command resumes"):
        running.tokens()
    running.submit(UNIT)
    assert running.tokens() == 3, "the time begins anew"


def test_a_head_that_is_lost_ends_the_run(executor_of, monkeypatch):
    running = executor_of(UnitActor())
    monkeypatch.setattr(ray_executor, "head_answers", lambda: False)
    assert running.tokens() == 1
    monkeypatch.setattr(ray_executor, "LOST_S", -1.0)
    with pytest.raises(RayFailed, match=r"head has not answered .* the same command resumes"):
        running.tokens()
    monkeypatch.setattr(ray_executor, "head_answers", lambda: True)


# ------------------------------------------------------------------ how many, and the command


@pytest.mark.parametrize(
    ("machines", "count", "device", "actors"),
    [
        ([{"CPU": 16, "GPU": 2}], None, "auto", Actors(2, 1, 1)),
        ([{"CPU": 16, "GPU": 2}], 1, "cuda", Actors(1, 1, 1)),
        ([{"CPU": 16, "GPU": 2}], None, "cpu", Actors(4, 4)),
        ([{"CPU": 2}], None, "auto", Actors(1, 2)),
        ([{"CPU": 2}], 2, "auto", Actors(2, 1)),
        ([{"CPU": 10}, {"CPU": 4}, {}], None, "auto", Actors(2, 5)),
        ([{"CPU": 6}, {"CPU": 6}], 3, "auto", Actors(3, 3)),
    ],
)
def test_actors_share_what_there_is(machines, count, device, actors):
    assert planned(machines, count, device, may_grow=False) == actors


@pytest.mark.parametrize(("count", "device"), [(None, "cuda"), (3, "auto"), (1, "cuda")])
def test_actors_need_room(count, device):
    with pytest.raises(InvalidInput, match="each"):
        planned([{"CPU": 2}], count, device, may_grow=False)
    assert planned([{"CPU": 2}], count or 5, device, may_grow=True).count == (count or 5)


def batch(*arguments):
    return CliRunner().invoke(cli, ["batch", *map(str, arguments)], obj=Session(FakeRuntime))


def test_ray_that_is_not_installed_is_told(tmp_path, monkeypatch):
    source = written(tmp_path / "in.jsonl", articles(2))
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr(executor.os, "environ", {})
    told = batch("translate", "--to", "fr", source, tmp_path / "out", "--engine", "ray")
    assert (told.exit_code, "pip install 'dragoman[ray]'" in told.stderr) == (1, True)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--actors", "2"], 2, "needs --engine ray"),
        (["--engine", "ray", "--ray-address", "ray://127.0.0.1:10001"], 2, "on a machine of it"),
        (["--engine", "ray", "--ray-address", "127.0.0.1:1"], 1, "Ray is unavailable at 127.0.0.1:1"),
    ],
)
def test_addresses_and_options_that_lead_nowhere(tmp_path, monkeypatch, options, code, said):
    source = written(tmp_path / "in.jsonl", articles(2))
    monkeypatch.setattr(executor.os, "environ", dict(os.environ))
    told = batch("translate", "--to", "fr", source, tmp_path / "out", *options)
    assert (told.exit_code, said in told.stderr) == (code, True), told.stderr
    assert not (tmp_path / "out").exists()
