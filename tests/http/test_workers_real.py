"""Two workers over real models: what begins through one of them is seen, and goes on, through the other."""

import os
import re
import signal
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import deepl
import pytest
import requests
from conftest import TinyHub
from hub import Hub
from worker_servers import KNOWN, PAIR, TEXT, TinyWorkers, until

from service.shared import SharedLoadProgress, SharedState

FAR, OTHER = "tiny/far", "tiny/other"
STAGES = ("loading", "downloading 41%", "ready")


@pytest.fixture(scope="module")
def hub(tiny_hub: TinyHub) -> Iterator[Hub]:
    hub = Hub()
    tiny_hub.raw("marian")
    for name in (FAR, OTHER):
        hub.add(name, tiny_hub.folder / "marian")
    yield hub
    hub.close()


@pytest.fixture(scope="module")
def server(hub: Hub, tiny_hub: TinyHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyWorkers]:
    folder = tmp_path_factory.mktemp("tiny-workers")
    catalog = folder / "catalog.toml"
    far = "".join(
        f'[[model]]\nname = "{name}"\nfamily = "marian"\ntasks = ["translate"]\npairs = ["en-fr"]\n'
        "max_source_tokens = 128\nmax_new_tokens = 24\n"
        for name in (FAR, OTHER)
    )
    catalog.write_text(tiny_hub.catalog_file("marian").read_text("utf-8") + far, "utf-8")
    server = TinyWorkers(
        folder,
        hub=hub.url,
        catalog=str(catalog),
        cache_dir=str(tiny_hub.converted(folder / "cache", "marian")),
        translate_model="tiny/marian",
        device="cpu",
        threads=1,
    )
    yield server
    for door in server.doors:
        door.close()
    server.kill()
    assert "Traceback" not in server.log


@pytest.fixture
def clients(server: TinyWorkers, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[deepl.DeepLClient]]:
    """DeepL's, one for each worker."""
    sleep = time.sleep
    monkeypatch.setattr(deepl.http_client, "max_network_retries", 0)
    monkeypatch.setattr(deepl.translator.time, "sleep", lambda s: sleep(min(s, 0.05)))  # it waits for 5 s
    clients = [deepl.DeepLClient(server.key, server_url=door.url) for door in server.doors]
    yield clients
    for each in clients:
        each.close()


# ------------------------------------------------------------------------------------- other people's clients


def test_a_document_goes_in_through_one_and_comes_out_of_the_other(
    server: TinyWorkers, clients: list[deepl.DeepLClient]
) -> None:
    for sent, other in (clients, reversed(clients)):
        named = {"filename": "a.txt", "source_lang": "EN", "target_lang": "FR"}
        handle = sent.translate_document_upload(TEXT.encode(), **named)
        assert other.translate_document_wait_until_done(handle).done
        out = BytesIO()
        other.translate_document_download(handle, out)
        assert out.getvalue().decode() == server.translated(0)
        with pytest.raises(deepl.DeepLException) as gone:
            sent.translate_document_get_status(handle)
        assert gone.value.http_status_code == 404


def test_a_glossary_of_one_is_the_others(server: TinyWorkers, clients: list[deepl.DeepLClient]) -> None:
    made = clients[0].create_glossary("statements", "EN", "FR", {"statement": "déclaration"})
    assert clients[1].get_glossary_entries(made) == {"statement": "déclaration"}
    other = clients[1].translate_text(TEXT, source_lang="EN", target_lang="FR", glossary=made)
    assert other.text != server.translated(1), "it counts"
    clients[1].delete_glossary(made)
    with pytest.raises(deepl.DeepLException):
        clients[0].get_glossary(made)


def test_a_translated_file_is_downloaded_from_the_other(server: TinyWorkers) -> None:
    for here, there in (server.doors, reversed(server.doors)):
        given = {**PAIR, "api_key": server.key}
        made = requests.post(f"{here.url}/translate_file", given, files={"file": ("a.txt", TEXT)}, timeout=20)
        found = requests.get(there.url + urlsplit(made.json()["translatedFileUrl"]).path, timeout=20)
        assert (found.status_code, found.text) == (200, server.translated(0))


def test_an_mcp_session_goes_on_at_the_other(server: TinyWorkers) -> None:
    headers = {"Accept": "application/json, text/event-stream", "Authorization": f"Bearer {server.key}"}

    def say(worker: int, method: str, number: int | None = None, **params: Any) -> Any:
        message = {"jsonrpc": "2.0", "method": method, "params": params}
        body = message if number is None else {**message, "id": number}
        answer = requests.post(f"{server.doors[worker].url}/mcp", json=body, headers=headers, timeout=20)
        assert answer.ok, answer.text
        if session := answer.headers.get("Mcp-Session-Id"):
            headers["Mcp-Session-Id"] = session
        return answer.json()["result"] if number is not None else None

    client = {"name": "a test", "version": "1"}
    begun = say(0, "initialize", 1, protocolVersion="2025-06-18", capabilities={}, clientInfo=client)
    headers["Mcp-Protocol-Version"] = begun["protocolVersion"]
    say(1, "notifications/initialized")
    assert "translate" in {tool["name"] for tool in say(1, "tools/list", 2)["tools"]}
    for worker in (0, 1):
        done = say(worker, "tools/call", 3, name="translate", arguments={"text": TEXT, **PAIR})
        assert done["structuredContent"]["translation"] == server.translated(0)


def test_a_memory_counts_for_the_other_at_once(server: TinyWorkers, clients: list[deepl.DeepLClient]) -> None:
    before = server.translated(1)
    server.ask(0, "POST", "/v1/memory", {**PAIR, "entries": {TEXT: KNOWN}})
    assert server.translated(1) == server.translated(0) == KNOWN != before
    assert clients[1].translate_text(TEXT, source_lang="EN", target_lang="FR").text == KNOWN
    server.ask(1, "DELETE", "/v1/memory")
    assert server.translated(0) == before


# ------------------------------------------------------------------------------------- models


def test_the_farthest_stage_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = SharedState(tmp_path)
    boards = [SharedLoadProgress(shared) for _ in range(2)]

    def tell(worker: int, stage: str) -> None:
        monkeypatch.setattr(os, "getpid", lambda: 100 + worker)
        boards[worker].tell(FAR, stage)

    for stages in (("loading", "downloading 41%"), ("ready", "downloading 41%"), ("ready", "loading")):
        for first in (0, 1):
            tell(first, stages[0])
            tell(1 - first, stages[1])
            assert {board.stages()[FAR] for board in boards} == {max(stages, key=STAGES.index)}
    shared.close()


def test_a_pull_is_seen_from_the_other(server: TinyWorkers, hub: Hub) -> None:
    hub.go_on.clear()
    assert server.ask(0, "POST", "/v1/models", {"name": FAR})["name"] == FAR
    until(lambda: server.loading(1, FAR).startswith("downloading "))
    assert server.ask(1, "POST", "/v1/models", {"name": FAR})["state"].startswith("downloading ")
    hub.go_on.set()
    until(lambda: server.state(1, FAR) == "ready")
    assert server.state(0, FAR) == "ready"
    whole = [asked for asked in hub.asked if re.fullmatch(r"CDN \S+", asked)]
    assert len(whole) == 1, "it was fetched once"
    assert server.translated(1, model=FAR) == server.translated(0, model=FAR) == server.translated(0)


def _downloads(hub: Hub) -> int:
    return sum(asked.startswith("CDN") for asked in hub.asked)


def test_a_pull_whose_worker_is_killed_is_done_by_the_other(server: TinyWorkers, hub: Hub) -> None:
    hub.go_on.clear()
    server.ask(0, "POST", "/v1/models", {"name": OTHER})
    until(lambda: re.fullmatch(r"downloading [1-9]\d*%", server.loading(1, OTHER)))
    puller, other = sorted(server.workers())
    os.kill(puller, signal.SIGKILL)
    hub.go_on.set()
    until(lambda: puller not in server.workers())
    left = sorted(server.workers()).index(other)
    until(lambda: not server.loading(left, OTHER))
    begun = _downloads(hub)
    server.ask(left, "POST", "/v1/models", {"name": OTHER})
    until(lambda: _downloads(hub) > begun and not server.loading(left, OTHER))
