"""/v1/jobs over HTTP: what is handed in comes back as the direct route would have answered it."""

import time
from io import BytesIO

import docx
import pytest
from http_fakes import ERRORS, FakeRuntime, settings
from job_client import ended, put, until, untimed
from sqlalchemy import select

from models.errors import ServerUnavailable
from service.http.app import create_app
from service.jobs import JobService
from service.store.schema import job_item


@pytest.fixture
def runtime(tmp_path, database_url):
    runtime = FakeRuntime(settings(data_dir=tmp_path / "data", database=database_url))
    yield runtime
    runtime.database.close()


@pytest.fixture
def jobs(runtime):
    """Its runner is not started."""
    jobs = JobService(runtime)
    yield jobs
    jobs.close()


@pytest.fixture
def client(runtime, jobs):
    return create_app(runtime, jobs=jobs).test_client()


@pytest.fixture
def refusing(tmp_path):
    """A client of a server that does not come to ask its database."""
    return create_app(FakeRuntime(settings(data_dir=tmp_path))).test_client()


@pytest.fixture(autouse=True)
def small_limits(monkeypatch):
    monkeypatch.setattr("service.limits.MAX_JOB_CHARACTERS", 5000)
    monkeypatch.setattr("service.limits.MAX_JOB_TEXTS", 100)


# ---------------------------------------------------------------------- work and results


@pytest.mark.parametrize(
    ("task", "body"),
    [
        ("summarize", {"text": "One. Two.", "length": "headline"}),
        ("summarize", {"html": "<p>One. Two.</p>", "target": "fr"}),
        ("summarize", {"texts": ["One.", "", "!engine", 7, "Two."]}),
        ("translate", {"text": "good morning", "target": "fr", "source": "en"}),
        ("translate", {"texts": ["a", "!wrong", "b"], "target": "fr", "glossary": {"a": "b"}}),
    ],
)
def test_the_result_is_the_direct_route_s(task, body, tmp_path):
    runtime = FakeRuntime(settings(data_dir=tmp_path, max_texts=5))
    jobs = JobService(runtime)
    jobs.start()
    client = create_app(runtime, jobs=jobs).test_client()
    address = put(client, task=task, **body)
    assert ended(client, address)["status"] == "done"
    result = client.get(f"{address}/result")
    assert (result.status_code, result.mimetype) == (200, "application/json")
    assert untimed(result.json) == untimed(client.post(f"/v1/{task}", json=body).json)
    assert "timings_ms" in result.text
    jobs.close()


def test_a_job_tells_how_it_stands(client, jobs):
    response = client.post("/v1/jobs", json={"task": "translate", "texts": ["a", "", "c"], "target": "fr"})
    job = response.json
    assert response.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert (job["task"], job["status"]) == ("translate", "queued")
    assert job["progress"] == {"done": 1, "total": 3}, "what is wrong from the start is done"
    assert {"started", "finished", "expires", "problem", "callback"}.isdisjoint(job)
    jobs.start()
    job = ended(client, response.headers["Location"])
    assert job["progress"] == {"done": 3, "total": 3}
    assert job["created"] <= job["started"] <= job["finished"] < job["expires"]


def test_all_texts_are_done_over_many_rounds_in_their_order(client, jobs):
    jobs.start()
    texts = [f"text {i}" for i in range(100)]
    address = put(client, task="translate", texts=texts, target="fr")
    assert ended(client, address)["progress"] == {"done": 100, "total": 100}
    results = client.get(f"{address}/result").json["results"]
    assert [each["translation"] for each in results] == [text.upper() for text in texts]


@pytest.mark.parametrize(("text", "status"), [("!wrong", 422), ("!engine", 500), ("!weights", 503)])
def test_one_text_that_fails_fails_the_job(client, jobs, text, status):
    jobs.start()
    address = put(client, task="summarize", text=text)
    job = ended(client, address)
    assert (job["status"], job["problem"]["status"]) == ("failed", status)
    result = client.get(f"{address}/result")
    assert (result.status_code, result.mimetype) == (status, "application/problem+json")
    assert result.json == job["problem"]


def test_a_bug_is_told_without_its_inside(client, jobs):
    jobs.start()
    address = put(client, task="summarize", text="!bug")
    assert ended(client, address)["problem"]["type"] == "/problems/unexpected-error"
    assert "secret" not in client.get(address).text


def test_there_is_no_result_before_the_end(client):
    address = put(client, task="summarize", text="One.")
    result = client.get(f"{address}/result")
    assert (result.status_code, result.json["type"]) == (409, "/problems/job-not-done")


def test_what_was_sent_is_forgotten_when_it_is_done(client, jobs, runtime):
    contents = select(job_item.c.content)
    address = put(client, task="translate", text="a private matter", target="fr")
    assert runtime.database.read(contents) == [(b"a private matter",)]
    jobs.start()
    ended(client, address)
    assert runtime.database.read(contents) == [(None,)]


# ---------------------------------------------------------------------- documents


def _send(client, path, name, data, **fields):
    return client.post(path, data={"file": (BytesIO(data), name), **fields})


def test_a_document_comes_back_translated_in_its_own_format(client, jobs):
    jobs.start()
    document, sent = docx.Document(), BytesIO()
    document.add_paragraph("hello")
    document.save(sent)
    fields = {"target": "fr", "source": "en", "protect": ["Sark", "Guernsey"]}
    response = _send(client, "/v1/jobs", "Bericht.docx", sent.getvalue(), task="translate", **fields)
    assert response.status_code == 202
    assert ended(client, response.headers["Location"])["status"] == "done"
    result = client.get(response.headers["Location"] + "/result")
    direct = _send(client, "/v1/documents/translate", "Bericht.docx", sent.getvalue(), **fields)
    assert result.headers["Content-Disposition"] == "attachment; filename=Bericht.fr.docx"
    assert result.mimetype == direct.mimetype
    assert len(docx.Document(BytesIO(result.data)).paragraphs) == 1


def test_any_name_of_a_document_fits_into_a_header(client, jobs):
    jobs.start()
    fields = {"task": "translate", "target": "fr"}
    address = _send(client, "/v1/jobs", "中.txt", b"It rains.", **fields).headers["Location"]
    assert ended(client, address)["status"] == "done"
    named = client.get(address + "/result").headers["Content-Disposition"]
    assert named == "attachment; filename=document.fr.txt; filename*=UTF-8''%E4%B8%AD.fr.txt"


def test_a_document_is_summarized(client, jobs):
    jobs.start()
    response = _send(client, "/v1/jobs", "a.txt", b"One. Two.", task="summarize", max_sentences="2")
    ended(client, response.headers["Location"])
    result = client.get(response.headers["Location"] + "/result").json
    assert untimed(result) == untimed(
        _send(client, "/v1/documents/summarize", "a.txt", b"One. Two.", max_sentences="2").json
    )
    assert result["source"]["text"] == "One. Two."


@pytest.mark.parametrize(
    ("name", "fields", "field"),
    [
        ("a.txt", {"target": "fr"}, "task"),
        ("a.txt", {"task": "translate"}, "target"),
        ("a.txt", {"task": "translate", "target": "qq"}, "target"),
        ("a.exe", {"task": "summarize"}, "file"),
        ("a.txt", {"task": "summarize", "lenght": "short"}, "lenght"),
    ],
)
def test_a_wrong_form_is_refused(refusing, name, fields, field):
    response = _send(refusing, "/v1/jobs", name, b"One.", **fields)
    assert (response.status_code, response.json["field"]) == (422, field)


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"text": "a"}, 422, "task"),
        ({"task": "detect", "text": "a"}, 422, "task"),
        (["a"], 422, "task"),
        ({"task": "summarize"}, 422, "text"),
        ({"task": "summarize", "text": "a", "texts": ["b"]}, 422, "texts"),
        ({"task": "translate", "text": "a"}, 422, "target"),
        ({"task": "translate", "text": "a", "target": "qq"}, 422, "target"),
        ({"task": "translate", "text": "a", "target": "fr", "source": "qq"}, 422, "source"),
        ({"task": "translate", "text": "a", "target": "fr", "glossary": "none"}, 422, "glossary"),
        ({"task": "summarize", "text": "a", "model": "nobody/nothing"}, 422, "model"),
        ({"task": "summarize", "text": "a", "model": "fake/translate"}, 422, "model"),
        ({"task": "summarize", "text": "a", "stream": True}, 422, "stream"),
        ({"task": "summarize", "text": " "}, 422, "text"),
        ({"task": "summarize", "text": "a", "lenght": "short"}, 422, "lenght"),
        ({"task": "summarize", "text": "a" * 5001}, 413, "text"),
        ({"task": "summarize", "texts": ["a"] * 101}, 413, "texts"),
        ({"task": "summarize", "text": "a", "callback": "https://example.com"}, 422, "callback"),
    ],
)
def test_a_wrong_body_is_refused_and_nothing_is_kept(refusing, body, status, field):
    response = refusing.post("/v1/jobs", json=body)
    assert (response.status_code, response.json["field"]) == (status, field)
    assert refusing.get("/v1/jobs").json == {"jobs": []}


def test_more_is_taken_than_by_the_direct_route(client):
    assert client.post("/v1/summarize", json={"text": "a" * 5000}).status_code == 413
    put(client, task="summarize", text="a" * 5000)
    put(client, task="summarize", texts=["a"] * 100)


def test_a_body_may_be_larger_than_the_direct_route_s(tmp_path, monkeypatch):
    monkeypatch.setattr("service.limits.MAX_JOB_CHARACTERS", 200_000)
    runtime = FakeRuntime(settings(data_dir=tmp_path))
    client = create_app(runtime).test_client()
    text = "é" * 200_000  # as JSON 1.2 megabytes; the direct route reads 0.1
    assert client.post("/v1/summarize", json={"text": text}).json["type"] == "/problems/body-too-large"
    put(client, task="summarize", text=text)


def test_a_full_queue_refuses(tmp_path, monkeypatch):
    monkeypatch.setattr("service.store.jobs.MAX_QUEUED_JOBS", 1)
    client = create_app(FakeRuntime(settings(data_dir=tmp_path))).test_client()
    address = put(client, task="summarize", text="One.")
    response = client.post("/v1/jobs", json={"task": "summarize", "text": "Two."})
    assert (response.status_code, response.headers["Retry-After"]) == (429, "30")
    client.delete(address)
    put(client, task="summarize", text="Two.")


def test_a_store_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "data").write_text("a file where the folder should be")
    client = create_app(FakeRuntime(settings(data_dir=tmp_path / "data"))).test_client()
    response = client.post("/v1/jobs", json={"task": "summarize", "text": "One."})
    assert (response.status_code, response.json["type"]) == (503, "/problems/store-unavailable")


@pytest.mark.parametrize("path", ["/v1/jobs/nothing", "/v1/jobs/nothing/result"])
def test_an_unknown_job_is_a_problem(client, path):
    assert client.get(path).json["type"] == "/problems/unknown-job"
    assert client.delete("/v1/jobs/nothing").status_code == 404


# ---------------------------------------------------------------------- lists and owners


def test_jobs_are_listed_page_by_page_the_newest_first(client):
    addresses = [put(client, task="summarize", text=str(i)) for i in range(5)]
    ids = [address.rpartition("/")[2] for address in reversed(addresses)]
    seen = []
    query = "limit=2"
    for _ in range(3):
        page = client.get(f"/v1/jobs?{query}").json
        seen += [job["id"] for job in page["jobs"]]
        query = f"limit=2&before={page.get('next')}"
    assert seen == ids
    assert "next" not in page
    for wrong in ("limit=0", "limit=101", "before=x", "since=1"):
        assert client.get(f"/v1/jobs?{wrong}").status_code == 422


def test_jobs_are_their_owner_s_alone(runtime, jobs):
    client = create_app(runtime, jobs=jobs).test_client()
    ann, bob = ({"X-API-Key": runtime.keys.create(name)[1]} for name in ("ann", "bob"))
    body = {"task": "summarize", "text": "One."}
    address = client.post("/v1/jobs", json=body, headers=ann).headers["Location"]
    for other in (bob, {}):
        assert client.get("/v1/jobs", headers=other).json["jobs"] == []
        assert client.get(address, headers=other).status_code == 404
        assert client.get(f"{address}/result", headers=other).status_code == 404
        assert client.delete(address, headers=other).status_code == 404
    assert client.get(address, headers=ann).json["status"] == "queued"
    assert len(client.get("/v1/jobs", headers=ann).json["jobs"]) == 1


# ---------------------------------------------------------------------- cancelling, forgetting


def test_a_running_job_is_cancelled_within_a_step(client, jobs, runtime):
    jobs.start()
    address = put(client, task="summarize", texts=["One.", "!never"])
    until(lambda: runtime.tasks.engine.futures)
    assert client.get(address).json["status"] == "running"
    assert client.delete(address).status_code == 204
    assert client.get(address).json["status"] == "cancelled"
    until(lambda: all(future.cancelled() for future in runtime.tasks.engine.futures))
    assert client.get(f"{address}/result").status_code == 409
    assert ended(client, put(client, task="summarize", text="Next."))["status"] == "done"
    assert client.get(address).json["status"] == "cancelled"


def test_a_queued_job_is_cancelled_and_never_done(client, jobs, runtime):
    address = put(client, task="summarize", text="!wait")
    client.delete(address)
    jobs.start()
    ended(client, put(client, task="summarize", text="Next."))
    assert client.get(address).json["status"] == "cancelled"
    assert not runtime.tasks.waiting.is_set()


def test_an_ended_job_is_forgotten(client, jobs):
    jobs.start()
    address = put(client, task="summarize", text="One.")
    ended(client, address)
    assert client.delete(address).status_code == 204
    assert client.get(address).status_code == 404
    assert client.delete(address).status_code == 404


def test_old_jobs_are_forgotten_and_others_are_not(tmp_path):
    runtime = FakeRuntime(settings(data_dir=tmp_path, job_retention_s=0.01))
    first = JobService(runtime)
    client = create_app(runtime, jobs=first).test_client()
    first.start()
    old = put(client, task="summarize", text="One.")
    ended(client, old)
    first.close()
    waiting = put(client, task="summarize", text="!never")
    time.sleep(0.02)
    second = JobService(runtime)
    second.start()
    until(lambda: client.get(old).status_code == 404)
    assert client.get(waiting).status_code == 200
    second.close()


# ---------------------------------------------------------------------- stopping and going on


def test_a_stopped_runner_leaves_its_job_to_the_next(client, jobs, runtime):
    jobs.start()
    address = put(client, task="summarize", text="!never")
    until(lambda: runtime.tasks.engine.futures)
    jobs.close()
    assert client.get(address).json["status"] == "queued"
    again = JobService(runtime)
    again.start()
    until(lambda: client.get(address).json["status"] == "running")
    again.close()


def test_work_waits_for_the_models(client, jobs):
    loaded = False
    jobs.start(lambda: loaded)
    address = put(client, task="summarize", text="One.")
    time.sleep(0.4)
    assert client.get(address).json["status"] == "queued"
    loaded = True
    assert ended(client, address)["status"] == "done"


def test_what_the_service_died_of_three_times_is_given_up(client, jobs):
    address = put(client, task="summarize", text="One.")
    for _ in range(3):
        jobs.store.requeue(jobs.store.claim(), interrupted=True)
    jobs.start()
    job = ended(client, address)
    assert (job["status"], job["problem"]["type"]) == ("failed", "/problems/engine-failed")
    assert "3 times" in job["problem"]["detail"]


def test_a_job_outlives_its_engine_and_is_given_up_if_the_engine_dies_of_it(client, jobs, monkeypatch):
    once = ERRORS["!gone"]
    monkeypatch.setitem(ERRORS, "!once", lambda: [once(), ERRORS.pop("!once")][0])
    outlived = put(client, task="summarize", text="!once")
    deadly = put(client, task="summarize", text="!gone")
    jobs.start()
    assert ended(client, outlived)["status"] == "done"
    job = ended(client, deadly)
    assert (job["status"], job["problem"]["type"]) == ("failed", "/problems/engine-failed")
    assert "3 times" in job["problem"]["detail"]


def test_a_job_waits_for_a_model_server_as_long_as_it_is_away(client, jobs, monkeypatch):
    away = [ServerUnavailable("m: its server cannot be reached", retry_after_s=0.01) for _ in range(6)]

    def next_one():
        if len(away) == 1:
            del ERRORS["!away"]
        return away.pop()

    monkeypatch.setitem(ERRORS, "!away", next_one)
    address = put(client, task="summarize", text="!away")
    jobs.start()
    assert ended(client, address)["status"] == "done" and not away


def test_a_glossary_that_is_gone_fails_the_job(client, jobs, runtime):
    from service.store.glossaries import Dictionary

    made = runtime.glossaries.create("sea", [Dictionary("en", "fr", {"ferry": "bac"})])
    address = put(client, task="translate", texts=["a"], source="en", target="fr", glossary="sea")
    runtime.glossaries.delete(made.id)
    jobs.start()
    assert ended(client, address)["problem"]["type"] == "/problems/unknown-glossary"
