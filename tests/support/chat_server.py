"""A stand-in for servers that speak OpenAI's chat completions: what it answers, a test says."""

import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

from listener import Listener, body_of, send


class Reply:
    """The answer to one request, as a test writes it."""

    def __init__(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]):
        self._handler = handler
        self._began = False
        self.body = body

    @property
    def asked(self) -> str:
        """What the last message says."""
        return str(self.body["messages"][-1]["content"])

    @property
    def text(self) -> str:
        """What is to be translated or summarized: it stands after the prompt."""
        return self.asked.partition("\n\n")[2]

    def status(self, status: int, told: object, **headers: str) -> None:
        """Answer with an error."""
        send(self._handler, status, json.dumps(told).encode(), Connection="close", **headers)

    def event(self, told: object) -> None:
        """Send one event of the stream."""
        if not self._began:
            self._began = True
            self._handler.send_response(200)
            self._handler.send_header("Content-Type", "text/event-stream")
            self._handler.send_header("Connection", "close")
            self._handler.end_headers()
        self._handler.wfile.write(f"data: {told if isinstance(told, str) else json.dumps(told)}\n\n".encode())
        self._handler.wfile.flush()

    def say(
        self, text: str, *, log_probability: float | None = None, finish: str | None = None, **delta: Any
    ) -> None:
        """Send a piece of the answer, or its end."""
        known = None if log_probability is None else {"content": [_token(text, log_probability)]}
        delta = {"content": text, **delta}
        self.event(_chunk([{"index": 0, "delta": delta, "logprobs": known, "finish_reason": finish}], None))

    def end(self, finish: str = "stop", usage: tuple[int, int] | None = (7, 3)) -> None:
        """End the answer as servers do."""
        self.say("", finish=finish)
        if usage is not None:
            names = ("prompt_tokens", "completion_tokens", "total_tokens")
            self.event(_chunk([], dict(zip(names, (*usage, sum(usage)), strict=True))))
        self.event("[DONE]")

    def answer(self, text: str, *, log_probability: float | None = -0.25) -> None:
        """Send a whole answer, word by word."""
        for piece in re.findall(r"\s*\S+\s*$|\s*\S+", text) or [text]:
            self.say(piece, log_probability=log_probability)
        self.end()


def _token(text: str, log_probability: float) -> dict[str, Any]:
    return {"token": text, "logprob": log_probability, "bytes": None, "top_logprobs": []}


def _chunk(choices: list[Any], usage: Any) -> dict[str, Any]:
    common = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m"}
    return {**common, "choices": choices, "usage": usage}


class ChatServer:
    """The server. `reply` answers each request; `bodies` and `headers` are what came."""

    def __init__(self, reply: Callable[[Reply], None]):
        self.reply = reply
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.models: list[dict[str, Any]] = [{"id": "served", "created": 0, "owned_by": "us"}]
        self.client_went = threading.Event()
        self._server = Listener(self._answer, version="HTTP/1.1")
        self.url = f"{self._server.url}/v1"
        self.close = self._server.close

    def _answer(self, http: BaseHTTPRequestHandler) -> None:
        http.close_connection = True
        if http.command == "POST":
            self.bodies.append(body := json.loads(body_of(http)))
            self.headers.append(http.headers)
            try:
                self.reply(Reply(http, body))
            except OSError:
                self.client_went.set()
        else:
            told = {"object": "list", "data": [{"object": "model", **each} for each in self.models]}
            Reply(http, {}).status(200, told if http.path == "/v1/models" else "a page")
