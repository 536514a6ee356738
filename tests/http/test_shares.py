"""No route takes what is scarce past the shares, and the docs tell of all of them."""

import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from compat_runtime import CompatRuntime, settings
from flask import Flask, g
from fuzz_requests import Route, compatible, documented
from made_documents import form
from werkzeug.datastructures import MultiDict

from models.driver import run_all
from models.errors import ClientDisconnected
from models.steps import Steps
from models.text.detect import LanguageDetector
from service import children
from service.http import fetch, run_request
from service.http.app import create_app
from service.http.auth import Auth
from service.http.body import BodyLimits
from service.shared import SharedState
from service.shares import CALLER, PLACE, READER, Shares, TextTurns, idle, known, table
from service.store.glossaries import Glossaries
from service.store.jobs import JobStore
from service.store.suggestions import Suggestions
from service.store.translation_memory import TranslationMemory

ROOT = Path(__file__).parents[2]

WORK = (
    (CompatRuntime, "run_all"),
    (run_request, "stream"),
    (children.Children, "run"),
    (fetch, "fetch"),
    (LanguageDetector, "candidates"),
    (JobStore, "create"),
    (Glossaries, "create"),
    (Glossaries, "update"),
    (TranslationMemory, "add"),
    (Suggestions, "add"),
)
"""What takes an engine, a reader, a processor or the disk."""
NO_WORK = {
    *("deepl.document_status", "deepl.document_result", "deepl.languages", "deepl.usage"),
    "v1.pull",  # refused without an admin's key
}
"""Endpoints that are asked with a body, or a method, that is none of reading, and only look something up."""


class Walk:
    """Sends a sound request to each route, and notes what it takes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path):
        self.faults: list[str] = []
        self.worked: set[str] = set()
        self.placed: set[str] = set()
        self._receiving = False
        self._endpoint = ""
        self._shared = SharedState()
        for owner, name in WORK:
            monkeypatch.setattr(owner, name, self._watched(getattr(owner, name), name))
        self._watch_reader(monkeypatch)
        runtime: Any = CompatRuntime(settings(data_dir=folder))
        self.app: Flask = create_app(runtime, shared=self._shared)
        self.app.wsgi_app = self._with_input(self.app.wsgi_app)  # type: ignore[method-assign]
        take = Shares.take

        def noted(own: Shares, caller: str, amount: int = 1) -> None:
            take(own, caller, amount)
            if own._scarce is PLACE and "caller" in g:  # before that it is for a key in the body
                self.placed.add(self._endpoint)

        monkeypatch.setattr(Shares, "take", noted)

    def _watched(self, work: Any, name: str) -> Any:
        def watched(*given: Any, **named: Any) -> Any:
            self.worked.add(self._endpoint)
            if not self._shared.held(PLACE.name) or CALLER.get() != g.caller.name:
                self.faults.append(f"{self._endpoint}: {name} without a place of its caller's")
            return work(*given, **named)

        return watched

    def _watch_reader(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def reader(read: Any) -> Any:
            def received(*given: Any) -> Any:
                self._receiving = True
                try:
                    return read(*given)
                finally:
                    self._receiving = False

            return received

        for owner, name in ((BodyLimits, "receive"), (Auth, "_key")):  # of a short body, for a key in it
            monkeypatch.setattr(owner, name, reader(getattr(owner, name)))

    def _with_input(self, app: Any) -> Any:
        walk = self

        class Input:
            def __init__(self, stream: Any):
                self._stream = stream

            def __getattr__(self, name: str) -> Any:
                if not walk._receiving:
                    walk.faults.append(f"{walk._endpoint}: its body is read past BodyLimits")
                return getattr(self._stream, name)

        def with_input(environ: dict[str, Any], start_response: Any) -> Any:
            return app({**environ, "wsgi.input": Input(environ["wsgi.input"])}, start_response)

        return with_input

    def ask(self, route: Route) -> int:
        """Send each body of the route; return the last status."""
        path = route.path.replace("{task}", "translation_en_to_fr").replace("{", "").replace("}", "")
        adapter = self.app.url_map.bind("")
        self._endpoint, _ = adapter.match(path, route.method)
        ask = partial(self.app.test_client().open, path, method=route.method, query_string=route.query)
        status = 0
        for body in route.bodies or [None]:
            status = ask(**self._sent(route.media_type, body)).status_code
        return status

    def _sent(self, media_type: str, body: Any) -> dict[str, Any]:
        if body is None:
            return {"data": b"Vienna,Vienne\n", "content_type": media_type} if media_type else {}
        if media_type == "application/json":
            return {"json": body, "headers": {"Accept": "application/json, text/event-stream"}}
        fields = {name: value if isinstance(value, list) else [value] for name, value in body.items()}
        if fields.pop("file", None):
            sent = {name: str(value[0]) for name, value in fields.items()}
            (content_type,), data = form(".txt", **sent)
            return {"data": data, "headers": [content_type]}
        pairs = MultiDict((name, str(each)) for name, values in fields.items() for each in values)
        return {"data": pairs, "content_type": media_type}


def test_each_route_works_in_a_place_of_its_caller_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walk = Walk(monkeypatch, tmp_path)
    document = walk.app.test_client().get("/openapi.json").json
    walk.faults.clear()
    for route in [*documented(document), *compatible()]:
        assert walk.ask(route) < 500, route
    assert walk.faults == []
    writing = {
        rule.endpoint
        for rule in walk.app.url_map.iter_rules()
        if (rule.methods or set()) & {"POST", "PUT", "PATCH"}
    }
    assert writing - walk.placed == NO_WORK
    assert len(walk.worked) > 20, "the requests got past the door"


def test_a_turn_that_comes_while_its_waiter_leaves_is_given_back() -> None:
    readers = Shares(READER, 2)
    readers.take("a")

    def leave() -> None:
        readers.give("a")
        assert readers.next() is not None
        raise ClientDisconnected

    with pytest.raises(ClientDisconnected), readers.turn("a", deadline=math.inf, require=leave):
        pass
    assert readers.held == len(readers) == 0


def test_who_asks_little_waits_for_a_turn_of_who_asks_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of thirty requests of one caller, one is worked on beside another caller's."""
    monkeypatch.setattr("models.driver.SLICE_S", 0.0)
    texts, go, read = TextTurns(), threading.Semaphore(0), list[str]()

    def steps(caller: str, number: int) -> Steps[None]:
        for _ in range(number):
            if caller == "a":
                go.acquire()
            read.append(caller)
            yield None

    def ask(caller: str, number: int) -> None:
        CALLER.set(caller)
        with texts.working(caller):
            run_all([steps(caller, number)], idle=idle)

    asking = [threading.Thread(target=ask, args=("a", 50)) for _ in range(30)]
    for number, each in enumerate(asking, 1):
        each.start()
        while texts.held + len(texts) < number:
            time.sleep(0.001)
    assert texts.held == 30, "nobody waits while there is one caller"
    CALLER.set("b")
    with texts.working("b"):
        assert read == [], "it need not wait"
        for number in range(1, 200):  # it takes long
            go.release()
            while len(read) < number:
                time.sleep(0.001)
        for _ in range(5000):
            if texts.held > 2:
                time.sleep(0.001)
        assert texts.held == 2
    for _ in range(30 * 50):
        go.release()
    for each in asking:
        each.join()
    assert len(read) == 30 * 50
    assert texts.held == len(texts) == 0


def test_the_turn_of_a_request_is_free_while_it_waits() -> None:
    texts = TextTurns()
    with texts.working("a"):
        with idle():
            assert texts.held == 0
            with idle():
                assert texts.held == 0
        assert texts.held == 1
    with idle():
        assert texts.held == 0


def test_a_request_counts_for_its_key_once_that_was_read() -> None:
    texts = TextTurns()
    CALLER.set("a-key")
    with texts.working("an-address"):  # a job's, say
        pass
    CALLER.set("")
    with texts.working("an-address"):
        CALLER.set("a-key")
        known()
        assert not texts.is_crowded(), "an address and its key are one caller"
        with ThreadPoolExecutor(1) as pool:
            pool.submit(_work_as, "another-key", texts).result()
        assert texts.is_crowded(), "two keys of one address are two"


def _work_as(caller: str, texts: TextTurns) -> None:
    with texts.working("an-address"):
        CALLER.set(caller)
        known()


def test_the_docs_tell_of_all_shares() -> None:
    assert table() in (ROOT / "docs" / "limits.md").read_text()
