"""Engines that several users share: each is made once for all, and closed after its last user.

Where each user keeps its engines to a number, all users together would have more. So there is a limit here
too, and what it closes is made again for whoever submits to it.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from models.engine.protocol import Engine

IDLE_S = 10.0
"""An engine that had work a shorter while ago is not closed to make room for another."""


@dataclass(eq=False, slots=True)
class EnginePlace:
    """An engine's place, to be filled with what is made of `what`. `lock` is held while it is made or closed.

    All else is guarded by the places' lock.
    """

    what: Any
    lock: threading.Lock = field(default_factory=threading.Lock)
    engine: Engine | None = None
    users: set[object] = field(default_factory=set)
    unanswered: int = 0
    used: float = field(default_factory=time.monotonic)

    @property
    def rests(self) -> bool:
        """True if nobody would miss the engine now."""
        return self.engine is not None and not self.unanswered and self.used <= time.monotonic() - IDLE_S


class EnginePlaces:
    """Makes engines with `make`, out of what their users name. All methods may be called from any thread.

    Beyond `most` engines, the least recently used of those that rest are closed before another is made.
    """

    def __init__(self, make: Callable[[Any], Engine], most: int | None = None):
        self._make = make
        self._most = most
        self._places: dict[str, EnginePlace] = {}
        self._lock = threading.Lock()

    def load(self, user: object, name: str, what: Any) -> EnginePlace:
        """Return the engine's place, and make the engine now if it is not there."""
        with self._lock:
            place = self._places.setdefault(name, EnginePlace(what))
            place.users.add(user)
        self.made(place)
        return place

    def unload(self, user: object, name: str) -> None:
        """Take a user from the engine, and close it after its last one."""
        with self._lock:
            place = self._places.get(name)
            if place is None:
                return
            place.users.discard(user)
            if place.users:
                return
            del self._places[name]
        with place.lock, self._lock:
            engine, place.engine = place.engine, None
        if engine is not None:
            engine.close()

    def gone(self, user: object) -> None:
        """Forget a user. The engines that it used alone stay, for the one that takes its place."""
        with self._lock:
            for place in self._places.values():
                place.users.discard(user)

    def made(self, place: EnginePlace) -> Engine:
        """Return the engine of a place, made now if it is not there."""
        with place.lock:
            engine = place.engine
            if engine is None:
                self._make_room()
                engine = self._make(place.what)
                with self._lock:
                    place.engine, place.used = engine, time.monotonic()
            return engine

    def begin(self, place: EnginePlace, generations: int) -> Engine | None:
        """Count generations that are to be submitted; return the engine, or None if it has to be made."""
        with self._lock:
            place.unanswered += generations
            return place.engine

    def ended(self, place: EnginePlace, generations: int = 1) -> None:
        """Count generations as answered."""
        with self._lock:
            place.unanswered -= generations
            place.used = time.monotonic()

    def _make_room(self) -> None:
        with self._lock:
            there = [place for place in self._places.values() if place.engine is not None]
            excess = 0 if self._most is None else max(0, len(there) + 1 - self._most)
            rest = sorted((place for place in there if place.rests), key=lambda place: place.used)[:excess]
            closed = [place.engine for place in rest if place.engine is not None]
            for place in rest:
                place.engine = None
        for engine in closed:
            engine.close()
