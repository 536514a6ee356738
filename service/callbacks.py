"""Callbacks of finished jobs: signed POST requests, retried until accepted or given up.

Several are sent at a time, one per host, so a slow receiver delays only its own. Of several servers the one
that claims a callback sends it; another does so again if that one has not noted the try in time.
"""

import hashlib
import hmac
import logging
import ssl
import threading
import time
from collections import Counter
from collections.abc import Mapping
from functools import partial
from http.client import HTTPException
from importlib.metadata import version
from urllib.parse import urlsplit

from models.errors import InvalidInput
from service import outbound
from service.errors import StoreUnavailable
from service.job_schemas import render_job
from service.outbound import Destination, PinnedConnection, Resolve, resolve
from service.settings import Settings
from service.shares import CALLBACKS, CALLBACKS_OF_A_CALLER
from service.store.jobs import CallbackStatus, Job, JobStore, PendingCallback

log = logging.getLogger(__name__)

WAITS_S = (5.0, 30.0, 180.0, 900.0)
"""Between the tries; after the last of them it is given up."""
LONGEST_SLEEP_S = 60.0
STORE_WAIT_S = 5.0
"""Until a store that could not be used is tried again."""
LOOKUP_TIMEOUT_S = 30.0
"""A name server that takes longer is a failure: the callback would be another server's before it is sent."""
POST_TIMEOUT_S = 15.0
"""From the connection to the answer's head; a receiver that drips is cut off then."""
SIGNATURE = "Dragoman-Signature"

destination = partial(outbound.destination, field="callback")


class Callbacks:
    """Sends what the store has to be sent, in threads of its own once it is started."""

    def __init__(
        self,
        store: JobStore,
        settings: Settings,
        *,
        waits_s: tuple[float, ...] = WAITS_S,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
    ):
        self._store = store
        self._secret = settings.callback_secret.get_secret_value() if settings.callback_secret else ""
        self._retention_s = settings.job_retention_s
        self._private = settings.callback_private
        self._resolve = resolve
        self._waits_s = waits_s
        self._tls = tls
        self._news = threading.Condition()
        self._closing = False
        self._sending: dict[int, PendingCallback] = {}
        self._threads: list[threading.Thread] = []

    def check(self, url: str) -> None:
        """Raise InvalidInput for a URL that would not be called; its host is not looked up for this."""
        if not self._secret:
            raise InvalidInput(
                "callbacks are disabled: set DRAGOMAN_CALLBACK_SECRET",
                field="callback",
                allowed="DRAGOMAN_CALLBACK_SECRET set, or no callback",
            )
        port = outbound.checked_url(url, "callback").port
        if not self._private and port not in (None, *outbound.PORTS.values()):
            raise InvalidInput(f"callback leads to port {port}", field="callback", allowed=["80", "443"])

    def look_up(self, url: str) -> Destination:
        """Return where it leads. Raises InvalidInput where none may go, once a name server says so."""
        self.check(url)
        return destination(url, private=self._private, resolve=self._resolve)

    def start(self) -> None:
        """Begin sending."""
        # Daemons: an answer that is waited for holds no stop up, and what was not told is told later.
        for i in range(CALLBACKS):
            thread = threading.Thread(target=self._work, name=f"callbacks-{i}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def wake(self) -> None:
        """There may be something to send."""
        with self._news:
            self._news.notify()

    def close(self, timeout_s: float) -> None:
        """Stop sending; what is not told is told after the next start."""
        with self._news:
            self._closing = True
            self._news.notify_all()
        end = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))

    # ------------------------------------------------------------------ the threads

    def _work(self) -> None:
        while (chosen := self._next()) is not None:
            try:
                if (job := self._store.claim_callback(chosen.number)) is not None:
                    self._note(job, self._send(job))
            except StoreUnavailable:  # which is in the log
                self._wait_for_store()
            finally:
                with self._news:
                    del self._sending[chosen.number]
                    self._news.notify()  # its host is free, or its next try has a time

    def _next(self) -> PendingCallback | None:
        """Wait for the callback to send next, which this thread then has to itself; None when all is over."""
        with self._news:
            while not self._closing:
                try:
                    if (chosen := self._chosen()) is not None:
                        self._sending[chosen.number] = chosen
                        return chosen
                    due_s = self._store.next_callback_s()
                except StoreUnavailable:
                    due_s = STORE_WAIT_S
                self._news.wait(LONGEST_SLEEP_S if due_s is None else min(max(0.0, due_s), LONGEST_SLEEP_S))
        return None

    def _chosen(self) -> PendingCallback | None:
        """The one due longest, of the caller with fewest under way, to a host that nothing is sent to now."""
        hosts = {urlsplit(each.url).hostname for each in self._sending.values()}
        under_way = Counter(each.caller for each in self._sending.values())
        free = (
            each
            for each in self._store.due_callbacks()
            if each.number not in self._sending
            and under_way[each.caller] < CALLBACKS_OF_A_CALLER
            and urlsplit(each.url).hostname not in hosts
        )
        return min(free, key=lambda each: under_way[each.caller], default=None)

    def _send(self, job: Job) -> str | None:
        """Send it; return why it was not taken, or None."""
        try:
            return self._try(job)
        except InvalidInput as error:
            return error.message
        except (OSError, HTTPException) as error:
            return f"{type(error).__name__}: {error}"
        except Exception as error:
            log.exception("the callback of job %s failed", job.id)
            return repr(error)

    def _note(self, job: Job, failure: str | None) -> None:
        """Note a try once the store can be written, so that no other server sends what was delivered."""
        status: CallbackStatus = "delivered"
        wait_s = None
        if failure is not None:
            log.warning("the callback of job %s failed: %s", job.id, failure)
            waits_s = self._waits_s[job.callback_tries : job.callback_tries + 1]
            status, wait_s = ("pending", waits_s[0]) if waits_s else ("failed", None)
        while True:
            try:
                return self._store.callback_tried(job, status, wait_s)
            except StoreUnavailable:
                if self._wait_for_store():
                    return None

    def _wait_for_store(self) -> bool:
        """Wait until it may be tried again; True if all is over."""
        with self._news:
            return self._news.wait_for(lambda: self._closing, STORE_WAIT_S)

    def _try(self, job: Job) -> str | None:
        begun = time.monotonic()
        to = self.look_up(job.callback or "")
        if time.monotonic() - begun > LOOKUP_TIMEOUT_S:
            return "its host's address took too long to look up"
        body = render_job(job, self._retention_s).model_dump_json().encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"dragoman/{version('dragoman')}",
            SIGNATURE: sign(self._secret, int(time.time()), body),
        }
        status = post(to, body, headers, self._tls)
        return None if 200 <= status < 300 else f"it was answered with {status}"


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """Return the header `Dragoman-Signature`: HMAC-SHA256 of `TIMESTAMP.BODY`, in hexadecimal."""
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def post(to: Destination, body: bytes, headers: Mapping[str, str], tls: ssl.SSLContext | None = None) -> int:
    """POST the body; return the answer's status. Raises OSError and http.client's exceptions."""
    connection = PinnedConnection(to, tls)
    try:
        with connection.cut_off_after(POST_TIMEOUT_S):
            connection.request("POST", to.path, body, dict(headers))
            return connection.getresponse().status
    finally:
        connection.close()
