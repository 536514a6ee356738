"""The mixed load of the soak: each kind of request there is, and what its answer must be.

A caller asks one thing after another. Answers are held against `wire.faults`; the same request must get the
same text whenever it is asked.
"""

import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

import made_documents
from server_process import BenchServer
from wire import Connection, Reply, Sent, faults


class Disturbances:
    """When the server was killed under its callers; until it is back, what they miss is no fault."""

    def __init__(self) -> None:
        self._spans: list[tuple[float, float]] = []
        self._lock = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Around a kill, until the server is ready again."""
        span = len(self._spans)
        with self._lock:
            self._spans.append((time.monotonic(), float("inf")))
        try:
            yield
        finally:
            with self._lock:
                self._spans[span] = (self._spans[span][0], time.monotonic())

    def between(self, start: float, end: float) -> bool:
        with self._lock:
            return any(began <= end and start <= ended for began, ended in self._spans)


@dataclass
class SoakFindings:
    """What the callers saw, all together."""

    asked: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    jobs: int = 0
    callbacks: int = 0
    repeated: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def fault(self, told: str) -> None:
        with self.lock:
            self.faults.append(told)


class Interrupted(Exception):
    """The server was killed while it answered, or is full: nothing was promised."""


JSON = ("Content-Type", "application/json")
WAIT_S = 60.0
POLL_S = 0.1
SENTENCES = (
    "The ferry to Sark did not sail on Monday.",
    "A gust of 98 kilometres an hour had torn a rope in the night.",
    "About 40 passengers slept in the school hall.",
    "The harbour master of Port Ellery kept every boat in.",
    "Ministers met in Vienna on 3 May 2024 and agreed on 1.5 million euros.",
    "Nobody asked the fishermen, Dr. O'Neill said.",
)


class SoakCaller:
    """One client. `told` says whether a job's callback came; `exact` wants the same text every time."""

    def __init__(
        self,
        server: BenchServer,
        findings: SoakFindings,
        disturbances: Disturbances,
        rng: random.Random,
        *,
        callback: str,
        told: Callable[[str], bool],
        deadline_s: float,
        exact: bool,
    ):
        self._port = server.port
        self._connection = Connection(server.port, deadline_s + 30.0)
        self._findings = findings
        self._disturbances = disturbances
        self._rng = rng
        self._callback = callback
        self._told = told
        self._deadline_s = deadline_s
        self._exact = exact
        self._kinds = [getattr(self, name) for name in dir(self) if name.startswith("do_")]
        self._began = 0.0

    def one(self) -> None:
        """Ask one thing, of a kind at random."""
        kind = self._rng.choice(self._kinds)
        name = kind.__name__.removeprefix("do_")
        with self._findings.lock:
            self._findings.asked[name] += 1
        self._began = time.monotonic()
        try:
            kind()
        except Interrupted:
            pass
        except Exception as error:  # noqa: BLE001 - whatever an answer lacks is a finding
            self._findings.fault(f"{name}: {type(error).__name__}: {error}")

    def close(self) -> None:
        self._connection.close()

    # ------------------------------------------------------------------ kinds

    def do_translate(self) -> None:
        text = self._text()
        told = self._post("/v1/translate", {"text": text, "source": "en", "target": "fr"})
        self._same(f"translate {text}", told["translation"])

    def do_translate_many(self) -> None:
        texts = [self._text(), "", self._text()]
        told = self._post("/v1/translate", {"texts": texts, "source": "en", "target": "de"})["results"]
        assert len(told) == 3
        assert told[1]["status"] == 422

    def do_summarize(self) -> None:
        text = self._text(12)
        told = self._post("/v1/summarize", {"text": text, "length": "short"})
        self._same(f"summarize {text}", told["summary"])

    def do_summarize_page(self) -> None:
        page = "".join(f"<p>{each} {each}</p>" for each in SENTENCES)
        self._post("/v1/summarize", {"html": f"<html><body><article>{page}</article></body></html>"})

    def do_stream(self) -> None:
        text = self._text(3)
        body = {"text": text, "source": "en", "target": "fr", "stream": True}
        answer = self._ask("POST", "/v1/translate", [JSON], json.dumps(body).encode())
        last = answer.body.strip().split(b"\n\n")[-1]
        assert last.startswith(b"event: result"), last[:200]
        self._same(f"translate {text}", json.loads(last.split(b"data: ", 1)[1])["translation"])

    def do_check(self) -> None:
        self._post("/v1/check", {"source": self._text(4), "output": self._text(2), "kind": "summary"})

    def do_clean(self) -> None:
        self._post("/v1/clean", {"text": "\n".join((*SENTENCES, "Leave a Reply"))})

    def do_detect(self) -> None:
        assert self._post("/v1/detect", {"text": self._text(3)})["language"] == "en"

    def do_document(self) -> None:
        suffix = self._rng.choice(made_documents.SUFFIXES)
        data = made_documents.form(suffix, source="en", target="fr")
        answer = self._ask("POST", "/v1/documents/translate", *data)
        assert answer.body
        if suffix == ".docx":
            assert answer.body.startswith(b"PK")

    def do_document_summary(self) -> None:
        data = made_documents.form(self._rng.choice((".txt", ".html", ".docx", ".pdf")))
        assert json.loads(self._ask("POST", "/v1/documents/summarize", *data).body)["summary"]

    def do_libretranslate(self) -> None:
        text = self._text()
        told = self._post("/translate", {"q": text, "source": "en", "target": "fr"})
        self._same(f"translate {text}", told["translatedText"])

    def do_libretranslate_file(self) -> None:
        start = time.monotonic()
        answer = self._ask("POST", "/translate_file", *made_documents.form(".txt", source="en", target="fr"))
        at = urlsplit(json.loads(answer.body)["translatedFileUrl"]).path
        try:
            assert self._ask("GET", at).body
        except AssertionError:
            if self._disturbances.between(start, time.monotonic()):
                raise Interrupted from None  # such files are kept in memory, and go with a killed worker
            raise

    def do_deepl(self) -> None:
        text = self._text()
        told = self._post("/v2/translate", {"text": [text], "source_lang": "EN", "target_lang": "FR"})
        self._same(f"translate {text}", told["translations"][0]["text"])

    def do_huggingface(self) -> None:
        text = self._text()
        (told,) = self._post("/pipeline/translation_en_to_fr", {"inputs": text})
        self._same(f"translate {text}", told["translation_text"])

    def do_glossary(self) -> None:
        body = {
            "name": "soak",
            "source": "en",
            "target": "fr",
            "entries": {"Vienna": "Vienne", "rope": "corde"},
        }
        made = self._post("/v1/glossaries", body)["id"]
        try:
            text = {"text": SENTENCES[4], "source": "en", "target": "fr", "glossary": made}
            assert "Vienne" in self._post("/v1/translate", text)["translation"]
            assert b"Vienna\tVienne" in self._ask("GET", f"/v1/glossaries/{made}/entries.tsv").body
        finally:
            self._remove(f"/v1/glossaries/{made}")

    def do_memory(self) -> None:
        text = f"{SENTENCES[0]} It was day {self._rng.randrange(10**9)}."
        body = {"source": "en", "target": "fr", "entries": {text: "Ce jour-là."}}
        assert self._post("/v1/memory", body)["kept"] == 1
        assert text.encode() in self._ask("GET", "/v1/memory.tmx").body
        self._remove(f"/v1/memory?{urlencode({'text': text})}")

    def do_chat(self) -> None:
        body = {"model": "translate:fr", "messages": [{"role": "user", "content": self._text()}]}
        assert self._post("/v1/chat/completions", body)["choices"][0]["message"]["content"]

    def do_assistant(self) -> None:
        text = self._text()
        given = {"name": "translate", "arguments": {"text": text, "source": "en", "target": "fr"}}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": given}
        headers = [JSON, ("Accept", "application/json, text/event-stream")]
        told = json.loads(self._ask("POST", "/mcp", headers, json.dumps(body).encode()).body)["result"]
        if told.get("isError") and self._was_disturbed():  # what is a 503 elsewhere
            raise Interrupted
        assert "structuredContent" in told, told
        self._same(f"translate {text}", told["structuredContent"]["translation"])

    def do_metrics(self) -> None:
        assert b"dragoman_" in self._ask("GET", "/metrics").body

    # ------------------------------------------------------------------ clients that go away

    def do_go_away(self) -> None:
        """Send half of a request, or all of it, and close."""
        body = json.dumps({"text": self._text(20), "source": "en", "target": "fr"}).encode()
        head = b"POST /v1/translate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        raw = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
        self._leave(raw[: self._rng.choice((20, len(head) + 30, len(raw)))])

    def do_leave_a_stream(self) -> None:
        body = json.dumps({"text": self._text(20), "source": "en", "target": "fr", "stream": True}).encode()
        head = b"POST /v1/translate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        self._leave(head + b"Content-Length: %d\r\n\r\n" % len(body) + body, hear=True)

    def _leave(self, raw: bytes, *, hear: bool = False) -> None:
        try:
            with socket.create_connection(("127.0.0.1", self._port), 10.0) as sock:
                sock.sendall(raw)
                if hear:
                    sock.recv(200)
                else:
                    time.sleep(self._rng.uniform(0.0, 0.1))
        except OSError:
            return  # it was killed meanwhile; nobody waits for this answer

    # ------------------------------------------------------------------ jobs

    def do_job(self) -> None:
        texts = [self._text() for _ in range(self._rng.randint(1, 20))]
        body: dict[str, Any] = {"task": "translate", "texts": texts, "source": "en", "target": "fr"}
        self._follow(self._post("/v1/jobs", body)["id"], texts)

    def do_job_with_callback(self) -> None:
        texts = [self._text() for _ in range(3)]
        body = {
            "task": "translate",
            "texts": texts,
            "source": "en",
            "target": "fr",
            "callback": self._callback,
        }
        self._follow(self._post("/v1/jobs", body)["id"], texts, callback=True)

    def do_job_of_a_document(self) -> None:
        data = made_documents.form(".txt", task="translate", source="en", target="fr")
        self._follow(json.loads(self._ask("POST", "/v1/jobs", *data).body)["id"], None)

    def do_cancelled_job(self) -> None:
        texts = [self._text(4) for _ in range(40)]
        body = {"task": "translate", "texts": texts, "source": "en", "target": "fr"}
        job = self._post("/v1/jobs", body)["id"]
        time.sleep(self._rng.uniform(0.0, 0.2))
        self._remove(f"/v1/jobs/{job}")

    def _follow(self, job: str, texts: list[str] | None, *, callback: bool = False) -> None:
        """An accepted job ends, whatever happens meanwhile, and its result is there to be fetched."""
        with self._findings.lock:
            self._findings.jobs += 1
        told = self._until(lambda: self._ended(job), f"the job {job} has not ended")
        assert told["status"] == "done", told
        result = self._insist("GET", f"/v1/jobs/{job}/result")
        if texts is not None:
            for text, each in zip(texts, json.loads(result.body)["results"], strict=True):
                self._same(f"translate {text}", each["translation"])
        if callback:
            self._until(lambda: self._told(job), f"the callback of the job {job} has not come")
            with self._findings.lock:
                self._findings.callbacks += 1
        self._remove(f"/v1/jobs/{job}")

    def _ended(self, job: str) -> dict[str, Any] | None:
        told: dict[str, Any] = json.loads(self._insist("GET", f"/v1/jobs/{job}").body)
        return told if told["status"] in ("done", "failed") else None

    def _until(self, reached: Callable[[], Any], otherwise: str) -> Any:
        end = time.monotonic() + WAIT_S
        while not (found := reached()):
            assert time.monotonic() < end, otherwise
            time.sleep(POLL_S)
        return found

    # ------------------------------------------------------------------ asking

    def _text(self, most: int = 4) -> str:
        return " ".join(self._rng.sample(SENTENCES * 4, self._rng.randint(1, most)))

    def _post(self, target: str, body: Any) -> Any:
        return json.loads(self._ask("POST", target, [JSON], json.dumps(body).encode()).body)

    def _ask(self, method: str, target: str, headers: Any = (), body: bytes = b"") -> Reply:
        """A good answer; raises Interrupted where the server was killed, AssertionError for what is wrong."""
        start = time.monotonic()
        sent = Sent(method, target, tuple(headers), body)
        answer = self._connection.send(sent)
        with self._findings.lock:
            self._findings.statuses[answer.status] += 1
        lost = answer.status in (0, 503) and self._disturbances.between(start, time.monotonic())
        if lost or answer.status == 429:
            raise Interrupted
        found = list(faults(sent, answer, deadline_s=self._deadline_s))
        assert not found, f"{found} {sent}"
        assert answer.status < 400, f"{answer.status} {answer.body[:300]!r} {sent}"
        return answer

    def _insist(self, method: str, target: str) -> Reply:
        """The same, however often the server is killed meanwhile."""
        end = time.monotonic() + WAIT_S
        while True:
            try:
                return self._ask(method, target)
            except Interrupted:
                assert time.monotonic() < end, f"{method} {target} is not answered"
                time.sleep(POLL_S)

    def _remove(self, target: str) -> None:
        """Delete it; if the answer was lost, it may be gone already."""
        start = time.monotonic()
        try:
            self._insist("DELETE", target)
        except AssertionError:
            if not self._disturbances.between(start, time.monotonic()):
                raise

    def _was_disturbed(self) -> bool:
        return self._disturbances.between(self._began, time.monotonic())

    def _same(self, asked: str, got: str) -> None:
        """The text is what others got. A second try that a kill ended leaves the first, with a flag."""
        assert got.strip(), f"an empty answer to {asked}"
        if self._was_disturbed():
            return
        with self._findings.lock:
            before = self._findings.texts.setdefault(asked, got)
            self._findings.repeated += before is not got
        if self._exact:
            assert before == got, f"{asked}: {before!r} before, {got!r} now"
