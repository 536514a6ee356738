"""Callbacks of jobs: signed, tried again, and never to where they must not go."""

import contextlib
import hashlib
import hmac
import json
import re
import socket
import ssl
import threading
import time

import pytest
import trustme
from http_fakes import FakeRuntime, settings
from job_client import ended, put, until
from listener import Listener, body_of, send
from sqlalchemy import update

from models.errors import InvalidInput
from service import callbacks
from service.callbacks import LOOKUP_TIMEOUT_S, POST_TIMEOUT_S, destination, post
from service.http.app import create_app
from service.jobs import JobService
from service.outbound import Destination
from service.store import schema
from service.store.jobs import JobStore

BOTH = pytest.mark.usefixtures("each_database")
SECRET = "a secret of sixteen characters"
PUBLIC = "93.184.216.34"


class Receiver(Listener):
    """A server on this machine that answers with `answers`, the last one for ever, and remembers."""

    def __init__(self, tls=None):
        super().__init__(self._take, tls)
        self.answers = [(204, {})]
        self.got = []
        self.port = self.server_port

    def _take(self, http):
        self.got.append((http.path, dict(http.headers), body_of(http)))
        status, headers = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        send(http, status, **headers)


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def open_with(tmp_path):
    """Opens a started jobs, with settings and with what JobService takes."""
    opened = []

    def open_it(given=None, **parts):
        made = {"data_dir": tmp_path, "callback_secret": SECRET, "callback_private": True, **(given or {})}
        runtime = FakeRuntime(settings(**made))
        jobs = JobService(runtime, **{"waits_s": (0.05, 0.1), **parts})
        opened.append(jobs)
        jobs.start()
        return create_app(runtime, jobs=jobs).test_client(), jobs

    yield open_it
    for jobs in opened:
        jobs.close()


def delivered(client, address, status="delivered"):
    until(lambda: client.get(address).json.get("callback", {}).get("status") == status)
    return client.get(address).json["callback"]


@BOTH
def test_the_end_of_a_job_is_told_and_signed(open_with, receiver):
    client, _ = open_with()
    url = f"http://127.0.0.1:{receiver.port}/hooks/jobs?for=me"
    address = put(client, task="translate", texts=["a", "b"], target="fr", callback=url)
    assert delivered(client, address) == {"status": "delivered", "tries": 1}
    [(path, headers, body)] = receiver.got
    assert path == "/hooks/jobs?for=me"
    assert headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert headers["Content-Type"] == "application/json"
    job = client.get(address).json
    assert json.loads(body) == {**job, "callback": {"status": "pending", "tries": 0}}

    signature = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", headers["Dragoman-Signature"])
    signed = signature[1].encode() + b"." + body
    assert hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest() == signature[2]
    assert abs(int(signature[1]) - time.time()) < 10


@pytest.mark.parametrize(("text", "status"), [("!engine", "failed"), ("!never", "cancelled")])
def test_so_is_a_bad_end(open_with, receiver, text, status):
    client, _ = open_with()
    address = put(client, task="summarize", text=text, callback=f"http://127.0.0.1:{receiver.port}/")
    if status == "cancelled":
        client.delete(address)
    delivered(client, address)
    assert json.loads(receiver.got[0][2])["status"] == status


@BOTH
def test_what_is_not_taken_is_tried_again(open_with, receiver):
    client, _ = open_with()
    receiver.answers = [(500, {}), (503, {}), (200, {})]
    address = put(client, task="summarize", text="One.", callback=f"http://127.0.0.1:{receiver.port}/")
    assert delivered(client, address) == {"status": "delivered", "tries": 3}
    assert len({body for _, _, body in receiver.got}) == 3, "each says how often it was tried"


@BOTH
def test_it_is_given_up_after_some_tries(open_with):
    gone = Receiver()
    gone.close()
    client, _ = open_with()
    address = put(client, task="summarize", text="One.", callback=f"http://127.0.0.1:{gone.port}/")
    assert delivered(client, address, "failed") == {"status": "failed", "tries": 3}
    assert client.get(address).json["status"] == "done", "the job is none the worse"


def test_a_redirect_is_not_followed(open_with, receiver):
    client, _ = open_with(waits_s=())
    receiver.answers = [(307, {"Location": f"http://127.0.0.1:{receiver.port}/elsewhere"}), (200, {})]
    address = put(client, task="summarize", text="One.", callback=f"http://127.0.0.1:{receiver.port}/here")
    delivered(client, address, "failed")
    assert [path for path, _, _ in receiver.got] == ["/here"]


@BOTH
def test_what_was_not_told_is_told_after_a_restart(open_with, receiver):
    client, jobs = open_with(waits_s=(0.5, 0.1))
    receiver.answers = [(500, {}), (200, {})]
    address = put(client, task="summarize", text="One.", callback=f"http://127.0.0.1:{receiver.port}/")
    until(lambda: client.get(address).json.get("callback") == {"status": "pending", "tries": 1})
    jobs.close()
    assert len(receiver.got) == 1
    client, _ = open_with()
    assert delivered(client, address)["tries"] == 2


# ---------------------------------------------------------------------- at the same time


class Silent:
    """A receiver that takes connections and says nothing until it is let go."""

    def __init__(self):
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self.connections = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self):
        while True:
            try:
                self.connections.append(self._server.accept()[0])
            except OSError:
                return

    def close(self):
        with contextlib.suppress(OSError):  # closed before
            self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._server.close()
        for each in self.connections:
            each.close()


@pytest.fixture
def silent():
    silent = Silent()
    yield silent
    silent.close()


def test_receivers_that_say_nothing_delay_nobody_else(open_with, receiver, silent):
    """One after another they took 15 s each; here none ends before the other callback is delivered."""
    client, _ = open_with(resolve=lambda host, port: ["127.0.0.1"])
    for i in range(20):
        put(client, task="summarize", text="One.", callback=f"http://host-{i}.example:{silent.port}/")
    until(lambda: len(silent.connections) == callbacks.CALLBACKS_OF_A_CALLER)
    url = f"http://hooks.example:{receiver.port}/"
    body = {"task": "summarize", "text": "One.", "callback": url}
    sent = client.post("/v1/jobs", json=body, environ_base={"REMOTE_ADDR": "192.0.2.9"})
    assert delivered(client, sent.headers["Location"])["tries"] == 1
    assert len(silent.connections) == callbacks.CALLBACKS_OF_A_CALLER, "one caller's take no more than that"
    silent.close()


def test_a_host_is_sent_one_at_a_time(open_with, silent, receiver):
    client, _ = open_with(resolve=lambda host, port: ["127.0.0.1"])
    for i in range(3):
        put(client, task="summarize", text="One.", callback=f"http://Host.example:{silent.port}/{i}")
    last = put(client, task="summarize", text="One.", callback=f"http://other.example:{receiver.port}/")
    delivered(client, last)
    assert len(silent.connections) == 1
    silent.close()


@BOTH
def test_what_was_being_sent_at_a_kill_is_still_to_be_sent(open_with, silent):
    client, jobs = open_with()
    put(client, task="summarize", text="One.", callback=f"http://127.0.0.1:{silent.port}/")
    until(lambda: silent.connections)
    again = JobStore(jobs._runtime.database)  # as another server finds it
    assert again.due_callbacks() == [] and again.next_callback_s() > POST_TIMEOUT_S + LOOKUP_TIMEOUT_S
    jobs._runtime.database.write(update(schema.job).values(callback_due=0.0))  # as if that time had passed
    [waiting] = again.due_callbacks()
    job = again.claim_callback(waiting.number)
    assert job is not None and (job.callback_status, job.callback_tries) == ("pending", 0)
    assert again.claim_callback(waiting.number) is None
    silent.close()


def test_a_slow_name_server_keeps_no_place(open_with):
    asked, answer = threading.Event(), threading.Event()
    places = settings().max_queued_requests

    def slow(host, port):
        asked.set()
        answer.wait(20)
        return ["10.0.0.1"]

    client, _ = open_with({"callback_private": False}, resolve=slow)
    body = {"task": "summarize", "text": "!never", "callback": "http://slow.example/"}
    answers = []

    def send():
        answers.append(client.application.test_client().post("/v1/jobs", json=body).status_code)

    threads = [threading.Thread(target=send) for _ in range(places)]
    for thread in threads:
        thread.start()
    asked.wait(20)
    until(lambda: len(client.get("/v1/jobs").json["jobs"]) == places)
    put(client, task="summarize", text="One.")
    answer.set()
    for thread in threads:
        thread.join()
    assert answers == [422] * places, "and they are refused and forgotten once it has answered"
    assert len(client.get("/v1/jobs").json["jobs"]) == 1


# ---------------------------------------------------------------------- where it must not go


REFUSED = (
    "http://127.0.0.1/", "http://localhost:8080/", "http://[::1]/", "http://0.0.0.0/", "http://10.1.2.3/",
    "http://172.16.0.1/", "http://192.168.1.1/", "http://169.254.169.254/latest/meta-data",
    "http://100.64.0.1/", "http://224.0.0.1/", "http://240.0.0.1/", "http://[fe80::1]/", "http://[fd00::1]/",
    "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/", "http://[3fff::1]/", "http://[fec0::1]/", "http://192.88.99.1/",
    "http://192.0.0.9/", "http://168.63.129.16/", "http://[::ffff:168.63.129.16]/",
    "http://[64:ff9b::a83f:8110]/", "http://[64:ff9b:1::808:808]/",
    "http://[2606:2800:220:1:0:5efe:a9fe:a9fe]/", "http://[2606:2800:220:1:200:5efe:10.0.0.1]/",
    "http://[2606:2800:220:1:200:5efe:168.63.129.16]/", "http://[fd00::5efe:808:808]/",
    "http://[::127.0.0.1]/", "http://[5f00::1]/", "http://[2001:1::1]/", "http://2130706433/",
    "http://0x7f000001/", "http://127.1/", "ftp://example.com/", "file:///etc/passwd", "http:///path",
    "http://user:word@example.com/", "http://example.com:99999/", "http://[::1/", "nonsense",
    "http://ex ample.com/", "http://example.com/\r\nX-Header: a",
)  # fmt: skip


def test_where_callbacks_may_not_go(open_with):
    client, _ = open_with({"callback_private": False})
    for url in REFUSED:
        response = client.post("/v1/jobs", json={"task": "summarize", "text": "One.", "callback": url})
        assert (response.status_code, response.json["field"]) == (422, "callback"), url
    assert client.get("/v1/jobs").json["jobs"] == []


def test_a_name_that_leads_there_is_refused(open_with):
    answers = [["127.0.0.1"], ["::1"], [PUBLIC, "10.0.0.1"], ["::ffff:192.168.0.1"], ["fe80::1%eth0"], []]
    client, _ = open_with({"callback_private": False}, resolve=lambda host, port: addresses)
    body = {"task": "summarize", "text": "One.", "callback": "https://hooks.example/"}
    for addresses in answers:
        assert client.post("/v1/jobs", json=body).json["field"] == "callback", addresses


def test_a_name_that_is_not_found_is_refused(open_with):
    def nobody(host, port):
        raise OSError("no such name")

    client, _ = open_with(resolve=nobody)
    body = {"task": "summarize", "text": "One.", "callback": "https://hooks.example/"}
    assert "not found" in client.post("/v1/jobs", json=body).json["detail"]


def test_a_name_that_leads_elsewhere_later_is_not_followed(open_with, monkeypatch):
    sent = []
    monkeypatch.setattr(callbacks, "post", lambda *given: sent.append(given))
    answers = [[PUBLIC], ["127.0.0.1"]]
    client, _ = open_with(
        {"callback_private": False},
        resolve=lambda host, port: answers.pop(0) if len(answers) > 1 else answers[0],
        waits_s=(),
    )
    address = put(client, task="summarize", text="One.", callback="http://hooks.example/")
    delivered(client, address, "failed")
    assert sent == []


def test_the_address_that_was_checked_is_the_one_connected_to(receiver):
    asked = []

    def once(host, port):
        asked.append((host, port))
        return ["127.0.0.1"] if len(asked) == 1 else ["192.0.2.1"]

    to = destination(f"http://hooks.example:{receiver.port}/a?b=c", private=True, resolve=once)
    assert post(to, b"{}", {}) == 204
    assert asked == [("hooks.example", receiver.port)]
    assert receiver.got[0][1]["Host"] == f"hooks.example:{receiver.port}"


def test_public_addresses_are_allowed():
    isatap = "2606:2800:220:1:200:5efe:8.8.8.8"
    for address in (PUBLIC, "2606:2800:220:1:248:1893:25c8:1946", "2002:808:808::1", isatap):
        to = destination("https://hooks.example", private=False, resolve=lambda host, port, a=address: [a])
        assert to == Destination("https", "hooks.example", 443, "/", address)


def test_without_a_secret_there_are_no_callbacks(open_with):
    client, _ = open_with({"callback_secret": None})
    body = {"task": "summarize", "text": "One.", "callback": "https://example.com/"}
    assert "DRAGOMAN_CALLBACK_SECRET" in client.post("/v1/jobs", json=body).json["allowed"]
    assert ended(client, put(client, task="summarize", text="One."))["status"] == "done"


# ---------------------------------------------------------------------- TLS, and time


def test_the_certificate_is_the_host_name_s():
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("hooks.example").configure_cert(server)
    authority.configure_trust(client)
    receiver = Receiver(server)
    try:
        url = f"https://hooks.example:{receiver.port}/"
        to = destination(url, private=True, resolve=lambda host, port: ["127.0.0.1"])
        assert post(to, b"{}", {}, client) == 204
        with pytest.raises(ssl.SSLCertVerificationError):
            post(to, b"{}", {})  # who trusts the public authorities only
        other = destination(
            url.replace("hooks", "other"), private=True, resolve=lambda host, port: ["127.0.0.1"]
        )
        with pytest.raises(ssl.SSLCertVerificationError):
            post(other, b"{}", {}, client)
        assert len(receiver.got) == 1
    finally:
        receiver.close()


def test_a_receiver_that_drips_is_cut_off(monkeypatch):
    monkeypatch.setattr(callbacks, "POST_TIMEOUT_S", 0.3)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip():
            connection, _ = server.accept()
            with connection:
                while not over.wait(0.05):
                    try:
                        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n"[:1])
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        start = time.monotonic()
        to = Destination("http", "127.0.0.1", server.getsockname()[1], "/", "127.0.0.1")
        with pytest.raises(Exception):  # noqa: B017 - whatever a closed socket makes of it
            post(to, b"{}", {})
        assert time.monotonic() - start < 10
        over.set()
        thread.join()


def test_the_signature_is_as_documented():
    # openssl: printf '1700000000.{}' | openssl dgst -sha256 -hmac key
    expected = hmac.new(b"key", b"1700000000.{}", hashlib.sha256).hexdigest()
    assert callbacks.sign("key", 1700000000, b"{}") == f"t=1700000000,v1={expected}"


def test_an_unknown_scheme_is_an_input_error():
    with pytest.raises(InvalidInput):
        destination("gopher://example.com", private=True)
