"""No route takes what is scarce past the shares, and the docs tell of all of them."""

import json
import math
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from compat_runtime import CompatRuntime, settings
from fake_pool import FakeEngine
from flask import Flask, Request, g, has_request_context
from fuzz_requests import Route, compatible, documented
from made_documents import form
from sqlalchemy import Engine, event
from waiting import until
from werkzeug.datastructures import MultiDict
from werkzeug.test import EnvironBuilder

from models.driver import run_all
from models.errors import ClientDisconnected
from models.steps import Steps
from models.text.article import html_article
from models.text.detect import LanguageDetector
from service import children, jobs, options, shares
from service.documents import archive
from service.http import app, fetch, forms, run_request, server
from service.http import body as bodies
from service.http.app import create_app
from service.http.auth import Auth
from service.http.body import BodyLimits
from service.http.compat import deepl, openai_prompts
from service.http.metrics import PROBES
from service.http.server import _Channel, _Http
from service.jobs import JobService
from service.limits import job_limits
from service.settings import Settings
from service.shared import SharedState
from service.shares import BODY, CALLER, PLACE, READER, Shares, TextTurns, idle, known, named, table
from service.store import translation_memory
from service.store.document_files import DocumentFiles
from service.store.glossaries import Dictionary, Glossaries
from service.store.jobs import NewJob
from service.store.results import StoredResult
from service.store.tmx import TmxPair

ROOT = Path(__file__).parents[2]

WORK = (
    (CompatRuntime, "run_all"),
    (run_request, "stream"),
    (FakeEngine, "submit"),
    (BaseProcess, "start"),
    (fetch, "fetch"),
    (LanguageDetector, "candidates"),
    (Glossaries, "entries"),
    (Glossaries, "targets"),
)
"""What takes an engine, a reader, a processor or memory; of threads and the disk others tell."""
STARTS = ("_thread.start", "socket.connect", "subprocess", "os.fork", "os.posix_spawn", "os.system")
"""Audit events of threads, connections and processes that begin."""
AUDITS: list[Callable[[str, tuple[Any, ...]], None]] = []
NO_WORK = {
    *("deepl.document_status", "deepl.document_result", "deepl.languages", "deepl.usage"),
    "v1.pull",  # refused without an admin's key
}
"""Endpoints that are asked with a body, or a method, that is none of reading, and only look something up."""
REFUSED = {"v1.pull", "fetch.fetch"}
"""Endpoints that have no good answer here: nobody is an admin, and nothing has a public address."""
FILES = {"docs.asset", "jobs.result", "deepl.document_result", "libretranslate.download_file"}
"""Endpoints whose answers are read from where they are kept as their clients take them."""
ORDER = ("GET", "POST", "PATCH", "PUT", "DELETE")
"""What changes or forgets a glossary comes last."""
LONG = 1 << 21
"""Bytes of each thing that is kept: more than an answer may have in one piece, or the sockets hold of it."""
PIECE = LONG // 4


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    for each in AUDITS:
        each(event, arguments)


sys.addaudithook(_audit)  # for good: there is no way to remove it


class Walk:
    """Sends a sound request to each route of the real server, and notes what it takes.

    An answer is read when the server is done with it, so that what waits to be taken has been counted.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path):
        self.faults: list[str] = []
        self.placed: set[str] = set()
        self.good: set[str] = set()
        self.counted = Counter[str]()
        """Bytes of bodies, and of glossaries, by endpoint."""
        self._inserted: set[str] = set()
        self._summed: set[str] = set()
        self._receiving = False
        self._endpoint = ""
        self._done = threading.Event()
        self._shared = SharedState()
        for owner, name in WORK:
            monkeypatch.setattr(owner, name, self._watched(getattr(owner, name), name))
        self._watch_reader(monkeypatch)
        self._watch_server(monkeypatch)
        self._runtime: Any = CompatRuntime(settings(data_dir=folder))
        self._jobs = JobService(self._runtime)
        self.app: Flask = create_app(self._runtime, shared=self._shared, jobs=self._jobs)
        self._ids = self._kept()
        self.app.wsgi_app = self._with_input(self.app.wsgi_app)  # type: ignore[method-assign]
        take = Shares.take

        def noted(own: Shares, caller: str, amount: int = 1) -> None:
            take(own, caller, amount)
            if own._scarce is PLACE and "caller" in g:  # before that it is for a key in the body
                self.placed.add(self._endpoint)
            if own._scarce is BODY:
                self.counted[self._endpoint] += amount

        monkeypatch.setattr(Shares, "take", noted)
        event.listen(Engine, "before_cursor_execute", self._statement)
        AUDITS.append(self._started)
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
        self.address = listener.getsockname()
        self.http = _Http(self.app, listener, 20, PROBES, 0, self._runtime.texts)
        self._over = False
        self._loop = threading.Thread(target=self._serve, daemon=True)
        self._loop.start()

    def _serve(self) -> None:
        while not self._over:
            self.http.turn()

    def close(self) -> None:
        """Stop the server, and find what nobody gave back; once."""
        if self._over:
            return
        until(lambda: not self.http.active_channels)
        held = (self.http.connections, self.http.threads, self.http.answers, self._runtime.texts)
        self.faults += [f"{each._scarce.name}: {each.held} not given back" for each in held if each.held]
        self.faults += [f"{what} not given back" for (what,) in self._shared.rows("SELECT what FROM held")]
        for endpoint in self._inserted - self._summed:
            self.faults.append(f"{endpoint}: keeps what it has not counted before")
        self._over = True
        self.http.pull_trigger()
        self._loop.join()
        self.http.close()
        self.http.task_dispatcher.shutdown()
        self.http._probing.shutdown()
        event.remove(Engine, "before_cursor_execute", self._statement)
        AUDITS.remove(self._started)

    def _kept(self) -> dict[str, str]:
        """One of each thing that a path may name; their ids by what routes call them."""
        own = named("127.0.0.1")
        text = "a" * 1000
        sentences = {f"{i} {text}": text for i in range(LONG // len(text))}
        dictionary = Dictionary("en", "fr", {term[:1000]: "b" for term in sentences})
        glossary = self._runtime.glossaries.of(None, own).create("walk", [dictionary]).id
        pairs = [TmxPair("en", "fr", *pair) for pair in sentences.items()]
        self._runtime.translation_memory.of(None, own).add(pairs)
        self.job = self._jobs.store.create(
            NewJob(
                task="translate",
                form="document",
                options={"file": "a.txt", "billed_characters": 1},
                contents=[b"a"],
                request_id="",
                caller=own,
            )
        )
        claimed = self._jobs.store.claim()
        assert claimed is not None
        self._jobs.store.record(claimed, {0: StoredResult(b"a" * LONG, "text/plain", "a.txt")})
        self._jobs.store.end(claimed)
        file = DocumentFiles(self._runtime.database).put(own, "a.txt", b"a" * LONG, "text/plain")
        ids = dict.fromkeys(("glossary", "glossary_id", "named"), glossary)
        ids |= dict.fromkeys(("job_id", "document_id"), self.job.id)
        return ids | {
            "file": file,
            "key": file,
            "slug": "overloaded",
            "task": "translation_en_to_fr",
            "name": "translate:fr",
        }

    # ------------------------------------------------------------------ what is watched

    def _watched(self, work: Any, name: str) -> Any:
        def watched(*given: Any, **more: Any) -> Any:
            if has_request_context():
                self._require_place(name)
            return work(*given, **more)

        return watched

    def _require_place(self, what: str) -> None:
        if not self._shared.held(PLACE.name) or "caller" not in g or CALLER.get() != g.caller.name:
            self.faults.append(f"{self._endpoint}: {what} without a place of its caller's")
        if what.startswith(("start", "subprocess", "os.")) and not self._runtime.children._readers.held:
            self.faults.append(f"{self._endpoint}: a process without a reader")

    def _started(self, event: str, arguments: tuple[Any, ...]) -> None:
        is_write = (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        )
        if (is_write or event.startswith(STARTS)) and has_request_context():
            self._require_place(event)

    def _statement(self, _: Any, __: Any, statement: str, *___: Any) -> None:
        if not has_request_context():
            return
        if statement.startswith("INSERT"):
            self._inserted.add(self._endpoint)
            self._require_place(statement[:40])
        elif "sum(" in statement:
            self._summed.add(self._endpoint)

    def _watch_server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        serve, write_soon = _Channel.service, _Channel.write_soon

        def served(own: Any) -> None:
            if not self.http.connections.held or not (self.http.threads.held or own.charged is None):
                self.faults.append(f"{self._endpoint}: a connection or a thread that nobody holds")
            serve(own)
            self._done.set()

        def written(own: Any, data: Any) -> Any:
            if isinstance(data, bytes) and len(data) > PIECE + self.counted[self._endpoint]:
                self.faults.append(f"{self._endpoint}: {len(data)} bytes in memory that are not counted")
            return write_soon(own, data)

        monkeypatch.setattr(_Channel, "service", served)
        monkeypatch.setattr(_Channel, "write_soon", written)

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

    def routes(self) -> list[Route]:
        """All routes; those that are read also without a query, whether anything tells of them or not."""
        document = self.app.test_client().get("/openapi.json").json
        self.faults.clear()
        told, adapter = [*documented(document), *compatible()], self.app.url_map.bind("")
        for rule in self.app.url_map.iter_rules():
            if "GET" in (rule.methods or ()):
                one_of = {name: getattr(each, "items", ()) for name, each in rule._converters.items()}
                values = {name: min(names) if names else self._ids[name] for name, names in one_of.items()}
                told.append(Route("GET", adapter.build(rule.endpoint, values, "GET")))
        return sorted(told, key=lambda route: ORDER.index(route.method))

    def ask(self, route: Route) -> None:
        """Send each body of the route."""
        path = self._named(route.path)
        self._endpoint, _ = self.app.url_map.bind("").match(path, route.method)
        for body in route.bodies or [None]:
            body = body and json.loads(self._named(json.dumps(body)))
            given = self._sent(route.media_type, body)
            built = EnvironBuilder(path, method=route.method, query_string=route.query, **given)
            status = self._answered(built.get_request())
            assert status < 500, (route, body)
            if status < 400:
                self.good.add(self._endpoint)

    def _named(self, text: str) -> str:
        for name, own in self._ids.items():
            text = text.replace(f"{{{name}}}", own)
        return text.replace('"document_key": "a"', f'"document_key": "{deepl._key(self.job)}"')

    def _answered(self, sent: Request) -> int:
        self._done.clear()
        with closing(HTTPConnection(*self.address, timeout=60)) as client:
            client.connect()
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
            headers = dict(sent.headers) | {"Host": "127.0.0.1", "Connection": "close"}
            client.request(sent.method, sent.full_path, sent.get_data(), headers)
            assert self._done.wait(60), self._endpoint
            counted = self.http.answers.held
            answer = client.getresponse()
            size = len(answer.read())
        if size - counted > PIECE and self._endpoint not in FILES:
            self.faults.append(f"{self._endpoint}: {counted} of {size} bytes of an answer are counted")
        return answer.status

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


@pytest.fixture
def walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Walk]:
    walk = Walk(monkeypatch, tmp_path)
    yield walk
    walk.close()


def test_each_route_works_in_a_place_of_its_caller_s(walk: Walk) -> None:
    for route in walk.routes():
        walk.ask(route)
    walk.close()
    assert walk.faults == []
    methods = {rule.endpoint: rule.methods or set() for rule in walk.app.url_map.iter_rules()}
    writing = {endpoint for endpoint, own in methods.items() if own & {"POST", "PUT", "PATCH"}}
    assert writing - walk.placed == NO_WORK
    assert walk.counted["deepl.translate"] > LONG, "a stored glossary counts like a body"
    forgetting = {endpoint for endpoint, own in methods.items() if "DELETE" in own}
    assert set(methods) - walk.good - forgetting == REFUSED


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


def test_the_docs_tell_of_all_limits() -> None:
    docs = " ".join((ROOT / "docs" / "limits.md").read_text().split())
    assert " ".join(table().split()) in docs
    own = Settings()
    job = job_limits(own)
    for told in (
        f"| {own.max_request_characters:,} characters (`DRAGOMAN_MAX_REQUEST_CHARACTERS`) |",
        f"| {own.max_html_characters:,} characters, elements nested {html_article.MOST_NESTED} deep |",
        f"| items of `texts` | {own.max_texts} |",
        f"| {bodies.OTHER_VALUES:,} values, and four for each text allowed |",
        f"| a message to `/mcp` | {app.MCP_BYTES >> 20} MB |",
        f"| {openai_prompts.SYSTEM_CHARACTERS:,} characters | 400 |",
        f"| {deepl.MOST_GLOSSARIES}, each once |",
        f"| {forms.KEY_BYTES >> 10} KB of body; a longer one",
        f"| {app.OTHER_FIELDS:,} fields, and one for each text allowed;",
        f"| {job.max_request_characters:,} characters, {job.max_texts:,} texts |",
        f"| {options.MOST_TERMS:,} entries; {options.MOST_PROTECTED:,} terms, each of {options.LONGEST_TERM}",
        f"| {server.HEAD_BYTES >> 10} KB; {server.PIPELINED} requests on a connection",
        f"| {own.request_timeout_s:g} s (`DRAGOMAN_REQUEST_TIMEOUT_S`) |",
        f"takes nothing of its answer | {server.IDLE_S:g} s | closed |",
        f"| {server.IDLE_S:g} s, and a second for each {server.LEAST_BYTES_PER_S:,} bytes |",
        f"| none; after {jobs.TURN_S:g} s it gives way",
        f"bodies over {bodies.SHORT_BYTES >> 10} KB in work",
        f"answers over {server.BUFFER_BYTES >> 10} KB that",
        f"| requests in work | {shares.PLACES_TIMES * own.max_queued_requests}: twice `DRAGOMAN_MAX_QUEUED_R",
        f"at most {translation_memory.LONGEST_SENTENCE:,} characters. Near sentences are sought among "
        f"{translation_memory.MOST_CANDIDATES:,} of",
        f"{children.LEAST_BYTES >> 20} MB plus {children.BYTES_FOR_EACH} bytes for each byte of the file, up "
        f"to {children.MOST_BYTES >> 30} GB",
        f"unpack to {archive.MAX_UNPACKED_BYTES >> 20} MB and {archive.MAX_PARTS:,} parts, and a part to "
        f"{archive.MAX_RATIO} times its packed size.",
        f"Its XML, and an XLIFF file, may have {archive.MAX_TAGS:,} tags",
    ):
        assert told in docs, told
    assert server.PROBE_THREADS == 4, "in words"
