"""A request that comes again with its Idempotency-Key is not done again."""

import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from http_fakes import FakeRuntime, settings
from werkzeug.test import TestResponse

from service.errors import KeyReused
from service.http.app import create_app
from service.store import idempotency
from service.store.database import Database
from service.store.idempotency import ROW_BYTES, Begun, IdempotencyStore, KeptAnswer

pytestmark = pytest.mark.usefixtures("each_database")

DAY_S = 86_400.0


class Client:
    """A test client, and how often a model was asked."""

    def __init__(self, folder: Path):
        self.runtime = FakeRuntime(settings(data_dir=folder))
        self.client = create_app(self.runtime).test_client()  # type: ignore[arg-type]

    @property
    def done(self) -> int:
        return len(self.runtime.timeouts_s)

    @property
    def jobs(self) -> list[str]:
        return [job["id"] for job in self.client.get("/v1/jobs").json["jobs"]]

    def job(self, key: str | None, text: str = "One.", **headers: str) -> TestResponse:
        given = {"Idempotency-Key": key} if key is not None else {}
        body = {"task": "summarize", "text": text}
        return self.client.post("/v1/jobs", json=body, headers={**given, **headers})

    def document(self, key: str, text: str = "One.", task: str = "translate") -> TestResponse:
        form = {
            "file": (BytesIO(text.encode()), "a.txt"),
            **({"target": "fr"} if task == "translate" else {}),
        }
        sent: dict[str, Any] = {"data": form, "headers": {"Idempotency-Key": key}}
        return self.client.post(f"/v1/documents/{task}", **sent)


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(tmp_path)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=time.time())
    monkeypatch.setattr(idempotency, "time", SimpleNamespace(time=lambda: clock.now))
    return clock


def told(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.json["type"].removeprefix("/problems/")


def test_a_job_is_made_once(client: Client) -> None:
    first, again = client.job("a"), client.job('"a"')
    assert (first.status_code, first.data) == (again.status_code, again.data) == (202, first.data)
    assert first.headers["Location"] == again.headers["Location"]
    assert client.jobs == [first.json["id"]]
    assert told(client.job("a", "Two.")) == (422, "idempotency-key-reused")
    others = [client.job(key) for key in ("b", None, None)]
    others.append(client.job("a", **{"X-API-Key": client.runtime.keys.create("reader")[1]}))
    assert len({each.json["id"] for each in (first, *others)}) == 5
    for wrong in ("", '""', "a" * 256, "é", 'a"b'):
        assert client.job(wrong).json["field"] == "Idempotency-Key"


@pytest.mark.parametrize("task", ["translate", "summarize"])
def test_a_document_is_done_once_whatever_boundary_divides_its_form(client: Client, task: str) -> None:
    first, again = (client.document("a", task=task) for _ in range(2))
    assert (first.status_code, first.data) == (again.status_code, again.data) == (200, first.data)
    for name in ("Content-Type", "Content-Disposition", "Dragoman-Flags"):
        assert first.headers.get(name) == again.headers.get(name)
    assert first.headers["X-Request-Id"] != again.headers["X-Request-Id"]
    other = "summarize" if task == "translate" else "translate"
    for changed in (client.document("a", "Two.", task), client.document("a", task=other)):
        assert told(changed) == (422, "idempotency-key-reused")
    assert client.done == 1


def test_of_two_at_once_the_second_is_told(client: Client) -> None:
    with ThreadPoolExecutor() as pool:
        first = pool.submit(client.document, "a", "!wait")
        try:
            assert client.runtime.tasks.waiting.wait(20)
            assert told(client.document("a", "!wait")) == (409, "idempotency-key-in-use")
        finally:
            client.runtime.tasks.gate.set()
    assert first.result().data == client.document("a", "!wait").data
    assert client.done == 1


@pytest.mark.parametrize("text", ["!bug", "!late", "!full", "a" * 1001])
def test_what_failed_may_be_tried_again(client: Client, text: str) -> None:
    statuses = [client.document("a", text).status_code for _ in range(2)]
    assert statuses[0] == statuses[1] >= 400
    assert client.document("a").status_code == 200


def test_a_key_is_kept_for_a_day(client: Client, clock: SimpleNamespace) -> None:
    first = client.job("a").json["id"]
    clock.now += DAY_S - 1
    assert client.job("a").json["id"] == first
    clock.now += 2
    second = client.job("a").json["id"]
    clock.now -= 3 * DAY_S  # it was ahead
    assert len({first, second, client.job("a").json["id"]}) == 3


def test_a_job_whose_server_was_killed_before_it_answered_is_the_same(
    client: Client, clock: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(IdempotencyStore, "finish", lambda *_: None)
        first = client.job("a").json["id"]
    assert told(client.job("a")) == (409, "idempotency-key-in-use")
    clock.now += client.runtime.settings.request_timeout_s + 61
    assert client.job("a").json["id"] == first
    assert client.jobs == [first]


def test_answers_take_their_share(database: Database) -> None:
    store = IdempotencyStore(database, max_bytes=3 * ROW_BYTES)

    def begin(key: str, owner: str | None = "k1") -> Begun | KeptAnswer:
        return store.begin(owner, f"key-{owner}", key, b"a", 10.0)

    for owner, key in (("k1", "1"), ("k2", "1"), ("k1", "2"), ("k1", "3")):
        begun = begin(key, owner)
        assert isinstance(begun, Begun)
        store.finish(begun, owner, KeptAnswer(200, {}, b"a" * 400))
    assert isinstance(begin("1"), Begun), "the oldest has gone"
    assert isinstance(begin("1", "k2"), KeptAnswer), "no other's goes for it"
    assert isinstance(begin("2"), KeptAnswer) and isinstance(begin("3"), KeptAnswer)
    with pytest.raises(KeyReused):
        store.begin("k1", "key-k1", "3", b"b", 10.0)
