"""What the real clients make of keys and limits, on the real server."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import deepl
import pytest
from compat_server import CompatServer
from deep_translator import LibreTranslator
from deep_translator.exceptions import AuthorizationException
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from libretranslatepy import LibreTranslateAPI
from waiting import until

from service.store.database import Database
from service.store.keys import Keys

TEXT = "The ministers met in Vienna on Sunday."


LIMITS: dict[str, dict[str, Any]] = {
    "right": {},
    "revoked": {},
    "slow": {"rate": "1/minute"},
    "small": {"daily_characters": len(TEXT)},
}


class ClosedServer(CompatServer):
    """One that lets nobody in without a key, with a key of each name in LIMITS."""

    def __init__(self, folder: Path):
        super().__init__(folder, anonymous=False)
        self.kept = Keys(Database(folder / "data"))
        self.keys = {name: self.kept.create(name, **limits)[1] for name, limits in LIMITS.items()}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClosedServer]:
    server = ClosedServer(tmp_path_factory.mktemp("closed"))
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deepl.http_client, "max_network_retries", 0)


def wait_until_refused(server: ClosedServer, secret: str) -> None:
    header = {"X-API-Key": secret}
    until(lambda: server.request("GET", "/v1/languages", headers=header)[0].status == 403)


def libretranslate_refusal(server: ClosedServer, secret: str | None) -> HTTPError:
    """What libretranslatepy raises, with its connection closed, and its words in `msg`."""
    with pytest.raises(HTTPError) as refused:
        LibreTranslateAPI(server.url, api_key=secret).translate(TEXT, "en", "fr")
    with refused.value as error:
        error.msg = json.loads(error.read())["error"]
    return error


def hugging_face(server: ClosedServer, token: str | None) -> InferenceClient:
    return InferenceClient(model=f"{server.url}pipeline/translation", token=token)


def test_the_right_key(server: ClosedServer) -> None:
    secret = server.keys["right"]
    asked = {"source_lang": "EN", "target_lang": "FR"}
    assert deepl.DeepLClient(secret, server_url=server.url).translate_text(TEXT, **asked).text == TEXT.upper()
    assert LibreTranslateAPI(server.url, api_key=secret).translate(TEXT, "en", "fr") == TEXT.upper()
    translator = LibreTranslator(source="en", target="fr", custom_url=server.url, api_key=secret)
    assert translator.translate(TEXT) == TEXT.upper()
    done = hugging_face(server, secret).translation(TEXT, src_lang="en", tgt_lang="fr")
    assert done.translation_text == TEXT.upper()
    assert LibreTranslateAPI(server.url).languages()


@pytest.mark.parametrize("secret", ["drg_wrong", "revoked"])
def test_a_wrong_key_and_a_revoked_one(server: ClosedServer, secret: str) -> None:
    if secret == "revoked":
        secret = server.keys[secret]
        server.kept.revoke(next(key.id for key in server.kept.all() if key.name == "revoked"))
        wait_until_refused(server, secret)
    with pytest.raises(deepl.AuthorizationException):
        deepl.DeepLClient(secret, server_url=server.url).translate_text(TEXT, target_lang="FR")
    refused = libretranslate_refusal(server, secret)
    assert refused.code == 403 and "key" in refused.msg
    with pytest.raises(AuthorizationException):
        LibreTranslator(source="en", target="fr", custom_url=server.url, api_key=secret).translate(TEXT)
    with pytest.raises(HfHubHTTPError) as error:
        hugging_face(server, secret).translation(TEXT)
    assert error.value.response.status_code in (401, 403)


def test_no_key(server: ClosedServer) -> None:
    assert libretranslate_refusal(server, None).code == 403
    with pytest.raises(HfHubHTTPError) as error:
        hugging_face(server, None).translation(TEXT)
    assert error.value.response.status_code == 401


def test_too_many_requests(server: ClosedServer) -> None:
    secret = server.keys["slow"]
    client = deepl.DeepLClient(secret, server_url=server.url)
    client.translate_text(TEXT, target_lang="FR")
    with pytest.raises(deepl.TooManyRequestsException):
        client.translate_text(TEXT, target_lang="FR")
    refused = libretranslate_refusal(server, secret)
    assert refused.code == 429 and int(refused.headers["Retry-After"]) <= 61
    with pytest.raises(HfHubHTTPError) as error:
        hugging_face(server, secret).translation(TEXT)
    assert error.value.response.status_code == 429


def test_the_characters_of_the_day(server: ClosedServer) -> None:
    secret = server.keys["small"]
    client = deepl.DeepLClient(secret, server_url=server.url)
    client.translate_text(TEXT, target_lang="FR")
    with pytest.raises(deepl.QuotaExceededException, match="0 of today's 38 are left"):
        client.translate_text("One more.", target_lang="FR")
    used = client.get_usage()
    assert (used.character.count, used.character.limit, used.any_limit_reached) == (len(TEXT),) * 2 + (True,)
    assert libretranslate_refusal(server, secret).code == 429
    with pytest.raises(HfHubHTTPError) as error:
        hugging_face(server, secret).translation(TEXT)
    assert error.value.response.status_code == 429


def test_nothing_of_it_is_in_the_log(server: ClosedServer) -> None:
    told = server.log.count("GET /languages")
    with pytest.raises(deepl.AuthorizationException):
        deepl.DeepLClient("drg_seen", server_url=server.url).get_usage()
    LibreTranslateAPI(server.url, api_key="drg_seen").languages()
    until(lambda: server.log.count("GET /languages") > told)
    assert "drg_" not in server.log and "127.0.0.1" not in server.log
