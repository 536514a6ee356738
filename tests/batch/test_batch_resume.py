"""Runs that are killed, changed and started again: the real program in real processes, with small windows."""

import json
import random
from collections import Counter

import pytest
from batch_program import Program, articles, written

UNIT_SENTENCES = 8 * 5
LANES = 2


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    program = Program(tmp_path_factory.mktemp("program"))
    yield program
    program.close()


def rows(out):
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_killed_many_times_and_started_again(program, tmp_path):
    """SIGKILL at random moments: the output is an unbroken run's to the byte, and little is done twice."""
    source = written(tmp_path / "in.jsonl", articles(200))
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    assert program.run(source, whole) == 3

    moments, kills, once = random.Random(11), 0, program.done(whole).total()
    while not out.exists():  # it gets its name last: a kill may come even after that
        sentences = program.done(out).total() + moments.randint(0, once // 5)
        code = program.cut_off(
            source, out, sentences=sentences, delay_s=0.04, late_s=moments.uniform(0, 0.05)
        )
        kills += code == -9
        assert code in (-9, 3)
        assert kills < 60
    assert kills >= 4
    assert out.read_bytes() == whole.read_bytes()
    often = program.done(out).total()
    assert once <= often <= once + kills * UNIT_SENTENCES, (
        "much less than a unit is lost, unless it has poison"
    )
    assert not list(tmp_path.glob("*.part"))


def test_a_gpu_s_larger_units_are_killed_and_go_on_too(tmp_path):
    source = written(tmp_path / "in.jsonl", articles(80))
    whole, out = tmp_path / "whole.jsonl", tmp_path / "out.jsonl"
    program = Program(tmp_path, DRAGOMAN_DEVICE="cuda")
    try:
        assert program.run(source, whole) == 3
        for sentences in (20, 60):
            assert program.cut_off(source, out, sentences=sentences, delay_s=0.1) == -9
        assert program.run(source, out) == 3
    finally:
        program.close()
    assert out.read_bytes() == whole.read_bytes()


def test_a_second_run_does_nothing(program, tmp_path):
    source = written(tmp_path / "in.jsonl", articles(50))
    out = tmp_path / "out.jsonl"
    program.run(source, out)
    first = out.read_bytes()
    program.forget(out)
    assert program.run(source, out, "--overwrite") == 3
    assert (out.read_bytes(), program.done(out)) == (first, Counter())
    assert program.run(source, out, "--overwrite", "--restart", "--forget") == 3
    assert (out.read_bytes(), program.done(out).total() > 0) == (first, True)
    assert not (tmp_path / "out.jsonl.cache").exists()


def test_only_what_changed_in_the_input_is_done(program, tmp_path):
    lines = articles(100)
    source, out = written(tmp_path / "in.jsonl", lines), tmp_path / "out.jsonl"
    program.run(source, out)
    before = out.read_text().splitlines()
    program.forget(out)
    lines[10] = json.dumps({"id": 10, "text": "This one is changed."})
    lines.insert(0, json.dumps({"id": "new", "text": "This one is added."}))
    del lines[60:65]
    lines[30] = json.dumps({**json.loads(lines[30]), "own": "another field"})
    written(source, lines)
    assert program.run(source, out, "--overwrite") == 3
    assert {line for line in program.done(out) if "Article" in line} == set()
    assert {"This one is changed.", "This one is added."} <= set(program.done(out))
    after = rows(out)
    assert len(after) == 96
    assert after[30]["own"] == "another field"
    assert after[30]["result"] == json.loads(before[29])["result"]
    good = [line for line in out.read_text().splitlines() if "result" in json.loads(line)]
    assert len(set(good) - set(before)) == 3


def test_only_what_changed_parameters_touch_is_done(program, tmp_path):
    """A new glossary entry touches the articles that have its term; a confidence touches all."""
    source, out = written(tmp_path / "in.jsonl", articles(60)), tmp_path / "out.jsonl"
    program.run(source, out)
    program.forget(out)
    glossary = tmp_path / "terms.tsv"
    glossary.write_text("Article 21\tBeitrag 21\nnowhere\tnirgends\n")
    assert program.run(source, out, "--overwrite", "--glossary", str(glossary)) == 3
    asked = [line for line in program.done(out) if "is about something" in line]
    assert asked
    assert all("QX7" in line or "Beitrag 21" in line for line in asked)
    program.forget(out)
    program.run(source, out, "--overwrite", "--min-confidence", "0.1")
    assert program.done(out).total() <= 2  # all again, but each sentence was remembered
    program.run(source, out, "--overwrite", "--min-confidence", "0.2", "--no-reuse")
    assert sum("is about something" in line for line in program.done(out)) > 40


def test_a_run_goes_on_after_its_input_grew(program, tmp_path):
    """What an interrupted run has done counts, whatever became of the input meanwhile."""
    source, out = written(tmp_path / "in.jsonl", articles(120)), tmp_path / "out.jsonl"
    assert program.cut_off(source, out, sentences=UNIT_SENTENCES, delay_s=0.2) == -9
    written(source, ['{"id": "new", "text": "A new first one."}', *articles(120)])
    assert program.run(source, out) == 3
    assert len(rows(out)) == 121
    twice = [s for s, times in program.done(out).items() if times > 1 and "Article" in s]
    assert len(twice) <= LANES * 8


def test_retry_failed_does_only_those(program, tmp_path):
    source, out = written(tmp_path / "in.jsonl", articles(120)), tmp_path / "out.jsonl"
    assert program.run(source, out) == 3
    first = out.read_bytes()
    program.forget(out)
    assert program.run(source, out, "--retry-failed") == 3
    assert set(program.done(out)) == {"This sentence ✗ is poison."}
    assert out.read_bytes() == first


def test_the_memory_can_be_off(program, tmp_path):
    source = written(tmp_path / "in.jsonl", articles(40))
    once, each = tmp_path / "once.jsonl", tmp_path / "each.jsonl"
    program.run(source, once)
    program.run(source, each, "--no-reuse")
    plain = [(row.get("id"), "result" in row) for row in rows(once)]
    assert plain == [(row.get("id"), "result" in row) for row in rows(each)]
    assert program.done(each).total() > 1.3 * program.done(once).total()


def test_too_many_errors_stop_the_run(program, tmp_path):
    source, out = written(tmp_path / "in.jsonl", articles(200)), tmp_path / "out.jsonl"
    assert program.run(source, out, "--max-errors", "2") == 4
    assert not out.exists()
    assert program.run(source, out, "--max-errors", "20") == 3
    assert len(rows(out)) == 200


def test_two_runs_may_not_share_a_cache_at_once(program, tmp_path):
    import sqlite3

    source, out = written(tmp_path / "in.jsonl", articles(10)), tmp_path / "out.jsonl"
    program.run(source, out)
    with sqlite3.connect(tmp_path / "out.jsonl.cache") as other:
        other.execute("BEGIN EXCLUSIVE")
        assert program.run(source, out, "--overwrite") == 2
    other.close()
    (tmp_path / "mine").write_text("this is something of mine, not a cache " * 100)
    assert program.run(source, out, "--overwrite", "--cache", str(tmp_path / "mine")) == 2
    assert (tmp_path / "mine").read_text().startswith("this is something of mine")
