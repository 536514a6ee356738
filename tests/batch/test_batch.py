"""How a batch is run: rounds, memory, the cache, the commands, and what is told of a run."""

import csv
import gzip
import io
import itertools
import json
import pickle
import sqlite3
import threading
import zlib
from concurrent.futures import Future
from contextlib import closing
from html.parser import HTMLParser

import pyarrow.parquet as pq
import pytest
from batch_runtime import POISON, SLOW, BatchRuntime
from click.testing import CliRunner
from docx import Document
from fake_runtime import POISON as BUG
from fake_runtime import FakeRuntime
from hypothesis import given, settings
from hypothesis import strategies as st

from models.driver import run
from models.engine.protocol import Output
from models.errors import ClientDisconnected, EngineGone, InvalidInput
from models.summarize.summarizer import SummaryRequest
from models.translate.translator import TranslationRequest
from service.batch import report
from service.batch.executor import LocalExecutor, Unit
from service.batch.options import BatchOptions
from service.batch.progress import MOST_SAMPLES, SLOWEST, PlainProgress, Tally, TerminalProgress, duration
from service.batch.record import Content
from service.batch.run import BatchRun
from service.batch.task import BatchWork
from service.batch.windows import UNIT_SIZES, Size
from service.cli.main import cli
from service.cli.session import Session
from service.errors import StoreUnavailable
from service.settings import Settings
from service.store.batch_cache import REMEMBERED_UNITS, BatchCache, WindowPlan
from service.store.results import PROBLEM, StoredResult

# ------------------------------------------------------------------ work

PAGE = "<html><body><article><p>" + "A sentence about the harbour. " * 20 + "</p></article></body></html>"


def ran(task, content):
    return run(task.plan(content).steps).unwrap()


def test_a_translation_of_html_is_html_or_the_articles_text():
    runtime, asked = FakeRuntime(Settings()), []
    own_steps = runtime.translator.steps

    def steps(request, recall=None):
        asked.append(request)
        return own_steps(request)

    runtime.translator.steps = steps
    for content, article, format_, form in (
        (Content("html", PAGE), False, None, "html"),
        (Content("html", PAGE), True, None, "text"),
        (Content("text", "a"), False, "markdown", "markdown"),
        (Content("markdown", "a"), False, None, "markdown"),
        (Content("text", "a"), True, None, "text"),
    ):
        given = {"article": article, "format": format_, "protect": ["harbour"], "glossary": {}}
        options = TranslationRequest(text="", target="fr", protect=("harbour",))
        result = ran(BatchWork(runtime, options, given), content)
        request = asked.pop()
        assert (request.format, request.protect) == (form, ("harbour",))
        assert ("<p>" in request.text) == (form == "html")
        assert ("text" in result["source"]) == (article and content.form == "html")


def test_a_summary_reads_text_or_html():
    task = BatchWork(FakeRuntime(Settings()), SummaryRequest(length="long"), {"length": "long"})
    for content in (Content("text", "One. Two."), Content("html", PAGE), Content("markdown", "One. Two.")):
        result = ran(task, content)
        assert result["summary"].startswith("long:")
        assert ("text" in result["source"]) == (content.form == "html")
        assert "timings_ms" not in result


def keys_of(given, job=None):
    task = BatchWork(FakeRuntime(Settings()), TranslationRequest(text="", target="fr"), given)
    return task.keys(job or {"models": {"m": "r1"}})


GIVEN = {"target": "fr", "article": False, "format": None, "protect": [], "glossary": {}}


def test_results_are_kept_by_what_decides_them():
    content = Content("text", "About the harbour-master.")
    one = keys_of(GIVEN)(content)
    same = [
        keys_of({**GIVEN, "glossary": {"elsewhere": "ailleurs"}}),
        keys_of({**GIVEN, "protect": ["elsewhere"]}),
        keys_of({**GIVEN, "article": True}),
        keys_of({**GIVEN, "format": "text"}),
    ]
    others = [
        keys_of({**GIVEN, "glossary": {"Harbour master": "capitaine"}}),
        keys_of({**GIVEN, "protect": ["harbour"]}),
        keys_of({**GIVEN, "target": "de"}),
        keys_of({**GIVEN, "format": "markdown"}),
        keys_of(GIVEN, {"models": {"m": "r2"}}),
    ]
    assert {keys(content) for keys in same} == {one}
    assert len({one, *(keys(content) for keys in others)}) == 6
    assert keys_of(GIVEN)(Content("html", content.value)) != one
    assert keys_of(GIVEN)(Content("text", content.value + " ")) != one


# ------------------------------------------------------------------ rounds


class Remembered(dict):
    """A memory that tells what it was asked."""

    def begun(self, unit):
        return {}

    def recall(self, keys, sees):
        self.sees = sees
        return {key: self[key] for key in keys if key in self}

    def keep(self, unit, outputs):
        pass


FRENCH = TranslationRequest(text="", target="fr", source="en")


def unit_work(runtime, memory=None, timeout_s=None):
    return LocalExecutor(BatchWork(runtime, FRENCH, GIVEN), memory, timeout_s)


def unit(*texts, sees=0):
    return Unit(1, sees, tuple(Content("text", text) for text in texts))


def test_a_unit_whose_engine_s_process_ends_is_done_again(monkeypatch):
    monkeypatch.setattr("service.batch.executor.RETRY_WAITS_S", (0.0, 0.0))
    runtime = BatchRuntime(Settings())
    texts = ("The minister left the city.", "Nobody knows why he did so.")
    want = unit_work(runtime).do(unit(*texts))
    submit, ends = runtime.engine.submit, [1, 1]

    def gone(generations, *, wait=False):
        if not ends:
            return submit(generations, wait=wait)
        ends.pop()
        futures = [Future() for _ in generations]
        for future in futures:
            future.set_exception(EngineGone("it ended"))
        return futures

    monkeypatch.setattr(runtime.engine, "submit", gone)
    assert bodies(unit_work(runtime).do(unit(*texts))) == bodies(want)
    ends += [1, 1, 1]
    with pytest.raises(EngineGone):  # and the run stops: no record is an error for that
        unit_work(runtime).do(unit(*texts))


def test_a_stop_ends_the_wait_for_the_next_engine(monkeypatch):
    monkeypatch.setattr("service.batch.executor.RETRY_WAITS_S", (3600.0,))
    runtime, waits = BatchRuntime(Settings()), threading.Event()

    def gone(generations, *, wait=False):
        raise EngineGone("it ended")

    monkeypatch.setattr(runtime.engine, "submit", gone)
    monkeypatch.setattr("service.batch.executor.log.warning", lambda *_: waits.set())
    executor = unit_work(runtime)
    done = executor.submit(unit("The minister left the city."))
    assert waits.wait(60)
    executor.stop()
    assert isinstance(done.exception(), ClientDisconnected)


def bodies(done):
    return [(result.failed, result.data) for result in done.results]


def test_a_round_does_equal_sentences_once_and_long_ones_first():
    runtime = BatchRuntime(Settings())
    texts = ["Short one. The same sentence.", "The same sentence.", "A much longer sentence than these are."]
    did = unit_work(runtime, Remembered()).do(unit(*texts))
    first = runtime.engine.submissions[0]
    assert first == ["A much longer sentence than these are.", "The same sentence.", "Short one."]
    assert [result.failed for result in did.results] == [False] * 3
    assert did.effort.remembered_tokens > 0
    assert did.effort.output_tokens == sum(len(output.token_ids) for output in did.outputs.values())
    seconds = sum(result.seconds for result in did.results)
    assert seconds == pytest.approx(did.effort.text_s + did.effort.engine_s, rel=0.2)


def test_without_a_memory_nothing_is_remembered():
    runtime = BatchRuntime(Settings())
    work = unit_work(runtime)
    assert [work.do(unit("The same.")).outputs for _ in range(2)] == [{}, {}]
    assert runtime.engine.submissions[:1] == [["The same."]]
    assert runtime.engine.submissions.count(["The same."]) >= 2


def test_what_is_remembered_is_not_done():
    runtime, memory = BatchRuntime(Settings()), Remembered()
    work = unit_work(runtime, memory)
    before = work.do(unit("One thing.", "Another.", sees=4))
    memory.update(before.outputs)
    runtime.engine.submissions.clear()
    after = work.do(unit("Another.", "One thing.", sees=7))
    effort = after.effort
    assert (runtime.engine.submissions, after.outputs, effort.output_tokens, memory.sees) == ([], {}, 0, 7)
    assert [each.data for each in after.results] == [each.data for each in reversed(before.results)]


def test_a_unit_depends_on_nothing_beside_it():
    """The same results whatever other units are in work."""
    work = unit_work(BatchRuntime(Settings(), delay_s=0.002))
    units = [unit(*(f"Unit {u}, text {t}. And sentence {u * t}." for t in range(5))) for u in range(8)]
    alone = [[result.data for result in work.do(each).results] for each in units]
    together = [None] * len(units)

    def work_on(number):
        together[number] = [result.data for result in work.do(units[number]).results]

    threads = [threading.Thread(target=work_on, args=(i,)) for i in range(len(units))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


def test_a_poisoned_record_fails_alone():
    work = unit_work(BatchRuntime(Settings()), Remembered())
    did = work.do(unit("A good one.", f"A {POISON} one.", "Another good one."))
    assert [result.failed for result in did.results] == [False, True, False]


def test_a_record_out_of_time_is_tried_alone_and_given_up():
    runtime = BatchRuntime(Settings())
    did = unit_work(runtime, timeout_s=5.0).do(unit("A good one.", f"A {SLOW} one.", "Another."))
    assert [result.failed for result in did.results] == [False, True, False]
    error = json.loads(did.results[1].data)
    assert error == {"type": "deadline-exceeded", "message": "it was not done in 5 s and was given up"}
    assert [s for s in runtime.engine.submissions if s == [f"A {SLOW} one."]] == [[f"A {SLOW} one."]]


def test_time_spent_waiting_for_other_units_does_not_count():
    work = unit_work(BatchRuntime(Settings(), delay_s=0.2), timeout_s=1.2)
    failed = []
    one = unit("A sentence like others.")
    threads = [
        threading.Thread(target=lambda: failed.append(work.do(one).results[0].failed)) for _ in range(6)
    ]
    for thread in threads:  # 2.4 s in all
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == [False] * 6


def test_a_stopped_run_waits_for_nothing():
    work = unit_work(BatchRuntime(Settings(), delay_s=30))
    threading.Timer(0.1, work.stop).start()
    with pytest.raises(ClientDisconnected):
        work.do(unit("A sentence."))


# ------------------------------------------------------------------ the cache


def commit(cache, unit, keys, *bodies, failed=False, outputs=None):
    kind = {"media_type": PROBLEM} if failed else {}
    results = [StoredResult(json.dumps(body).encode(), **kind) for body in bodies]
    cache.commit(unit, dict(zip(keys, results, strict=True)), outputs or {})


def test_the_store_keeps_results_and_plans(tmp_path):
    with BatchCache(tmp_path / "cache") as cache:
        cache.begin(retry_failed=False)
        plan = cache.plan(b"w", lambda: [[0, 1], [2]])
        assert (plan.first, plan.units) == (1, ((0, 1), (2,)))
        commit(cache, 1, [b"a", b"b"], "é", "y")
        assert cache.known([b"a", b"b", b"c"]) == {b"a": False, b"b": False}
    with BatchCache(tmp_path / "cache") as cache:
        cache.begin(retry_failed=False)
        assert cache.plan(b"w", lambda: [[9]]) == plan, "a run that goes on keeps its plan"
        assert cache.known([b"a", b"b", b"c"]) == {b"a": True, b"b": True}
        assert cache.results([b"a", b"c"]) == {b"a": StoredResult(b'"\\u00e9"')}
        assert cache.plan(b"other", lambda: [[0]]).first == 3
        cache.finish()
        assert cache.plan(b"w", lambda: []).units == ()


def test_errors_count_until_they_are_retried(tmp_path):
    with BatchCache(tmp_path / "cache") as cache:
        cache.begin(retry_failed=False)
        commit(cache, 1, [b"bad", b"bad too"], "e", "e", failed=True)
        commit(cache, 2, [b"good"], "g")
        assert len(cache.known([b"bad", b"good"])) == 2
        cache.finish()
    with BatchCache(tmp_path / "cache") as cache:
        cache.begin(retry_failed=True)
        assert set(cache.known([b"bad", b"bad too", b"good"])) == {b"good"}
        commit(cache, 3, [b"bad"], "e", failed=True)
    with BatchCache(tmp_path / "cache") as cache:  # that retry was cut off and goes on
        cache.begin(retry_failed=True)
        assert set(cache.known([b"bad", b"bad too", b"good"])) == {b"good", b"bad"}
        cache.finish()
    with BatchCache(tmp_path / "cache") as cache:
        cache.begin(retry_failed=True)
        assert set(cache.known([b"bad", b"good"])) == {b"good"}


@settings(max_examples=60)
@given(st.data())
def test_what_a_unit_sees_does_not_depend_on_when_others_end(data):
    """Units of two windows end in any order, some of them not before a kill: each sees the same."""
    windows = data.draw(st.lists(st.integers(1, 4), min_size=2, max_size=6))
    orders = [data.draw(st.permutations(range(a + b))) for a, b in itertools.pairwise(windows)]
    assert _seen(windows, None) == _seen(windows, orders)


def _seen(windows, orders):
    """What each unit sees of one sentence that all units do: the number of the unit whose output it is."""
    seen, plans = {}, []
    with BatchCache(None) as cache:
        for w, count in enumerate(windows):
            plans.append(cache.plan(bytes([w]), lambda count=count: [[i] for i in range(count)]))
            if w == 0:
                continue
            open_units = [(plan, plan.first + i) for plan in plans[w - 1 :] for i in range(len(plan.units))]
            order = range(len(open_units)) if orders is None else orders[w - 1]
            for plan, number in (open_units[i] for i in order):
                if plan is plans[w - 1] or orders is not None:
                    _do_unit(cache, plan, number, seen)
    return {number: unit for number, unit in seen.items() if number < plans[-1].first}


def _do_unit(cache, plan, number, seen):
    found = cache.recall([b"s"], plan.cache_horizon)
    seen.setdefault(number, found[b"s"].token_ids[0] if found else None)
    assert seen[number] == (found[b"s"].token_ids[0] if found else None)
    commit(cache, number, [], outputs={b"s": Output((number,), -0.5)})


def test_the_memory_is_bounded():
    with BatchCache(None) as cache:
        for w in range(40):
            plan = cache.plan(bytes([w]), lambda: [[0]] * 64)
            for i in range(64):
                number = plan.first + i
                remember = {b"%d" % number: Output((1, 2), None, "length")}
                commit(cache, number, [], outputs=remember)
        assert cache.recall([b"%d" % (plan.cache_horizon - 5)], plan.cache_horizon) == {
            b"%d" % (plan.cache_horizon - 5): Output((1, 2), None, "length")
        }
        assert cache.recall([b"%d" % (plan.cache_horizon - REMEMBERED_UNITS)], plan.cache_horizon) == {}
        [[kept]] = cache.run("SELECT count(*) FROM outputs")
        assert kept <= REMEMBERED_UNITS + 4 * 64


# ------------------------------------------------------------------ the commands


def batch(*arguments, runtime=FakeRuntime, **options):
    return CliRunner().invoke(cli, ["batch", *map(str, arguments)], obj=Session(runtime), **options)


@pytest.fixture
def articles(tmp_path):
    """A hundred records, one of them bad and one that meets a bug."""
    path = tmp_path / "in.jsonl"
    lines = [json.dumps({"id": i, "text": f"Article {i}. More."}) for i in range(100)]
    lines[40], lines[70] = "nonsense", json.dumps({"id": 70, "text": BUG})
    path.write_text("\n".join(lines) + "\n")
    return path


def test_batch_command(articles, tmp_path):
    out = tmp_path / "out.jsonl"
    done = batch("translate", "--to", "fr", articles, out)
    assert (done.exit_code, done.stdout) == (3, "")
    assert "100 records, 2 errors, 99 made" in done.stderr
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert [line.get("id") for line in lines] == [None if i == 40 else i for i in range(100)]
    assert lines[0]["result"]["translation"].startswith("fr: Article 0. More.")
    assert lines[40]["error"]["line"] == 41
    assert lines[70]["error"]["type"] == "unexpected-error"
    assert "Traceback" not in lines[70]["error"]["message"]
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
    assert (refused.exit_code, "IN and OUT are the same file" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["summarize", "--model", "no/such"], 2, "no/such"),
        (["translate", "--to", "xx-klingon"], 2, "target"),
        (["summarize", "--model", "facebook/bart-large-cnn"], 1, "hub cannot be reached"),
        (["summarize", "--log", "no/such/folder.log"], 2, "no folder no/such"),
        (["summarize", "--retry-failed", "--restart"], 2, "--restart"),
    ],
)
def test_batch_stops_before_the_first_record(articles, tmp_path, arguments, code, said):
    done = batch(*arguments, articles, tmp_path / "out")
    assert (done.exit_code, said in done.stderr) == (code, True)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_batch_over_streams(articles):
    done = batch("summarize", "-", "-", input=articles.read_bytes())
    assert len(done.stdout.splitlines()) == 100
    table = b"id,text\n1,A text.\n"
    done = batch("summarize", "-", "-", "--input-format", "csv", input=table)
    assert json.loads(done.stdout)["result"]["summary"].startswith("short: A text")


def test_formats_in_and_out(tmp_path):
    (tmp_path / "in.csv").write_text("url,body\nx,A text.\ny,\n")
    named = ["--text-field", "body", "--id-field", "url"]
    assert batch("summarize", *named, tmp_path / "in.csv", tmp_path / "a.parquet").exit_code == 3
    first, second = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert (first["id"], first["text"][:13], json.loads(second["error"])["field"]) == (
        "x",
        "short: A text",
        "body",
    )
    done = batch("summarize", *named, "--omit-text", tmp_path / "in.csv", tmp_path / "b.jsonl.zst")
    assert done.exit_code == 3
    again = batch("translate", "--to", "fr", "--text-field", "url", tmp_path / "b.jsonl.zst", tmp_path / "c")
    assert again.exit_code == 3
    row = json.loads((tmp_path / "c").read_text().splitlines()[0])
    assert list(row) == ["url", "result", "error"]


def test_result_field(tmp_path):
    (tmp_path / "in").write_text('{"text": "a", "result": 1}')
    assert batch("summarize", "--result-field", "brief", tmp_path / "in", tmp_path / "out").exit_code == 0
    assert json.loads((tmp_path / "out").read_text())["brief"]["language"] == "en"
    refused = batch("summarize", "--result-field", "text", tmp_path / "in", tmp_path / "other")
    assert (refused.exit_code, "is reserved" in refused.stderr) == (2, True)


def test_batch_with_a_real_model(tiny_hub, tmp_path):
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"text": "They spoke about trade.\\n\\nAnd more."}\n{"html": "<p></p>"}\n')
    environment = {
        "DRAGOMAN_CATALOG": str(tiny_hub.catalog_file("marian")),
        "DRAGOMAN_CACHE_DIR": str(tmp_path / "cache"),
        "DRAGOMAN_DATA_DIR": str(tmp_path / "data"),
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


def test_interrupt_says_how_to_go_on(articles, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    out = tmp_path / "out"
    monkeypatch.setattr(BatchCache, "commit", interrupt)
    broken = batch("summarize", articles, out)
    assert (broken.exit_code, out.exists()) == (130, False)
    assert "the same command resumes" in broken.stderr
    monkeypatch.undo()
    assert batch("summarize", articles, out).exit_code == 3


class Elsewhere:
    """Does units as another process would: all that goes there and comes back is pickled."""

    def __init__(self, work):
        self._work = work
        self.units = 0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        pass

    def submit(self, unit):
        self.units += 1
        unit = pickle.loads(pickle.dumps(unit))
        future = Future()
        future.set_result(pickle.loads(pickle.dumps(self._work.do(unit))))
        return future

    def shares(self):
        return {}

    def tokens(self):
        return 0

    def stop(self):
        pass


def test_units_done_elsewhere_give_the_same_output(tmp_path, monkeypatch):
    monkeypatch.setitem(UNIT_SIZES, "cpu", Size(16, 100_000))
    source = tmp_path / "in.jsonl"
    texts = [f"Article {i} has a sentence of its own. And they share this one." for i in range(40)]
    source.write_text("".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(texts)))
    runtime, makers = BatchRuntime(Settings()), []

    def elsewhere(memory):
        makers.append(Elsewhere(LocalExecutor(task, memory)))
        return makers[-1]

    task = BatchWork(runtime, FRENCH, GIVEN)
    told = {"dragoman": "0", "task": "translate", "models": {"m": "r1"}}
    for name, make in (("here", None), ("there", elsewhere)):
        options = BatchOptions(infile=str(source), out=str(tmp_path / name))
        BatchRun(options, task, told, make).run()
    assert makers[0].units == 3
    assert (tmp_path / "here").read_bytes() == (tmp_path / "there").read_bytes()


# ------------------------------------------------------------------ what is told


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen = [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in ("meta",):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_summary_log_and_report(tmp_path):
    source = tmp_path / "in.jsonl"
    texts = [f"The minister met {i} colleagues & more in the capital." for i in range(40)]
    source.write_text("".join(json.dumps({"id": f"<b>{i}", "text": t}) + "\n" for i, t in enumerate(texts)))
    told = {name: tmp_path / name for name in ("summary", "log", "report")}
    options = [part for name, path in told.items() for part in (f"--{name}", path)]
    arguments = ["translate", "--to", "fr", "--from", "en", source, tmp_path / "out"]
    done = batch(*arguments, *options, runtime=BatchRuntime)
    assert done.exit_code == 0
    summary = json.loads(told["summary"].read_text())
    assert (summary["end"], summary["records"], summary["made"], summary["found"]) == ("done", 40, 40, 0)
    assert summary["models"] == {"dragoman/gemma3-270m-translate": "r1"}
    assert summary["flags"]["echo"] == 40
    assert summary["sentences"] == 40 and summary["likely_right"] < 4
    right = f"bout {summary['likely_right']:.0f} of 40 sentences are likely right: compare with the source"
    assert f"a{right}" in done.stderr and f"A{right}." in told["report"].read_text()
    assert len(summary["slowest"]) == SLOWEST
    begins, ends = told["log"].read_text().splitlines()
    assert "begins: " in begins
    assert "done: 100% of the input, 40 records" in ends
    page = _Tags()
    page.feed(told["report"].read_text())
    assert page.open == []
    assert not {"b", "script", "link", "img"} & {tag for tag, _ in page.seen}
    assert not any("src" in attributes or "href" in attributes for _, attributes in page.seen)
    assert batch(*arguments, *options, "--overwrite", runtime=BatchRuntime).exit_code == 0
    again = json.loads(told["summary"].read_text())
    assert (again["found"], again["likely_right"]) == (40, summary["likely_right"])


def test_dry_run_counts_and_estimates(articles, tmp_path):
    out = tmp_path / "out"
    done = batch("translate", "--to", "fr", "--dry-run", articles, out)
    assert done.exit_code == 0
    figures = json.loads(done.stdout)
    assert (figures["records"], figures["problems"], figures["found"]) == (100, 1, 0)
    assert figures["languages_of"] == sum(figures["languages"].values()) == 99
    assert figures["rate_of"] == "a sample"
    assert figures["characters_per_s"] > 0
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]

    batch("translate", "--to", "fr", articles, out)
    articles.write_text(articles.read_text() + '{"text": "One more."}\n')
    figures = json.loads(batch("translate", "--to", "fr", "--dry-run", articles, out).stdout)
    assert (figures["found"], figures["characters_to_do"]) == (99, len("One more."))
    assert figures["rate_of"] == "the last run"


def tally(now, **given):
    count = Tally(clock=lambda: now[0])
    for name, value in given.items():
        setattr(count, name, value)
    return count


def test_plain_progress_says_a_line_every_ten_seconds():
    now, stream = [0.0], io.StringIO()
    count = tally(now, size=5000)
    view = PlainProgress(stream, clock=lambda: now[0])
    for second, made in ((5, 50), (10, 100), (15, 150), (20, 200)):
        now[0] = float(second)
        count.made, count.made_in_work = made - 20, 20.7
        count.position, count.worked = made * 10, made * 10
        view.update(count)
    count.tokens = 400
    now[0] = 40.0
    view.update(count)
    assert stream.getvalue().splitlines() == [
        "20% of the input, 100 records (10.1/s), 0 errors, 40 s left",
        "40% of the input, 200 records (10.0/s), 0 errors, 30 s left",
        "40% of the input, 200 records (5.0/s, 10 tokens/s), 0 errors, 1 min 0 s left",
    ]


def test_terminal_progress_shows_counts():
    now, stream = [0.0], io.StringIO()
    stream.isatty = lambda: True
    count = tally(now, size=100, errors=2, records=32, found=7)
    now[0] = 2.0
    with TerminalProgress(stream) as view:
        view.update(count)
    said = " ".join(stream.getvalue().split())
    assert "32 records (0.0/s), 7 there already" in said
    assert "2 errors" in said


@pytest.mark.parametrize(
    ("seconds", "said"), [(3.4, "3 s"), (125, "2 min 5 s"), (7300, "2 h 1 min"), (200_000, "2 d 7 h")]
)
def test_duration(seconds, said):
    assert duration(seconds) == said


def test_a_tally_stays_small():
    now = [0.0]
    count = tally(now)
    for i in range(20_000):
        now[0] = i * 1.0
        count.made = i * 3
        count.sample()
        count.made_one(StoredResult(b"{}", seconds=i % 977), i, i, str(i))
        count.wrote_one(StoredResult(b"{}", language="fr", flags={"number": 2}), i % 5000)
    assert len(count.samples) <= MOST_SAMPLES
    assert len(count.slowest) == SLOWEST
    assert all(entry[0] == 976 for entry in count.slowest)
    assert (count.flags["number"], count.flagged) == (40_000, 20_000)
    assert all(rate == pytest.approx(3.0) for _, rate in count.rates())


@settings(max_examples=20)
@given(st.lists(st.tuples(st.text(max_size=8), st.floats(0, 1e9)), max_size=100))
def test_bars_are_sound_whatever_the_numbers(bars):
    rates = [(float(i + 1), value) for i, (_, value) in enumerate(bars)]
    thinned = report._thinned(rates)
    assert len(thinned) <= report.MOST_BARS and (len(thinned) == len(rates) or len(rates) > len(thinned))
    for table in (report._bars(bars), report._bars(thinned)):
        tags = _Tags()
        tags.feed(table)
        assert tags.open == []
        assert "nan" not in table
        widths = [float(each["style"][7:-1]) for tag, each in tags.seen if tag == "i"]
        assert all(0 <= width <= 100 for width in widths)


def test_a_full_disk_is_told_and_harms_nothing(tmp_path):
    with BatchCache(tmp_path / "cache") as cache:
        commit(cache, 1, [b"a"], "kept")
        [[pages]] = cache.run("PRAGMA page_count")
        cache.run(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreUnavailable) as failed:
            commit(cache, 2, [b"%d" % i for i in range(500)], *("x" * 200 for _ in range(500)))
        assert "full" in failed.value.where
        assert list(cache.known([b"a", *(b"%d" % i for i in range(500))])) == [b"a"]


def test_what_is_no_cache_of_this_version_is_refused(tmp_path):
    (tmp_path / "x").write_text("something else " * 50)
    with pytest.raises(InvalidInput, match="not a cache"):
        BatchCache(tmp_path / "x")
    with BatchCache(tmp_path / "cache") as cache:
        with pytest.raises(InvalidInput, match="in use by another run"):
            BatchCache(tmp_path / "cache")
        cache.run("PRAGMA user_version = 2")
    with pytest.raises(InvalidInput, match="another version"):
        BatchCache(tmp_path / "cache")


def test_a_cache_whose_tables_were_made_by_plain_sql_resumes(tmp_path):
    result = json.dumps({"language": "en", "flags": {"name": 1}, "sentences": 2, "likely_right": 1.5})
    with closing(sqlite3.connect(tmp_path / "cache")) as db:
        db.executescript(
            f"""
            PRAGMA user_version = 1;
            CREATE TABLE results (key BLOB PRIMARY KEY, failed INTEGER, attempt INTEGER, run INTEGER,
              body BLOB, facts TEXT) STRICT;
            CREATE TABLE plans (window BLOB PRIMARY KEY, first INTEGER, sees INTEGER, units TEXT) STRICT;
            CREATE TABLE outputs (key BLOB, unit INTEGER, body BLOB, PRIMARY KEY (key, unit)) STRICT,
              WITHOUT ROWID;
            CREATE INDEX outputs_by_unit ON outputs (unit);
            CREATE TABLE numbers (name TEXT PRIMARY KEY, value REAL) STRICT;
            INSERT INTO results VALUES (x'61', 0, 0, 1, x'{zlib.compress(b'"a"').hex()}', '{result}');
            INSERT INTO plans VALUES (x'77', 1, -1, '[[0, 1], [2]]');
            INSERT INTO outputs VALUES (x'73', 1, CAST('{{"token_ids":[7],"score":-0.5}}' AS BLOB));
            INSERT INTO numbers VALUES ('runs', 1), ('units', 2), ('last_first', 1), ('last_sees', -1);
            """
        )
    with BatchCache(tmp_path / "cache") as cache:
        cache.begin()
        assert cache.known([b"a", b"b"]) == {b"a": True}
        kept = StoredResult(b'"a"', language="en", flags={"name": 1}, sentences=2, likely_right=1.5)
        assert cache.results([b"a"]) == {b"a": kept}
        assert cache.plan(b"w", lambda: [[9]]) == WindowPlan(1, -1, ((0, 1), (2,)))
        assert cache.recall([b"s"], 1) == dict(cache.units())[1] == {b"s": Output((7,), -0.5)}
        commit(cache, 2, [b"a", b"b"], "new", "b", outputs={b"s": Output((8,), -0.5)})
        assert cache.plan(b"v", lambda: [[0]]) == WindowPlan(3, 0, ((0,),))


# ------------------------------------------------------------------ what a user stumbles on


class NoRuntime:
    def __init__(self, settings):
        raise AssertionError("nothing is loaded for what cannot be done")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--text-field", "bodi", "in.jsonl", "out.jsonl"], "IN has no field 'bodi'; it has id, body ("),
        (["in.jsonl", "out.jsonl"], "IN has no field 'text' or 'html'; it has id, body ("),
        (["in.csv", "out.csv"], "IN has no field 'text' or 'html'; it has url, body, flags ("),
        (["in.tsv", "out.jsonl"], "IN has no field 'text' or 'html'; it has url, body, flags ("),
        (["--text-field", "body", "in.csv", "out.tsv.gz"], "IN has a column 'flags'"),
        (["--length", "huge", "no.jsonl", "out.jsonl"], "--length"),
        (["--target", "xx-klingon", "no.jsonl", "out.jsonl"], "target"),
        (["--model", "no/such", "no.jsonl", "out.jsonl"], "no/such"),
        (["no.jsonl", "out.docx"], "OUT is JSON Lines or Parquet"),
        (["no.jsonl", "out.jsonl"], "there is no file no.jsonl"),
    ],
)
def test_arguments_then_files_then_fields_are_checked_before_anything_is_loaded_or_written(
    tmp_path, monkeypatch, arguments, said
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text('{"id": 1, "body": "A text."}\n{"id": 2, "body": "Another."}\n')
    (tmp_path / "in.csv").write_text("url,body,flags\nx,A text.,\n")
    (tmp_path / "in.tsv").write_text("url\tbody\tflags\nx\tA text.\t\n")
    done = batch("summarize", *arguments, runtime=NoRuntime)
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "in.jsonl", "in.tsv"]


def test_a_table_gives_a_table(tmp_path):
    source = tmp_path / "in.csv"
    source.write_text('url,text,own\nx,"The minister, left.",1\ny,,2\nz\n')
    named = ["--to", "fr", "--from", "en", "--id-field", "url"]
    for out, delimiter, options in (("a.csv", ",", []), ("b.tsv.gz", "\t", ["--omit-text"])):
        done = batch("translate", *named, *options, source, tmp_path / out, runtime=BatchRuntime)
        assert done.exit_code == 3, done.stderr
        data = (tmp_path / out).read_bytes()
        text = (gzip.decompress(data) if out.endswith(".gz") else data).decode()
        good, empty, short = csv.DictReader(io.StringIO(text), delimiter=delimiter, strict=True)
        texts = ["text"] * (not options)
        assert list(good) == ["url", *texts, "own", "result", "flags", "error"]
        assert (good["url"], good["own"], good["error"]) == ("x", "1", "")
        assert good["result"] and "omission" in good["flags"].split()
        assert (empty["url"], empty["result"], empty["error"]) == ("y", "", "text is empty")
        assert (short["url"], "1 fields for 3 columns" in short["error"]) == ("", True)


@pytest.mark.parametrize("name", ["out.csv", "out.json.gz"])
def test_a_name_that_promises_another_format_is_refused(tmp_path, name):
    (tmp_path / "in.jsonl").write_text('{"text": "A text."}\n')
    done = batch("summarize", tmp_path / "in.jsonl", tmp_path / name)
    assert done.exit_code == 2
    assert "JSON Lines or Parquet" in done.stderr


def test_errors_are_told_by_cause_with_an_example(tmp_path):
    lines = ['{"text": "A text."}', '{"text": "", "id": "b"}', "nonsense", '{"text": 7}', "+"]
    (tmp_path / "in.jsonl").write_text("\n".join(lines) + "\n")
    told, report_page = tmp_path / "summary.json", tmp_path / "report.html"
    options = ["--summary", told, "--report", report_page]
    done = batch("summarize", *options, tmp_path / "in.jsonl", tmp_path / "out.jsonl")
    assert done.exit_code == 3
    end, *table = done.stderr.splitlines()[-5:]
    assert end.endswith("; 0 flags")
    assert table == [
        "  records  first   type           message",
        "        2  line 3  invalid-input  the line is not JSON: Expecting value (column 1)",
        "        1  line 2  invalid-input  text is empty",
        "        1  line 4  invalid-input  text is not a string",
    ]
    causes = json.loads(told.read_text())["causes"]
    assert causes[1] == {
        "records": 1,
        "type": "invalid-input",
        "message": "text is empty",
        "line": 2,
        "id": "b",
    }
    assert '<td class="last">text is empty</td>' in report_page.read_text()


def test_a_folder_gives_documents_and_names_what_it_leaves_out(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    word = Document()
    word.add_paragraph("The talks failed. Nobody was hurt.")
    word.save(folder / "a.docx")
    (folder / "b.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nGood evening.\n")
    (folder / "c.docx").write_bytes(b"no Word file")
    (folder / "d.png").write_bytes(b"a picture")
    done = batch("summarize", folder, tmp_path / "out.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == ["a.docx", "b.srt", "c.docx"]
    assert "The talks failed" in rows[0]["text"]
    assert "Good evening" in rows[1]["text"]
    assert rows[2]["error"]["type"] == "invalid-input"
    assert "1  c.docx  invalid-input  the file is not" in done.stderr and "line 3" not in done.stderr
    assert "files skipped: 1 .png" in done.stderr
    assert done.exit_code == 3


def test_the_bar_moves_within_a_unit():
    tally = Tally(size=100, clock=iter([0.0, 10.0]).__next__)
    assert tally.left_s() is None
    tally.in_work = 20.0
    assert tally.reached == 20.0
    assert tally.left_s() == pytest.approx(40.0)
