"""`--engine ray`: the local engine's bytes whoever dies, and what is told when nothing comes of it."""

import asyncio
import json
import os
import pickle
import signal
import sys
import threading
from functools import partial
from types import SimpleNamespace

import pyarrow as pa
import pytest
from batch_program import Program, articles, until, written
from batch_runtime import BatchRuntime
from click.testing import CliRunner
from fake_runtime import FakeRuntime

from models.engine.protocol import Output
from models.errors import DragomanError, InvalidInput, ModelUnavailable
from models.tasks.running import Effort
from models.tasks.translation import TranslationRequest
from service.batch import preflight
from service.batch.ray import environment
from service.batch.ray.actors import Actors, planned
from service.batch.ray.desk import DONE, UnitQueue
from service.batch.record import Content
from service.batch.remembered import REMEMBERED_UNITS
from service.batch.task import Texts
from service.batch.unit import Done, Kept, Unit
from service.cli import cli
from service.commands.session import Session
from service.settings import Settings

UNIT_SENTENCES = 8 * 5
"""At most, with the windows of `batch_runtime`."""

# ------------------------------------------------------------------ whole runs


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    program = Program(tmp_path_factory.mktemp("ray"))
    yield program
    program.close()


def test_two_actors_one_of_them_killed(program, tmp_path):
    """The bytes are the local engine's; the killed actor is replaced, and its units are done again."""
    source = written(tmp_path / "in.jsonl", articles(110))
    local, out = tmp_path / "local.jsonl", tmp_path / "out.jsonl"
    assert program.run(source, local) == 3

    driver = program.start(source, out, "--engine", "ray", "--actors", "2", delay_s=0.4)
    until(lambda: len(program.opened(out)) == 3 and program.done(out).total() > UNIT_SENTENCES)
    os.kill(next(pid for pid in program.opened(out) if pid != driver), signal.SIGKILL)
    assert program.end() == 3, program.errors()
    assert len(set(program.opened(out))) == 4, "the driver, two actors, and one more"
    assert out.read_bytes() == local.read_bytes()
    errors = [row["error"]["type"] for row in map(json.loads, out.read_text().splitlines()) if "error" in row]
    assert {"engine-failed", "invalid-input"} == set(errors)
    once, often = program.done(local).total(), program.done(out).total()
    assert once <= often <= once + 2 * UNIT_SENTENCES, "sentences are remembered between actors"


def test_what_one_engine_has_begun_the_other_one_ends(program, tmp_path):
    source = written(tmp_path / "in.jsonl", articles(110, seed=1))
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    assert program.run(source, whole) == 3
    assert program.cut_off(source, out, sentences=UNIT_SENTENCES, delay_s=0.2) == -9
    assert program.run(source, out, "--engine", "ray") == 3, program.errors()
    assert out.read_bytes() == whole.read_bytes()
    assert program.done(out).total() <= program.done(whole).total() + 2 * UNIT_SENTENCES
    said = program.errors()
    assert "ray" not in said.replace("--engine ray", "").lower(), "Ray itself says nothing"


# ------------------------------------------------------------------ the desk


def test_units_are_read_by_place_and_as_they_come():
    async def reading():
        desk = UnitQueue()
        waits = asyncio.create_task(desk.read(1))
        assert [await desk.put(b"first", 0), await desk.put(b"second", 0)] == [0, 1]
        assert (await waits, await desk.read(0)) == (b"second", b"first")
        assert [await desk.begin(7), await desk.begin(7)] == [1, 2]
        await desk.done(0, 7)
        assert (await desk.read(0), await desk.begin(7)) == (DONE, 1)
        assert await desk.tell("a worker", 5)
        assert await desk.tell("another", 2)
        assert await desk.tell("a worker", 6)
        assert await desk.tokens() == (8, 2)
        waits = asyncio.create_task(desk.read(2))
        await asyncio.sleep(0)
        await desk.close()
        assert (await waits, await desk.tell("a worker", 6)) == (None, False)

    asyncio.run(reading())


def test_the_desk_remembers_as_long_as_a_unit_may_see_it():
    async def remembering():
        desk = UnitQueue()
        await desk.remember(1, {b"s": Output((1,), -0.5)})
        await desk.remember(2, {b"s": Output((2,), None, "length"), b"t": Output((3,))})
        assert await desk.recall([b"s", b"t", b"u"], 1) == {b"s": Output((1,), -0.5)}
        assert await desk.recall([b"s", b"t"], 2) == {b"s": Output((1,), -0.5), b"t": Output((3,))}
        await desk.put(b"", 1 + REMEMBERED_UNITS)
        assert b"t" in await desk.recall([b"t"], 2), "the window before is in work still"
        await desk.put(b"", 2 + REMEMBERED_UNITS)
        assert await desk.recall([b"s"], 2) == {b"s": Output((2,), None, "length")}

    asyncio.run(remembering())


# ------------------------------------------------------------------ workers

TASK = Texts(
    "translate",
    TranslationRequest(text="", target="fr", source="en"),
    {"target": "fr", "protect": [], "glossary": {}},
)
MODELS = {"dragoman/gemma3-270m-translate": "r1"}


class FakeDesk:
    """The desk's methods as a worker and the driver call them; `ray.get` gives back what they return."""

    def __init__(self, times=1):
        self.times = times
        self.fails = None
        self.remembered = []
        self.asked = threading.Event()
        self.closed = threading.Event()

    def __getattr__(self, name):
        return SimpleNamespace(remote=partial(self.answer, name))

    def answer(self, name, *given):
        if name == self.fails:
            raise ConnectionError("the desk is gone")
        if name == "remember":
            self.remembered.append(given)
        if name == "put":
            self.asked.set()
        if name == "close":
            self.closed.set()
        answers = {"begin": self.times, "tell": not self.closed.is_set(), "tokens": (0, 0), "put": 0}
        return answers.get(name, {})


@pytest.fixture
def worker(monkeypatch):
    """Makes workers that need no Ray."""
    from service.batch.ray import worker

    monkeypatch.setattr(worker.ray, "get", lambda answer, **_: answer)
    monkeypatch.setattr(worker, "TELL_EVERY_S", 0.01)
    desk = FakeDesk()

    def made(runtime=BatchRuntime, models=MODELS, times=1):
        def open_runtime(**given):
            assert given == {"device": "cpu", "threads": 2, "throughput": True}
            return runtime(Settings(**given))

        order = worker.Order(open_runtime, TASK, models, 5.0, remembers=True)
        desk.times = times
        return worker.RayWorker(order, Actors(1, 2), desk)

    yield made
    end(desk, "tell")


def end(desk, *threads):
    """Have the threads of these names end, which call Ray's own functions after the test."""
    desk.closed.set()
    for thread in threading.enumerate():
        if thread.name in threads:
            thread.join(10)


def result(worker, unit, models=MODELS):
    table = worker(pa.table({"unit": [pickle.dumps((unit, models))]}))
    return pickle.loads(table.to_pylist()[0]["result"])


def test_a_worker_does_units(worker):
    done = result(worker(), Unit(3, 0, (Content("text", "A text."), Content("text", ""))))
    assert [kept.failed for kept in done.kept] == [False, True]
    assert worker()(pa.table({"unit": [DONE]})).to_pylist() == [{"number": None, "result": b""}]


@pytest.mark.parametrize(
    ("made", "type_", "said"),
    [
        ({"models": {"dragoman/gemma3-270m-translate": "r2"}}, ModelUnavailable, "at revision r1"),
        ({"runtime": lambda settings: 1 / 0}, RuntimeError, "ZeroDivisionError"),
        ({"times": 9}, Exception, "an actor died over the same 1 records"),
    ],
)
def test_what_goes_wrong_with_a_worker_is_the_units_end(worker, made, type_, said):
    error = result(worker(**made), Unit(3, 0, (Content("text", "A text."),)))
    assert isinstance(error, type_)
    assert said in str(getattr(error, "message", error))


def test_models_that_a_run_comes_upon_later_are_the_driver_s_too(worker):
    """Which models requests need, only the requests tell."""
    one, unit = worker(), Unit(3, 0, (Content("text", "A text."),))
    assert isinstance(result(one, unit, {**MODELS, "google/flan-t5-base": "r1"}), Done)
    error = result(one, unit, {**MODELS, "csebuetnlp/mT5_multilingual_XLSum": "r2"})
    assert isinstance(error, ModelUnavailable)
    assert "XLSum is here at revision r1" in error.message


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


class Results:
    """A dataset that, once it is asked for something, gives batches of results, and then an error, or an end
    when the desk is closed if not before."""

    def __init__(self, *batches, ends=False):
        self.batches = batches
        self.ends = ends

    def iter_batches(self, **_options):
        self.desk.asked.wait(20)
        for batch in self.batches:
            if isinstance(batch, Exception):
                raise batch
            yield pa.Table.from_pylist(batch)
        if not self.ends:
            self.desk.closed.wait(20)


@pytest.fixture
def doer(monkeypatch):
    from service.batch.ray import doer

    monkeypatch.setattr(doer.ray, "get", lambda answer, **_: answer)
    monkeypatch.setattr(doer, "LOOK_EVERY_S", 0.05)
    desk = FakeDesk()

    def made(results, **options):
        results.desk = desk
        return doer.RayDoer(desk, results, models={}, **options), desk

    yield made
    end(desk, "collect")
    assert not {"collect", "watch"} & {thread.name for thread in threading.enumerate()}


DONE_UNIT = Done((Kept("{}"),), {b"s": Output((1,))}, Effort())


def test_what_is_remembered_is_told_before_a_unit_counts_as_done(doer):
    it, desk = doer(Results([{"number": 4, "result": pickle.dumps(DONE_UNIT)}]), remembers=True)
    assert it.submit(Unit(4, 0, ())).result(5) == DONE_UNIT
    assert desk.remembered == [(4, dict(DONE_UNIT.remember))]
    it.stop()


@pytest.mark.parametrize("fails", ["remember", "done", "tokens"])
def test_a_desk_that_is_gone_ends_the_units(doer, fails):
    results = Results([{"number": 4, "result": pickle.dumps(DONE_UNIT)}] if fails != "tokens" else [])
    it, desk = doer(results, remembers=True)
    if fails != "tokens":  # which the driver asks for all the time
        desk.fails = fails
    future = it.submit(Unit(4, 0, ()))
    desk.fails = fails
    assert "the desk is gone" in future.exception(5).message
    with pytest.raises(DragomanError, match="the same command goes on"):
        it.submit(Unit(5, 0, ()))
    it.stop()


@pytest.mark.parametrize(
    ("results", "said"),
    [
        (Results(ends=True), "ended before"),
        (Results(ValueError("first\n  more\nthe cause")), "ValueError: first ... the cause"),
        (Results([{"number": 4, "result": pickle.dumps(ModelUnavailable("none"))}]), "none"),
        (Results(), "nothing was heard"),
    ],
)
def test_units_that_will_not_be_done_end_with_the_reason(doer, results, said):
    it, _ = doer(results, remembers=False, stalled_s=0.5)
    error = it.submit(Unit(4, 0, ())).exception(5)
    it.stop()
    assert said in error.message


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
    monkeypatch.setitem(sys.modules, "ray.data", None)
    monkeypatch.setattr(environment.os, "environ", {})
    told = batch("translate", "--to", "fr", source, tmp_path / "out", "--engine", "ray")
    assert (told.exit_code, "pip install 'dragoman[ray]'" in told.stderr) == (1, True)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--actors", "2"], 2, "for --engine ray"),
        (["--engine", "ray", "--ray-address", "ray://127.0.0.1:10001"], 2, "on a machine of it"),
        (["--engine", "ray", "--ray-address", "127.0.0.1:1"], 1, "cannot be had at 127.0.0.1:1"),
    ],
)
def test_addresses_and_options_that_lead_nowhere(tmp_path, monkeypatch, options, code, said):
    source = written(tmp_path / "in.jsonl", articles(2))
    monkeypatch.setattr(environment.os, "environ", dict(os.environ))
    told = batch("translate", "--to", "fr", source, tmp_path / "out", *options)
    assert (told.exit_code, said in told.stderr) == (code, True), told.stderr
    assert not (tmp_path / "out").exists()
