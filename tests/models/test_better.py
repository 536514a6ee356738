"""The set `auto`: better models fetched behind requests, of a hub that is whole, slow, broken or absent."""

import json
import socket
import threading
from functools import partial
from pathlib import Path

import huggingface_hub
import pytest
from click.testing import CliRunner
from hub import BLOCK
from tiny_models import catalog_toml
from worker_servers import TinyWorkers, until

from models import better
from models.better import BetterModels, Choice
from models.catalog import Catalog, load_sets
from models.store import Store
from models.translate.translator import TranslationRequest
from service import long_texts
from service.cli.machine import advice
from service.cli.main import cli
from service.http.app import create_app
from service.runtime import Runtime
from service.settings import Settings

GB = 10**9
SUMMARIZER, PATTERN, MANY = "sshleifer/distilbart-cnn-12-6", "Helsinki-NLP/opus-mt-*", "facebook/m2m100_418M"
PAIR = PATTERN.replace("*", "en-fr")
BUNDLED = "dragoman/gemma3-270m-translate"
ARTICLE = "A joint statement was made on Sunday. They met in Vienna again. " * 20


class Failed:
    """A pause that counts how often something failed."""

    def __init__(self, pause_s, monkeypatch):
        self.times = threading.Semaphore(0)
        self._pause_s = pause_s
        monkeypatch.setattr(better, "pause_s", self)

    def __call__(self, tries):
        self.times.release()
        return self._pause_s


@pytest.fixture
def catalog(hub, tiny_hub, tmp_path):
    """Tiny models stand for the bundled ones, and the hub has the better ones."""
    entries = {
        BUNDLED: tiny_hub.raw("marian", languages=["en", "fr", "de"]),
        "dragoman/extractive": tiny_hub.raw("flan-t5", tasks=["summarize"]),
        SUMMARIZER: tiny_hub.raw("bart", languages=["en"], tasks=["summarize"]),
        MANY: tiny_hub.raw("m2m100"),
    }
    entries[BUNDLED].pop("pairs", None)
    folders = {name: Path(entries[name]["path"]) for name in (SUMMARIZER, MANY)}
    for name, folder in {**folders, PAIR: tiny_hub.folder / "marian"}.items():
        hub.add(name, folder)
    for name in folders:
        del entries[name]["path"]
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(catalog_toml(entries), "utf-8")
    return catalog


@pytest.fixture
def open_runtime(hub, catalog, tmp_path):
    """Opens a server's parts."""
    opened = []

    def open_it(*, is_server=True, **given):
        folders = {"cache_dir": tmp_path / "cache", "data_dir": tmp_path / "data"}
        own = {"models": "auto", "catalog": catalog, "device": "cpu", "threads": 1, **folders, **given}
        opened.append(Runtime(Settings(**own), make_better=partial(BetterModels, in_background=is_server)))
        return opened[-1]

    yield open_it
    hub.go_on.set()
    for runtime in opened:
        runtime.close()


def _wait(runtime, holds):
    with runtime.better.changed:
        assert runtime.better.changed.wait_for(holds, 60)


def _is_loaded(runtime, name):
    return lambda: name in runtime.pool.loaded()


def _translated(runtime, **given):
    body = {"text": "A joint statement.", "source": "en", "target": "fr", **given}
    return create_app(runtime).test_client().post("/v1/translate", json=body)


def _downloads(hub):
    return [asked for asked in hub.asked if asked.startswith("CDN")]


# ---------------------------------------------------------------------------------- what is chosen


def test_better_models_may_be_used_for_money(languages):
    catalog = Catalog.load(languages)
    for name in load_sets()["auto"].betters:
        entry = catalog.get(name)
        assert not entry.caution and "NC" not in entry.licence and "Gemma" not in entry.licence
    assert not any(each.betters for each in load_sets().values() if each.name != "auto")


def test_a_request_is_answered_at_once_and_later_by_the_pairs_own_model(hub, open_runtime):
    hub.go_on.clear()
    runtime = open_runtime()
    first = _translated(runtime)
    assert (first.status_code, first.json["model"]) == (200, BUNDLED), first.text
    assert any("better model" in note and "once it is ready" in note for note in first.json["notes"])
    _wait(runtime, lambda: runtime.better.has_hub)
    while not runtime.pool.stages().get(PAIR, "").startswith("downloading"):
        threading.Event().wait(0.02)
    meanwhile = _translated(runtime)
    assert meanwhile.json["model"] == BUNDLED
    assert any(
        f"downloading a better model: {PAIR} (downloading " in note for note in meanwhile.json["notes"]
    )
    client = create_app(runtime).test_client()
    ready = client.get("/readyz")
    assert ready.status_code == 200 and ready.json["loading"][PAIR].startswith("downloading ")
    states = {each["name"]: each["state"] for each in client.get("/v1/models").json["models"]}
    assert states[PAIR].startswith("downloading ")
    hub.go_on.set()
    _wait(runtime, _is_loaded(runtime, PAIR))
    later = _translated(runtime)
    assert later.json["model"] == PAIR
    assert not any("better model" in note for note in later.json["notes"])
    assert _translated(runtime, model=BUNDLED).json["model"] == BUNDLED, "a name is taken at its word"
    assert MANY not in {each["name"] for each in client.get("/v1/models").json["models"]}


def test_a_pair_that_the_hub_lacks_is_the_many_to_many_models(open_runtime):
    runtime = open_runtime()
    assert _translated(runtime, source="fr", target="de").json["model"] == BUNDLED
    _wait(runtime, _is_loaded(runtime, MANY))
    assert _translated(runtime, source="fr", target="de").json["model"] == MANY


def test_a_language_of_the_better_model_alone_waits_for_it(hub, open_runtime):
    hub.go_on.clear()
    runtime = open_runtime()
    asked = {"text": "Міністри зустрілися у Відні в неділю.", "source": "auto", "target": "fr"}
    refused = _translated(runtime, **asked)
    assert (refused.status_code, refused.json["type"]) == (503, "/problems/model-loading"), refused.text
    assert "does not translate Ukrainian (uk) to French (fr)" in refused.json["detail"]
    assert int(refused.headers["Retry-After"]) > 0
    while not runtime.pool.stages().get(MANY, "").startswith("downloading"):
        threading.Event().wait(0.02)
    assert f"{MANY} (downloading " in _translated(runtime, **asked).json["detail"]
    hub.go_on.set()
    _wait(runtime, _is_loaded(runtime, MANY))
    assert _translated(runtime, **asked).json["model"] == MANY


def test_a_guess_at_a_language_waits_for_no_model(open_runtime):
    runtime = open_runtime()
    runtime.better.start()
    _wait(runtime, lambda: runtime.better.has_hub)
    assert not runtime.translator.router.reads(None, "af")
    assert _translated(runtime, text="Ok, van.", source="auto").status_code == 200
    _translated(runtime, source="af")
    _wait(runtime, _is_loaded(runtime, MANY))
    assert runtime.translator.router.reads(None, "af")


def test_a_long_jobs_parts_are_one_models(open_runtime, monkeypatch):
    runtime = open_runtime(is_server=False)
    monkeypatch.setattr(long_texts, "PART_CHARACTERS", 30)
    better_one = runtime.better.betters.many()[0]
    choices = iter([Choice(), *[Choice(better_one)] * 9])
    monkeypatch.setattr(runtime.better, "translator", lambda source, target: next(choices))
    request = TranslationRequest(text="They met again.\n\n" * 5, source="en", target="fr")
    (outcome,) = runtime.run_all([long_texts.in_parts(runtime, request)], wait=True)
    assert outcome.unwrap().model == BUNDLED and len(list(choices)) == 9, "the first part chose"


def test_english_summaries_are_written_once_the_summarizer_is_here(open_runtime):
    runtime = open_runtime()
    client = create_app(runtime).test_client()

    def made(**given):
        return client.post("/v1/summarize", json={"text": ARTICLE, "length": "short", **given}).json

    assert made()["model"] == "dragoman/extractive"
    _wait(runtime, _is_loaded(runtime, SUMMARIZER))
    assert made()["model"] == SUMMARIZER
    assert made(model="dragoman/extractive")["model"] == "dragoman/extractive"
    french = "Une déclaration commune a été faite dimanche. Ils se sont rencontrés à Vienne. " * 20
    assert made(text=french)["model"] == "dragoman/extractive", "it reads English alone"


# ---------------------------------------------------------------------------------- limits


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"translate_model": BUNDLED}, []),
        ({"allow_models": "facebook/m2m100_418M"}, [MANY]),
        ({"allow_models": PATTERN}, [PAIR]),
        ({"allow_models": PAIR}, [PAIR]),
        ({"allow_models": PATTERN.replace("*", "en-de")}, []),
        ({"allow_models": ""}, []),
        ({"models": "bundled"}, []),
        ({}, [PAIR, MANY]),
    ],
)
def test_what_is_pinned_or_not_allowed_is_not_fetched(open_runtime, given, names):
    candidates = open_runtime(**given).better.betters.translating("en", "fr")
    assert [each.name for each in candidates] == names


@pytest.mark.parametrize("given", [{"models": "bundled"}, {"allow_models": ""}, {"models": "fast"}])
def test_a_hub_that_nothing_is_to_be_fetched_from_is_not_asked(hub, open_runtime, given):
    runtime = open_runtime(**given)
    runtime.better.start()
    assert not any(thread.name == "better models" for thread in threading.enumerate())
    assert hub.asked == []


def test_a_pin_of_the_environment_counts_in_other_processes_too(monkeypatch):
    assert not Settings(models="auto").is_pinned("translate_model")
    assert not Settings(models="auto", summarize_model=SUMMARIZER).is_pinned("translate_model")
    monkeypatch.setenv("DRAGOMAN_TRANSLATE_MODEL", BUNDLED)
    monkeypatch.setenv("DRAGOMAN_MODELS", "auto")
    assert Settings().is_pinned("translate_model") and not Settings().is_pinned("summarize_model")


@pytest.mark.parametrize("short", [("free_disk", 2 * GB), ("free_memory", GB // 4)])
def test_without_room_nothing_is_fetched_and_it_is_said(hub, open_runtime, monkeypatch, short):
    failed = Failed(1000.0, monkeypatch)
    monkeypatch.setattr(better, short[0], lambda *_: short[1])
    runtime = open_runtime()
    _translated(runtime)
    assert failed.times.acquire(timeout=60)
    (note,) = [note for note in _translated(runtime).json["notes"] if "better" in note]
    assert "could not be loaded and will be retried: " in note and f"{PAIR} takes " in note
    assert _downloads(hub) == []


def test_no_more_pairs_than_that_are_fetched(open_runtime, monkeypatch):
    monkeypatch.setattr(better, "MOST_PAIRS", 0)
    runtime = open_runtime()
    _translated(runtime)
    _wait(runtime, _is_loaded(runtime, MANY))
    assert _translated(runtime).json["model"] == MANY


# ---------------------------------------------------------------------------------- broken hubs, and none


def test_what_breaks_is_tried_again_and_disturbs_nobody(hub, open_runtime, monkeypatch):
    failed = Failed(0.0, monkeypatch)
    runtime = open_runtime()
    runtime.better.start()
    _wait(runtime, lambda: runtime.better.has_hub)
    hub.status = 500
    assert _translated(runtime).status_code == 200
    for _ in range(2):
        assert failed.times.acquire(timeout=60)
    answer = _translated(runtime)
    assert (answer.status_code, answer.json["model"]) == (200, BUNDLED)
    assert any("could not be loaded and will be retried: " in note for note in answer.json["notes"])
    assert create_app(runtime).test_client().get("/readyz").status_code == 200
    hub.status, hub.breaks = None, [BLOCK]
    _wait(runtime, _is_loaded(runtime, PAIR))
    assert _translated(runtime).json["model"] == PAIR
    assert any("bytes=" in asked for asked in _downloads(hub)), "gone on with where it broke off"


@pytest.mark.parametrize(("name", "bundled"), [(PAIR, BUNDLED), (SUMMARIZER, "dragoman/extractive")])
def test_one_that_cannot_be_loaded_again_is_not_taken(open_runtime, tmp_path, monkeypatch, name, bundled):
    Failed(1000.0, monkeypatch)
    runtime = open_runtime(max_loaded_models=1)
    client = create_app(runtime).test_client()

    def done(**given):
        if name == SUMMARIZER:
            return client.post("/v1/summarize", json={"text": ARTICLE, "length": "short", **given})
        return _translated(runtime, **given)

    done()
    _wait(runtime, _is_loaded(runtime, name))
    assert done().json["model"] == name
    done(model=bundled)
    assert name not in runtime.pool.loaded()
    for file in (tmp_path / "cache" / "hub").rglob("config.json"):
        file.unlink()
    for _ in range(2):
        answer = done()
        assert (answer.status_code, answer.json["model"]) == (200, bundled), answer.text
        assert any("could not be loaded and will be retried" in note for note in answer.json["notes"])
    assert done(model=name).status_code == 503


def test_pauses_grow_up_to_an_hour():
    pauses = [better.pause_s(tries) for tries in range(1, 9)]
    assert pauses[:3] == [60.0, 120.0, 240.0] and pauses[-1] == 3600.0


def test_until_it_is_tried_again_a_language_of_its_own_is_refused_for_so_long(hub, open_runtime, monkeypatch):
    failed = Failed(1000.0, monkeypatch)
    runtime = open_runtime()
    runtime.better.start()
    _wait(runtime, lambda: runtime.better.has_hub)
    hub.status = 429
    asked = {"text": "Спільна заява.", "source": "uk", "target": "fr"}
    _translated(runtime, **asked)
    assert failed.times.acquire(timeout=60)
    refused = _translated(runtime, **asked)
    assert refused.status_code == 503 and "asks for fewer requests" in refused.json["detail"], refused.text
    assert 900 < int(refused.headers["Retry-After"]) <= 1000


@pytest.mark.parametrize("kind", ["silent", "closed", "failing", "offline", "hf offline"])
def test_without_a_hub_all_is_as_bundled(hub, open_runtime, monkeypatch, kind):
    constants = huggingface_hub.constants
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # it takes connections, and never answers
        monkeypatch.setattr("models.hub.HERE_S", 0.2)
        if kind == "silent":
            monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        elif kind == "closed":
            hub.close()
        elif kind == "failing":
            hub.status = 502
        elif kind == "hf offline":
            monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        runtime = open_runtime(offline=kind == "offline")
        assert _translated(runtime).json["model"] == BUNDLED
        _wait(runtime, lambda: runtime.better.is_asked)
    later = _translated(runtime)
    assert later.json["model"] == BUNDLED
    assert not any("better model is" in note for note in later.json["notes"])
    refused = _translated(runtime, text="Спільна заява.", source="uk")
    assert (refused.status_code, refused.json["type"]) == (422, "/problems/unsupported-language")
    assert _downloads(hub) == []


def test_without_a_hub_what_the_cache_has_is_taken(hub, open_runtime, tmp_path, languages):
    Store(tmp_path / "cache").pull(Catalog.load(languages).get(PAIR))
    hub.close()
    runtime = open_runtime(offline=True)
    _translated(runtime)
    _wait(runtime, _is_loaded(runtime, PAIR))
    assert _translated(runtime).json["model"] == PAIR
    command = open_runtime(is_server=False, offline=True)
    assert _translated(command).json["model"] == PAIR, "a command waits for it"


def test_a_command_fetches_nothing_behind_a_request(hub, open_runtime):
    runtime = open_runtime(is_server=False)
    assert _translated(runtime).json["model"] == BUNDLED
    assert hub.asked == []


def test_a_start_asks_nobody_until_its_models_are_loaded(hub, open_runtime):
    runtime = open_runtime()
    assert hub.asked == []
    runtime.warm_up()
    assert runtime.pool.loaded() == ["dragoman/extractive", BUNDLED]
    _wait(runtime, lambda: runtime.better.has_hub)
    assert hub.asked == ["HEAD /"]


# ---------------------------------------------------------------------------------- what is told


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, f"{PATTERN} 0.3 GB a pair, {MANY} 1.9 GB, {SUMMARIZER} 1.2 GB) and taken once they are ready"),
        ({}, "MODELS=bundled or --models bundled fetches nothing"),
        ({"offline": True}, "none are fetched (DRAGOMAN_OFFLINE)"),
        ({"allow_models": MANY}, f"in the background ({MANY} 1.9 GB)"),
        ({"allow_models": ""}, "no better ones may be fetched (DRAGOMAN_ALLOW_MODELS"),
        ({"models": "bundled"}, "bundled, good at starting anywhere"),
    ],
)
def test_the_start_says_what_is_fetched_and_how_to_stop_it(languages, given, said):
    fits, told = advice(Catalog.load(languages), Settings(**{"models": "auto", **given}), "cpu")
    assert fits and said in told


def test_the_doctor_says_how_far_they_are(hub, batch, catalog, languages, tmp_path):
    def told():
        done = CliRunner().invoke(cli, ["doctor", "--json"], env=batch.environment)
        (finding,) = [each for each in json.loads(done.stdout)["findings"] if each["name"] == "better"]
        return str(finding["told"])

    assert told().startswith("none is here yet")
    entry, store = Catalog.load(languages).get(PAIR), Store(tmp_path / "cache")
    blob = tmp_path / "cache" / "hub" / f"models--{PAIR.replace('/', '--')}" / "blobs" / "c0ffee.part"
    blob.parent.mkdir(parents=True)
    with blob.open("wb") as file:
        file.truncate(123_000_000)
    assert told() == f"{PAIR} is fetched to about 41%"
    store.pull(entry)
    assert told() == f"{PAIR} is here"


# ---------------------------------------------------------------------------------- several workers


def test_one_worker_fetches_and_all_take_it(hub, catalog, tiny_hub, tmp_path):
    hub.go_on.clear()
    server = TinyWorkers(
        tmp_path,
        hub=hub.url,
        models="auto",
        catalog=str(catalog),
        cache_dir=str(tiny_hub.converted(tmp_path / "cache", "marian", "flan-t5")),
        device="cpu",
        threads=1,
    )
    pair = {"text": "A joint statement.", "source": "en", "target": "fr"}

    def translated(worker):
        return server.ask(worker, "POST", "/v1/translate", pair)

    try:
        assert translated(0)["model"] == BUNDLED
        until(lambda: server.loading(1, PAIR).startswith("downloading "))
        other = translated(1)
        assert other["model"] == BUNDLED
        assert any(f"downloading a better model: {PAIR} (downloading " in note for note in other["notes"])
        assert server.state(1, PAIR).startswith("downloading ")
        hub.go_on.set()
        for worker in (0, 1):
            until(lambda worker=worker: translated(worker)["model"] == PAIR)
        assert len([asked for asked in _downloads(hub) if "bytes=" not in asked]) == 1, "fetched once"
    finally:
        hub.go_on.set()
        for door in server.doors:
            door.close()
        server.kill()
    assert "Traceback" not in server.log


# ---------------------------------------------------------------------------------- batches


class Batch:
    """Runs of the command over one input."""

    def __init__(self, folder, catalog):
        self.out = folder / "out.jsonl"
        self._in = folder / "in.jsonl"
        self.environment = {
            "DRAGOMAN_MODELS": "auto",
            "DRAGOMAN_CATALOG": str(catalog),
            "DRAGOMAN_CACHE_DIR": str(folder / "cache"),
            "DRAGOMAN_DATA_DIR": str(folder / "data"),
            "DRAGOMAN_DEVICE": "cpu",
            "DRAGOMAN_THREADS": "1",
        }
        self.texts = ["A joint statement.", "They met again."]

    def run(self, *arguments, task=("translate", "--from", "en", "--to", "fr"), **more):
        self._in.write_text("".join(json.dumps({"text": text}) + "\n" for text in self.texts))
        command = ["batch", *task, str(self._in), str(self.out), "--overwrite", *arguments]
        environment = {
            **self.environment,
            **{f"DRAGOMAN_{name.upper()}": each for name, each in more.items()},
        }
        done = CliRunner().invoke(cli, command, env=environment)
        assert done.exit_code == 0, done.stderr
        return done

    def models(self):
        return [json.loads(line)["result"]["model"] for line in self.out.read_text("utf-8").splitlines()]


@pytest.fixture
def batch(tmp_path, catalog):
    return Batch(tmp_path, catalog)


def test_a_batch_fetches_before_it_begins(hub, batch, tmp_path):
    done = batch.run("--summary", str(tmp_path / "summary.json"))
    assert (
        f"fetching {PAIR} (about 300 MB, licence CC-BY-4.0 or Apache-2.0, by pair); --models bundled"
        in done.stderr
    )
    assert batch.models() == [PAIR] * 2
    told = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert told["models"] == {PAIR: hub.repositories[PAIR].commit}
    hub.close()
    again = batch.run()
    assert "fetching" not in again.stderr and "2 results there already" in again.stderr
    assert batch.models() == [PAIR] * 2


def test_a_batch_goes_on_with_the_models_that_it_began_with(hub, batch):
    batch.run(offline="1")
    assert batch.models() == [BUNDLED] * 2
    batch.texts.append("Talks go on.")
    done = batch.run()
    assert batch.models() == [BUNDLED] * 3, "one model for all of them"
    assert "as it began with them; --restart starts over" in done.stderr and _downloads(hub) == []
    batch.run("--restart")
    assert batch.models() == [PAIR] * 3
    batch.texts.append("They met in Vienna.")
    hub.close()
    batch.run()
    assert batch.models() == [PAIR] * 4


def test_a_batch_of_any_language_takes_the_model_of_many(batch):
    batch.run(task=("translate", "--to", "fr"))
    assert set(batch.models()) == {MANY}


def test_a_batch_of_summaries_has_one_model_for_english(batch):
    french = "Une déclaration commune a été faite dimanche. Ils se sont rencontrés à Vienne. " * 20
    batch.texts = [ARTICLE, french]
    batch.run(task=("summarize",))
    assert batch.models() == [SUMMARIZER, "dragoman/extractive"]


@pytest.mark.parametrize(
    ("given", "more"),
    [
        (("--models", "bundled"), {}),
        ((), {"allow_models": "dragoman/extractive"}),
        ((), {"translate_model": BUNDLED}),
    ],
)
def test_a_batch_fetches_nothing_that_is_not_wanted(hub, batch, given, more):
    batch.run(*given, **more)
    assert batch.models() == [BUNDLED] * 2 and hub.asked == []


def test_a_dry_run_fetches_nothing(hub, batch):
    batch.run("--dry-run")
    assert hub.asked == [] and not batch.out.exists()


def test_a_batch_whose_models_do_not_fit_is_done_by_the_bundled(hub, batch, monkeypatch):
    monkeypatch.setattr(better, "free_memory", lambda: GB // 4)
    done = batch.run()
    assert f"note: {PAIR} takes up to 0.2 GB of memory, of which 0.2 GB are free" in done.stderr
    assert batch.models() == [BUNDLED] * 2 and _downloads(hub) == []
