"""Sets of models: what each takes, which suits a machine, and that one word chooses and fetches one."""

import json

import pytest
from click.testing import CliRunner
from pydantic import ValidationError

from models.catalog import Catalog, fitting, load_sets
from service.cli import machine
from service.cli.main import cli
from service.settings import Settings

GB = 10**9
SUMMARIZER, PATTERN = "sshleifer/distilbart-cnn-12-6", "Helsinki-NLP/opus-mt-*"


@pytest.fixture(scope="module")
def catalog(languages):
    return Catalog.load(languages)


def test_every_set_holds_together(catalog):
    sets = load_sets()
    assert list(sets) == ["bundled", "auto", "fast", "good", "instruct"]
    sizes = [each.memory_bytes(catalog, "cuda") for each in sets.values()]
    assert sizes == sorted(sizes), "from the least to the most"
    for each in sets.values():
        assert catalog.get(each.summarize, "summarize") and catalog.get(each.translate, "translate")
        assert all(entry.parameters_m or not entry.has_files for entry in each.entries(catalog))
        assert (each.download_bytes(catalog) == 0) == (each.name in ("bundled", "auto"))
        assert bool(each.pairs) == ("*" in each.translate)


@pytest.mark.parametrize(
    ("memory", "gpu", "cores", "name"),
    [
        (None, None, 8, "auto"),
        (2 * GB, None, 8, "auto"),
        (6 * GB, None, 2, "fast"),
        (32 * GB, None, 2, "fast"),
        (32 * GB, None, 8, "good"),
        (512 * GB, None, 64, "instruct"),
        (2 * GB, 8 * GB, 2, "good"),
        (2 * GB, 24 * GB, 2, "instruct"),
    ],
)
def test_the_largest_that_fits_is_said(catalog, memory, gpu, cores, name):
    assert fitting(catalog, memory, gpu, cores).name == name


def test_the_gpus_memory_is_read():
    assert machine.gpu_bytes(["NVIDIA H100, 81559 MiB"]) == 81559 << 20
    assert machine.gpu_bytes([]) is machine.gpu_bytes(["a GPU"]) is None


def test_a_set_chooses_the_models_and_a_named_model_goes_over_it(monkeypatch):
    monkeypatch.setenv("DRAGOMAN_MODELS", "fast")
    assert (Settings().summarize_model, Settings().translate_model) == (SUMMARIZER, PATTERN)
    assert Settings(models="good").translate_model == "facebook/m2m100_1.2B", (
        "the command line's goes over it"
    )
    monkeypatch.setenv("DRAGOMAN_TRANSLATE_MODEL", "facebook/m2m100_418M")
    assert Settings().translate_model == "facebook/m2m100_418M"
    with pytest.raises(ValidationError, match="one of bundled, auto, fast, good, instruct"):
        Settings(models="best")


@pytest.fixture
def environment(hub, tiny_hub, tmp_path):
    hub.add(SUMMARIZER, tiny_hub.entry("bart").path)
    for pair in ("en-fr", "fr-en"):
        hub.add(PATTERN.replace("*", pair), tiny_hub.entry("marian").path)
    return {f"DRAGOMAN_{name}_DIR": str(tmp_path / name) for name in ("CACHE", "DATA")}


def test_a_set_is_pulled_and_its_directions_can_be_named(hub, environment):
    done = CliRunner().invoke(cli, ["models", "pull", "fast", "--pairs", "en-fr,fr-en"], env=environment)
    assert done.exit_code == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == [
        SUMMARIZER,
        PATTERN.replace("*", "en-fr"),
        PATTERN.replace("*", "fr-en"),
    ]
    assert "fast: about 1.8 GB to fetch" in done.stderr
    again = CliRunner().invoke(cli, ["models", "pull", "fast", "--pairs", "en-fr"], env=environment)
    assert "to fetch" not in again.stderr


def test_one_that_cannot_be_had_does_not_keep_back_the_others(hub, environment):
    done = CliRunner().invoke(cli, ["models", "pull", "fast", "--pairs", "en-xx,en-fr"], env=environment)
    assert done.exit_code == 1
    assert len(done.stdout.splitlines()) == 2
    assert [line for line in done.stderr.splitlines() if line.startswith("error")] == [
        "error: the hub has no Helsinki-NLP/opus-mt-en-xx at revision main, or it asks for a login (HF_TOKEN)"
    ]


def test_a_disk_too_small_for_a_set_is_told_before(hub, environment, monkeypatch):
    monkeypatch.setattr(machine, "free_bytes", lambda _: GB)
    done = CliRunner().invoke(cli, ["models", "pull", "good"], env=environment)
    assert done.exit_code == 1
    assert done.stderr == ("error: good needs about 6.6 GB more, and the cache's disk has 1.0 GB free\n")
    assert hub.asked == []


def test_sets_are_listed_with_what_they_take(environment, monkeypatch):
    monkeypatch.setattr(machine, "memory", lambda: (8 * GB, 6 * GB))
    monkeypatch.setattr(machine, "gpus", list)
    done = CliRunner().invoke(cli, ["models", "sets"], env=environment | {"DRAGOMAN_MODELS": "good"})
    assert "fast (suits this machine)\n    good at speed on a CPU" in done.stdout
    assert "good (chosen)" in done.stdout and "6.6 GB to fetch" in done.stdout
    rows = json.loads(CliRunner().invoke(cli, ["models", "sets", "--json"], env=environment).stdout)
    assert [row["name"] for row in rows if row["chosen"]] == ["bundled"]
