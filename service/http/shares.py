"""Divides scarce capacity among callers: a request beyond it is refused at once, so threads stay free."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from models.errors import Overloaded
from service.shared import SharedState

_TAKE = """
INSERT INTO held (what, caller, pid, amount) SELECT :what, :caller, :pid, :amount
WHERE :amount + (
    SELECT coalesce(sum(amount), 0) + coalesce(sum(amount) FILTER (WHERE :fair AND caller = :caller), 0)
    FROM held WHERE what = :what
) <= :capacity
ON CONFLICT (what, caller, pid) DO UPDATE SET amount = amount + excluded.amount
"""
_GIVE = """
UPDATE held SET amount = amount - :amount WHERE what = :what AND caller = :caller AND pid = :pid
"""
_HELD = "SELECT coalesce(sum(amount), 0) FROM held WHERE what = :what"


class Shares:
    """A capacity, places or bytes, of which each caller may hold as much as is left free.

    So one caller gets half of it, two a third each, and the next one always finds something: a caller who
    sends too much at once gets only in their own way. `shared` says whose count: those of all workers that
    have something of this name there.
    """

    fair = True

    def __init__(self, capacity: int, *, name: str = "shares", shared: SharedState | None = None):
        self.capacity = capacity
        self._name = name
        self._shared = shared or SharedState()

    @property
    def inside(self) -> int:
        """What all hold now."""
        return int(self._shared.rows(_HELD, what=self._name)[0][0])

    def take(self, caller: str, amount: int = 1) -> None:
        """Hold more; raises Overloaded, without waiting, where the caller's share does not have it."""
        held = self._held(caller, amount)
        if not self._shared.change(_TAKE, **held, fair=self.fair, capacity=self.capacity):
            raise Overloaded(self._refusal())

    def give(self, caller: str, amount: int = 1) -> None:
        """Hold less."""
        self._shared.change(_GIVE, **self._held(caller, amount))

    @contextmanager
    def enter(self, caller: str = "", amount: int = 1) -> Iterator[None]:
        """Hold so much; raises Overloaded."""
        self.take(caller, amount)
        try:
            yield
        finally:
            self.give(caller, amount)

    def _held(self, caller: str, amount: int) -> dict[str, object]:
        return {"what": self._name, "caller": caller, "pid": os.getpid(), "amount": amount}

    def _refusal(self) -> str:
        return "too many concurrent requests from this caller"


class Gate(Shares):
    """Places for any caller; whoever comes first has them."""

    fair = False

    def _refusal(self) -> str:
        return "the server is busy"
