"""The Model Context Protocol over HTTP: /mcp, stateless, each request answered with one JSON document.

The package `mcp` speaks the protocol, as an ASGI application. It is run to its end for each request, in the
request's own thread: so its tools know their caller, their place and their deadline.
"""

from collections.abc import MutableMapping
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, g, jsonify, request
from pydantic import BaseModel

from models.text.article.html_article import read_page
from models.text.article.paste import read_pasted
from service.http.work import RequestRunner
from service.schemas.checking import parse_check, parse_clean, render_check, render_clean
from service.work import plan

if TYPE_CHECKING:
    from service.runtime import Runtime
    from service.work.tools import ToolName

PATH = "/mcp"

Message = MutableMapping[str, Any]


def can_serve() -> bool:
    """Return True if the package is there: it is an extra."""
    return find_spec("mcp") is not None


class ToolViews:
    """The view of an MCP server over a runtime."""

    def __init__(self, runtime: "Runtime", work: RequestRunner):
        self._runtime = runtime
        self._work = work

    def blueprint(self) -> Blueprint:
        routes = Blueprint("mcp", __name__)
        routes.post(PATH)(self.messages)
        return routes

    def messages(self) -> Response:
        import anyio

        with self._work.place():
            body = request.get_data()
            return anyio.run(partial(self._answer, body))

    async def _answer(self, body: bytes) -> Response:
        import anyio
        from mcp.server.transport_security import TransportSecuritySettings
        from mcp.types import INVALID_REQUEST

        from service.work.tools import tool_server

        server = tool_server(self._do)
        server.streamable_http_app(
            json_response=True,
            stateless_http=True,
            max_request_body_size=len(body) + 1,  # Flask has bounded it
            transport_security=TransportSecuritySettings(
                enable_dns_rebinding_protection=False
            ),  # browsers.py
        )
        said: list[Message] = []
        given = iter([{"type": "http.request", "body": body, "more_body": False}])

        async def receive() -> Message:
            for message in given:
                return message
            await anyio.sleep_forever()
            raise AssertionError

        async def send(message: Message) -> None:
            said.append(message)

        async with server.session_manager.run():
            await server.session_manager.asgi_app(_scope(), receive, send)
        start = next(each for each in said if each["type"] == "http.response.start")
        parts = [each.get("body", b"") for each in said if each["type"] == "http.response.body"]
        headers = [(name.decode(), value.decode()) for name, value in start["headers"]]
        answer = Response(b"".join(parts), status=start["status"], headers=headers)
        if start["status"] >= 400 and not answer.is_json:  # the package refuses some in plain words
            refusal = {"code": INVALID_REQUEST, "message": answer.get_data(as_text=True)}
            answer = jsonify(jsonrpc="2.0", id=None, error=refusal)
            answer.status_code = start["status"]
        return answer

    def _do(self, name: "ToolName", body: dict[str, Any]) -> BaseModel:
        """Do a tool's work as /v1 does."""
        if name == "check":
            check = parse_check(body, self._runtime.settings)
            self._work.charge([check.source, check.output])
            (checked,) = self._work.check([check]).outcomes
            return render_check(checked.unwrap(), check.output)
        if name == "clean":
            field, content = parse_clean(body, self._runtime.settings)
            self._work.charge([content])
            if field == "html":
                return render_clean(self._work.apart(read_page, content, True, field=field))
            return render_clean(self._work.apart(read_pasted, content, field=field))
        terms = plan.terms_of(self._runtime, g.key_id)
        asked = plan.asked(name, body, limits=self._runtime.settings, terms=terms)
        self._work.charge(each.text or each.html for each in asked.good)
        done = self._work.do(asked.good)
        answer: BaseModel = plan.answer(done.outcomes[0], done.total_s)
        return answer


def _scope() -> dict[str, Any]:
    """The request as ASGI has it."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.scheme,
        "path": PATH,
        "raw_path": PATH.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in request.headers
        ],
        "client": None,
        "server": None,
    }
