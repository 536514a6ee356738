"""Jobs of many callers: nobody fills the queue or the disk for others, and they take turns at the work."""

import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace

import pytest
from http_fakes import FakeRuntime, settings
from job_client import ended, put, until, untimed
from jobs_runtime import JournalRuntime
from places import ObjectStore

from service import jobs, long_texts
from service.errors import StoreUnavailable, UnknownJob
from service.http.app import create_app
from service.jobs import JobService
from service.store import jobs as store
from service.store.database import FILE
from service.store.results import StoredResult

BOTH = pytest.mark.usefixtures("each_database")
ONE = {"task": "summarize", "text": "One."}


def _open(folder, **given):
    """A client, its service, and the headers of two keys."""
    runtime = FakeRuntime(settings(data_dir=folder, **given))
    service = JobService(runtime)
    keys = {name: {"X-API-Key": runtime.keys.create(name)[1]} for name in ("ann", "bob")}
    return create_app(runtime, jobs=service).test_client(), service, keys


def _send(client, headers, body=ONE, address="192.0.2.1"):
    sent = client.post("/v1/jobs", json=body, headers=headers, environ_base={"REMOTE_ADDR": address})
    return int(sent.status_code)


# ---------------------------------------------------------------------- the queue


@BOTH
def test_one_caller_does_not_fill_the_queue(tmp_path, monkeypatch):
    monkeypatch.setattr("service.store.jobs.MAX_QUEUED_JOBS_PER_CALLER", 2)
    client, _, keys = _open(tmp_path)
    assert [_send(client, keys["ann"]) for _ in range(3)] == [202, 202, 429]
    assert [_send(client, keys["bob"]) for _ in range(3)] == [202, 202, 429]
    assert [_send(client, {}, address="192.0.2.1") for _ in range(3)] == [202, 202, 429]
    assert _send(client, {}, address="192.0.2.2") == 202, "another address"
    refused = client.post("/v1/jobs", json=ONE, headers=keys["ann"])
    assert "this caller already has 2 jobs waiting, of at most 2" in refused.json["detail"]


@BOTH
def test_a_full_queue_takes_a_key_s_first_job(tmp_path, monkeypatch):
    monkeypatch.setattr("service.store.jobs.MAX_QUEUED_JOBS", 2)
    client, _, keys = _open(tmp_path)
    assert [_send(client, {}, address=f"192.0.2.{i}") for i in range(3)] == [202, 202, 429]
    assert [_send(client, keys["ann"]) for _ in range(2)] == [202, 429]
    assert [_send(client, keys["bob"]) for _ in range(2)] == [202, 429]


@BOTH
def test_each_caller_has_a_share_of_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("service.store.jobs.MAX_JOB_BYTES", 1550)
    client, service, keys = _open(tmp_path)
    large = {"task": "summarize", "text": "é" * 500}
    assert [_send(client, keys["ann"], large) for _ in range(2)] == [202, 429]
    assert _send(client, keys["bob"], large) == 202
    assert [_send(client, {}, large, address=f"192.0.2.{i}") for i in range(12)].count(202) == 12
    assert _send(client, {}, large, address="198.51.100.1") == 429, "all without a key have eight shares"
    assert _send(client, keys["ann"], {"task": "summarize", "text": "a" * 400}) == 202
    glossary = {
        "task": "translate",
        "text": "a",
        "target": "fr",
        "glossary": {"a" * 200: "b" * 200, "c" * 200: "d"},
    }
    assert _send(client, keys["bob"], glossary) == 429, "what a job is to be done with is kept too"

    # A job that has ended keeps its result and not its text; one that is forgotten keeps nothing.
    service.start()
    [first, last] = client.get("/v1/jobs", headers=keys["ann"]).json["jobs"]
    for job in (first, last):
        until(lambda: client.get(f"/v1/jobs/{job['id']}", headers=keys["ann"]).json["status"] == "done")  # noqa: B023
    items = "SELECT sum(length(data)) FROM job_item WHERE job = job.number"
    query = f"SELECT bytes, ({items}) + length(options) FROM job WHERE status = 'done'"
    rows = service._runtime.database.run(query)
    assert rows and all(kept == results for kept, results in rows)
    for job in (first, last):
        client.delete(f"/v1/jobs/{job['id']}", headers=keys["ann"])
    assert _send(client, keys["ann"], large) == 202
    service.close()


@pytest.fixture(scope="module")
def objects():
    objects = ObjectStore()
    objects.bucket("results")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "ENDPOINT_URL": objects.url,
            "ACCESS_KEY_ID": "a",
            "SECRET_ACCESS_KEY": "b",
        }.items():
            patch.setenv(f"AWS_{name}", value)
        yield objects
    objects.close()


@pytest.mark.parametrize(
    ("place", "piece_bytes"), [(None, 1), (None, 7), (None, 50), ("folder", 50), ("s3://results/jobs", 50)]
)
def test_a_result_is_read_in_pieces(database, monkeypatch, piece_bytes, place, tmp_path, objects):
    monkeypatch.setattr("service.store.jobs.PIECE_BYTES", piece_bytes)
    monkeypatch.setattr("service.store.result_files.LARGE_BYTES", 10)
    folder = tmp_path / "new" / "folder"
    kept = store.JobStore(database, str(folder) if place == "folder" else place)

    def files() -> int:
        return len(list(folder.iterdir()) if place == "folder" else objects.keys("results"))

    before = 0 if place == "folder" else files()

    def done(form: store.Form, *results: bytes) -> store.Job:
        new = {"task": "summarize", "options": {}, "request_id": "", "form": form}
        kept.create(store.NewJob(contents=["a"] * len(results), **new))  # type: ignore[arg-type]
        job = kept.claim()
        assert job is not None
        kept.record(job, {i: StoredResult(data, filename="a") for i, data in enumerate(results)})
        kept.end(job)
        return job

    texts, one = [b'{"a":%d}' % 10**i for i in range(9)], bytes(range(200))
    many, document = kept.open(all_texts := done("texts", *texts)), kept.open(job := done("document", one))
    assert files() == before + (6 if place else 0)
    assert [each.data for each in kept.results(replace(all_texts, total=9))] == texts
    heard: list[str] = []
    for file, whole in ((many, b'{"results":[' + b",".join(texts) + b"]}"), (document, one)):
        assert file.size == len(whole)
        assert b"".join(iter(lambda: file.read(3), b"")) == whole  # noqa: B023
        for start in (0, 13, 40, len(whole)):
            file.seek(start)
            assert whole[start:].startswith(file.read(5))
    assert (document.filename, many.filename) == ("a", None)
    cut = kept.open(job, lambda: heard.append("read"))
    cut.read(10)
    cut.close()
    assert heard == []
    kept.forget(job.number)
    done("document", one[::-1])
    with pytest.raises(OSError, match="deleted"):
        while cut.read(10):
            pass
    job = kept.create(store.NewJob(task="summarize", form="text", options={}, contents=["a"], request_id=""))
    late = replace(kept.claim(), lease="another's")
    with pytest.raises(store.JobCancelled):
        kept.record(late, {0: StoredResult(one)})
    kept.forget(job.number)
    assert files() == before + (6 if place else 0), "what does not count leaves no file"


def test_a_place_for_results_that_is_not_to_be_had(tmp_path, database):
    (tmp_path / "file").touch()
    kept = store.JobStore(database, str(tmp_path / "file" / "results"))
    kept.create(store.NewJob(task="summarize", form="text", options={}, contents=["a"], request_id=""))
    with pytest.raises(StoreUnavailable) as told:
        kept.record(kept.claim(), {0: StoredResult(bytes(2 << 20))})
    assert str(tmp_path) not in told.value.message


# ---------------------------------------------------------------------- turns


@BOTH
def test_claims_go_round_the_callers(tmp_path):
    client, service, keys = _open(tmp_path)
    for name in ("ann", "ann", "ann", "bob", "bob"):
        _send(client, keys[name])
    for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2"):
        _send(client, {}, address=address)
    claimed = []
    while (job := service.store.claim()) is not None:
        claimed.append(job)
        if len(claimed) % 2 == 0:  # two are in work at most
            service.store.end(claimed[-2])
            service.store.end(claimed[-1])
    names = {each: i for i, each in enumerate(dict.fromkeys(job.caller for job in claimed))}
    assert [names[job.caller] for job in claimed] == [0, 1, 2, 3, 0, 1, 2, 0]
    assert [job.number for job in claimed if names[job.caller] == 0] == [1, 2, 3], "each caller's in order"


@BOTH
def test_new_callers_do_not_starve_one_who_waits(tmp_path):
    client, service, keys = _open(tmp_path)
    for _ in range(3):
        _send(client, keys["ann"])
    done = []
    for i in range(20):  # an address that was never seen for each that is done
        _send(client, {}, address=f"192.0.2.{i}")
        job = service.store.claim()
        done.append(job.owner is not None)
        service.store.end(job)
    assert done.count(True) == 3


@pytest.fixture
def slow(tmp_path, monkeypatch):
    """One worker, not started, over an engine that takes its time; a turn is over as soon as it got on."""
    monkeypatch.setattr(jobs, "TURN_S", 0.0)
    monkeypatch.setattr(jobs, "TURN_TO_BEGINNING", 0.0)
    monkeypatch.setattr(jobs, "LOOK_S", 0.05)
    monkeypatch.setattr(jobs, "JOB_WORKERS", 1)
    runtime = JournalRuntime(settings(data_dir=tmp_path), tmp_path / "journal", pause_s=0.03)
    service = JobService(runtime)
    yield create_app(runtime, jobs=service).test_client(), service, runtime
    service.close()


@pytest.mark.parametrize("form", ["texts", "text"])
def test_a_long_job_makes_room_for_another_caller(slow, form):
    client, service, runtime = slow
    sentences = [f"The ferry of day {i} stayed in." for i in range(90)]
    long = put(
        client,
        task="translate",
        source="en",
        target="fr",
        **{form: sentences if form == "texts" else " ".join(sentences)},
    )
    key = {"X-API-Key": runtime.keys.create("bob")[1]}
    body = {"task": "translate", "source": "en", "target": "fr", "text": "Good morning."}
    short = client.post("/v1/jobs", json=body, headers=key).headers["Location"]
    service.start()
    job = ended(client, long)
    assert job["status"] == "done"
    told = client.get(short, headers=key).json
    assert told["status"] == "done" and job["started"] < told["started"]
    assert told["finished"] < job["finished"], "the short one did not wait for the long one's end"
    result = client.get(f"{long}/result").json
    if form == "texts":
        assert [each["translation"] for each in result["results"]] == [each.upper() for each in sentences]
    else:
        assert result["translation"] == " ".join(sentences).upper()
    asked = Counter((runtime.settings.data_dir / "journal").read_text().splitlines())
    assert sum(asked.values()) - len(asked) <= 2 * 8, "what was done is not done again"


@BOTH
def test_nobody_s_turn_ends_where_nobody_waits(slow):
    client, service, _ = slow
    service.start()
    texts = [f"The ferry of day {i} stayed in." for i in range(40)]
    first = put(client, task="translate", texts=texts, source="en", target="fr")
    second = put(client, task="translate", texts=texts[:8], source="en", target="fr")
    until(lambda: client.get(first).json["progress"]["done"] >= 24)
    assert client.get(second).json["status"] == "queued", "it is the same caller's"
    assert ended(client, second)["status"] == "done"


# ---------------------------------------------------------------------- in pieces


def test_a_long_text_is_translated_part_by_part(tmp_path, monkeypatch):
    """What reads a text whole holds up everybody, for a second in every 5,000,000 characters or so."""
    runtime = JournalRuntime(settings(data_dir=tmp_path, max_request_characters=5000), tmp_path / "journal")
    planned = []
    steps = runtime.translator.steps

    def noted(request, recall):
        planned.append(len(request.text))
        return steps(request, recall)

    monkeypatch.setattr(runtime.translator, "steps", noted)
    service = JobService(runtime)
    service.start()
    client = create_app(runtime, jobs=service).test_client()
    paragraphs = [f"The ferry of day {i} stayed in. Nobody in Sark minded." for i in range(60)]
    text = "\n\n".join(paragraphs) + " " * 300 + "\n"
    body = {"text": text, "target": "fr", "protect": ["Sark"]}
    whole = client.post("/v1/translate", json=body).json
    planned.clear()
    monkeypatch.setattr(long_texts, "PART_CHARACTERS", 250)
    address = put(client, task="translate", **body)
    ended(client, address)
    result = client.get(f"{address}/result").json
    for own in ("usage", "source"):  # each part is asked for by itself
        result.pop(own), whole.pop(own)
    assert untimed(result) == untimed(whole)
    assert len(planned) > 10 and max(planned) <= 250
    service.close()


def test_results_are_read_and_forgotten_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(store, "ITEMS_AT_ONCE", 3)
    client, service, _ = _open(tmp_path)
    service.start()
    address = put(client, task="translate", texts=[f"t{i}" for i in range(10)], target="fr")
    ended(client, address)
    job = service.store.get(address.rpartition("/")[2], None)
    reading = service.store.results(job)
    next(reading)
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # a reader in a transaction would hold it up
        assert db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
    assert len(list(reading)) == 9
    reading = service.store.results(job)
    next(reading)
    assert client.delete(address).status_code == 204
    with pytest.raises(UnknownJob):
        list(reading)
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        for table in ("job", "job_item"):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    service.close()
