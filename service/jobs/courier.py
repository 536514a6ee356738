"""Sends the callbacks of ended jobs, each until it is taken or was tried often enough."""

import logging
import ssl
import threading
import time
from collections.abc import Callable
from http.client import HTTPException
from importlib.metadata import version

from models.errors import InvalidInput
from service.database import StoreUnavailable
from service.jobs.callback import Resolve, destination, post, resolve, sign
from service.jobs.job import Job
from service.jobs.outbox import Outbox

log = logging.getLogger(__name__)

WAITS_S = (5.0, 30.0, 180.0, 900.0)
"""Between the tries; after the last of them it is given up."""
LONGEST_SLEEP_S = 60.0
SIGNATURE = "Dragoman-Signature"


class Courier:
    """Works through an outbox in a thread of its own. `render` makes a callback's body of its job."""

    def __init__(
        self,
        outbox: Outbox,
        render: Callable[[Job], bytes],
        secret: str,
        *,
        private: bool = False,
        waits_s: tuple[float, ...] = WAITS_S,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
    ):
        self._outbox = outbox
        self._render = render
        self._secret = secret
        self._private = private
        self._waits_s = waits_s
        self._resolve = resolve
        self._tls = tls
        self._news = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None

    def check(self, url: str) -> None:
        """Raises InvalidInput for a URL that would not be called."""
        if not self._secret:
            raise InvalidInput(
                "callbacks are off here, for want of a secret to sign them with",
                field="callback",
                allowed="DRAGOMAN_CALLBACK_SECRET set, or no callback",
            )
        destination(url, private=self._private, resolve=self._resolve)

    def start(self) -> None:
        # A daemon: an answer that is waited for holds no stop up, and what was not told is told later.
        thread = threading.Thread(target=self._work, name="callbacks", daemon=True)
        thread.start()
        self._thread = thread

    def wake(self) -> None:
        """There may be something to send."""
        self._news.set()

    def close(self, timeout_s: float) -> None:
        self._closing = True
        self._news.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def _work(self) -> None:
        while not self._closing:
            self._news.clear()
            try:
                for job in self._outbox.due(time.time()):
                    if not self._closing:
                        self._send(job)
                due = self._outbox.next_due()
            except StoreUnavailable as error:
                log.error("%s", error.message)
                due = time.time() + self._waits_s[0]
            sleep_s = LONGEST_SLEEP_S if due is None else due - time.time()
            self._news.wait(min(max(0.0, sleep_s), LONGEST_SLEEP_S))

    def _send(self, job: Job) -> None:
        failure = self._failure(job)
        if failure is None:
            self._outbox.tried(job, "delivered")
            return
        log.warning("the callback of job %s failed: %s", job.id, failure)
        if job.callback_tries < len(self._waits_s):
            self._outbox.tried(job, "pending", time.time() + self._waits_s[job.callback_tries])
        else:
            self._outbox.tried(job, "failed")

    def _failure(self, job: Job) -> str | None:
        """Why the job's callback was not taken this time; None if it was."""
        body = self._render(job)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"dragoman/{version('dragoman')}",
            SIGNATURE: sign(self._secret, int(time.time()), body),
        }
        try:
            to = destination(job.callback or "", private=self._private, resolve=self._resolve)
            status = post(to, body, headers, self._tls)
        except InvalidInput as error:
            return error.message
        except (OSError, HTTPException) as error:
            return f"{type(error).__name__}: {error}"
        return None if 200 <= status < 300 else f"it was answered with {status}"
