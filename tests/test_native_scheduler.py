"""Slots, queue and memory plan: the parts of the engine that know no tensors."""

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from models.engine.native import limits as memory
from models.engine.native.scheduler import NOWHERE, Lane, Request, Scheduler, Slots
from models.engine.protocol import Decoding, Generation
from models.errors import EngineFailed

HERE = Path(memory.__file__).parent


@pytest.mark.parametrize("module", ["scheduler", "limits"])
def test_no_torch(module):
    tree = ast.parse((HERE / f"{module}.py").read_text())
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    assert not any(name.split(".")[0] in ("torch", "triton", "transformers") for name in imported)


def request(num_beams=1, deadline=None):
    generation = Generation((3,), Decoding(max_new_tokens=4, num_beams=num_beams), deadline=deadline)
    return Request(generation, Lane(num_beams, 2 * num_beams), (2,))


def test_places_are_never_shared():
    slots = Slots(3, 9)
    places = [slots.take(4), slots.take(4)]
    rows = [row for place in places for row in place.rows]
    assert len(set(rows)) == 8
    assert places[0].slot != places[1].slot
    assert slots.take(4) is None  # a slot is free, but one row only
    assert slots.take(1) is not None
    assert slots.take(1) is None
    slots.give_back(places[0])
    assert (slots.used, slots.free_rows) == (2, 4)


def test_first_come_first_served():
    scheduler = Scheduler(Slots(2, 8))
    requests = [request(), request(8), request()]
    scheduler.add(requests)
    # The second needs all rows: it is not overtaken by the third.
    assert scheduler.admit() == requests[:1]
    scheduler.end(requests[:1])
    assert scheduler.admit() == requests[1:2]


def test_many_newcomers_leave_steps_in_between_to_those_who_run():
    scheduler = Scheduler(Slots(32, 32), max_admitted_tokens=10)
    requests = [request() for _ in range(31)]  # of one token each
    scheduler.add(requests[:15])
    assert scheduler.admit() == requests[:15]  # nobody runs yet
    scheduler.start(requests[0], step=1)
    scheduler.add(requests[15:])
    assert scheduler.admit() == requests[15:25]
    assert scheduler.admit() == requests[25:]


def test_newcomers_gather_while_others_run():
    scheduler = Scheduler(Slots(16, 16), patience_steps=3)
    running = request()
    scheduler.add([running])
    scheduler.start(scheduler.admit()[0], step=1)
    one, other = request(), request()
    scheduler.add([one])
    assert scheduler.admit() == []
    scheduler.add([other])  # two are an eighth of the slots
    assert scheduler.admit() == [one, other]
    last = request()
    scheduler.add([last])
    assert [scheduler.admit() for _ in range(4)] == [[], [], [], [last]]


def test_ending_frees_everything():
    scheduler = Scheduler(Slots(4, 8))
    requests = [request(4), request(1), request(1)]
    scheduler.add(requests)
    for each in scheduler.admit():
        scheduler.start(each, step=1)
    scheduler.changed.clear()
    scheduler.end(requests[:2])
    assert requests[0].place is NOWHERE
    assert list(scheduler.running) == [requests[2].lane]
    assert scheduler.changed == {requests[0].lane, requests[2].lane}
    assert scheduler.slots.used == 1
    scheduler.end(requests)
    assert scheduler.idle
    assert (scheduler.slots.used, scheduler.slots.free_rows) == (0, 8)


def test_cancelled_while_waiting_is_never_admitted():
    scheduler = Scheduler(Slots(4, 8))
    gone, stays = request(), request()
    scheduler.add([gone, stays])
    scheduler.end([gone])
    assert scheduler.admit() == [stays]


def test_deadlines_come_in_order():
    scheduler = Scheduler(Slots(4, 8))
    late, soon, never, over = request(deadline=5.0), request(deadline=2.0), request(), request(deadline=1.0)
    scheduler.add([late, soon, never, over])
    scheduler.end([over])
    assert scheduler.expired(3.0) == [soon]
    assert scheduler.expired(9.0) == [late]


LIMITS = memory.Limits(max_slots=100, beam_widths=(4, 1, 8), max_source_tokens=10, max_new_tokens=5)
TOKEN, LOGITS = 256, 200
"""Bytes."""
ONE = 10 * TOKEN + 16 * 8 * 5 + 4 * (5 * TOKEN + 2 * LOGITS)
"""A source, four tables of eight beams, and four hypotheses."""


def test_the_plan_fits_what_is_free():
    assert memory.plan(LIMITS, TOKEN, LOGITS, 10 * ONE + 5) == (10, 40)
    assert memory.plan(LIMITS, TOKEN, LOGITS, 10 * ONE - 5) == (9, 36)
    assert memory.plan(replace(LIMITS, max_slots=3), TOKEN, LOGITS, None) == (3, 12)
    # Even one slot must be able to run the widest beam search.
    assert memory.plan(replace(LIMITS, max_slots=1, beam_widths=(1, 8)), TOKEN, LOGITS, None) == (1, 8)


def test_no_room_at_all_is_refused_with_the_reason():
    with pytest.raises(EngineFailed, match="10 source tokens with 4 beams"):
        memory.plan(LIMITS, TOKEN, LOGITS, 100)
