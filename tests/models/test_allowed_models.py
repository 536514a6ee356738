"""Which models requests may name: a caller must not make the service fetch and load what nobody chose."""

import pytest
from click.testing import CliRunner

from models.errors import ModelUnavailable, UnknownModel
from models.hub import HubCache, RepositoryNotFound
from service.cli.main import cli
from service.http.app import create_app
from service.runtime import Runtime
from service.settings import Settings

DEFAULTS = ["dragoman/extractive", "dragoman/gemma3-270m-translate"]
BIG = "Qwen/Qwen3-4B-Instruct-2507"
PATTERN = "Helsinki-NLP/opus-mt-*"


@pytest.fixture
def fetched(monkeypatch):
    """What the hub was asked for; its cache is empty but for folders that tests make."""
    asked = []

    def fetch(_, repository, *__):
        asked.append(repository)
        raise ModelUnavailable("the hub cannot be reached")

    monkeypatch.setattr(HubCache, "fetch", fetch)
    return asked


@pytest.fixture
def open_runtime(tiny_hub, tmp_path, fetched):
    def open_it(**given):
        catalog = tiny_hub.catalog_file("marian")
        return Runtime(
            Settings(catalog=catalog, cache_dir=tmp_path / "cache", data_dir=tmp_path / "data", **given)
        )

    return open_it


def _names(runtime):
    client = create_app(runtime).test_client()
    return [model["name"] for model in client.get("/v1/models").json["models"]]


def _pull(folder, name):
    home = folder / "cache" / "hub" / f"models--{name.replace('/', '--')}"
    for each in ("refs/main", "snapshots/c0ffee/.dragoman-fetched"):
        (home / each).parent.mkdir(parents=True)
        (home / each).write_text("c0ffee")


@pytest.mark.parametrize("path", ["/v1/translate", "/v1/jobs"])
def test_a_model_that_nobody_chose_is_not_fetched(open_runtime, fetched, path):
    runtime = open_runtime()
    client = create_app(runtime).test_client()
    for name in (BIG, PATTERN, PATTERN.replace("*", "en-de")):
        body = {"task": "translate"} if path == "/v1/jobs" else {}
        answer = client.post(path, json={**body, "text": "Good morning.", "target": "de", "model": name})
        assert (answer.status_code, answer.json["type"]) == (422, "/problems/unknown-model"), answer.text
        assert answer.json["allowed"] == ["dragoman/gemma3-270m-translate", "tiny/marian"]
    assert fetched == []
    assert _names(runtime) == [*DEFAULTS, "tiny/marian"]
    models = [language["models"] for language in client.get("/v1/languages").json["languages"]]
    assert {name for names in models for name in names} <= {*DEFAULTS, "tiny/marian"}
    runtime.close()


def test_what_is_in_the_cache_may_be_used(open_runtime, tmp_path, fetched):
    runtime = open_runtime()
    for name in (BIG, PATTERN.replace("*", "en-de")):
        _pull(tmp_path, name)
    assert _names(runtime) == [*DEFAULTS, PATTERN, BIG, "tiny/marian"], "also after the start"
    pattern = runtime.catalog.get(PATTERN)
    runtime.store.folder(pattern.for_pair("en", "de"))
    with pytest.raises(RepositoryNotFound, match=r"not here: `dragoman models pull .*opus-mt-en-fr`"):
        runtime.store.folder(pattern.for_pair("en", "fr"))
    assert fetched == []
    runtime.close()


@pytest.mark.parametrize(
    ("allow", "others"),
    [(BIG, [BIG]), (f"{BIG}, {PATTERN},", [PATTERN, BIG]), ("", []), ("dragoman/extractive", [])],
)
def test_what_is_named_may_be_used_and_nothing_else(open_runtime, allow, others, tmp_path):
    _pull(tmp_path, "facebook/bart-large-cnn")
    runtime = open_runtime(allow_models=allow)
    assert _names(runtime) == [*DEFAULTS, *others]
    if PATTERN in others:
        assert runtime.catalog.get(PATTERN.replace("*", "en-ca")).pairs == (("en", "ca"),)
    runtime.close()


def test_the_models_of_the_settings_may_always_be_used(open_runtime):
    runtime = open_runtime(allow_models="", summarize_model="google/flan-t5-base")
    assert _names(runtime) == [DEFAULTS[1], "google/flan-t5-base"]
    runtime.close()


def test_a_star_allows_all(open_runtime):
    runtime = open_runtime(allow_models="*")
    assert {BIG, PATTERN, "tiny/marian"} < set(_names(runtime))
    runtime.close()


def test_a_wrong_name_ends_the_start(open_runtime):
    with pytest.raises(UnknownModel, match="did you mean facebook/bart-large-cnn"):
        open_runtime(allow_models="facebook/bart-large-cn")


def test_the_command_line_may_use_all(monkeypatch, tmp_path):
    monkeypatch.setenv("DRAGOMAN_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("DRAGOMAN_ALLOW_MODELS", "dragoman/extractive")
    done = CliRunner().invoke(cli, ["models", "list"])
    assert BIG in done.stdout
