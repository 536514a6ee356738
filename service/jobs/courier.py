"""Sends the callbacks of ended jobs, each until it is taken or was tried often enough.

Several go out at a time, one to a host, so that receivers who take their time delay none but their own.
What is being sent is known in memory only: after a kill it is still to be sent, and is sent again.
"""

import logging
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from http.client import HTTPException
from importlib.metadata import version
from urllib.parse import urlsplit

from models.errors import InvalidInput
from service.errors import StoreUnavailable
from service.jobs.callback import Resolve, checked_url, destination, post, resolve, sign
from service.jobs.job import Job
from service.jobs.outbox import Outbox, Waiting

log = logging.getLogger(__name__)

WAITS_S = (5.0, 30.0, 180.0, 900.0)
"""Between the tries; after the last of them it is given up."""
LONGEST_SLEEP_S = 60.0
STORE_WAIT_S = 5.0
"""Until a store that could not be used is tried again."""
AT_A_TIME = 8
OF_A_CALLER = 4
"""Of those, for the jobs of one caller."""
SIGNATURE = "Dragoman-Signature"


class Courier:
    """Works through an outbox in threads of its own. `render` makes a callback's body of its job."""

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
        self._news = threading.Condition()
        self._closing = False
        self._sending: dict[int, Waiting] = {}
        self._threads: list[threading.Thread] = []

    def check(self, url: str) -> None:
        """Raises InvalidInput for a URL that would not be called; its host is not looked up for this."""
        if not self._secret:
            raise InvalidInput(
                "callbacks are off here, for want of a secret to sign them with",
                field="callback",
                allowed="DRAGOMAN_CALLBACK_SECRET set, or no callback",
            )
        checked_url(url)

    def look_up(self, url: str) -> None:
        """Raises InvalidInput for a URL that leads where none may, as soon as a name server says so."""
        destination(url, private=self._private, resolve=self._resolve)

    def start(self) -> None:
        # Daemons: an answer that is waited for holds no stop up, and what was not told is told later.
        for i in range(AT_A_TIME):
            thread = threading.Thread(target=self._work, name=f"callbacks-{i}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def wake(self) -> None:
        """There may be something to send."""
        with self._news:
            self._news.notify()

    def close(self, timeout_s: float) -> None:
        with self._news:
            self._closing = True
            self._news.notify_all()
        end = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    # ------------------------------------------------------------------ inside

    def _work(self) -> None:
        while (next_one := self._next()) is not None:
            try:
                if (job := self._outbox.job(next_one.number)) is not None:
                    self._send(job)
            except StoreUnavailable:  # which is in the log; it stays among those being sent meanwhile
                self._pause(STORE_WAIT_S)
            finally:
                with self._news:
                    del self._sending[next_one.number]
                    self._news.notify()  # its host is free, or its next try has a time

    def _next(self) -> Waiting | None:
        """The callback to send next, which this thread then has to itself; None when all is over."""
        with self._news:
            while not self._closing:
                try:
                    now = time.time()
                    chosen = self._chosen(self._outbox.due(now))
                    if chosen is not None:
                        self._sending[chosen.number] = chosen
                        return chosen
                    due = self._outbox.next_due(now)
                    sleep_s = LONGEST_SLEEP_S if due is None else due - time.time()
                except StoreUnavailable:
                    sleep_s = STORE_WAIT_S
                self._news.wait(min(max(0.0, sleep_s), LONGEST_SLEEP_S))
        return None

    def _chosen(self, due: Sequence[Waiting]) -> Waiting | None:
        """The one due longest, of the caller with fewest under way, to a host that nothing is sent to now."""
        hosts = {urlsplit(each.url).hostname for each in self._sending.values()}
        under_way = Counter(each.caller for each in self._sending.values())
        free = (
            each
            for each in due
            if each.number not in self._sending
            and under_way[each.caller] < OF_A_CALLER
            and urlsplit(each.url).hostname not in hosts
        )
        return min(free, key=lambda each: under_way[each.caller], default=None)

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        with self._news:
            while not self._closing and (left := end - time.monotonic()) > 0:
                self._news.wait(left)

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
        try:
            return self._tried(job)
        except InvalidInput as error:
            return error.message
        except (OSError, HTTPException) as error:
            return f"{type(error).__name__}: {error}"
        except Exception as error:
            log.exception("the callback of job %s failed", job.id)
            return repr(error)

    def _tried(self, job: Job) -> str | None:
        body = self._render(job)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"dragoman/{version('dragoman')}",
            SIGNATURE: sign(self._secret, int(time.time()), body),
        }
        to = destination(job.callback or "", private=self._private, resolve=self._resolve)
        status = post(to, body, headers, self._tls)
        return None if 200 <= status < 300 else f"it was answered with {status}"
