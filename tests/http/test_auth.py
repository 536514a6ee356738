"""Who is let in, and how much they may use: over every family's interface, on a test client."""

import logging
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from compat_runtime import CompatRuntime
from compat_runtime import settings as compat_settings
from databases import PostgreSQL
from http_fakes import FakeRuntime, settings
from openapi_spec_validator import OpenAPIV31SpecValidator
from werkzeug.test import TestResponse

import service.http.quotas
from models.errors import InvalidInput
from service.http.app import create_app
from service.http.auth import is_open
from service.store.database import FILE, Database
from service.store.keys import Keys

TEXT = "The ministers met."
DOCS_FILES = {"docs.asset": "swagger-ui.css", "docs.own": "own.css"}
WORK: dict[str, dict[str, Any]] = {
    "/v1/summarize": {"json": {"text": TEXT}},
    "/v1/translate": {"json": {"texts": [TEXT], "target": "fr"}},
    "/v1/translate#stream": {"json": {"text": TEXT, "target": "fr", "stream": True}},
    "/v1/summarize#html": {"json": {"html": TEXT}},
    "/v1/detect": {"json": {"text": TEXT}},
    "/v1/check": {"json": {"source": TEXT, "output": TEXT, "kind": "summary"}},
    "/v1/clean": {"json": {"text": TEXT}},
    "/v1/jobs": {"json": {"task": "translate", "texts": [TEXT], "target": "fr"}},
    "/v2/translate": {"json": {"text": [TEXT], "target_lang": "FR"}},
    "/translate": {"json": {"q": TEXT, "source": "en", "target": "fr"}},
    "/detect": {"json": {"q": TEXT}},
    "/pipeline/summarization": {"json": {"inputs": TEXT}},
    "/pipeline/translation": {"json": {"inputs": TEXT, "parameters": {"src_lang": "en", "tgt_lang": "fr"}}},
}
"""A request of every kind of work; what follows # is not of the address."""
BOTH = pytest.mark.usefixtures("each_database")


class Service:
    """An application, and its keys."""

    def __init__(self, **given: Any):
        self.runtime = FakeRuntime(settings(**given))
        self.app = create_app(self.runtime)  # type: ignore[arg-type]
        self.client = self.app.test_client()

    def key(self, **own: Any) -> str:
        return self.runtime.keys.create("a-name", **own)[1]

    def work(self, name: str = "/v1/translate", key: str | None = None, **changes: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return self.client.post(name.partition("#")[0], headers=headers, **{**WORK[name], **changes})


def error(response: TestResponse) -> tuple[int, str]:
    """The status, and what kind of problem it is, or the words in a family's own form."""
    answer = response.json
    said = answer.get("type") or answer.get("message") or answer.get("error")
    assert isinstance(said, str) and said
    return response.status_code, said


@pytest.fixture
def closed() -> Service:
    return Service(anonymous=False)


# ---------------------------------------------------------------------- who is let in


@pytest.mark.parametrize("name", WORK)
def test_work_needs_a_key_that_is_known_and_not_revoked(closed: Service, name: str) -> None:
    refused = 403 if name.startswith(("/v2/", "/translate", "/detect")) else 401
    assert closed.work(name).status_code == refused
    assert closed.work(name, "drg_wrong").status_code == refused
    secret = closed.key()
    assert closed.work(name, secret).status_code in (200, 202)
    assert closed.work(name, secret[:-1]).status_code == refused
    closed.runtime.keys.revoke(closed.runtime.keys.all()[0].id)
    assert closed.work(name, secret).status_code == 403


def test_every_address_but_the_open_ones_needs_a_key(closed: Service) -> None:
    opened = set()
    for rule in closed.app.url_map.iter_rules():
        method = "GET" if "GET" in rule.methods else min(rule.methods - {"HEAD", "OPTIONS"})
        values = {name: "app.js" if name == "name" else "translation" for name in rule.arguments}
        values |= {"docs.asset": {"name": "swagger-ui.css"}, "docs.own": {"name": "own.css"}}.get(
            rule.endpoint, {}
        )
        with closed.app.test_request_context():
            path = rule.build(values, append_unknown=False)[1]
        with closed.client.open(path, method=method) as response:
            assert (response.status_code in (401, 403)) is not is_open(rule.endpoint), rule.rule
        if is_open(rule.endpoint):
            opened.add(rule.rule)
    assert {"/", "/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/languages"} <= opened
    assert {"/frontend/settings", "/health"} <= opened
    assert not [path for path in opened if path.startswith(("/v1", "/v2", "/v3"))]


def test_what_is_not_there_is_not_there_with_or_without_a_key(closed: Service) -> None:
    assert error(closed.client.get("/nowhere")) == (404, "/problems/not-found")
    assert closed.client.put("/v1/translate").status_code == 405


def test_errors_say_what_is_wrong_in_each_familys_form(closed: Service) -> None:
    secret = closed.key()
    missing, wrong = closed.work("/v1/translate"), closed.work("/v1/translate", "drg_wrong")
    assert missing.mimetype == "application/problem+json"
    assert missing.headers["WWW-Authenticate"].startswith("Bearer")
    assert error(missing) == (401, "/problems/key-required")
    assert error(wrong) == (401, "/problems/unknown-key")
    assert wrong.json["request_id"] == wrong.headers["X-Request-Id"]
    assert error(closed.work("/v2/translate", "x")) == (403, "unknown API key")
    assert error(closed.work("/translate")) == (403, "an API key is required, but none was sent")
    assert error(closed.work("/pipeline/translation"))[0] == 401
    closed.runtime.keys.revoke(closed.runtime.keys.all()[0].id)
    assert error(closed.work("/v1/translate", secret)) == (403, "/problems/revoked-key")


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/v1/languages", {"headers": {"Authorization": "bearer  {key} "}}),
        ("/v1/languages", {"headers": {"X-API-Key": "{key}"}}),
        ("/v2/usage", {"headers": {"Authorization": "DeepL-Auth-Key {key}"}}),
        ("/v2/usage", {"headers": {"X-API-Key": "{key}"}}),
        ("/v2/usage?auth_key={key}", {}),
        ("/v2/usage", {"method": "POST", "data": {"auth_key": "{key}"}}),
        ("/detect", {"method": "POST", "json": {"q": TEXT, "api_key": "{key}"}}),
        ("/detect", {"method": "POST", "data": {"q": TEXT, "api_key": "{key}"}}),
        ("/detect?q=Hello&api_key={key}", {"method": "POST"}),
        ("/detect", {"method": "POST", "json": {"q": TEXT}, "headers": {"Authorization": "Bearer {key}"}}),
    ],
)
def test_keys_are_taken_wherever_clients_put_them(closed: Service, path: str, sent: dict[str, Any]) -> None:
    def ask(key: str) -> int:
        filled = {
            name: {n: v.replace("{key}", key) for n, v in value.items()} if isinstance(value, dict) else value
            for name, value in sent.items()
        }
        return closed.client.open(path.replace("{key}", key), **filled).status_code

    assert ask("drg_wrong") in (401, 403)
    assert ask(closed.key()) == 200


@pytest.mark.parametrize("sent", ["Basic eDp5", "Bearer", "Bearer  ", "drg_x", "Bearer a=b"])
def test_what_is_no_key_lets_nobody_in(closed: Service, sent: str) -> None:
    assert closed.client.get("/v1/languages", headers={"Authorization": sent}).status_code == 401


def test_a_body_that_is_not_json_holds_no_key(closed: Service) -> None:
    wrong = {"data": "{", "content_type": "application/json"}
    assert closed.client.post("/translate", **wrong).status_code == 403
    assert closed.client.post("/translate?api_key=x", **wrong).status_code == 403
    key = {"X-API-Key": closed.key()}
    assert closed.client.post("/translate", headers=key, **wrong).status_code == 400


@pytest.mark.parametrize("path", ["/v2/translate", "/v2/document", "/translate", "/translate_file"])
@pytest.mark.parametrize("mimetype", ["multipart/form-data; boundary=x", "application/json"])
def test_nothing_of_a_long_body_is_read_for_its_key(closed: Service, path: str, mimetype: str) -> None:
    class Unread(BytesIO):
        def read(self, *_: Any) -> bytes:
            raise AssertionError("it was read")

        readline = readinto = read

    def sent() -> dict[str, Any]:
        return {"input_stream": Unread(bytes(1 << 17)), "content_type": mimetype}

    closed.key()
    refused = closed.client.post(path, **sent())
    assert refused.status_code == 403 and "over 65536 bytes is not read" in error(refused)[1]
    refused = closed.client.post(f"{path}?api_key=drg_wrong&auth_key=drg_wrong", **sent())
    assert error(refused) == (403, "unknown API key")


def test_a_key_that_is_not_read_is_not_passed_over() -> None:
    service = Service()
    body = {"q": TEXT, "source": "en", "target": "fr", "api_key": service.key(), "more": "a" * (1 << 16)}
    for sent in ({"json": body}, {"data": body}):
        assert "send it in a header" in error(service.client.post("/translate", **sent))[1]
    form = {"auth_key": service.key(), "target_lang": "FR", "file": (BytesIO(b"a" * (1 << 16)), "a.txt")}
    assert "send it in a header" in error(service.client.post("/v2/document", data=form))[1]
    form = {"auth_key": service.key(), "name": "a", "entries": "a" * (1 << 16)}
    assert "send it in a header" in error(service.client.post("/v2/glossaries", data=form))[1]


@BOTH
def test_anonymous_use_and_keys_beside_it() -> None:
    service = Service()
    assert service.work().status_code == 200
    # Where no key was ever made, the other families' clients send one that means nothing.
    assert error(service.work(key="anything")) == (401, "/problems/unknown-key")
    for name in ("/v2/translate", "/translate", "/pipeline/translation"):
        assert service.work(name, "anything").status_code == 200
    secret = service.key()
    for name in WORK:
        assert service.work(name).status_code in (200, 202)
        assert service.work(name, secret).status_code in (200, 202)
        assert service.work(name, "anything").status_code in (401, 403)


def test_libretranslates_settings_say_whether_a_key_is_needed(tmp_path: Path) -> None:
    def said(*, anonymous: bool) -> tuple[bool, bool]:
        runtime = CompatRuntime(compat_settings(anonymous=anonymous, data_dir=tmp_path))
        answer = create_app(runtime).test_client().get("/frontend/settings").json  # type: ignore[arg-type]
        return answer["apiKeys"], answer["keyRequired"]

    assert said(anonymous=False) == (True, True)
    assert said(anonymous=True) == (False, False)
    Keys(Database(tmp_path)).create("newsroom")
    assert said(anonymous=True) == (True, False)


def test_keys_that_cannot_be_read_let_nobody_in(closed: Service) -> None:
    closed.key()
    closed.runtime.database.close()
    (closed.runtime.database.folder / FILE).write_bytes(b"no database" * 100)
    assert error(closed.work(key="drg_x")) == (503, "/problems/store-unavailable")


# ---------------------------------------------------------------------- rates


@BOTH
def test_a_rate_is_for_a_key_over_all_interfaces() -> None:
    service = Service(rate_limit="2/minute")
    first, second, own = service.key(), service.key(), service.key(rate="1/hour")
    left = [service.work(name, first) for name in ("/v1/translate", "/v2/translate", "/v1/detect")]
    assert [each.status_code for each in left] == [200, 200, 429]
    assert [each.headers["RateLimit-Remaining"] for each in left] == ["1", "0", "0"]
    assert {each.headers["RateLimit-Limit"] for each in left} == {"2"}
    assert error(left[2]) == (429, "/problems/rate-limited")
    assert "2/minute" in left[2].json["detail"]
    wait_s = int(left[2].headers["Retry-After"])
    assert 1 <= wait_s <= 61 and left[2].json["detail"].endswith(("seconds", "1 second"))
    assert "Retry-After" not in left[0].headers
    assert service.work(key=second).status_code == 200
    assert [service.work(key=own).status_code for _ in range(2)] == [200, 429]
    assert [service.work(key=None).status_code for _ in range(3)] == [200, 200, 200]


@pytest.mark.parametrize("name", WORK)
def test_work_of_every_kind_has_a_rate(name: str) -> None:
    service = Service(anonymous_rate_limit="1/minute")
    assert service.work(name).status_code in (200, 202)
    refused = service.work(name)
    assert error(refused)[0] == 429 and int(refused.headers["Retry-After"]) >= 1


def test_a_window_that_began_while_the_clock_was_ahead_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    date, up = [4e9], [100.0]
    clock = SimpleNamespace(time=lambda: date[-1], monotonic=lambda: up[-1])
    monkeypatch.setattr(service.http.quotas, "time", clock)
    service_ = Service(anonymous_rate_limit="1/minute")
    assert service_.work().status_code == 200
    date.append(2e9)
    refused = service_.work()
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "61")
    up.append(161.0)
    assert service_.work().status_code == 200


def test_looking_is_not_counted_but_work_by_get_is() -> None:
    service = Service(anonymous_rate_limit="1/minute")
    for path in ("/v1/languages", "/v1/models", "/v1/glossaries", "/v1/jobs", "/healthz", "/"):
        for _ in range(2):
            assert service.client.get(path).status_code == 200
    asked = f"/v2/translate?text={TEXT}&target_lang=FR"
    assert [service.client.get(asked).status_code for _ in range(2)] == [200, 429]


def test_addresses_are_told_apart_and_networks_are_one() -> None:
    service = Service(anonymous_rate_limit="1/minute")

    def ask(address: str) -> int:
        return service.work(environ_base={"REMOTE_ADDR": address}).status_code

    assert [ask("192.0.2.1"), ask("192.0.2.1"), ask("192.0.2.2")] == [200, 429, 200]
    assert [ask("::ffff:192.0.2.2"), ask("192.0.2.2:4711"), ask("[::ffff:192.0.2.2]:80")] == [429] * 3
    assert [ask("2001:db8::1"), ask("2001:db8::2"), ask("2001:db8:0:1::1")] == [200, 429, 200]


@pytest.mark.parametrize(("proxies", "second"), [(0, 429), (1, 200)])
def test_callers_behind_a_proxy(proxies: int, second: int, caplog: pytest.LogCaptureFixture) -> None:
    service = Service(anonymous_rate_limit="1/minute", trusted_proxies=proxies)

    def ask(said: str) -> int:
        service.client.environ_base = {"REMOTE_ADDR": "192.0.2.9", "HTTP_X_FORWARDED_FOR": said}
        return service.work().status_code

    assert [ask("198.51.100.1"), ask("198.51.100.2")] == [200, second]
    assert ask("203.0.113.7, 198.51.100.1") == 429  # what a client made up changes nothing
    warnings = [each for each in caplog.messages if "DRAGOMAN_TRUSTED_PROXIES is 0" in each]
    assert len(warnings) == (proxies == 0)


def test_addresses_behind_a_proxy_that_gives_a_path_of_its_own() -> None:
    proxy = {"X-Forwarded-Prefix": "/dragoman", "X-Forwarded-Host": "news.example"}
    for proxies, prefix in ((0, ""), (1, "/dragoman")):
        client = Service(trusted_proxies=proxies).client
        made = client.post("/v1/jobs", headers=proxy, **WORK["/v1/jobs"])
        assert made.headers["Location"] == f"{prefix}/v1/jobs/{made.json['id']}"


def test_a_slash_at_the_end_changes_nothing() -> None:
    service = Service(anonymous=False)
    for name, request in WORK.items():
        address = f"{name.partition('#')[0]}/"
        for key, statuses in ((None, (401, 403)), (service.key(), (200, 202))):
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            refused = service.client.post(address, headers=headers, **request)
            assert refused.status_code in statuses, name
    assert "error" in service.client.post("/translate/", json={}).json, "in the family's form"
    assert service.client.get("/docs/").headers["Location"] == "../docs"


# ---------------------------------------------------------------------- browsers


def test_pages_of_other_hosts_may_call_libretranslate_and_read_nothing_else() -> None:
    service = Service(anonymous=False)
    asks = {"Origin": "https://page.example", "Access-Control-Request-Headers": "content-type"}
    for address in ("/translate", "/detect", "/languages", "/translate_file"):
        asked = service.client.options(address, headers=asks)
        assert asked.status_code == 200, "no key comes with it"
        assert asked.headers["Access-Control-Allow-Origin"] == "*"
        assert "Content-Type" in asked.headers["Access-Control-Allow-Headers"]
    for key, status in ((service.key(), 200), ("drg_wrong", 403)):
        answer = service.work("/translate", key)
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (status, "*")
    for address in ("/v1/jobs", "/v1/glossaries", "/v2/translate", "/"):
        answer = service.client.options(address, headers=asks)
        assert "Access-Control-Allow-Origin" not in answer.headers


# ---------------------------------------------------------------------- characters of the day


@pytest.mark.parametrize("name", WORK)
def test_work_of_every_kind_costs_its_characters(name: str) -> None:
    service = Service()
    cost = 2 * len(TEXT) if name == "/v1/check" else len(TEXT)
    enough, too_few = (service.key(daily_characters=each) for each in (cost, cost - 1))
    assert service.work(name, enough).status_code in (200, 202)
    for refused in (service.work(name, enough), service.work(name, too_few)):
        assert refused.status_code == (456 if name.startswith("/v2/") else 429)
        assert 1 <= int(refused.headers["Retry-After"]) <= 86_400
    used = {"Authorization": f"Bearer {enough}"}
    assert service.client.get("/v2/usage", headers=used).json == {
        "character_count": cost,
        "character_limit": cost,
    }


@BOTH
def test_a_document_costs_its_text() -> None:
    service = Service(anonymous_daily_characters=2 * len(TEXT))
    for path in ("/v1/documents/summarize", "/v1/documents/translate"):
        form = {"file": (BytesIO(TEXT.encode()), "a.txt")} | ({"target": "fr"} if "translate" in path else {})
        assert service.client.post(path, data=form).status_code == 200
    assert service.client.get("/v2/usage").json["character_count"] == 2 * len(TEXT)
    assert error(service.work()) == (429, "/problems/characters-spent")


@BOTH
def test_what_is_left_is_said_and_a_smaller_request_still_fits() -> None:
    service = Service(anonymous_daily_characters=20)
    assert service.work(json={"text": "a" * 15, "target": "fr"}).status_code == 200
    refused = service.work(json={"text": "a" * 6, "target": "fr"})
    detail = refused.json["detail"]
    assert detail.startswith("the request has 6 characters; 5 of today's 20 are left; try again in ")
    assert service.work(json={"text": "a" * 5, "target": "fr"}).status_code == 200


@pytest.mark.parametrize("text", ["", "!wrong", "!full", "!late", "!engine", "!weights", "!bug", "a" * 1001])
def test_what_is_refused_or_fails_costs_nothing(text: str) -> None:
    service = Service()
    response = service.work(json={"text": text, "target": "fr"})
    assert response.status_code >= 400
    used = service.client.get("/v2/usage").json["character_count"]
    assert used == (len(text) if text == "!wrong" else 0)  # the task read that one to know


@BOTH
def test_a_new_day_has_new_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    service_ = Service(anonymous_daily_characters=len(TEXT))
    assert [service_.work().status_code for _ in range(2)] == [200, 429]
    monkeypatch.setattr(service.http.quotas, "_today", lambda: "2100-01-01")
    assert [service_.work().status_code for _ in range(2)] == [200, 429]


@BOTH
def test_use_without_a_limit_is_counted_too() -> None:
    service = Service()
    service.work()
    usage = service.client.get("/v2/usage").json
    assert usage == {"character_count": len(TEXT), "character_limit": 1_000_000_000_000}


# ---------------------------------------------------------------------- where it is counted


def test_counts_in_redis_are_shared(redis_url: str) -> None:
    given = {
        "limits_storage": redis_url,
        "anonymous_rate_limit": "2/minute",
        "anonymous_daily_characters": len(TEXT),
    }
    first, second = Service(**given), Service(**given)
    assert first.work().status_code == 200
    assert error(second.work()) == (429, "/problems/characters-spent")
    assert error(second.work(json={"text": "a", "target": "fr"})) == (429, "/problems/rate-limited")
    failing = {"text": "!engine", "target": "fr"}  # seven characters, which are given back
    third = Service(**given | {"anonymous_rate_limit": None, "anonymous_daily_characters": len(TEXT) + 7})
    assert [third.work(json=failing).status_code for _ in range(2)] == [500, 500]
    assert third.client.get("/v2/usage").json["character_count"] == len(TEXT)


def test_counts_in_a_database_are_those_of_all_its_servers(database_url: str | None) -> None:
    first, second = (
        Service(database=database_url, anonymous_rate_limit="2/minute", anonymous_daily_characters=len(TEXT))
        for _ in range(2)
    )
    is_shared = database_url is not None
    assert first.work().status_code == 200
    assert second.work().status_code == (429 if is_shared else 200)
    assert second.work(json={"text": "a", "target": "fr"}).status_code == 429
    assert second.client.get("/v2/usage").json["character_count"] == len(TEXT)


def test_what_is_made_at_one_server_holds_at_another_at_once(
    tmp_path: Path, database_url: str | None
) -> None:
    first, second = (Service(database=database_url, data_dir=tmp_path, anonymous=False) for _ in range(2))
    headers = {"X-API-Key": first.key()}
    pair = {"source": "en", "target": "fr"}
    capitals = {**pair, "name": "capitals", "entries": {"Vienna": "Vienne"}}
    asked = {**pair, "text": TEXT, "glossary": "capitals"}
    sentences = {**pair, "entries": {TEXT: "Les ministres se sont réunis."}}
    for one, other in ((first, second), (second, first)):

        def told(server: Service = other) -> tuple[int, Any]:
            used = server.client.post("/v1/translate", json=asked, headers=headers).status_code
            return used, server.client.get("/v1/memory", headers=headers).json["pairs"]

        assert told() == (422, [])
        assert one.client.post("/v1/glossaries", json=capitals, headers=headers).status_code == 201
        assert one.client.post("/v1/memory", json=sentences, headers=headers).status_code == 201
        assert told() == (200, [{**pair, "size": 1}])
        assert one.client.delete("/v1/glossaries/capitals", headers=headers).status_code == 204
        assert one.client.delete("/v1/memory", headers=headers).status_code == 204
    second.runtime.keys.revoke(second.runtime.keys.all()[0].id)
    assert first.client.get("/v1/memory", headers=headers).status_code == 403


def test_a_database_that_is_away_is_a_problem_until_it_is_back(postgresql: PostgreSQL) -> None:
    service = Service(database=postgresql.new_database())
    key = service.key()
    postgresql.stop()
    try:
        assert error(service.work(key=key)) == (503, "/problems/store-unavailable")
        ready = service.client.get("/readyz")
        assert (ready.status_code, ready.json["reasons"]) == (503, ["the database cannot be used"])
    finally:
        postgresql.start()
    assert service.client.get("/readyz").status_code == 200
    assert service.work(key=key).status_code == 200


def test_a_storage_that_does_not_answer_is_a_problem() -> None:
    service = Service(limits_storage="redis://:a-password@127.0.0.1:1/0", anonymous_rate_limit="1/minute")
    refused = service.work()
    assert error(refused) == (503, "/problems/limits-unavailable")
    assert "a-password" not in refused.text


def test_a_storage_that_is_unknown_ends_the_start() -> None:
    with pytest.raises(InvalidInput, match="storage") as raised:
        Service(limits_storage="nothing://:a-password@host")
    assert raised.value.field == "limits_storage" and "a-password" not in str(raised.value)


# ---------------------------------------------------------------------- whose things they are


@BOTH
def test_glossaries_are_their_keys_own() -> None:
    service = Service()
    first, second = ({"X-API-Key": service.key()} for _ in range(2))
    body = {"name": "capitals", "source": "en", "target": "fr", "entries": {"Vienna": "Vienne"}}
    made = service.client.post("/v1/glossaries", json=body, headers=first).json["id"]
    asked = {"text": TEXT, "source": "en", "target": "fr", "glossary": "capitals"}
    deepl = {"text": [TEXT], "source_lang": "EN", "target_lang": "FR", "glossary_id": made}
    for headers, seen in ((first, 1), (second, 0), ({}, 0)):
        assert len(service.client.get("/v1/glossaries", headers=headers).json["glossaries"]) == seen
        assert len(service.client.get("/v2/glossaries", headers=headers).json["glossaries"]) == seen
        wanted = 200 if seen else 404
        for path in (f"/v1/glossaries/{made}", f"/v2/glossaries/{made}", f"/v3/glossaries/{made}"):
            assert service.client.get(path, headers=headers).status_code == wanted
        assert service.client.post("/v1/translate", json=asked, headers=headers).status_code == (
            200 if seen else 422
        )
        assert service.client.post("/v2/translate", json=deepl, headers=headers).status_code == (
            200 if seen else 400
        )
    for path in (f"/v1/glossaries/{made}", f"/v2/glossaries/{made}"):
        assert service.client.delete(path, headers=second).status_code == 404
    assert service.client.delete(f"/v1/glossaries/{made}", headers=first).status_code == 204


BEYOND = [
    {"environ_base": {"REMOTE_ADDR": "192.0.2.1"}},
    {"environ_base": {"REMOTE_ADDR": "2001:db8::1"}},
    {"headers": {"X-Forwarded-For": "192.0.2.1"}},
    {"headers": {"Via": "1.1 proxy"}},
    {"headers": {"Sec-Fetch-Site": "cross-site"}},
    {"headers": {"Origin": "https://page.example"}},
]
"""Strangers: by their address, by a proxy between, or as another site's page in the operator's browser."""


def test_a_page_whose_name_leads_here_is_no_operator() -> None:
    client = Service(host="0.0.0.0").client
    names = {"localhost:8080": 200, "[::1]:8080": 200, "page.example": 401, "a_page.example:8080": 401}
    for host, status in names.items():
        assert client.get("/v1/jobs", headers={"Host": host}).status_code == status


@BOTH
@pytest.mark.parametrize("stranger", BEYOND)
def test_strangers_are_told_of_what_they_have_the_id_of_and_of_nothing_else(stranger: dict[str, Any]) -> None:
    client = Service().client
    entries = {"source": "en", "target": "fr", "entries": {"Vienna": "Vienne"}}
    made = client.post("/v1/glossaries", json={"name": "capitals", **entries}, **stranger).json["id"]
    work = WORK["/v1/jobs"]["json"]
    jobs = [
        client.post("/v1/jobs", json={**work, "glossary": named, "source": "en"}, **stranger)
        for named in (made, "capitals")
    ]
    assert [each.status_code for each in jobs] == [202, 422]
    assert "a glossary's id" in jobs[1].json["allowed"]
    address = f"/v1/jobs/{jobs[0].json['id']}"
    assert client.get(address, **stranger).status_code == 200
    for path in (f"/v1/glossaries/{made}", f"/v2/glossaries/{made}", f"/v3/glossaries/{made}"):
        assert client.get(path, **stranger).status_code == 200
    assert client.get("/v1/glossaries/capitals", **stranger).status_code == 404
    for path in ("/v1/jobs", "/v1/glossaries", "/v1/memory", "/v1/memory.tmx"):
        assert error(client.get(path, **stranger)) == (401, "/problems/key-required")
        assert client.get(path).status_code == 200
    assert [client.get(f"/{each}/glossaries", **stranger).status_code for each in ("v2", "v3")] == [403, 403]
    assert error(client.post("/v1/memory", json=entries, **stranger)) == (401, "/problems/key-required")
    for path in ("/v1/jobs", "/v1/glossaries", "/v2/glossaries"):
        assert len(next(iter(client.get(path).json.values()))) == 1, "the operator sees it"
    assert len(made.replace("-", "")) == len(jobs[0].json["id"]) == 32


# ---------------------------------------------------------------------- what is written down and told


def test_no_key_and_no_address_is_written_down(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    service = Service(rate_limit="1/minute", anonymous_rate_limit="1/minute")
    secret = service.key()
    said = ""
    for key in (secret, secret, "drg_wrong", None, None):
        said += service.work(key=key, environ_base={"REMOTE_ADDR": "192.0.2.77"}).text
        said += service.client.post(f"/detect?q=Hello&api_key={key}").text
    said += caplog.text + service.client.get("/metrics").text
    assert "192.0.2.77" not in said and "drg_" not in said and "a-name" not in said
    assert "ratelimit" in caplog.text  # flask-limiter's own line, which names whom it refused


@pytest.mark.parametrize("anonymous", [True, False])
def test_the_document_says_what_needs_a_key(anonymous: bool) -> None:
    document = Service(anonymous=anonymous).client.get("/openapi.json").json
    OpenAPIV31SpecValidator(document).validate()
    assert document["components"]["securitySchemes"].keys() == {"bearer", "header"}
    client = Service(anonymous=False).client
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            refused = client.open(path, method=method.upper()).status_code == 401
            assert refused is ("security" in operation), path
            assert refused is ("401" in operation["responses"]), path
            assert not refused or ({} in operation["security"]) is anonymous
    translate = document["paths"]["/v1/translate"]["post"]["responses"]
    assert {"401", "403", "429"} <= translate.keys()
    assert "WWW-Authenticate" in translate["401"]["headers"]
