"""The order of what waits for an engine: flows take turns, and a flow's own requests come as they were sent.

A flow is a name that whoever submits has given, for one client, say. While one flow alone waits, this is a
queue like any other. Knows nothing of batches; see "fair queueing" (Nagle, RFC 970).
"""

from collections import Counter, OrderedDict
from collections.abc import Iterator
from itertools import islice
from typing import Generic, Protocol, TypeVar

MOST_WAITING = 4096
"""Of one flow, at one engine; a submission is taken whole as long as fewer than that wait."""


class OfFlow(Protocol):
    """Whatever waits."""

    flow: str


R = TypeVar("R", bound=OfFlow)


class FlowQueue(Generic[R]):
    """What waits, by flow. It is in order of turns: the first of each flow, the second of each, and so on.

    The flow that something was taken of last comes last in a round. Not for several threads at once.
    """

    def __init__(self) -> None:
        self._flows: OrderedDict[str, OrderedDict[R, None]] = OrderedDict()
        self._size = 0

    def add(self, request: R) -> None:
        """Have it wait, after its flow's others."""
        self._flows.setdefault(request.flow, OrderedDict())[request] = None
        self._size += 1

    def take(self, request: R) -> None:
        """Take it out because its turn has come; the other flows come before its own now."""
        self.drop(request)
        if request.flow in self._flows:
            self._flows.move_to_end(request.flow)

    def drop(self, request: R) -> None:
        """Take it out, if it is there, because nobody waits for it."""
        own = self._flows.get(request.flow, OrderedDict[R, None]())
        if request in own:
            del own[request]
            self._size -= 1
            if not own:
                del self._flows[request.flow]

    def waiting(self, flow: str) -> int:
        """Return how many of the flow wait."""
        return len(self._flows.get(flow, ()))

    def first(self) -> R:
        """Return the one whose turn is next; there must be one."""
        return next(iter(next(iter(self._flows.values()))))

    def __iter__(self) -> Iterator[R]:
        left = [iter(own) for own in self._flows.values()]
        while left:
            if len(left) == 1:
                yield from left[0]
                return
            still = []
            for own in left:
                for request in islice(own, 1):
                    yield request
                    still.append(own)
            left = still

    def __len__(self) -> int:
        return self._size


def add_to(counts: Counter[str], flow: str, number: int) -> None:
    """Count so many more, or fewer, of a flow; a flow that has none is forgotten."""
    counts[flow] += number
    if counts[flow] <= 0:
        del counts[flow]
