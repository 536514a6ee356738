"""A small model is called one wherever it translates: in each answer over HTTP, once a run elsewhere."""

import json

import pytest
from batch_runtime import BatchRuntime
from click.testing import CliRunner
from compat_runtime import CompatRuntime

from models.catalog import Catalog
from models.languages import Languages
from service.cli.main import cli
from service.cli.session import Session
from service.http.app import create_app
from service.settings import Settings

SMALL = "is a small model"
OTHER = "facebook/m2m100_418M"


@pytest.fixture(scope="module")
def http(tmp_path_factory):
    runtime = CompatRuntime(Settings(data_dir=tmp_path_factory.mktemp("data"), allow_models=["*"]))
    return create_app(runtime).test_client()


def translated(http, **request):
    return http.post("/v1/translate", json={"target": "fr", "source": "en", **request}).json


def test_each_answer_over_http_says_it(http):
    one = translated(http, text="The talks failed.")
    many = translated(http, texts=["The talks failed.", "The border is open."])["results"]
    assert [len([n for n in each["notes"] if SMALL in n]) for each in (one, *many)] == [1, 1, 1]
    assert not any(SMALL in note for note in translated(http, text="Le port.", source="fr")["notes"])
    assert not any(SMALL in note for note in translated(http, text="The talks.", model=OTHER)["notes"])


def test_a_summary_that_was_translated_says_it_too(http):
    asked = {"text": "The ministers met in Vienna. They signed nothing. " * 20, "length": "headline"}
    notes = http.post("/v1/summarize", json={**asked, "target": "fr"}).json["notes"]
    assert len([note for note in notes if SMALL in note]) == 1
    assert not any(SMALL in note for note in http.post("/v1/summarize", json=asked).json["notes"])


def test_the_better_one_is_of_the_catalog_and_has_all_its_languages(languages: Languages):
    catalog = Catalog.load(languages)
    for entry in catalog.entries:
        if entry.better is not None:
            assert set(entry.languages) <= set(catalog.get(entry.better, "translate").languages)


def run(*arguments, runtime=BatchRuntime):
    done = CliRunner().invoke(cli, list(map(str, arguments)), obj=Session(runtime))
    assert done.exit_code == 0, done.stderr
    return done


def test_a_command_says_it_once_and_beside_the_result(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("The talks failed. The border is open.\n\nThe host left.")
    done = run("translate", "--to", "fr", "--from", "en", file)
    assert done.stderr.count(SMALL) == 1
    assert SMALL not in done.stdout


def test_a_batch_says_it_once_and_in_its_summary_and_in_no_record(tmp_path):
    records, out, summary = tmp_path / "in.jsonl", tmp_path / "out.jsonl", tmp_path / "s.json"
    records.write_text("".join(json.dumps({"text": f"The talks failed {i}."}) + "\n" for i in range(3)))
    files = (records, out, "--summary", summary)
    done = run("batch", "translate", "--to", "fr", *files)
    assert done.stderr.count(SMALL) == 1
    assert SMALL not in out.read_text()
    assert [SMALL in each for each in json.loads(summary.read_text())["cautions"]] == [True]
    done = run("batch", "translate", "--to", "fr", "--model", OTHER, *files, "--overwrite")
    assert SMALL not in done.stderr
    told = json.loads(summary.read_text())["cautions"]
    assert told == [f"not calibrated: how often translations by {OTHER} are right is not known"]
