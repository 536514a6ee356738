"""Several servers over one database: each job is one server's at a time, and outlives it."""

import subprocess
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from http_fakes import FakeRuntime, settings
from job_client import ended, put, until
from listener import Listener, body_of, send
from sqlalchemy import update

from service import jobs
from service.http.app import create_app
from service.jobs import JobService
from service.store import jobs as store
from service.store import schema
from service.store.database import Database
from service.store.jobs import JobCancelled, JobStore, NewJob
from service.store.results import StoredResult

DONE = StoredResult(b"{}")


@pytest.fixture
def stores(tmp_path, database_url):
    """Those of four servers."""
    databases = [Database(tmp_path, database_url) for _ in range(4)]
    yield [JobStore(each) for each in databases]
    for each in databases:
        each.close()


def new(**given):
    made = {"task": "summarize", "form": "texts", "options": {}, "contents": ["a", "b"], "request_id": "r"}
    return NewJob(**made | given)


def of_threads(stores, do):
    """What `do` returns in two threads for each store, which begin together."""
    begin = threading.Barrier(2 * len(stores))

    def one(each):
        begin.wait(20)
        return do(each)

    with ThreadPoolExecutor(2 * len(stores)) as pool:
        return list(pool.map(one, stores * 2))


# ---------------------------------------------------------------------- claims and leases


def test_each_job_is_claimed_once_and_callers_in_turn(stores):
    for caller in ("ann", "ann", "ann", "bob"):
        for _ in range(10):
            stores[0].create(new(caller=caller))

    def claim_some(store):
        return [store.claim() for _ in range(4)]

    claimed = [job for some in of_threads(stores, claim_some) for job in some if job is not None]
    assert len(claimed) == len({job.number for job in claimed}) == len({job.lease for job in claimed}) >= 24
    assert Counter(job.caller for job in claimed)["bob"] == 10, "ann, who has more waiting, has no more turns"


def test_a_job_of_a_killed_process_waits_for_no_lease_on_one_machine(stores, database_url, monkeypatch):
    first, second = stores[:2]
    with subprocess.Popen(["true"]) as ended_process:
        pass
    first.create(new())
    with monkeypatch.context() as patched:
        patched.setattr("os.getpid", lambda: ended_process.pid)
        gone = first.claim()
    assert second.recover() == (1 if database_url is None else 0)
    first.create(new())
    assert second.claim().id != gone.id or database_url is None
    assert second.recover() == 0, "its own process runs"


def test_a_job_whose_server_is_not_heard_of_is_another_s(stores, monkeypatch):
    first, second = stores[:2]
    first.create(new())
    gone = first.claim()
    first.record(gone, {0: DONE})
    assert second.recover() == 0 and second.claim() is None
    monkeypatch.setattr(store, "LEASE_S", -1.0)
    first.keep_outputs(gone, {})
    monkeypatch.undo()
    assert sum(of_threads(stores, JobStore.recover)) == 1
    job = second.claim()
    assert (job.id, job.interruptions, job.done) == (gone.id, 1, 1)
    assert first.renew([gone.lease, job.lease]) == {job.lease}
    for write in (
        lambda: first.pending(gone, after=-1, limit=8),
        lambda: first.record(gone, {1: StoredResult(b"late")}),
        lambda: first.progress(gone, 2, 2, {0: b"late"}),
        lambda: first.keep_outputs(gone, {}),
    ):
        with pytest.raises(JobCancelled):
            write()
    first.end(gone, b"late")
    first.requeue(gone, interrupted=True)
    assert second.pending(job, after=-1, limit=8) == [(1, "b")]
    second.record(job, {1: DONE})
    second.end(job)
    told = first.get(job.id, None)
    assert (told.status, told.problem, told.interruptions, told.done) == ("done", None, 0, 2)
    assert [each.data for each in first.results(told)] == [b"{}", b"{}"]
    assert list(first.segments(told, 0)) == []


def test_a_job_given_back_is_free_at_once(stores):
    stores[0].create(new())
    stores[0].requeue(stores[0].claim())
    assert stores[1].claim().interruptions == 0


def test_a_job_under_a_chosen_id_is_made_once(stores):
    made = of_threads(stores, lambda each: each.create(new(id="chosen", contents=["a"] * 200)))
    assert len({job.number for job in made}) == 1
    assert len(list(stores[0].results(made[0]))) == 200


def test_segments_keep_their_places_until_they_change(stores):
    stores[0].create(new(form="text", contents=["a"]))
    job = stores[0].claim()
    stores[0].progress(job, 1, 3, {0: b"a", 1: b"b"})
    stores[0].progress(job, 1, 3, {0: b"a", 1: b"B", 2: b"c"})
    told = list(stores[1].segments(job, 0))
    assert [body for _, body in told] == [b"a", b"B", b"c"]
    assert list(stores[1].segments(job, told[0][0])) == told[1:]


def test_a_callback_is_one_server_s_until_its_try_is_noted(stores, monkeypatch):
    stores[0].create(new(callback="https://hooks.example/"))
    stores[0].end(stores[0].claim())
    [due] = stores[1].due_callbacks()

    def claimed():
        found = of_threads(stores, lambda each: each.claim_callback(due.number))
        [job] = [job for job in found if job is not None]
        return job

    monkeypatch.setattr(store, "CALLBACK_LEASE_S", -1.0)
    late = stores[0].claim_callback(due.number)
    monkeypatch.undo()
    job = claimed()
    stores[0].callback_tried(late, "pending", 0.0)
    assert stores[0].due_callbacks() == [], "who was late does not have it sent again"
    stores[1].callback_tried(job, "pending", 0.0)
    stores[1].callback_tried(job := claimed(), "delivered")
    assert stores[2].get(job.id, None).callback_tries == 2
    assert stores[2].next_callback_s() is None and stores[2].due_callbacks() == []


# ---------------------------------------------------------------------- services


@pytest.fixture
def servers(tmp_path, database_url, monkeypatch):
    """Two, of which none is started: client, service and runtime. `asked` of a runtime has its summaries."""
    monkeypatch.setattr(jobs, "LOOK_S", 0.02)
    made = []
    for _ in range(2):
        runtime = FakeRuntime(
            settings(
                data_dir=tmp_path,
                database=database_url,
                callback_secret="a secret of sixteen characters",
                callback_private=True,
            )
        )
        runtime.asked = []

        def steps(request, *more, asked=runtime.asked, summary=runtime.tasks.summary):
            asked.append(request.text)
            return summary(request, *more)

        runtime.summarizer.steps = steps
        service = JobService(runtime)
        made.append((create_app(runtime, jobs=service).test_client(), service, runtime))
    yield made
    for _, service, runtime in made:
        service.close()
        runtime.database.close()


def test_each_job_is_done_and_told_once(servers):
    told = []

    def answer(http):
        told.append(body_of(http))
        send(http, 204)

    receiver = Listener(answer)
    try:
        for _, service, _ in servers:
            service.start()
        texts = [f"Text {i}." for i in range(20)]
        clients = [client for client, *_ in servers]
        addresses = [
            put(clients[i % 2], task="summarize", text=text, callback=receiver.url)
            for i, text in enumerate(texts)
        ]
        for i, (address, text) in enumerate(zip(addresses, texts, strict=True)):
            until(lambda i=i, a=address: "delivered" in clients[i % 2].get(a).text)
            assert clients[1 - i % 2].get(f"{address}/result").json["summary"] == text
        asked = [text for *_, runtime in servers for text in runtime.asked]
        assert sorted(asked) == sorted(texts) and len(told) == len(texts)
    finally:
        receiver.close()


def test_a_dead_server_s_job_goes_on_elsewhere(servers, monkeypatch):
    (client, dead, _), (other, service, runtime) = servers
    texts = [f"Text {i}." for i in range(20)]
    address = put(client, task="summarize", texts=texts)
    job = dead.store.claim()
    dead.store.record(job, dict.fromkeys(range(8), DONE))
    service.start()
    put(other, task="summarize", text="Next.")
    until(lambda: runtime.asked == ["Next."])
    assert other.get(address).json["status"] == "running", "its server may be alive"
    monkeypatch.setattr(store, "LEASE_S", 0.0)
    dead.store.renew([job.lease])
    monkeypatch.undo()
    assert ended(other, address)["progress"] == {"done": 20, "total": 20}
    assert runtime.asked[1:] == texts[8:], "what was stored is not done again"


@pytest.mark.parametrize("lost", ["cancelled", "claimed"])
def test_who_does_not_hold_a_job_any_more_stops(servers, lost):
    (client, service, runtime), (other, _, _) = servers
    service.start()
    address = put(client, task="summarize", text="!never")
    until(lambda: runtime.tasks.engine.futures)
    if lost == "cancelled":
        assert other.delete(address).status_code == 204
    else:
        runtime.database.write(update(schema.job).values(lease="another's"))
    until(lambda: all(future.cancelled() for future in runtime.tasks.engine.futures))
    until(lambda: service._in_work() == [])
    assert client.get(address).json["status"] == ("cancelled" if lost == "cancelled" else "running")
    assert ended(client, put(client, task="summarize", text="Next."))["status"] == "done"


def test_an_idle_server_takes_what_a_full_one_and_a_closed_one_have(servers):
    (client, busy, runtime), (other, idle, second) = servers
    busy.start()
    stuck = [put(client, task="summarize", text="!never") for _ in range(jobs.JOB_WORKERS)]
    until(lambda: len(runtime.tasks.engine.futures) == len(stuck))
    waiting = put(client, task="summarize", text="Next.")
    idle.start()
    assert ended(other, waiting)["status"] == "done"
    busy.close()
    until(lambda: len(second.tasks.engine.futures) == len(stuck))
    assert [other.get(each).json["status"] for each in stuck] == ["running"] * len(stuck)
