"""A stand-in for servers that speak OpenAI's chat completions: what it answers, a test says."""

import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


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
        data = json.dumps(told).encode()
        self._handler.send_response(status)
        for name, value in headers.items():
            self._handler.send_header(name.replace("_", "-"), value)
        self._handler.send_header("Connection", "close")
        self._handler.send_header("Content-Length", str(len(data)))
        self._handler.end_headers()
        self._handler.wfile.write(data)

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
        choice = {
            "index": 0,
            "delta": {"content": text, **delta},
            "logprobs": known,
            "finish_reason": finish,
        }
        self.event(_chunk([choice], None))

    def end(self, finish: str = "stop", usage: tuple[int, int] | None = (7, 3)) -> None:
        """End the answer as servers do."""
        self.say("", finish=finish)
        if usage is not None:
            source, output = usage
            self.event(
                _chunk(
                    [],
                    {"prompt_tokens": source, "completion_tokens": output, "total_tokens": source + output},
                )
            )
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
        chat = self
        self.reply = reply
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[Any] = []
        self.models: list[dict[str, Any]] = [{"id": "served", "created": 0, "owned_by": "us"}]
        self.client_went = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                chat.bodies.append(body)
                chat.headers.append(self.headers)
                try:
                    chat.reply(Reply(self, body))
                except OSError:
                    chat.client_went.set()
                self.close_connection = True

            def do_GET(self) -> None:
                reply = Reply(self, {})
                told = {"object": "list", "data": [{"object": "model", **each} for each in chat.models]}
                if self.path == "/v1/models":
                    reply.status(200, told)
                else:
                    reply.status(200, "a page")
                self.close_connection = True

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
