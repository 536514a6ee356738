import io
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from fake_runtime import POISON, FakeRuntime
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import InvalidInput
from models.tasks.summary import SummaryRequest
from models.tasks.translation import TranslationRequest
from service.batch import formats, work
from service.batch.formats import JsonlReader, Position
from service.batch.part import Checkpoint, Part, Stream
from service.batch.progress import PlainProgress, TerminalProgress, duration
from service.batch.run import CHUNK_RECORDS, run
from service.cli import cli
from service.commands.session import Session
from service.settings import Settings


class Unwatched:
    def update(self, done):
        pass


def summarize_all(data):
    """The output lines of a batch over these bytes, and the runtime that did it."""
    runtime = FakeRuntime(Settings())
    out = io.BytesIO()
    task = work.summarize(runtime.summarizer.steps, SummaryRequest(), "result")
    reader = JsonlReader(io.BytesIO(data))
    run(reader, Stream(out), task, lambda tasks: runtime.run_all(tasks, wait=True), Unwatched())
    return out.getvalue().splitlines(keepends=True), runtime


def result_of(line):
    return json.loads(summarize_all(line)[0][0])


# ------------------------------------------------------------------ one line in, one line out

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)
own_names = st.sampled_from(["id", "text", "html", "result", "error", "record", "line", "url"]) | st.text()
records = st.dictionaries(own_names, json_values, max_size=5).map(json.dumps).map(str.encode)
good = st.builds(
    lambda text, own: json.dumps({**own, "text": text}, ensure_ascii=False).encode(),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.dictionaries(st.sampled_from(["id", "url", "tags"]), json_values, max_size=2),
)
junk = st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b" "))
input_lines = st.lists(good | records | junk, max_size=70)


@settings(max_examples=80, deadline=None)
@given(input_lines, st.booleans())
def test_every_line_gives_one_line_in_order_with_its_own_fields(lines, ends_with_newline):
    data = b"\n".join(lines) + (b"\n" if lines and ends_with_newline else b"")
    expected = data.split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    out, _ = summarize_all(data)

    assert len(out) == len(expected)
    for number, (raw, line) in enumerate(zip(expected, out, strict=True), start=1):
        done = json.loads(line)
        if "error" in done and "line" in (done["error"] or {}):
            assert done["error"]["line"] == number
        try:
            own = json.loads(raw.decode("utf-8-sig" if number == 1 else "utf-8"))
        except (ValueError, RecursionError):
            own = None
        if isinstance(own, dict):
            kept = done["record"] if "error" in own and "record" in done else done
            assert {name: kept.get(name, "lost") for name in own} == own


def test_result_and_own_fields():
    done = result_of(b'{"id": 7, "text": "One. Two.", "url": "x", "price": 1.50}')
    assert list(done) == ["id", "text", "url", "price", "result"]
    assert done["result"]["summary"].startswith("short: One")
    (sentence,) = done["result"]["sentences"]
    assert (sentence["text"], sentence["source"]) == ("One", {"start": 0, "end": 3})
    assert "timings_ms" not in done["result"]


def test_lone_surrogates_in_own_fields_are_kept():
    assert result_of(b'{"text": "a", "own": "\\udc00"}')["own"] == "\udc00"


def test_a_translation_of_html_is_html_or_the_articles_text():
    page = "<html><body><article><p>" + "A sentence about the harbour. " * 20 + "</p></article></body></html>"
    runtime, asked = FakeRuntime(Settings()), []

    def steps(request):
        asked.append(request)
        return runtime.translator.steps(request)

    options = TranslationRequest(text="", target="fr", format="markdown", protect=("harbour",))
    for record, article, form in (
        ({"html": page}, False, "html"),
        ({"html": page}, True, "text"),
        ({"text": "a"}, False, "markdown"),
    ):
        task = work.translate(steps, options, "result", article=article).steps(record)
        result = runtime.run_all([task], wait=True)[0].unwrap()
        request = asked.pop()
        assert (request.format, request.protect) == (form, ("harbour",))
        assert ("<p>" in request.text) == (form == "html")
        assert ("text" in result["source"]) == article


def test_html_record():
    page = "<html><body><article><p>" + "A sentence about the harbour. " * 20 + "</p></article></body></html>"
    assert result_of(json.dumps({"html": page}).encode())["result"]["source"]["text"] == page


@pytest.mark.parametrize(
    ("line", "field", "said"),
    [
        (b"\n", None, "empty"),
        (b"{\n", None, "not JSON"),
        (b"[1]\n", None, "not an object"),
        (b'{"text": NaN}\n', None, "NaN"),
        (b'{"n": 1e999, "text": "a"}\n', None, "too large"),
        (b'{"n": %s, "text": "a"}\n' % (b"9" * 5000), None, "cannot be kept|can be kept"),
        (b"\xff\n", None, "not UTF-8 (byte 1)"),
        (b'{"text": "a", "deep": %s%s}\n' % (b"[" * 200, b"]" * 200), None, "nested"),
        (b'{"deep": %s}\n' % (b"[" * 100_000), None, "can be kept"),
        (b'{"id": 1}\n', "text", "neither"),
        (b'{"text": "a", "html": "b"}\n', "text", "both"),
        (b'{"text": 5}\n', "text", "not a string"),
        (b'{"text": " "}\n', "text", "empty"),
        (b'{"text": "\\ud800"}\n', "text", "surrogate"),
        (b'{"text": "a", "result": 1}\n', "result", "of its own"),
    ],
)
def test_bad_record(line, field, said):
    done = result_of(line)
    assert done["error"]["type"] == "invalid-input"
    assert done["error"].get("field") == field
    assert any(part in done["error"]["message"] for part in said.split("|"))
    assert "result" not in done or done["result"] == 1


def test_a_record_with_a_field_error_is_kept_whole():
    done = result_of(b'{"id": 3, "text": "a", "error": "mine"}')
    assert done["record"] == {"id": 3, "text": "a", "error": "mine"}
    assert (done["id"], done["error"]["field"]) == (3, "error")


def test_a_bug_is_its_records_alone():
    lines, _ = summarize_all(b'{"text": "a"}\n{"id": 2, "text": "%s"}\n{"text": "b"}' % POISON.encode())
    done = [json.loads(line) for line in lines]
    assert ["result" in record for record in done] == [True, False, True]
    assert done[1]["error"]["type"] == "unexpected-error"
    assert "Traceback" not in done[1]["error"]["message"]


def test_an_endless_line_is_not_read_into_memory(monkeypatch):
    monkeypatch.setattr(formats, "MAX_LINE_BYTES", 100)
    lines, _ = summarize_all(b'{"text": "%s"}\n{"text": "b"}\n' % (b"a" * 1000))
    assert "longer than" in json.loads(lines[0])["error"]["message"]
    assert "result" in json.loads(lines[1])


def test_records_are_read_a_chunk_at_a_time():
    """Memory stays flat: no line of the next chunk is read before a chunk is written."""
    events = []

    class Lines(io.BytesIO):
        def readline(self, size=-1):
            events.append("read")
            return super().readline(size)

    class Sink(Stream):
        def append(self, lines, position, errors):
            events.append("write")
            super().append(lines, position, errors)

    runtime = FakeRuntime(Settings())
    task = work.summarize(runtime.summarizer.steps, SummaryRequest(), "result")
    data = b'{"text": "a"}\n' * (CHUNK_RECORDS * 2)
    run(
        JsonlReader(Lines(data)),
        Sink(io.BytesIO()),
        task,
        lambda tasks: runtime.run_all(tasks, wait=True),
        Unwatched(),
    )
    assert "".join(event[0] for event in events[:-1]) == ("r" * CHUNK_RECORDS + "w") * 2
    assert runtime.chunks == [CHUNK_RECORDS, CHUNK_RECORDS]


# ------------------------------------------------------------------ reading on


def test_reader_goes_on_at_a_position():
    data = b'{"n": 1}\r\n{"n": 2}\n{"n": 3}'
    first = JsonlReader(io.BytesIO(data))
    first.chunk(2)
    second = JsonlReader(io.BytesIO(data))
    second.skip(first.position())
    (record,) = second.chunk(5)
    assert (record.line, record.fields) == (3, {"n": 3})
    assert second.position() == Position(3, len(data), second.position().sha256)


@pytest.mark.parametrize("other", [b'{"n": 9}\n{"n": 2}\n', b'{"n": 1}'])
def test_reader_refuses_a_changed_input(other):
    first = JsonlReader(io.BytesIO(b'{"n": 1}\n{"n": 2}\n'))
    first.chunk(1)
    with pytest.raises(InvalidInput, match="no longer"):
        JsonlReader(io.BytesIO(other)).skip(first.position())


# ------------------------------------------------------------------ OUT.part

JOB = {"task": "summarize", "parameters": {"length": "short"}, "models": {"m": "r1"}}


def test_part_cuts_off_what_the_sidecar_does_not_count(tmp_path):
    out = tmp_path / "out.jsonl"
    with Part(out, JOB) as part:
        part.append(b"one\n", Position(1, 10, "x"), 1)
    with (tmp_path / "out.jsonl.part").open("ab") as file:
        file.write(b"two, half writ")
    with Part(out, JOB) as part:
        assert part.checkpoint == Checkpoint(Position(1, 10, "x"), 4, 1)
        part.append(b"two\n", Position(2, 20, "y"), 0)
        part.finish()
    assert out.read_bytes() == b"one\ntwo\n"
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"parameters": {"length": "long"}}, "parameters length was 'short', is 'long'"),
        ({"models": {"m": "r2"}}, "models m was 'r1', is 'r2'"),
        ({"task": "translate"}, "task was 'summarize', is 'translate'"),
    ],
)
def test_part_of_another_job_is_refused_unless_restarted(tmp_path, changed, said):
    out = tmp_path / "out"
    with Part(out, JOB) as part:
        part.append(b"one\n", Position(1, 10, "x"), 0)
    with pytest.raises(InvalidInput, match=said):
        Part(out, {**JOB, **changed})
    assert (tmp_path / "out.part").read_bytes() == b"one\n"
    with Part(out, {**JOB, **changed}, restart=True) as part:
        assert part.checkpoint == Checkpoint()
    assert (tmp_path / "out.part").read_bytes() == b""


def test_part_begins_anew_after_a_kill_just_behind_the_end(tmp_path):
    with Part(tmp_path / "out", JOB) as part:
        part.append(b"one\n", Position(1, 10, "x"), 0)
        (tmp_path / "out.part").rename(tmp_path / "out")  # and the sidecar is still there
    with Part(tmp_path / "out", JOB) as part:
        assert part.checkpoint == Checkpoint()
    assert (tmp_path / "out").read_bytes() == b"one\n"


def test_part_is_written_by_one_run_at_a_time(tmp_path):
    with Part(tmp_path / "out", JOB) as part:
        part.append(b"one\n", Position(1, 10, "x"), 0)
        with pytest.raises(InvalidInput, match="another run"):
            Part(tmp_path / "out", JOB, restart=True)
        part.append(b"two\n", Position(2, 20, "y"), 0)
    assert (tmp_path / "out.part").read_bytes() == b"one\ntwo\n"


def test_part_refuses_a_file_that_is_not_its_own(tmp_path):
    (tmp_path / "out.part").write_text("precious")
    with pytest.raises(InvalidInput, match="--restart"):
        Part(tmp_path / "out", JOB)
    assert (tmp_path / "out.part").read_text() == "precious"


def test_part_shorter_than_its_sidecar_says_is_refused(tmp_path):
    with Part(tmp_path / "out", JOB) as part:
        part.append(b"one\n", Position(1, 10, "x"), 0)
    (tmp_path / "out.part").write_bytes(b"on")
    with pytest.raises(InvalidInput, match="shorter"):
        Part(tmp_path / "out", JOB)


# ------------------------------------------------------------------ progress


def test_plain_progress_says_a_line_every_ten_seconds():
    now = [0.0]
    stream = io.StringIO()
    with PlainProgress(Checkpoint(Position(100, 1000, "")), 5000, stream, lambda: now[0]) as view:
        for second, records in ((5, 150), (10, 200), (15, 250), (20, 300)):
            now[0] = float(second)
            view.update(Checkpoint(Position(records, records * 10, ""), errors=1))
    assert stream.getvalue().splitlines() == [
        "200 records, 10.0 a second, 1 failed, 40% read, 30 s left",
        "300 records, 10.0 a second, 1 failed, 60% read, 20 s left",
    ]


def test_terminal_progress_shows_counts():
    stream = io.StringIO()
    stream.isatty = lambda: True
    with TerminalProgress(Checkpoint(), 100, stream) as view:
        view.update(Checkpoint(Position(32, 50, ""), errors=2))
    assert "32 records" in stream.getvalue()
    assert "2 failed" in stream.getvalue()


@pytest.mark.parametrize(("seconds", "said"), [(3.4, "3 s"), (125, "2 min 5 s"), (7300, "2 h 1 min")])
def test_duration(seconds, said):
    assert duration(seconds) == said


# ------------------------------------------------------------------ the command


def batch(*arguments, runtime=FakeRuntime):
    return CliRunner().invoke(cli, ["batch", *map(str, arguments)], obj=Session(runtime))


@pytest.fixture
def articles(tmp_path):
    """A hundred records, one of them bad and one poisoned."""
    path = tmp_path / "in.jsonl"
    lines = [json.dumps({"id": i, "text": f"Article {i}. More."}) for i in range(100)]
    lines[40], lines[70] = "nonsense", json.dumps({"id": 70, "text": POISON})
    path.write_text("\n".join(lines) + "\n")
    return path


def test_batch_command(articles, tmp_path):
    out = tmp_path / "out.jsonl"
    done = batch("translate", "--to", "fr", articles, out)
    assert (done.exit_code, done.stdout) == (3, "")
    assert "100 records, 2 errors" in done.stderr
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line.get("id") for line in lines] == [None if i == 40 else i for i in range(100)]
    assert lines[0]["result"]["translation"].startswith("fr: Article 0. More.")
    assert not list(tmp_path.glob("*.part*"))


def test_batch_does_not_overwrite_unless_told(articles, tmp_path):
    out = tmp_path / "out.jsonl"
    out.write_text("mine")
    refused = batch("summarize", articles, out)
    assert refused.exit_code == 2
    assert "--overwrite" in refused.stderr
    assert out.read_text() == "mine"
    assert batch("summarize", articles, out, "--overwrite").exit_code == 3
    assert len(out.read_text().splitlines()) == 100


def test_batch_does_not_write_over_its_input(articles):
    refused = batch("summarize", articles, articles, "--overwrite")
    assert (refused.exit_code, "OUT is IN" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["summarize", "--model", "no/such"], 2, "no/such"),
        (["translate", "--to", "xx-klingon"], 2, "target"),
        (["summarize", "--model", "facebook/bart-large-cnn"], 1, "hub cannot be reached"),
    ],
)
def test_batch_stops_before_the_first_record(articles, tmp_path, arguments, code, said):
    done = batch(*arguments, articles, tmp_path / "out")
    assert (done.exit_code, said in done.stderr) == (code, True)
    assert not (tmp_path / "out.part").exists()


def test_batch_over_streams(articles):
    done = CliRunner().invoke(
        cli, ["batch", "summarize", "-", "-"], obj=Session(FakeRuntime), input=articles.read_bytes()
    )
    assert len(done.stdout.splitlines()) == 100


def test_result_field(tmp_path):
    (tmp_path / "in").write_text('{"text": "a", "result": 1}')
    assert batch("summarize", "--result-field", "brief", tmp_path / "in", tmp_path / "out").exit_code == 0
    assert json.loads((tmp_path / "out").read_text())["brief"]["language"] == "en"
    refused = batch("summarize", "--result-field", "text", tmp_path / "in", tmp_path / "other")
    assert (refused.exit_code, "--result-field" in refused.stderr) == (2, True)


def test_batch_with_a_real_runtime(tiny_hub, tmp_path):
    """A tiny model through the true runtime: what the fake one stands for."""
    source, out = tmp_path / "in", tmp_path / "out"
    source.write_text('{"text": "They spoke about trade.\\n\\nAnd more."}\n{"html": "<p>no article</p>"}\n')
    environment = {
        "DRAGOMAN_CATALOG": str(tiny_hub.catalog_file("marian")),
        "DRAGOMAN_CACHE_DIR": str(tmp_path / "cache"),
        "DRAGOMAN_THREADS": "1",
        "DRAGOMAN_OFFLINE": "1",
        "DRAGOMAN_DEVICE": "cpu",
    }
    arguments = ["batch", "translate", "--to", "fr", "--model", "tiny/marian", str(source), str(out)]
    done = CliRunner().invoke(cli, arguments, env=environment, obj=Session())
    assert done.exit_code in (0, 3), done.stderr
    result = json.loads(out.read_text().splitlines()[0])["result"]
    assert (result["model"], result["target"]) == ("tiny/marian", "fr")
    assert [segment["source"]["start"] for segment in result["segments"]] == [0, 25]


# ------------------------------------------------------------------ interrupted


class Interrupted(FakeRuntime):
    """Ctrl-C comes in the third chunk."""

    def run_all(self, tasks, **options):
        if len(self.chunks) == 2:
            raise KeyboardInterrupt
        return super().run_all(tasks, **options)


def test_interrupt_and_go_on(articles, tmp_path):
    whole, out = tmp_path / "whole", tmp_path / "out"
    batch("summarize", articles, whole)
    broken = batch("summarize", articles, out, runtime=Interrupted)
    assert (broken.exit_code, out.exists()) == (130, False)
    assert "64 records done; the same command goes on" in broken.stderr

    refused = batch("summarize", articles, out, "--length", "long")
    assert refused.exit_code == 2
    assert "length was 'short', is 'long'" in refused.stderr

    done = batch("summarize", articles, out)
    assert "going on after the 64 records" in done.stderr
    assert "100 records, 2 errors" in done.stderr
    assert out.read_bytes() == whole.read_bytes()


def test_changed_input_is_refused_and_restart_begins_anew(articles, tmp_path):
    out = tmp_path / "out"
    batch("summarize", articles, out, runtime=Interrupted)
    articles.write_text(articles.read_text().replace("Article 3.", "Article X."))
    refused = batch("summarize", articles, out)
    assert (refused.exit_code, "no longer" in refused.stderr) == (2, True)
    articles.write_text(articles.read_text() + '{"text": "one more"}\n')
    assert "input_bytes" in batch("summarize", articles, out).stderr
    assert batch("summarize", articles, out, "--restart").exit_code == 3
    assert len(out.read_text().splitlines()) == 101


def test_killed_at_any_moment_and_started_again(tmp_path):
    """SIGKILL, many times: the output is that of an unbroken run, to the byte."""
    source = tmp_path / "in.jsonl"
    texts = random.Random(5)
    with source.open("w") as file:
        for i in range(CHUNK_RECORDS * 10 + 7):
            text = "word " * texts.randint(0, 40)
            file.write(json.dumps({"id": i, "text": text, "own": [i]}) + "\n")
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    assert _start(source, whole).wait() == 3

    kills, moments = 0, random.Random(7)
    while not out.exists():
        process = _start(source, out, chunk_delay_s=0.06)
        _wait_until_it_writes(process, out)
        time.sleep(moments.uniform(0, 0.25))
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills >= 2
    assert out.read_bytes() == whole.read_bytes()


def _start(source, out, chunk_delay_s=0.0):
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parent),
        "FAKE_CHUNK_DELAY_S": str(chunk_delay_s),
    }
    command = [sys.executable, "-m", "fake_runtime", "batch", "summarize", str(source), str(out)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)


def _wait_until_it_writes(process, out):
    """Until a chunk is added, the run is over, or the process ends."""
    sidecar = out.with_name(out.name + ".part.json")
    before = sidecar.stat().st_mtime_ns if sidecar.exists() else None
    while process.poll() is None and not out.exists():
        try:
            if sidecar.stat().st_mtime_ns != before:
                return
        except FileNotFoundError:
            pass
        time.sleep(0.005)
