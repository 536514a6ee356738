"""Detects that a client disconnected, and keeps impatient clients waiting.

The deepl package waits ten seconds for a byte, then retries, six times in all. So a request that was accepted
and has run for a while starts its response early: status 200, and now and then a space, which JSON allows
before a value. A later error cannot change the status: it is written and the connection is cut, so that no
client takes it for an answer (deepl raises ConnectionException and does not retry).
"""

import errno
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import ExitStack, contextmanager
from contextvars import copy_context
from typing import Any, TypeVar

from flask import Response, g, request

from models.driver import CancelToken
from service.problems import Problem, problem
from service.shares import leave_turn

LOOK_EVERY_S = 0.5


@contextmanager
def watching(environ: Mapping[str, Any], on_gone: Callable[[], None]) -> Iterator[None]:
    """Call `on_gone`, from another thread, if the request's client closes its connection meanwhile.

    waitress tells; under another server nothing is watched.
    """
    is_gone: Callable[[], bool] | None = environ.get("waitress.client_disconnected")
    if is_gone is None:
        yield
        return
    over = threading.Event()

    def look() -> None:
        while not over.wait(LOOK_EVERY_S):
            if is_gone():
                on_gone()
                break

    threading.Thread(target=look, name="watch-client", daemon=True).start()
    try:
        yield
    finally:
        over.set()


T = TypeVar("T")

log = logging.getLogger(__name__)

FIRST_S = 4.0
"""An answer, or an error with its own status, within this time is an ordinary one."""

EVERY_S = 5.0
"""Between two spaces: half of what the clients wait for."""


def respond(
    held: ExitStack, work: Callable[[CancelToken], str], error: Callable[[Problem], Response]
) -> Response:
    """The answer with `work`'s JSON, in one piece or after spaces; raises its errors in the first seconds.

    `held` is what the request holds, such as its place; it is given back when the work is over. A client
    that goes away ends the work.
    """
    cancel = CancelToken()
    held.enter_context(watching(request.environ, cancel.cancel))
    future = _start(work, cancel)
    leave_turn()
    if _done(future, FIRST_S):
        return _json(future.result())
    request_id = g.request_id
    response = _json(_spaced(future, lambda failure: error(problem(failure, request_id)), request_id))
    response.headers["X-Accel-Buffering"] = "no"  # nginx would hold the spaces back
    kept = held.pop_all()

    def close() -> None:
        cancel.cancel()
        wait([future])
        kept.close()

    response.call_on_close(close)
    return response


def _spaced(future: Future[str], error: Callable[[Exception], Response], request_id: str) -> Iterator[bytes]:
    yield b" "
    while not _done(future, EVERY_S):
        yield b" "
    try:
        answer = future.result().encode()
    except Exception as failure:  # noqa: BLE001 - whatever it is, the client is to hear of it
        log.warning("request %s broke off: %s", request_id, type(failure).__name__)
        yield error(failure).get_data()
        raise ConnectionResetError(errno.ECONNRESET, "the response is cut off on purpose") from None
    yield answer


def _start(work: Callable[[CancelToken], T], cancel: CancelToken) -> Future[T]:
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work(cancel))
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            future.set_exception(error)

    context = copy_context()  # so that the work knows its request, and the request's deadline
    threading.Thread(target=context.run, args=(run,), name="long-answer", daemon=True).start()
    return future


def _done(future: Future[T], timeout_s: float) -> bool:
    return bool(wait([future], timeout_s).done)


def _json(body: str | Iterator[bytes]) -> Response:
    return Response(body, mimetype="application/json")
