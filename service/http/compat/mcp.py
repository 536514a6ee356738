"""The Model Context Protocol over HTTP: /mcp, stateless, one JSON document per request.

The package `mcp` implements the protocol as an ASGI application. Each request runs one in its own thread, so
that the tools, which all share, know the caller and the deadline; what the package itself does ends with the
deadline too, and when the client goes away.
"""

from collections.abc import MutableMapping
from contextlib import suppress
from functools import cached_property, partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, jsonify, request

from models.checker import CheckRequest
from models.driver import CancelToken
from models.errors import DeadlineExceeded
from models.steps import Outcome
from service.errors import InvalidJson
from service.http.body import read_json
from service.http.disconnect import LOOK_EVERY_S, watching
from service.http.run_request import RequestRunner
from service.tasks import Request

if TYPE_CHECKING:
    from anyio import CancelScope
    from mcp.server.mcpserver.tools import Tool

    from service.runtime import Runtime

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
            with suppress(InvalidJson):  # the package says so in the protocol's form
                read_json(request)  # within the limits of all JSON
            body = request.get_data()
            cancel = CancelToken()
            with watching(request.environ, cancel.cancel):
                answer = anyio.run(partial(self._within, self._work.left_s(), cancel, body))
            cancel.raise_if_cancelled()
            if answer is None:
                raise DeadlineExceeded("the message was not answered before the request's deadline")
            return answer

    async def _within(self, left_s: float, cancel: CancelToken, body: bytes) -> Response | None:
        """Return the answer; None where the time is up or the client has gone before."""
        import anyio

        answer = None
        with anyio.move_on_after(left_s):
            async with anyio.create_task_group() as group:
                group.start_soon(_end_if_cancelled, cancel, group.cancel_scope)
                answer = await self._answer(body)
                group.cancel_scope.cancel()
        return answer

    async def _answer(self, body: bytes) -> Response:
        import anyio
        from mcp.server.transport_security import TransportSecuritySettings
        from mcp.types import INVALID_REQUEST

        from service.mcp_tools import tool_server

        server = tool_server(self._tools)
        server.streamable_http_app(
            json_response=True,
            stateless_http=True,
            max_request_body_size=len(body) + 1,  # body.py has bounded it
            transport_security=TransportSecuritySettings(
                enable_dns_rebinding_protection=False
            ),  # app.py does that
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

    @cached_property
    def _tools(self) -> "list[Tool]":
        from service.mcp_tools import make_tools

        return make_tools(
            self._runtime,
            self._run,
            charge=self._work.charge,
            in_child=self._work.in_child,
            glossaries=self._work.glossaries,
        )

    def _run(self, request: Request | CheckRequest) -> tuple[Outcome[Any], float]:
        if isinstance(request, CheckRequest):
            checked = self._work.check([request])
            return checked.outcomes[0], checked.total_s
        done = self._work.do([request])
        return done.outcomes[0], done.total_s


async def _end_if_cancelled(cancel: CancelToken, scope: "CancelScope") -> None:
    import anyio

    while not cancel.cancelled:
        await anyio.sleep(LOOK_EVERY_S)
    scope.cancel()


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
