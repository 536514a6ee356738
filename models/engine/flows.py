"""The order of what waits for an engine: flows take turns, and a flow's own requests come as they were sent.

A flow is a name that whoever submits has given, for one client, say. While one flow alone waits, this is a
queue like any other. Knows nothing of batches; see "fair queueing" (Nagle, RFC 970).
"""

from collections import Counter, OrderedDict
from collections.abc import Iterator
from heapq import heapify, heappop, heapreplace
from typing import Generic, Protocol, TypeVar

MOST_WAITING = 4096
"""Of one flow, at one engine; a submission is taken whole as long as fewer than that wait."""

MOST_REMEMBERED = 1000
"""Flows beyond those that wait whose turns are known, before they are forgotten."""


class OfFlow(Protocol):
    """Whatever waits."""

    flow: str


R = TypeVar("R", bound=OfFlow)


class FlowQueue(Generic[R]):
    """What waits, by flow. It is in order of turns: the first of each flow, the second of each, and so on.

    Each request that is taken uses up a turn of its flow's, in whatever order they are taken: a flow that had
    one place in a batch comes first until it has had as many as the flow that filled it. A flow that comes
    anew has no turns saved up, but comes before one whose turn it just was. Not for several threads at once.
    """

    def __init__(self) -> None:
        self._flows: OrderedDict[str, OrderedDict[R, None]] = OrderedDict()
        self._turns: dict[str, int] = {}
        """The turn that a flow's next request has."""
        self._turn = 0
        """The latest turn that a request was taken in: the virtual time of start-time fair queueing."""
        self._size = 0

    def add(self, request: R) -> None:
        """Have it wait, after its flow's others."""
        flow = request.flow
        if flow not in self._flows:
            self._flows[flow] = OrderedDict()
            self._turns[flow] = max(self._turn, self._turns.get(flow, 0))
        self._flows[flow][request] = None
        self._size += 1

    def take(self, request: R) -> None:
        """Take it out because its turn has come, or because it goes well with the one whose turn it is."""
        flow = request.flow
        self.drop(request)
        if flow in self._flows:
            self._flows.move_to_end(flow)
        self._turn = max(self._turn, self._turns[flow])
        self._turns[flow] += 1
        if len(self._turns) > len(self._flows) + MOST_REMEMBERED:
            self._turns = {flow: self._turns[flow] for flow in self._flows}

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
        flow = min(self._flows, key=self._turns.__getitem__)  # of equal ones the first, as in `__iter__`
        return next(iter(self._flows[flow]))

    def __iter__(self) -> Iterator[R]:
        left = [(self._turns[flow], i, iter(own)) for i, (flow, own) in enumerate(self._flows.items())]
        heapify(left)
        while left:
            turn, i, own = left[0]
            if len(left) == 1:
                yield from own
                return
            if (request := next(own, None)) is None:
                heappop(left)
            else:
                yield request
                heapreplace(left, (turn + 1, i, own))

    def __len__(self) -> int:
        return self._size


def add_to(counts: Counter[str], flow: str, number: int) -> None:
    """Count so many more, or fewer, of a flow; a flow that has none is forgotten."""
    counts[flow] += number
    if counts[flow] <= 0:
        del counts[flow]
