"""The Model Context Protocol, with the package's own client: over HTTP, over standard input, in process."""

import json
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest
from click.testing import CliRunner
from compat_runtime import CompatRuntime
from compat_server import CompatServer
from http_fakes import FakeRuntime, settings
from mcp import Client, StdioServerParameters, stdio_client

from service import mcp_tools
from service.cli.main import cli
from service.cli.serve import runner
from service.http.app import create_app
from service.mcp_tools import make_tools, tool_server
from service.settings import Settings
from service.store.glossaries import Dictionary

TEXT = "It rained. The ministers met in Vienna."
PAGE = f"<html><body><nav>Home</nav><article><h1>Rain</h1><p>{TEXT} {TEXT}</p></article></body></html>"


def call(made: Callable[[], Any], work: Callable[[Client], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with Client(made()) as client:
            return await work(client)

    return anyio.run(run)


async def all_tools(client: Client) -> dict[str, Any]:
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    assert set(tools) == {"translate", "summarize", "check", "clean"}
    assert "translation" in (tools["translate"].output_schema or {})["properties"]
    assert "target" in tools["translate"].input_schema["required"]
    fields = json.dumps([each.input_schema for each in tools.values()])
    assert not any(words in fields for words in ("/v1", "one object", "`results`")), "these are HTTP's"
    asked = {
        "translate": {"text": TEXT, "target": "fr", "source": "en"},
        "summarize": {"text": TEXT, "length": "headline"},
        "check": {"source": "Some 40 slept there.", "output": "Some 60 slept there.", "kind": "summary"},
        "clean": {"html": PAGE},
    }
    return {name: await client.call_tool(name, body) for name, body in asked.items()}


def require_answers(done: dict[str, Any]) -> None:
    assert not any(each.is_error for each in done.values())
    found = {name: each.structured_content for name, each in done.items()}
    assert done["translate"].content[0].text == found["translate"]["translation"] == TEXT.upper()
    assert done["summarize"].content[0].text == found["summarize"]["summary"]
    assert found["summarize"]["sentences"][0]["evidence"]
    (sentence,) = found["check"]["sentences"]
    assert [flag["kind"] for flag in sentence["flags"]] == ["number"]
    assert "'60'" in done["check"].content[0].text
    assert TEXT in found["clean"]["text"] and "Home" not in found["clean"]["text"]


def test_over_http(compat_server: CompatServer) -> None:
    require_answers(call(lambda: f"{compat_server.url}mcp", all_tools))


def test_by_a_runtime_of_its_own() -> None:
    runtime: Any = CompatRuntime(Settings(summarize_model="facebook/bart-large-cnn"))
    require_answers(call(lambda: tool_server(make_tools(runtime, runner(runtime))), all_tools))


def test_over_standard_input() -> None:
    started = StdioServerParameters(command=sys.executable, args=["-m", "service", "mcp"])
    asked = {"source": "Some 40 slept there.", "output": "Some 60 slept there.", "kind": "summary"}
    done = call(lambda: stdio_client(started), lambda client: client.call_tool("check", asked))
    assert "'60'" in done.content[0].text


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("translate", {"text": "Hi", "target": "xx"}, "'xx' is not a language code known here"),
        ("translate", {"text": "Hi"}, "target"),
        ("translate", {"text": "Hi", "target": "fr", "model": "nobody/nothing"}, "nobody/nothing"),
        ("summarize", {}, "exactly one of text, html"),
        ("summarize", {"text": "Hi", "length": "endless"}, "length"),
        ("check", {"source": "a", "output": "a" * 31_000, "kind": "summary"}, "31000 characters"),
    ],
)
def test_errors_are_told_to_whoever_called(
    compat_server: CompatServer, name: str, body: dict[str, Any], said: str
) -> None:
    result = call(lambda: f"{compat_server.url}mcp", lambda client: client.call_tool(name, body))
    assert result.is_error
    assert said in result.content[0].text


def test_keys_are_as_elsewhere() -> None:
    runtime = FakeRuntime(settings(anonymous=False))
    _, key = runtime.keys.create("reader")
    client = create_app(runtime).test_client()
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    headers = {"Accept": "application/json, text/event-stream"}
    assert client.post("/mcp", json=message, headers=headers).status_code == 401
    allowed = client.post("/mcp", json=message, headers={**headers, "Authorization": f"Bearer {key}"})
    assert len(allowed.json["result"]["tools"]) == 4


def test_tools_are_made_once_and_know_whose_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    make = mcp_tools.make_tools
    monkeypatch.setattr(
        mcp_tools, "make_tools", lambda *given, **more: made.append(0) or make(*given, **more)
    )
    runtime = FakeRuntime(settings())
    client = create_app(runtime).test_client()
    arguments = {"text": "Vienna", "source": "en", "target": "fr", "glossary": "own"}
    params = {"name": "translate", "arguments": arguments}
    found = []
    for name in ("ann", "bob"):
        key, secret = runtime.keys.create(name)
        if name == "ann":
            runtime.glossaries.of(key.id).create("own", [Dictionary("en", "fr", {"Vienna": "Vienne"})])
        headers = {"Accept": "application/json, text/event-stream", "X-API-Key": secret}
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        found.append(client.post("/mcp", json=message, headers=headers).json["result"].get("isError", False))
    assert (found, len(made)) == ([False, True], 1)


LISTEN: Any = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "subscriptions/listen",
    "params": {
        "notifications": {"toolsListChanged": True},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "a", "version": "1"},
        },
    },
}


@pytest.mark.parametrize(
    ("listens", "has_gone", "status"), [(False, False, 404), (True, False, 504), (True, True, 499)]
)
def test_no_message_holds_a_place_for_ever(
    monkeypatch: pytest.MonkeyPatch, listens: bool, has_gone: bool, status: int
) -> None:
    """One that has no end is refused, and if the package has others, they end with the time or the client."""
    if listens:
        server = mcp_tools.MCPServer
        monkeypatch.setattr(
            mcp_tools, "MCPServer", lambda *given, subscriptions, **more: server(*given, **more)
        )
    client = create_app(FakeRuntime(settings(request_timeout_s=120.0 if has_gone else 1.0))).test_client()
    headers = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": "2026-07-28",
        "Mcp-Method": "subscriptions/listen",
    }
    environ = {"waitress.client_disconnected": lambda: has_gone}
    answers: list[Any] = []

    def ask() -> None:
        answers.append(client.post("/mcp", json=LISTEN, headers=headers, environ_base=environ))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(20.0)
    assert [answer.status_code for answer in answers] == [status]
    assert b"dragoman_requests_in_work 0.0" in client.get("/metrics").data


def test_messages_are_within_the_limits_of_all_json() -> None:
    client = create_app(FakeRuntime(settings())).test_client()
    roomy = create_app(FakeRuntime(settings(max_request_characters=200_000))).test_client()
    sent = {"headers": {"Accept": "application/json, text/event-stream"}, "content_type": "application/json"}
    call = '{"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"x": [%s]}}'
    assert client.post("/mcp", data=call % "1, 2", **sent).status_code == 200
    many = client.post("/mcp", data=call % ("1," * 30_000 + "1"), **sent)
    assert (many.status_code, "values" in many.json["detail"]) == (413, True)
    long = roomy.post("/mcp", data=call % f'"{"a" * (1 << 20)}"', **sent)
    assert (long.status_code, long.json["detail"]) == (413, "the body is over 1048576 bytes")
    assert client.post("/mcp", data="{", **sent).json["error"]["code"] == -32700


def test_without_the_extra_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    monkeypatch.setattr("service.http.compat.mcp.find_spec", lambda _: None)
    done = CliRunner().invoke(cli, ["mcp"])
    assert (done.exit_code, "dragoman[mcp]" in done.stderr) == (1, True)
    assert create_app(FakeRuntime(settings())).test_client().post("/mcp", json={}).status_code == 404


def test_it_is_for_the_operator_to_turn_off() -> None:
    client = create_app(FakeRuntime(settings(clients="openai"))).test_client()
    assert client.post("/mcp", json={}).status_code == 404
    assert create_app(FakeRuntime(settings())).test_client().get("/mcp").status_code == 405
