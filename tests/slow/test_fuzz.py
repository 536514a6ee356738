"""The short form of fuzz.py, and that what it holds answers against would be noticed."""

import random

import pytest
from fuzz import fuzz_own
from fuzz_requests import MutatedRequests, compatible, documented
from http_fakes import FakeRuntime
from made_documents import SUFFIXES, sound
from wire import Reply, Sent, faults, form, loopback_port

from service.documents import read_document
from service.http.app import create_app

REQUESTS = 1200
MOST_S = 18.0
"""Two idle cores took 11 s for 4,000; a slow machine sends fewer, and waits longer for each."""
FEWEST = 200

PROBLEM = (
    b'{"type":"/problems/not-found","title":"No","status":404,"detail":"There is none.","request_id":"a"}'
)


@pytest.fixture(scope="module")
def document():
    return create_app(FakeRuntime()).test_client().get("/openapi.json").json


def test_no_request_harms_the_service(tmp_path):
    report, traces = fuzz_own(
        tmp_path, requests=REQUESTS, seed=9, most_s=MOST_S, threads=3, margin_s=20.0, healthy_s=5.0
    )
    told = [f"{each['faults']}: {Sent.from_json(each['request'])}" for each in report.failures]
    assert not told, "\n".join(told)
    assert not traces
    assert report.sent >= FEWEST
    assert report.statuses[200] > report.sent / 5, "most of them should get past the door"


def test_every_route_is_asked(document):
    app = create_app(FakeRuntime())
    asked = {(route.method, route.path.partition("{")[0]) for route in [*documented(document), *compatible()]}
    for rule in app.url_map.iter_rules():
        path = rule.rule.partition("<")[0]
        path = {"/web/": "/web/app.js", "/docs/": "/docs"}.get(path, path)
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            alike = {(method, path), (method, path.rstrip("/"))}
            task = path == "/pipeline/" and any(known.startswith(path) for _, known in asked)
            assert asked & alike or task, f"fuzz_requests.py lacks {method} {rule.rule}"


def test_a_seed_makes_the_same_requests_again(document):
    routes = [*documented(document), *compatible()]
    once, again, other = (MutatedRequests(routes, seed, ["key"]) for seed in (1, 1, 2))
    numbers = random.Random(0).sample(range(100_000), 60)
    assert [once.make(n) for n in numbers] == [again.make(n) for n in numbers]
    assert [once.make(n) for n in numbers] != [other.make(n) for n in numbers]
    assert [Sent.from_json(once.make(n).to_json()) for n in numbers] == [once.make(n) for n in numbers]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_documents_are_sound_before_they_are_damaged(suffix):
    assert len(read_document(f"a{suffix}", sound(suffix)).to_translate().text) > 20


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/v1/jobs", "problem"),
        ("/v2/usage?a=/v1", "message"),
        ("//v3/glossaries", "message"),
        ("/translate/", "error"),
        ("/pipeline/x", "error"),
        ("/translated", "problem"),
    ],
)
def test_errors_have_the_form_of_their_address(target, expected):
    assert form(target) == expected


def _answered(status, body, media_type="application/problem+json", seconds=0.1, **headers):
    return Reply(status, seconds, {"x-request-id": "a", "content-type": media_type, **headers}, body)


@pytest.mark.parametrize(
    ("target", "answer", "fault"),
    [
        ("/v1/jobs", _answered(404, PROBLEM), None),
        ("/v1/jobs", _answered(500, PROBLEM.replace(b"404", b"500")), "status 500"),
        ("/v1/jobs", _answered(404, PROBLEM, seconds=9.0), "it took 9.0 s"),
        ("/v1/jobs", _answered(400, PROBLEM), "a problem document without its own status"),
        ("/v1/jobs", _answered(404, b"<h1>", "text/html"), "an error as text/html"),
        ("/v2/usage", _answered(404, PROBLEM), "an error as application/problem+json"),
        ("/v2/usage", _answered(404, b'{"error": "a"}', "application/json"), "an error without `message`"),
        ("/v1/models", _answered(200, b'{"a": NaN}', "application/json"), "an answer that is no JSON"),
        ("/v1/models", _answered(200, b'{"a": "/srv/data/x"}', "application/json"), "the answer tells"),
        ("/v1/translate", _answered(200, b": at work\n\n", "text/event-stream"), "a stream without its last"),
        ("/v1/models", Reply(404, 0.1, {}, b""), "did not come from the application"),
        ("/v1/models", Reply(0, 0.1, error="nothing came back"), "no whole answer"),
    ],
)
def test_a_broken_promise_is_noticed(target, answer, fault):
    found = list(faults(Sent("GET", target), answer, deadline_s=8.0, secrets=[b"/srv/data"]))
    assert (fault is None and not found) or (fault is not None and fault in found[0])


@pytest.mark.parametrize(
    "url", ["http://example.org", "https://127.0.0.1:1", "http://10.0.0.1", "http://[::1]:1"]
)
def test_only_this_machine_is_asked(url):
    with pytest.raises(ValueError, match="must be on this machine"):
        loopback_port(url)
