"""`dragoman batch requests`: lines of OpenAI's batch files, answered as HTTP answers them."""

import json
import re
from pathlib import Path

import pytest
import zstandard
from batch_runtime import POISON, SLOW, BatchRuntime
from click.testing import CliRunner
from compat_runtime import CompatRuntime
from fake_runtime import FakeStore

from service.batch.record import Record
from service.batch.request_work import RequestWork
from service.batch.requests import RequestFields
from service.batch.seen import Seen
from service.batch.window import Size, windows
from service.batch.work import ResultKeys
from service.cli import cli
from service.commands.session import Session
from service.glossaries import Glossaries
from service.glossary_tables import Dictionary
from service.http.app import create_app
from service.settings import Settings

SUMMARIZE, TRANSLATE = "/v1/summarize", "/v1/translate"

ARTICLE = "The ministers met in Vienna. They signed nothing. " * 20


class Runtime(CompatRuntime):
    """Real tasks over models that write capitals, for HTTP and batches alike."""

    def __init__(self, settings):
        super().__init__(settings)
        self.store = FakeStore()
        self.store.state = lambda entry: "ready"
        self.pool.owner = lambda engine: self.catalog.get(settings.translate_model)


@pytest.fixture
def runtime(tmp_path):
    return Runtime(Settings(data_dir=tmp_path / "data", summarize_model="google/flan-t5-base", max_texts=4))


@pytest.fixture
def company(tmp_path):
    """A runtime whose outputs depend on what is done together."""
    runtime = BatchRuntime(Settings(data_dir=tmp_path / "data"))
    runtime.glossaries = Glossaries(tmp_path / "data" / "glossaries.sqlite", runtime.languages)
    return runtime


def line(custom_id, url, body):
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": body})


def translations(*texts):
    return [
        line(f"t{i}", TRANSLATE, {"text": text, "target": "fr", "source": "en"})
        for i, text in enumerate(texts)
    ]


def run(runtime, source, out, *options, **more):
    arguments = ["batch", "requests", *map(str, (source, out, *options))]
    return CliRunner().invoke(cli, arguments, obj=Session(lambda settings: runtime), **more)


def written(tmp_path, lines):
    source = tmp_path / "in.jsonl"
    source.write_text("".join(each + "\n" for each in lines))
    return source


def rows(text):
    return [json.loads(each) for each in text.splitlines()]


def by_id(tmp_path, name="out"):
    """All lines of OUT and of OUT.errors, by their custom_id."""
    both = (tmp_path / name).read_text() + (tmp_path / f"{name}.errors").read_text()
    return {row["custom_id"]: row for row in rows(both)}


def made(done):
    return int(re.search(r"(\d+) made", done.stderr)[1])


def without_times_and_ids(body):
    body.pop("timings_ms", None)
    body.pop("request_id", None)
    for item in body.get("results", ()):
        without_times_and_ids(item)
    return body


BODIES = [
    (SUMMARIZE, {"text": ARTICLE, "length": "headline"}),
    (SUMMARIZE, {"html": f"<h1>Talks</h1><p>{ARTICLE}</p>", "target": "fr", "format": "bullets"}),
    (SUMMARIZE, {"texts": [ARTICLE, " ", f"{POISON} {ARTICLE}"], "model": "facebook/bart-large-cnn"}),
    (SUMMARIZE, {"text": ARTICLE, "max_sentences": 0, "length": "endless"}),
    (SUMMARIZE, {"text": ARTICLE, "model": "gpt-4o"}),
    (SUMMARIZE, {}),
    (TRANSLATE, {"text": "They met in Vienna.", "target": "fr"}),
    (TRANSLATE, {"text": "They <b>met</b> in Vienna.", "target": "fr", "source": "en", "format": "html"}),
    (TRANSLATE, {"text": "They met in Vienna.", "target": "fr", "source": "en", "glossary": "house"}),
    (TRANSLATE, {"texts": ["In Vienna.", "Il pleut beaucoup ici."], "target": "fr", "glossary": "house"}),
    (TRANSLATE, {"text": "They met in Vienna.", "target": "fr", "glossary": {"met": "rencontra"}}),
    (TRANSLATE, {"text": "They met.", "target": "fr", "glossary": "nobody's"}),
    (TRANSLATE, {"text": "They met.", "target": "de", "source": "en", "glossary": "house"}),
    (TRANSLATE, {"text": f"They {POISON} met.", "target": "fr"}),
    (TRANSLATE, {"texts": ["One."] * 5, "target": "fr"}),
    (TRANSLATE, {"texts": ["One.", 2, f"{POISON}", "Four."], "target": "fr", "source": "en"}),
    (TRANSLATE, {"text": "They met.", "target": "xx-klingon"}),
    (TRANSLATE, {"text": "a" * 200_001, "target": "fr"}),
    (TRANSLATE, {"text": "They met.", "target": ["fr"], "model": 7, "glossary": 8}),
]


def test_requests_are_answered_as_over_http(runtime, tmp_path):
    runtime.glossaries.create("house", [Dictionary("en", "fr", {"Vienna": "Wien"})])
    lines = [line(str(i), url, body) for i, (url, body) in enumerate(BODIES)]
    done = run(runtime, written(tmp_path, lines), tmp_path / "out")
    assert done.exit_code == 3, done.stderr
    answers = by_id(tmp_path)
    client = create_app(runtime).test_client()
    for i, (url, body) in enumerate(BODIES):
        over_http = client.post(url, json=body)
        row = answers[str(i)]
        assert (row["error"], row["response"]["status_code"]) == (None, over_http.status_code), body
        ids = re.findall('"request_id": "(.*?)"', json.dumps(row))
        assert set(ids) == {row["response"]["request_id"]}
        assert without_times_and_ids(row["response"]["body"]) == without_times_and_ids(over_http.json), body
    assert "Wien" in answers["8"]["response"]["body"]["translation"]
    statuses = [answers[str(i)]["response"]["status_code"] for i in range(len(BODIES))]
    assert (statuses.count(200), set(statuses)) == (9, {200, 413, 422, 500})


def test_lines_come_out_in_order_each_in_its_file(company, tmp_path):
    lines = translations(*(f"{POISON if i % 5 == 2 else ''}Number {i}." for i in range(20)))
    done = run(company, written(tmp_path, lines), tmp_path / "out")
    assert (done.exit_code, done.stdout) == (3, "")
    assert "20 records, 4 errors" in done.stderr
    assert f"what failed is in {tmp_path / 'out.errors'}" in done.stderr
    good, bad = rows((tmp_path / "out").read_text()), rows((tmp_path / "out.errors").read_text())
    assert [row["custom_id"] for row in good] == [f"t{i}" for i in range(20) if i % 5 != 2]
    assert [row["custom_id"] for row in bad] == [f"t{i}" for i in range(20) if i % 5 == 2]
    assert all(list(row) == ["id", "custom_id", "response", "error"] for row in good + bad)
    assert len({row["id"] for row in good + bad}) == 20
    assert good[0]["response"]["body"]["translation"].startswith("NUMBER 0.")
    assert bad[0]["response"]["body"]["type"] == "/problems/engine-failed"
    assert not list(tmp_path.glob("*.part"))


def test_lines_that_are_no_requests_here(runtime, tmp_path):
    good = json.loads(line("good", TRANSLATE, {"text": "One.", "target": "fr"}))
    lines = [
        ("nonsense", "invalid_json_line"),
        ("[]", "invalid_json_line"),
        ("", "invalid_json_line"),
        (json.dumps({**good, "custom_id": 7}), "invalid_custom_id"),
        (json.dumps({**good, "custom_id": ""}), "invalid_custom_id"),
        (json.dumps({**good, "method": "GET"}), "invalid_method"),
        (json.dumps({**good, "url": "/v1/chat/completions"}), "invalid_url"),
        (json.dumps({**good, "url": ["/v1/translate"]}), "invalid_url"),
        (json.dumps({**good, "body": "One."}), "invalid_body"),
        (json.dumps({**good, "body": {"text": "One \ud800.", "target": "fr"}}), "invalid_body"),
        (json.dumps({"text": "An article."}), "invalid_custom_id"),
        (json.dumps({**good, "result": 1, "error": 2}), None),
        (json.dumps(good), "duplicate_custom_id"),
    ]
    done = run(runtime, written(tmp_path, [text for text, _ in lines]), tmp_path / "out")
    assert (done.exit_code, len(rows((tmp_path / "out").read_text()))) == (3, 1)
    errors = rows((tmp_path / "out.errors").read_text())
    assert [(row["error"]["line"], row["error"]["code"]) for row in errors] == [
        (number, code) for number, (_, code) in enumerate(lines, start=1) if code is not None
    ]
    assert all(row["response"] is None for row in errors)
    assert [row["custom_id"] for row in errors[:4]] == [None, None, None, 7]
    openai = errors[6]["error"]
    assert openai["param"] == "url"
    assert all(url in openai["message"] for url in ("/v1/chat/completions", SUMMARIZE, TRANSLATE))


def test_streaming_is_refused(runtime, tmp_path):
    source = written(tmp_path, [line("a", SUMMARIZE, {"text": ARTICLE, "stream": True})])
    assert run(runtime, source, tmp_path / "out").exit_code == 3
    response = by_id(tmp_path)["a"]["response"]
    assert (response["status_code"], response["body"]["field"]) == (422, "stream")


def test_over_streams_and_compressed(company, tmp_path):
    lines = "\n".join(translations("One.", f"{POISON} two.", "Three.")).encode()
    done = run(company, "-", "-", input=lines)
    assert done.exit_code == 3
    assert [row["response"]["status_code"] for row in rows(done.stdout)] == [200, 500, 200]
    errors = tmp_path / "errors.jsonl.gz"
    done = run(company, "-", "-", "--errors", errors, input=lines)
    assert [row["custom_id"] for row in rows(done.stdout)] == ["t0", "t2"]
    assert errors.read_bytes()[:2] == b"\x1f\x8b"
    (tmp_path / "in.zst").write_bytes(zstandard.compress(lines))
    assert run(company, tmp_path / "in.zst", tmp_path / "out.zst").exit_code == 3
    out = zstandard.ZstdDecompressor().decompressobj().decompress((tmp_path / "out.zst").read_bytes())
    assert out.decode() == done.stdout


def test_equal_requests_are_done_once(company, tmp_path):
    lines = translations("The same.", "Another.", "The same.")
    done = run(company, written(tmp_path, lines), tmp_path / "out")
    assert (done.exit_code, made(done)) == (0, 2)
    assert (tmp_path / "out.errors").read_bytes() == b""
    first, _, third = rows((tmp_path / "out").read_text())
    assert first["response"] == third["response"]
    assert first["id"] != third["id"]


def test_a_request_s_texts_are_done_together(company, tmp_path):
    texts = ["One.", f"{POISON} two.", "Three."]
    lines = [line("many", TRANSLATE, {"texts": texts, "target": "fr", "source": "en"})]
    source = written(tmp_path, lines)
    assert run(company, source, tmp_path / "out", "--report", tmp_path / "report").exit_code == 0
    assert sorted(company.engine.submissions[0]) == sorted(texts)
    results = by_id(tmp_path)["many"]["response"]["body"]["results"]
    assert [item.get("status") for item in results] == [None, 500, None]


def test_a_request_out_of_time_fails_alone(company, tmp_path):
    lines = translations("One.", "Two.")
    lines += [line("late", TRANSLATE, {"texts": ["Three.", f"{SLOW} four."], "target": "fr", "source": "en"})]
    done = run(company, written(tmp_path, lines), tmp_path / "out", "--record-timeout", "5")
    assert done.exit_code == 3
    answers = by_id(tmp_path)
    assert [answers[name]["response"]["status_code"] for name in ("t0", "t1", "late")] == [200, 200, 504]
    assert "not done in 5 s" in answers["late"]["response"]["body"]["detail"]


def test_a_kept_glossary_s_change_touches_the_texts_with_its_terms(company, tmp_path):
    def glossary(**terms):
        for each in company.glossaries.all():
            company.glossaries.delete(each.id)
        company.glossaries.create("house", [Dictionary("en", "fr", terms)])

    def ask():
        bodies = [{"text": f"They met in {city}.", "target": "fr", "source": "en"} for city in cities]
        lines = [line(f"c{i}", TRANSLATE, {**body, "glossary": "house"}) for i, body in enumerate(bodies)]
        done = run(company, written(tmp_path, lines), tmp_path / "out", "--overwrite")
        return done.exit_code, made(done), by_id(tmp_path)

    cities = ["Vienna", "Rome", "Paris"]
    code, number, answers = ask()
    assert (code, number) == (3, 3)
    assert answers["c0"]["response"]["body"]["type"] == "/problems/unknown-glossary"
    glossary(Vienna="Wien", Rome="Roma")
    code, number, answers = ask()
    assert (code, number) == (0, 3), "what failed for want of it is done again"
    assert [answers[f"c{i}"]["response"]["body"].get("terms") for i in (0, 2)] != [None, None]
    glossary(Vienna="Wien", Rome="Rom")
    code, number, answers = ask()
    assert (code, number) == (0, 1)
    assert answers["c1"]["response"]["body"]["terms"][0]["target"] == "Rom"
    glossary(Vienna="Wien", Rome="Rom", Berlin="Berlino")
    assert ask()[:2] == (0, 0)


def test_another_revision_of_a_model_touches_its_requests(company, tmp_path):
    lines = translations("One.", "Two.")
    lines += [line("brief", SUMMARIZE, {"text": ARTICLE, "model": "facebook/bart-large-cnn"})]
    company.store.state = lambda entry: "ready"
    source, told = written(tmp_path, lines), tmp_path / "told.json"
    assert made(run(company, source, tmp_path / "out", "--summary", told)) == 3
    assert json.loads(told.read_text())["models"] == {
        "dragoman/gemma3-270m-translate": "r1",
        "facebook/bart-large-cnn": "r1",
    }
    company.store.revisions["facebook/bart-large-cnn"] = "r2"
    assert made(run(company, source, tmp_path / "out", "--overwrite")) == 1


def test_a_model_that_cannot_be_had_fails_its_requests_and_is_tried_once(company, tmp_path):
    tried, pull = [], company.store.pull
    company.store.pull = lambda entry: tried.append(entry.name) or pull(entry)
    bodies = [{"text": f"Article {i}. {ARTICLE}", "model": "facebook/bart-large-cnn"} for i in range(5)]
    lines = [line(f"b{i}", SUMMARIZE, body) for i, body in enumerate(bodies)] + translations("One.")
    assert run(company, written(tmp_path, lines), tmp_path / "out").exit_code == 3
    answers = by_id(tmp_path)
    assert [answers[f"b{i}"]["response"]["status_code"] for i in range(5)] == [503] * 5
    assert answers["t0"]["response"]["status_code"] == 200
    assert tried == ["facebook/bart-large-cnn"]


def test_retry_failed_and_max_errors(company, tmp_path):
    lines = translations("One.", f"{POISON} two.", f"{POISON} three.", "Four.")
    source, out = written(tmp_path, lines), tmp_path / "out"
    assert run(company, source, out, "--max-errors", "1").exit_code == 4
    assert not out.exists()
    assert run(company, source, out).exit_code == 3
    before = out.read_bytes(), (tmp_path / "out.errors").read_bytes()
    done = run(company, source, out, "--retry-failed")
    assert (done.exit_code, made(done)) == (3, 2)
    assert (out.read_bytes(), (tmp_path / "out.errors").read_bytes()) == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["in.jsonl", "out.parquet"], "not Parquet"),
        (["in.jsonl", "out", "--errors", "in.jsonl"], "in.jsonl is IN"),
        (["in.jsonl", "out", "--errors", "./out"], "out is OUT"),
        (["in.jsonl", "out", "--errors", "there"], "there exists; --overwrite"),
        (["in.jsonl", "out", "--errors", "no/such"], "no folder no"),
        (["in.jsonl", "there"], "there exists; --overwrite"),
        (["in.jsonl", "-", "--retry-failed"], "no cache"),
        ([".", "out"], "is a directory"),
    ],
)
def test_wrong_usage(company, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, translations("One."))
    (tmp_path / "there").write_text("mine")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    done = run(company, *arguments)
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_a_run_cut_off_between_its_two_files_goes_on(company, tmp_path, monkeypatch):
    source, out = written(tmp_path, translations("One.", f"{POISON} two.")), tmp_path / "out"
    named, replace = [], Path.replace
    monkeypatch.setattr(Path, "replace", lambda part, to: named.append(to.name) or replace(part, to))
    run(company, source, out)
    assert named == ["out.errors", "out"], "OUT is there when all is"
    whole = out.read_bytes(), (tmp_path / "out.errors").read_bytes()
    out.rename(tmp_path / "out.part")
    assert run(company, source, out).exit_code == 3
    assert (out.read_bytes(), (tmp_path / "out.errors").read_bytes()) == whole


class Lines:
    """A source of records that are there."""

    size = None

    def __init__(self, fields):
        self._records = [Record(i, json.loads(each)) for i, each in enumerate(fields, start=1)]

    def position(self):
        return 0

    def records(self):
        return iter(self._records)


def test_windows_end_with_their_bodies_characters(company):
    """Memory stays flat however long the bodies are."""
    lines = [
        line(f"{i}", TRANSLATE, {"texts": ["a" * 100, "b" * 300], "target": "fr", "source": "en"})
        for i in range(9)
    ]
    keys = ResultKeys(RequestWork(company, {}), {})
    with Seen() as seen:
        found = list(windows(Lines(lines), RequestFields(seen=seen), keys, (), Size(1024, 1000)))
    assert [len(each.records) for each in found] == [3, 3, 3]
