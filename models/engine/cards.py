"""Engines on several cards: where a model is loaded, when it is copied to another card, who gets a request.

Each card has a process of its own (see `process`), so a card that dies takes only what it held. Whoever uses
the cards decides by itself: it asks the processes what is where when it loads a model, and after that counts
what it has on each card. As everybody spreads their own requests evenly, all of them together are even too.

Knows cards by their numbers and free bytes, and no devices.
"""

import itertools
import logging
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from models.engine.process import GONE, EngineClient, RemoteEngine, Room
from models.engine.protocol import Engine, EngineStats, Generation, Output
from models.errors import DragomanError, EngineGone

log = logging.getLogger(__name__)

BUSY = 64
"""Generations on the least loaded of a model's cards at which another card gets a copy."""
PIECE = 64
"""Generations that go to one card together: an engine's step takes hardly longer for so many than for one."""
COPY_AGAIN_AFTER_S = 30.0
"""Before a busy model that no other card had room for is tried again."""
SIZE_STEP = 1 << 30
"""Cards whose free memory differs by less are equal, so that several processes choose the same one."""


class EngineCards:
    """Loads engines over one client for each card.

    With `everywhere` each engine is loaded on all cards at once, and what is submitted together stays
    together, on the card `preferred` if there is one: so whoever gives out the cards decides about batches.
    """

    def __init__(self, clients: Sequence[EngineClient], *, everywhere: bool = False):
        self.clients = clients
        self.everywhere = everywhere
        self.preferred: int | None = None
        self.turns = itertools.count(os.getpid())
        """Which of equally loaded cards is next."""

    @property
    def notes(self) -> list[str]:
        """See `EngineClient.notes`, of all cards."""
        return list(dict.fromkeys(note for client in self.clients for note in client.notes))

    def load(self, name: str, what: Any, need_bytes: int | None = None) -> Engine:
        """Return an engine made out of `what`: where it is already, else on the emptiest card.

        It needs `need_bytes` of a card; None says that it must not be copied. Raises as `EngineClient.load`.
        """
        if len(self.clients) == 1:
            return self.clients[0].load(name, what)
        engine = SpreadEngine(self, name, what, need_bytes)
        engine.load()
        return engine

    def rooms(self, *, measure: bool) -> list[Room | None]:
        """Return what each card has; None for one that does not answer."""
        with ThreadPoolExecutor(len(self.clients)) as pool:
            return list(pool.map(lambda client: client.room(measure=measure), self.clients))

    def places(self, name: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Return the cards that have the engine, and the others with their free bytes, the emptiest first."""
        answers = enumerate(self.rooms(measure=True))
        rooms = {card: room for card, room in answers if room is not None}
        there = [card for card, room in rooms.items() if name in room.names]
        others = [
            (-(room.free_bytes // SIZE_STEP), len(room.names), card, room.free_bytes)
            for card, room in rooms.items()
            if card not in there
        ]
        return there, [(card, free_bytes) for _, _, card, free_bytes in sorted(others)]

    def close(self) -> None:
        """Leave all processes."""
        for client in self.clients:
            client.close()


class SpreadEngine:
    """An Engine with copies on some of the cards."""

    def __init__(self, cards: EngineCards, name: str, what: Any, need_bytes: int | None):
        self._cards = cards
        self._name = name
        self._what = what
        self._need_bytes = need_bytes
        self._copies: dict[int, RemoteEngine] = {}
        self._lock = threading.Lock()
        self._copying = self._closing = False
        self._copy_from = 0.0
        """When another copy may be tried."""

    def load(self) -> None:
        """Make the first copies. Raises as `EngineClient.load` if the first cannot be made."""
        there, others = self._cards.places(self._name)
        cards = [*there, *(card for card, _ in others)]
        if not cards:
            raise EngineGone(GONE)
        if not self._cards.everywhere:  # one is enough, until it is busy
            cards = there or cards[:1]
        self._load_on(cards[0])  # alone: trials on other cards of its kind are spared
        if len(cards) > 1:
            with ThreadPoolExecutor(len(cards) - 1) as pool:
                list(pool.map(self._load_if_possible, cards[1:]))

    def submit(self, generations: Sequence[Generation], *, wait: bool = False) -> list[Future[Output]]:
        """See `Engine.submit`; large submissions go to several cards, in pieces."""
        size = len(generations) if self._cards.everywhere else PIECE
        futures: list[Future[Output]] = []
        try:
            for start in range(0, len(generations), max(1, size)):
                copy = self._least_loaded()
                futures += copy.submit(generations[start : start + size], wait=wait)
        except DragomanError:
            for future in futures:
                future.cancel()
            raise
        return futures

    def stats(self) -> EngineStats:
        """See `Engine.stats`: the sums of all copies, and their own as `cards`."""
        told = {str(card): copy.stats() for card, copy in sorted(self._copies.items())}
        each = list(told.values())
        return EngineStats(
            queued=sum(stats.queued for stats in each),
            running=sum(stats.running for stats in each),
            requests=sum(stats.requests for stats in each),
            batches=sum(stats.batches for stats in each),
            source_tokens=sum(stats.source_tokens for stats in each),
            output_tokens=sum(stats.output_tokens for stats in each),
            ready=any(stats.ready for stats in each),
            slots=sum(stats.slots for stats in each),
            step_s=max((stats.step_s for stats in each), default=0.0),
            cards=told,
        )

    def close(self) -> None:
        """See `Engine.close`."""
        with self._lock:
            self._closing = True
            copies = list(self._copies.values())
        for copy in copies:
            copy.close()

    # ------------------------------------------------------------------ inside

    def _least_loaded(self) -> RemoteEngine:
        """Return the copy whose card has the least of this process's work. Raises EngineGone without one.

        One on a card that is preferred may be gone, which its `submit` says.
        """
        if self._cards.everywhere and self._cards.preferred in self._copies:
            return self._copies[self._cards.preferred]  # or the round would share another card's
        ready = {card: copy for card, copy in self._copies.items() if copy.ready}
        clients, turn = self._cards.clients, next(self._cards.turns)
        loads = {card: (clients[card].in_flight, (card - turn) % len(clients)) for card in ready}
        card = min(loads, key=loads.__getitem__, default=None)
        if card is None or clients[card].in_flight >= BUSY:
            self._begin_copy()
        if card is None:
            raise EngineGone(GONE)
        return ready[card]

    def _begin_copy(self) -> None:
        with self._lock:
            is_everywhere = len(self._copies) == len(self._cards.clients)
            if self._copying or self._closing or is_everywhere or self._need_bytes is None:
                return
            if time.monotonic() < self._copy_from:
                return
            self._copying = True
        threading.Thread(target=self._copy, name=f"copy {self._name}", daemon=True).start()

    def _copy(self) -> None:
        """Load the engine on one more card, if one has it already, or room for it and as much again."""
        assert self._need_bytes is not None  # noqa: S101 - else it is not copied
        again_after_s = COPY_AGAIN_AFTER_S
        try:
            there, others = self._cards.places(self._name)
            roomy = [card for card, free_bytes in others if free_bytes >= 2 * self._need_bytes]
            card = next((card for card in [*there, *roomy] if card not in self._copies), None)
            if card is not None:
                self._load_on(card)
                again_after_s = 0.0
        except DragomanError as error:
            log.warning("%s could not be copied: %s", self._name, error.message)
        finally:
            with self._lock:
                self._copying = False
                self._copy_from = time.monotonic() + again_after_s

    def _load_if_possible(self, card: int) -> None:
        try:
            self._load_on(card)
        except DragomanError as error:
            log.warning("%s cannot be had on card %d: %s", self._name, card, error.message)

    def _load_on(self, card: int) -> None:
        copy = self._cards.clients[card].load(self._name, self._what)
        with self._lock:
            if not self._closing:
                self._copies = {**self._copies, card: copy}  # others iterate over it
                log.info("%s is on card %d", self._name, card)
                return
        with suppress(DragomanError):
            copy.close()
