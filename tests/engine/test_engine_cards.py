"""Engines on several cards, simulated: a card does so many generations a tick, and the test is the clock."""

import os
import random
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from multiprocessing.connection import Client, Listener
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import engine_program
import pytest
from engine_program import Entry

from models.engine import cards as engine_cards
from models.engine import process as engine_process
from models.engine.cards import BUSY, EngineCards
from models.engine.futures import OutputFuture
from models.engine.process import EngineClient, EngineServer, Room
from models.engine.protocol import Decoding, Engine, EngineStats, Generation, Output
from models.errors import EngineFailed, EngineGone, Overloaded
from service.engine_process import EngineProcess
from service.settings import Settings

KEY = b"a key"
GB = 1 << 30
A_TICK = 64
"""Generations that a card does in a tick."""


class Sized(NamedTuple):
    """A stand-in for a catalog entry."""

    name: str
    size_bytes: int


class Card:
    """A device: its engines share its memory, and its time."""

    def __init__(self, free_bytes: int):
        self.free_bytes = free_bytes
        self.may_make = threading.Event()
        self.may_make.set()
        self.queue: deque[OutputFuture] = deque()
        self.made: list[str] = []

    def make(self, entry: Sized) -> Engine:
        self.may_make.wait(30)
        self.free_bytes -= entry.size_bytes
        self.made.append(entry.name)
        return CardEngine(self)

    def tick(self, most: int = A_TICK) -> None:
        """Do what waits longest; what was cancelled takes no time."""
        done = 0
        while self.queue and done < most:
            done += self.queue.popleft().answer(Output((1,)))


class CardEngine:
    def __init__(self, card: Card):
        self._card = card

    def submit(self, generations: Sequence[Generation], *, wait: bool = False) -> list[OutputFuture]:
        futures = [OutputFuture() for _ in generations]
        self._card.queue.extend(futures)
        return futures

    def stats(self) -> EngineStats:
        return EngineStats(queued=len(self._card.queue), output_tokens=7)

    def close(self) -> None:
        pass


class Machine:
    """Cards, each behind a server and a socket as in its own process, and processes that use them."""

    def __init__(self, folder: Path, free_gb: Sequence[int]):
        self.cards = [Card(free * GB) for free in free_gb]
        self._addresses = [str(folder / f"s{number}") for number in range(len(free_gb))]
        self._listeners = [Listener(address, "AF_UNIX", authkey=KEY) for address in self._addresses]
        self._users: list[EngineCards] = []
        for card, listener in zip(self.cards, self._listeners, strict=True):
            server = EngineServer(card.make, free_bytes=lambda card=card: card.free_bytes)  # type: ignore[misc]
            threading.Thread(target=server.serve, args=(listener,), daemon=True).start()

    def user(self, **given: Any) -> EngineCards:
        clients = [
            EngineClient(lambda address=address: Client(address, "AF_UNIX", authkey=KEY))  # type: ignore[misc]
            for address in self._addresses
        ]
        self._users.append(EngineCards(clients, **given))
        return self._users[-1]

    def rooms(self) -> list[Room]:
        return [room for room in self._users[0].rooms(measure=True) if room is not None]

    def settle(self) -> None:
        """Wait until the cards have all that was submitted, and the processes all answers."""
        _wait_until(lambda: all(self._settled(number) for number in range(len(self.cards))))

    def _settled(self, number: int) -> bool:
        waiting = sum(not future.done() for future in tuple(self.cards[number].queue))
        return waiting == sum(user.clients[number].in_flight for user in self._users)

    def close(self) -> None:
        for user in self._users:
            user.close()
        for listener in self._listeners:
            listener.close()


@contextmanager
def machine(folder: Path, free_gb: Sequence[int]) -> Iterator[Machine]:
    folder.mkdir(exist_ok=True)
    made = Machine(folder, free_gb)
    yield made
    made.close()


def _wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.001)


def _generations(number: int) -> list[Generation]:
    return [Generation((5,), Decoding(max_new_tokens=8))] * number


def _rate(folder: Path, speeds: Sequence[int], *, users: int = 3, ticks: int = 20) -> float:
    """Generations a tick that the cards do for several processes, which ask for half as much again."""
    rng = random.Random(7)
    with machine(folder, [80] * len(speeds)) as made:
        engines = [made.user().load("busy", Sized("busy", GB), GB) for _ in range(users)]
        assert sum(card.made == ["busy"] for card in made.cards) == 1, "one process' engine is everybody's"
        unanswered: list[list[Future[Output]]] = [[] for _ in engines]

        def fill(most: int) -> int:
            """Submit requests of one to eight sentences, and now and then an article of a hundred."""
            done = 0
            for engine, futures in zip(engines, unanswered, strict=True):
                ended = sum(future.done() for future in futures)
                done += ended
                futures[:] = [future for future in futures if not future.done()]
                while len(futures) < most:
                    size = 100 if rng.random() < 0.02 else rng.randint(1, 8)
                    futures += engine.submit(_generations(size))
            return done

        def copies() -> set[int]:
            return {len(getattr(engine, "_copies", "1")) for engine in engines}

        def has_spread() -> bool:
            fill(len(speeds) * (BUSY + 8))
            for card in made.cards:
                card.tick()
            return copies() == {len(speeds)}

        _wait_until(has_spread)
        while any(unanswered):  # what was asked for on the way
            made.settle()
            for card in made.cards:
                card.tick(10**6)
            made.settle()
            unanswered[:] = [[each for each in futures if not each.done()] for futures in unanswered]
        done = 0
        for _ in range(ticks):
            fill(sum(speeds) * 3 // 2 // users)
            made.settle()
            for card, speed in zip(made.cards, speeds, strict=True):
                card.tick(speed)
            made.settle()
            done += fill(0)
        return done / ticks


def test_eight_cards_do_the_work_of_eight(tmp_path: Path) -> None:
    """A busy model is copied to all of them; one that is half as fast gets half as much."""
    one = _rate(tmp_path / "1", [A_TICK])
    assert one == A_TICK
    assert _rate(tmp_path / "8", [A_TICK] * 8) >= 7.5 * one
    assert _rate(tmp_path / "uneven", [A_TICK // 2, *[A_TICK] * 7]) >= 7.5 * 0.94 * one


def test_models_go_where_they_fit(tmp_path: Path) -> None:
    with machine(tmp_path, [40, 80, 60]) as made:
        first, second = made.user(), made.user()
        made.cards[1].may_make.clear()
        loading = threading.Thread(target=first.load, args=("long", Sized("long", 0)))
        loading.start()
        _wait_until(lambda: "long" in made.rooms()[1].names)
        assert [room.free_bytes // GB for room in made.rooms()] == [40, 0, 60], "unknown meanwhile"
        made.cards[1].may_make.set()
        loading.join()
        made.cards[1].made.clear()
        for name, size in (("a", 50), ("b", 45), ("c", 35), ("d", 25), ("e", 10)):
            first.load(name, Sized(name, size * GB), size * GB)
        assert [card.made for card in made.cards] == [["c"], ["a", "d"], ["b", "e"]]
        assert first.rooms(measure=False) == second.rooms(measure=False)
        second.load("c", Sized("c", 35 * GB), 35 * GB)
        assert [len(card.made) for card in made.cards] == [1, 2, 2], "another process shares the engine"


def test_a_busy_model_is_copied_where_room_is_left(tmp_path: Path) -> None:
    with machine(tmp_path, [80, 30, 10]) as made:
        user = made.user()
        entry = Sized("a", 10 * GB)
        engine = user.load("a", entry, 10 * GB)
        fixed = user.load("server", Sized("server", 0))
        fixed.submit(_generations(BUSY))
        fixed.submit(_generations(1))
        assert made.cards[0].made == ["a", "server"]
        engine.submit(_generations(1))
        _wait_until(lambda: made.cards[1].made == ["a"] and len(engine._copies) == 2)  # type: ignore[attr-defined]
        before = user.clients[1].in_flight
        engine.submit(_generations(3))
        made.settle()
        assert (before, user.clients[1].in_flight) == (0, 3), "the least loaded card gets it"
        told = engine.stats()
        assert (told.output_tokens, told.ready, set(told.cards)) == (14, True, {"0", "1"})
        engine.submit(_generations(2 * BUSY))
        engine.submit(_generations(1))
        _wait_until(lambda: not engine._copying)  # type: ignore[attr-defined]
        assert made.cards[2].made == [], "it would be full"
        assert [card.made for card in made.cards[:2]] == [["a", "server"], ["a"]]
        for card in made.cards:
            card.tick(10**6)
        engine.close()


def test_a_submission_is_taken_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_cards, "PIECE", 2)
    monkeypatch.setattr(engine_process, "MOST_WAITING", 4)
    with machine(tmp_path, [80, 80]) as made:
        user = made.user()
        made.user().load("a", Sized("a", GB), GB)
        other = made.user(everywhere=True)
        together = other.load("a", Sized("a", GB), GB)
        assert [card.made for card in made.cards] == [["a"], ["a"]]
        engine = user.load("a", Sized("a", GB), GB)
        with pytest.raises(Overloaded):
            engine.submit(_generations(20))
        assert [client.in_flight for client in user.clients] == [0, 0]
        other.preferred = 1
        together.submit(_generations(20))
        assert [client.in_flight for client in other.clients] == [0, 20], "a round of a batch stays together"
        made.settle()
        for card in made.cards:
            card.tick(10**6)


def test_a_card_that_dies_takes_only_what_it_held(tmp_path: Path) -> None:
    here: Any = SimpleNamespace(device="cuda", need_bytes=lambda entry: 1)
    process = EngineProcess(
        Settings(data_dir=tmp_path, cache_dir=tmp_path),
        here,
        command=(sys.executable, str(Path(engine_program.__file__))),
        cards=("GPU-a", "GPU-b"),
    )
    one, two = (process.make(Entry(name)) for name in ("one", "two"))  # type: ignore[arg-type]
    assert process.cards() == ["card 0: one", "card 1: two"]
    assert process.fallbacks == ["reversing: it is a fake", "card GPU-a", "card GPU-b"]
    pids = process.pids
    long = [Generation(tuple(range(60)), Decoding(max_new_tokens=64))]
    kept, lost = one.submit(long * 8), two.submit(long * 8)
    assert pids[1] is not None
    os.kill(pids[1], signal.SIGKILL)
    assert all(isinstance(future.exception(20), EngineGone) for future in lost)
    assert {future.result(20).token_ids[0] for future in kept} == {59}
    assert one.submit(long)[0].result(20).token_ids[0] == 59

    def answers() -> bool:
        try:
            return two.submit(long)[0].result(20).token_ids[0] == 59
        except EngineFailed:
            return False

    _wait_until(answers)
    _wait_until(lambda: process.cards()[1] == "card 1: two")
    assert process.pids[0] == pids[0] and process.pids[1] != pids[1]
    for engine in (one, two):
        engine.close()
    process.close()
