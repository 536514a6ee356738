"""Gives out by caller whatever is scarce: the one place that says who may hold how much, and who is next.

`SCARCE` lists what callers share; docs/limits.md has its table. Of most of it a caller may hold as much as is
left free: one caller gets half, two a third each, and the next one always finds something. Whoever asks for
more is refused at once, or waits for a turn; turns go round the callers. Knows no HTTP.
"""

import math
import re
import sys
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, Protocol

from models.driver import SLICE_S
from models.engine.flows import MOST_WAITING
from models.errors import DeadlineExceeded, Overloaded

ADDRESS, KEY = "address-", "key-"
"""Begin the names of callers without a key, and of those with one."""
CALLER: ContextVar[str] = ContextVar("caller", default="")
"""For whom this thread works, where that is not handed down; nobody's on the command line."""
LOOK_EVERY_S = 0.25
IPV6_PREFIX = 64
"""The prefix that one household or machine has to itself: addresses in it are one caller."""

PLACES_TIMES = 2
"""One caller alone has as many places as the setting says, so that all have twice as many."""
SPARE_THREADS = 16
"""Beyond those of work: what is quick, and the refusing of what is too much."""
CROWDED_S = 1.0
"""So long after several callers had requests at the same time, one of each is worked on at a time."""
CONNECTIONS = 1000
"""Of a worker; fewer where it may open few files, of which a connection takes up to three."""
ANSWER_BYTES = 1 << 30
"""Of answers that wait in temporary files until their clients take them."""
READERS_FOR_EACH_CORE = 2
READER_CPU_S = 60
"""For each document or page, over all of its threads."""
LOOKUPS = 8
"""Callbacks whose hosts are looked up: a slow name server keeps so many threads."""
FETCHES = 8
"""Pages that are downloaded for callers at a time, of at most 20 MB each."""
MAX_QUEUED_JOBS = 1000
"""Jobs in work or waiting; more are refused, except from a key that has none among them."""
MAX_QUEUED_JOBS_PER_CALLER = 100
JOB_WORKERS = 2
"""Jobs that a server works on at the same time; each of several workers works on one."""
MAX_JOB_BYTES = 1 << 30
"""What the jobs of a key, or of an address without one, may keep."""
GLOSSARY_BYTES = 64 << 20
MEMORY_BYTES = 64 << 20
KEPT_ANSWER_BYTES = 64 << 20
SUGGESTION_BYTES, SUGGESTION_BYTES_OF_A_CALLER = 32 << 20, 1 << 20
FILE_BYTES = 64 << 20
CALLBACKS, CALLBACKS_OF_A_CALLER = 8, 4
ANONYMOUS_SHARES = 8
"""Each key has a share of what is kept, and each address without one; but addresses are many, and anybody's.
So all without a key have together no more than this many shares, and take none of a key's."""


@dataclass(frozen=True, slots=True)
class Scarce:
    """What callers share, as docs/limits.md tells it."""

    name: str
    what: str
    in_all: str
    of_one: str
    beyond: str


LEFT = "as much as is left free"
CONNECTION = Scarce(
    "connections",
    "connections of a worker, by address",
    f"{CONNECTIONS:,}, or a third of the files that it may open (`ulimit -n`)",
    "all while nobody else wants one",
    "whoever has most loses the one that has been still longest",
)
THREAD = Scarce(
    "threads",
    "threads of a worker, by address",
    f"{SPARE_THREADS} more than places",
    LEFT,
    "requests wait, callers in turn",
)
TEXT = Scarce(
    "text",
    "requests of a worker that its interpreter works on, rather than wait",
    "one of each caller",
    "all while nobody else asks",
    "they wait; after some milliseconds of work too",
)
PLACE = Scarce(
    "places",
    "requests in work",
    "128: twice `DRAGOMAN_MAX_QUEUED_REQUESTS`",
    f"{LEFT}; a key always one",
    "429 with `Retry-After`",
)
BODY = Scarce(
    "bodies",
    "bodies over 64 KB in work, and kept glossaries being used",
    "twice the bytes of the longest one allowed",
    f"{LEFT}; a key that has none there always one body of a direct request, or one glossary",
    "429",
)
ANSWER = Scarce(
    "answers",
    "bytes of answers over 64 KB that clients have yet to take, of a worker, by address",
    f"{ANSWER_BYTES >> 30} GiB",
    LEFT,
    "closed",
)
ENGINE = Scarce(
    "engine",
    "sentences and windows that wait for an engine",
    "no limit",
    f"{MOST_WAITING:,}, and those of the last request",
    "429; a batch takes from the callers in turn",
)
READER = Scarce(
    "readers",
    "documents and pages being read",
    f"{READERS_FOR_EACH_CORE} for each processor",
    f"{LEFT}; {READER_CPU_S} s of a processor for each",
    "they wait, callers in turn; 422",
)
LOOKUP = Scarce("lookups", "callbacks' hosts being looked up", f"{LOOKUPS}", LEFT, "looked up when sent")
FETCH = Scarce("fetches", "addresses being fetched (`/v1/fetch`)", f"{FETCHES}", LEFT, "429")
SCARCE = (
    CONNECTION,
    THREAD,
    TEXT,
    PLACE,
    BODY,
    ANSWER,
    ENGINE,
    READER,
    LOOKUP,
    FETCH,
    Scarce(
        "jobs",
        "jobs waiting",
        f"{MAX_QUEUED_JOBS:,}",
        f"{MAX_QUEUED_JOBS_PER_CALLER}; a key always one",
        "429",
    ),
    Scarce(
        "running",
        "jobs in work",
        f"{JOB_WORKERS}; from two workers on, one of each",
        "all while nobody else has one waiting",
        "they wait, callers in turn",
    ),
    Scarce(
        "kept",
        "bytes that jobs keep",
        f"of all without a key {ANONYMOUS_SHARES} shares",
        f"{MAX_JOB_BYTES >> 30} GiB",
        "429",
    ),
    Scarce(
        "glossaries",
        "bytes of glossaries; of a translation memory",
        f"of all without a key {ANONYMOUS_SHARES} shares",
        f"{GLOSSARY_BYTES >> 20} MiB; {MEMORY_BYTES >> 20} MiB",
        "422",
    ),
    Scarce(
        "kept answers",
        "bytes of answers kept under an `Idempotency-Key`, for a day",
        f"of all without a key {ANONYMOUS_SHARES} shares",
        f"{KEPT_ANSWER_BYTES >> 20} MiB",
        "the caller's oldest go",
    ),
    Scarce(
        "suggestions",
        "bytes of suggestions (`/suggest`)",
        f"{SUGGESTION_BYTES >> 20} MiB",
        f"{SUGGESTION_BYTES_OF_A_CALLER >> 20} MiB",
        "422",
    ),
    Scarce(
        "files",
        "bytes of files of `/translate_file`",
        f"{FILE_BYTES >> 20} MiB",
        LEFT,
        "the caller's oldest go; 429",
    ),
    Scarce(
        "callbacks",
        "callbacks being sent, of a worker",
        f"{CALLBACKS}",
        f"{CALLBACKS_OF_A_CALLER}; one to a host",
        "wait",
    ),
)


def table() -> str:
    """Return the table of docs/limits.md, in Markdown."""
    rows = [f"| {each.what} | {each.in_all} | {each.of_one} | {each.beyond} |" for each in SCARCE]
    return "\n".join(["| | in all | of one caller | beyond it |", "|---|---|---|---|", *rows])


_WITH_PORT = re.compile(r"\[([^\]]+)\](?::\d+)?|([\d.]+):\d+")


@lru_cache(maxsize=4096)
def named(address: str) -> str:
    """The caller at an address, or in the network that an IPv6 address is in; the name does not tell it.

    A port, which some proxies write with the address, does not count.
    """
    if (with_port := _WITH_PORT.fullmatch(address)) is not None:
        address = with_port[1] or with_port[2]
    try:
        parsed = ip_address(address)
    except ValueError:  # a local socket
        whole = address
    else:
        if isinstance(parsed, IPv6Address):
            parsed = parsed.ipv4_mapped or ip_network((parsed, IPV6_PREFIX), strict=False).network_address
        whole = str(parsed)
    return ADDRESS + blake2b(whole.encode(), digest_size=12).hexdigest()


def stored_shares(caller: str, owner: str | None) -> list[tuple[str, str, str | None, int]]:
    """Return whose rows in a table of `caller` and `owner` count together with the caller's, and how far.

    A share has its name in words, a column and its value, and the number of callers' limits that it
    holds: the caller has one limit, and all callers without a key have a few between them.
    """
    own: list[tuple[str, str, str | None, int]] = [("this caller", "caller", caller, 1)]
    if owner is None:
        own.append(("all callers without a key", "owner", None, ANONYMOUS_SHARES))
    return own


class ShareCounts(Protocol):
    """How much of what each caller holds."""

    def take(self, what: str, caller: str, amount: int, *, capacity: int, least: int) -> bool:
        """Count it as held and return True if as much is left free beside what the caller holds already.

        A caller who holds nothing gets up to `least` in any case.
        """

    def give(self, what: str, caller: str, amount: int) -> None:
        """Count it as held no longer."""

    def held(self, what: str) -> int:
        """Return what all hold."""


class LocalCounts:
    """Counts of this process alone, of one thing. Threads may share it."""

    def __init__(self) -> None:
        self.of: Counter[str] = Counter()
        """What each caller holds."""
        self._lock = threading.Lock()

    def take(self, what: str, caller: str, amount: int, *, capacity: int, least: int) -> bool:
        """See `ShareCounts.take`."""
        with self._lock:
            own = self.of[caller]
            fits = amount + self.of.total() + own <= capacity or (not own and amount <= least)
            self._add(caller, amount if fits else 0)
            return fits

    def give(self, what: str, caller: str, amount: int) -> None:
        """See `ShareCounts.give`."""
        with self._lock:
            self._add(caller, -amount)

    def held(self, what: str) -> int:
        """See `ShareCounts.held`."""
        return self.of.total()

    def _add(self, caller: str, amount: int) -> None:
        self.of[caller] += amount
        if self.of[caller] <= 0:
            del self.of[caller]


class Shares:
    """Something scarce, of which all hold at most `capacity`, and each caller as much as is left free.

    A caller with a key who holds nothing gets up to `least` whatever the others hold. `counts` are those of
    all workers, or of this process; those who wait are of this process in either case.
    """

    def __init__(self, scarce: Scarce, capacity: int, *, counts: ShareCounts | None = None, least: int = 0):
        self.capacity = capacity
        self._scarce = scarce
        self._local = LocalCounts()
        self._counts = counts or self._local
        self._least = least
        self._waiting: OrderedDict[str, deque[Any]] = OrderedDict()
        """By caller, the one whose turn is longest ago first."""
        self._lock = threading.RLock()

    @property
    def held(self) -> int:
        """What all hold now."""
        return self._counts.held(self._scarce.name)

    def take(self, caller: str, amount: int = 1) -> None:
        """Hold more; raises Overloaded, without waiting, where the caller's share does not have it."""
        if not self._took(caller, amount):
            raise Overloaded(f"the server is busy: this caller's share of {self._scarce.what} is used up")

    def give(self, caller: str, amount: int = 1) -> None:
        """Hold less."""
        self._counts.give(self._scarce.name, caller, amount)

    @contextmanager
    def hold(self, caller: str, amount: int = 1) -> Iterator[None]:
        """Hold so much; raises Overloaded."""
        self.take(caller, amount)
        try:
            yield
        finally:
            self.give(caller, amount)

    def crowd(self, caller: str) -> str | None:
        """Hold one more. Beyond the capacity, return who is to give one up: the caller who holds most."""
        with self._lock:
            held = self._local.of
            held[caller] += 1
            return max(held, key=held.__getitem__) if held.total() > self.capacity else None

    # ------------------------------------------------------------------ turns

    @contextmanager
    def turn(
        self, caller: str, *, deadline: float = math.inf, require: Callable[[], None] = lambda: None
    ) -> Iterator[None]:
        """Hold one, when it is the caller's turn.

        `require` is called four times a second meanwhile, and raises when nobody waits any more. Raises
        DeadlineExceeded at the deadline, which is on `time.monotonic()`'s clock.
        """
        come = threading.Event()
        with self._lock:
            if not self._waiting and self._took(caller, 1):
                come.set()
            else:
                self.put(caller, come)
                self._tell()
        try:
            while not come.wait(LOOK_EVERY_S):
                require()
                if time.monotonic() >= deadline:
                    raise DeadlineExceeded("the request passed its deadline before its turn came")
            yield
        finally:
            with self._lock:
                if come in self._waiting.get(caller, ()):
                    self._waiting[caller].remove(come)
                    self._tidy(caller)
                else:  # its turn may have come while `require` raised
                    self.give(caller)
            self._tell()

    def put(self, caller: str, item: Any) -> None:
        """Have an item wait, for `next`."""
        with self._lock:
            self._waiting.setdefault(caller, deque()).append(item)

    def next(self) -> Any | None:
        """Hold one for the caller whose turn it is, and return his item; None if none may have one now.

        The turn is that of the caller who holds least, and of those of the one whose last is longest ago.
        """
        with self._lock:
            for caller in sorted(self._waiting, key=self._local.of.__getitem__):
                if self._took(caller, 1):
                    item = self._waiting[caller].popleft()
                    self._waiting.move_to_end(caller)
                    self._tidy(caller)
                    return item
            return None

    def __bool__(self) -> bool:
        """Whether `next` would give something."""
        with self._lock:
            for caller in self._waiting:
                if self._took(caller, 1):
                    self.give(caller)
                    return True
            return False

    def __len__(self) -> int:
        """How many wait."""
        with self._lock:
            return sum(map(len, self._waiting.values()))

    # ------------------------------------------------------------------ inside

    def _took(self, caller: str, amount: int) -> bool:
        least = 0 if caller.startswith(ADDRESS) else self._least
        return self._counts.take(self._scarce.name, caller, amount, capacity=self.capacity, least=least)

    def _tell(self) -> None:
        while (come := self.next()) is not None:
            come.set()

    def _tidy(self, caller: str) -> None:
        if not self._waiting[caller]:
            del self._waiting[caller]


class TextTurns(Shares):
    """The interpreter, for work on texts: of several callers' requests one of each is worked on at a time.

    A caller alone does without turns.
    """

    def __init__(self) -> None:
        super().__init__(TEXT, 0)
        self._at_work = Counter[str]()
        """The contexts of `working`, by caller."""
        self._crowded_until = 0.0

    @contextmanager
    def working(self, caller: str) -> Iterator[None]:
        """Hold one, when it is the caller's turn, but for the contexts of `idle` in this one."""
        turn = _Turn(self, caller)
        before = _TURN.set(turn)
        turn.count()
        try:
            turn.begin()
            yield
        finally:
            turn.end()
            self.count(turn.counted, -1)
            _TURN.reset(before)

    def _took(self, caller: str, amount: int) -> bool:
        capacity = 0 if self.is_crowded() else sys.maxsize
        return self._counts.take(self._scarce.name, caller, amount, capacity=capacity, least=1)

    def count(self, caller: str, change: int) -> None:
        """Count a context of `working` for a caller; nobody if the name is empty."""
        if not caller:
            return
        with self._lock:
            self._at_work[caller] += change
            if not self._at_work[caller]:
                del self._at_work[caller]
            self.is_crowded()

    def is_crowded(self) -> bool:
        """Return whether several callers are at work, or were of late."""
        now = time.monotonic()
        if len(self._at_work) > 1:
            self._crowded_until = now + CROWDED_S
        return now < self._crowded_until


class _Turn:
    """One of `TextTurns.working`; other threads of the same request have it too, in copies of its context."""

    def __init__(self, shares: TextTurns, caller: str):
        self._shares = shares
        self._caller = caller
        self._held: list[AbstractContextManager[None]] = []
        """One, or none while it is given up."""
        self.slice_end = 0.0
        self.counted = ""
        """For whom it counts among those who are at work: nobody until the key has been read."""

    def count(self) -> None:
        """Count it for `CALLER`."""
        self._shares.count(self.counted, -1)  # first, or one caller would be two
        self.counted = CALLER.get()
        self._shares.count(self.counted, 1)

    def begin(self) -> None:
        held = self._shares.turn(CALLER.get() or self._caller)  # the key's name, once it has been read
        held.__enter__()
        self._held.append(held)
        self.slice_end = time.monotonic() + SLICE_S

    def end(self) -> bool:
        """Give it up, unless that was done; return whether it was not."""
        try:
            held = self._held.pop()
        except IndexError:
            return False
        held.__exit__(None, None, None)
        return True


_TURN: ContextVar[_Turn | None] = ContextVar("turn", default=None)


@contextmanager
def idle() -> Iterator[None]:
    """Give up the turn of `TextTurns.working`, if there is one, in this context, which only waits."""
    turn = _TURN.get()
    if turn is None or not turn.end():
        yield
        return
    try:
        yield
    finally:
        turn.begin()


def known() -> None:
    """Count this context's request for `CALLER`, who is known now."""
    if (turn := _TURN.get()) is not None:
        turn.count()


def leave_turn() -> None:
    """Leave the turn to the copies of this context, whose work it is."""
    _TURN.set(None)


def pass_on() -> None:
    """Let others have the turn of `TextTurns.working`, if there is one and it has lasted long enough."""
    if (turn := _TURN.get()) is not None and time.monotonic() > turn.slice_end and turn.end():
        turn.begin()
