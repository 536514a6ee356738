"""No function that a stranger's text reaches takes more than its share of time for a longer text.

Every public callable and every compiled pattern of the packages in `linear_code` runs over the texts of
`linear_texts`, with arguments by `linear_arguments`. A test fails where twice the text takes more than three
times the work. A new function is walked without being named anywhere; one for whose parameters there is no
value makes its test fail until it has a row there.

Each callable and pattern is walked for 0.03 s of CPU time, through its cases in an order of
its own, the same one on every run: units first, in all forms, then pairs. LINEAR_S=60 gives each a
minute, which is enough for nearly all cases of most of them, and takes hours in all.

Measured in CPU time of the thread. Most cases are let through by two short texts, one four times as long as
the other; what looks suspicious there is measured again, at its best of several times, at 10,000, 20,000 and
40,000 characters: twice in a row it must take more than three times as long, so that a limit's step is none.
"""

import gc
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from zlib import crc32

import pytest
from linear_arguments import arguments
from linear_code import expressions, subjects
from linear_texts import UNITS, Fed, pairs, singles
from linear_values import NOTHING_TO_FEED
from pydantic import ValidationError

from models.errors import DragomanError

BUDGET_S = float(os.environ.get("LINEAR_S", 0.03))
"""CPU time for each callable and pattern."""
CALLABLE_FLOOR_S, PATTERN_FLOOR_S = 0.0015, 0.00015
"""For `LONG`. Work that is no more, and grows with the square, is some seconds for 200,000 characters."""
MOST = 3.0
"""Times as long for twice the text."""
TINY, SHORT, LONG, CONFIRMED = 250, 1_000, 4_000, 10_000
SUSPICIOUS = 5.5
"""Times as long for four times the text."""
HOPELESS_S = 2.0
"""Nothing honest takes that long for `LONG`, and nothing is tried longer."""

Run = Callable[[Fed], float]
"""Does the work for a text and returns its CPU time in seconds."""


@pytest.fixture(autouse=True)
def _without_collector():
    gc.disable()
    yield
    gc.enable()
    gc.collect(1)


def _timed(work):
    start = time.thread_time()
    try:
        found = work()
        if isinstance(found, Iterator):
            deque(found, maxlen=0)
    except (DragomanError, ValidationError, UnicodeEncodeError):
        pass  # refused, which takes time too; no text that arrives has lone surrogates
    return time.thread_time() - start


def _call(subject):
    def run(fed):
        try:
            given, named = arguments(subject.name, subject.call, subject.owner, fed)
        except (DragomanError, ValidationError):
            return 0.0  # no such object can be
        return _timed(lambda: subject.call(*given, **named))

    return run


def _match(expression):
    find = expression.pattern.finditer if expression.is_searched else expression.pattern.match
    return lambda fed: _timed(lambda: find(fed.text))


def _too_slow(run, case, floor_s):
    """What to report if the work grows faster than the text."""
    for size, most_s in ((TINY, HOPELESS_S / 20), (SHORT, HOPELESS_S)):
        short = run(case.make(size))
        if short > most_s and (short := run(case.make(size))) > most_s:
            return f"{case.name}: {short:.2f} s for {size} characters"
    long = run(case.make(LONG))
    if long < floor_s or long < SUSPICIOUS * short:
        return None
    short, long = (min(run(case.make(size)) for _ in range(3)) for size in (SHORT, LONG))
    if long < floor_s or long < SUSPICIOUS * short:
        return None
    times = [run(case.make(CONFIRMED))]
    if times[0] > HOPELESS_S:
        return f"{case.name}: {long:.3f} s for {LONG} characters, {times[0]:.2f} s for {CONFIRMED}"
    for size in (2 * CONFIRMED, 4 * CONFIRMED):
        times.append(min(run(case.make(size)) for _ in range(2)))
        if times[-1] <= MOST * times[-2]:
            times[-1] = min(run(case.make(size)) for _ in range(3))
        if times[-1] <= MOST * times[-2]:
            return None
        if times[-1] > HOPELESS_S:
            break
    told = ", ".join(f"{time_s:.3f}" for time_s in times)
    return f"{case.name}: {told} s for {CONFIRMED}, {2 * CONFIRMED}, ... characters"


def _cases(name):
    """Yield all cases for one subject, in an order that depends on its name alone."""

    def place(case):
        return crc32(f"{name} {case.name}".encode("utf-8", "replace"))

    yield from sorted((case for unit in UNITS for case in singles(unit)), key=place)
    yield from sorted(pairs(), key=place)


def _check(name, run, floor_s):
    slow = []
    end = time.thread_time() + BUDGET_S
    for case in _cases(name):
        if report := _too_slow(run, case, floor_s):
            slow.append(report)
        if len(slow) == 3 or time.thread_time() > end:
            break
    assert not slow, f"{name}: " + "; ".join(slow)


@pytest.mark.parametrize("subject", list(subjects()), ids=lambda subject: subject.name)
def test_a_public_callable_takes_no_more_than_its_share_for_a_longer_text(subject):
    if subject.name not in NOTHING_TO_FEED:
        _check(subject.name, _call(subject), CALLABLE_FLOOR_S)


@pytest.mark.parametrize("expression", list(expressions()), ids=lambda expression: expression.name)
def test_a_pattern_takes_no_more_than_its_share_for_a_longer_text(expression):
    _check(expression.name, _match(expression), PATTERN_FLOOR_S)
