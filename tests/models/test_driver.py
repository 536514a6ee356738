"""Running tasks: together, each failing alone, and not past their deadline even where no engine is called."""

import threading
import time
from concurrent.futures import Future

import pytest
from fake_pool import FakePool
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from waiting import until

from models.driver import Driver, Turns, run, run_all, stream
from models.engine.protocol import Decoding, EngineStats, Generation, Output
from models.errors import DeadlineExceeded, EngineFailed, InvalidInput
from models.languages import Languages
from models.steps import Gather, Generate, Words


def _pauses(log, count):
    try:
        for _ in range(count):
            time.sleep(0.005)
            yield None
        return "done"
    finally:
        log.append("closed")


def _fails():
    yield None
    raise InvalidInput("wrong")


def test_pauses_are_no_calls():
    log = []
    assert run(_pauses(log, 3)).unwrap() == "done"
    assert log == ["closed"]


def test_a_deadline_ends_a_task_at_its_next_pause():
    log = []
    start = time.monotonic()
    outcome = run(_pauses(log, 10_000), deadline=start + 0.05)
    assert isinstance(outcome.error, DeadlineExceeded)
    assert log == ["closed"]
    assert time.monotonic() - start < 5


def test_a_task_fails_alone():
    good, bad, other = run_all([_pauses([], 1), _fails(), _pauses([], 2)])
    assert (good.value, other.value) == ("done", "done")
    with pytest.raises(InvalidInput):
        bad.unwrap()


class _ByHand:
    """An engine whose futures the test resolves itself."""

    def __init__(self):
        self.generations = []
        self.futures = []

    def submit(self, generations, *, wait=False):
        self.generations += generations
        self.futures += (new := [Future() for _ in generations])
        return new

    def stats(self):
        return EngineStats()

    def close(self):
        pass


def _calls(engine, log):
    try:
        yield Generate(engine, [Generation((1,), Decoding(max_new_tokens=1))])
        return "done"
    finally:
        log.append("closed")


def test_progress_moves_within_a_round():
    engine = _ByHand()

    def sentence(number):
        yield Generate(engine, [Generation((number,), Decoding(max_new_tokens=1))])
        return "done"

    def sentences():
        return (yield Gather([sentence(number) for number in range(3)]))

    driver = Driver([sentences()])
    events = driver.events(0.001)
    seen = []
    for text in (None, "a", "b"):
        if text is not None:
            engine.futures[len(seen) - 1].set_result(Output((1,)))
        while next(events) is None and driver.progress[0] < len(seen):
            pass
        seen.append(driver.progress)
    assert seen == [(0, 3), (1, 3), (2, 3)]
    engine.futures[2].set_result(Output((1,)))
    assert list(events) == [] and driver.progress == (3, 3)


def _interrupted():
    yield None
    raise KeyboardInterrupt


def test_an_interrupt_closes_what_is_left():
    log = []
    with pytest.raises(KeyboardInterrupt):
        run_all([_calls(_ByHand(), log), _interrupted()])
    assert log == ["closed"]


def test_a_deadline_calls_off_what_was_submitted():
    engine, log = _ByHand(), []
    outcome = run(_calls(engine, log), deadline=time.monotonic() + 0.3)
    assert isinstance(outcome.error, DeadlineExceeded)
    assert log == ["closed"]
    assert engine.futures[0].cancelled()


# ---------------------------------------------------------------------- streamed


def _listening(engine, log, beams=1):
    def part(number):
        decoding = Decoding(max_new_tokens=4, num_beams=beams)
        (output,) = yield Generate(engine, [Generation((number,), decoding)], decode=str)
        yield Words(f"part {number}")
        return str(output.token_ids)

    try:
        return "".join((yield Gather([part(1), part(2)])))
    finally:
        log.append("closed")


def _outcome(streamed):
    try:
        while True:
            next(streamed)
    except StopIteration as end:
        return end.value


def test_a_streamed_task_tells_tokens_and_parts_as_they_come():
    engine, log = _ByHand(), []
    streamed = stream(_listening(engine, log), tick_s=0.01)
    assert next(streamed) is None, "a tick, with nothing heard"
    tell = engine.generations[0].on_token
    tell(7)
    assert next(streamed) == Words("(7,)")
    engine.futures[1].set_result(Output((9,)))
    assert next(streamed) == Words("part 2"), "the second is there before the first"
    engine.futures[0].set_result(Output((7,)))
    assert _outcome(streamed).unwrap() == "(7,)(9,)", "values are in their order all the same"
    assert log == ["closed"]


def test_beam_searches_have_no_tokens_to_tell():
    engine = _ByHand()
    streamed = stream(_listening(engine, [], beams=2), tick_s=0.01)
    next(streamed)
    assert [generation.on_token for generation in engine.generations] == [None, None]
    streamed.close()


def test_closing_a_stream_frees_what_it_holds():
    engine, log = _ByHand(), []
    streamed = stream(_listening(engine, log), tick_s=0.01)
    next(streamed)
    streamed.close()
    assert [future.cancelled() for future in engine.futures] == [True, True]
    assert log == ["closed"]


def test_a_streamed_task_ends_at_its_deadline():
    engine, log = _ByHand(), []
    outcome = _outcome(stream(_listening(engine, log), deadline=time.monotonic() + 0.3))
    assert isinstance(outcome.error, DeadlineExceeded)
    assert all(future.cancelled() for future in engine.futures)
    late = _outcome(stream(_pauses(log, 10_000), deadline=time.monotonic() + 0.1))
    assert isinstance(late.error, DeadlineExceeded)
    assert log == ["closed", "closed"]


def test_a_streamed_tasks_failures_are_its_outcome():
    engine, log = _ByHand(), []
    streamed = stream(_listening(engine, log), tick_s=0.01)
    next(streamed)
    engine.futures[0].set_exception(EngineFailed("no"))
    assert isinstance(_outcome(streamed).error, EngineFailed)
    assert engine.futures[1].cancelled()
    assert isinstance(_outcome(stream(_fails())).error, InvalidInput)
    assert _outcome(stream(_pauses(log, 2))).unwrap() == "done"


# ---------------------------------------------------------------------- in small steps, and remembered


class _Notes:
    """A memory in memory, by sources."""

    def __init__(self, known=None):
        self.kept = dict(known or {})

    def recall(self, wanted):
        sources = {each: each.generation.source_ids for each in wanted}
        return {each: self.kept[source] for each, source in sources.items() if source in self.kept}

    def keep(self, made, failed):
        self.kept |= {each.generation.source_ids: output for each, output in made.items()}


def _rounds(engine, rounds):
    """Asks for each round's texts at once, the last of them as parts; its value is all that came back."""

    def part(texts):
        yield None
        decoding = Decoding(max_new_tokens=1000)
        outputs = yield Generate(engine, [Generation((0, *map(ord, text), 1), decoding) for text in texts])
        return ["".join(map(chr, output.token_ids)) for output in outputs]

    came = []
    for texts in rounds:
        if texts is rounds[-1]:
            for each in (yield Gather([part([text]) for text in texts])):
                came += each
        else:
            came += yield from part(texts)
    return came


def _asked(pool):
    return [
        ["".join(map(chr, g.source_ids[1:-1])) for g in submission] for submission in pool.engine.submissions
    ]


ROUNDS = st.lists(
    st.lists(st.text(st.characters(codec="ascii"), min_size=1, max_size=8), max_size=20), max_size=3
)


@hypothesis_settings(max_examples=60)
@given(ROUNDS, st.integers(1, 6), st.integers(0, 30))
def test_no_way_to_work_changes_what_comes_out(rounds, size, stop_after):
    expected = [text.upper() for texts in rounds for text in texts]
    languages = Languages.load()
    assert run(_rounds(FakePool(languages).engine, rounds)).unwrap() == expected
    assert _outcome(stream(_rounds(FakePool(languages).engine, rounds))).unwrap() == expected

    pool, notes, told = FakePool(languages), _Notes(), list[tuple[int, int]]()
    task = _rounds(pool.engine, rounds)
    driver = Driver([task], at_most=size, cache=notes, on_progress=lambda *how: told.append(how))
    assert driver.run()[0].unwrap() == expected
    assert all(len(submission) <= size for submission in _asked(pool))
    assert sum(map(len, _asked(pool))) == len({text for texts in rounds for text in texts})
    assert told == sorted(told)
    assert all(done <= total for done, total in told)
    assert not told or told[-1][0] == told[-1][1]

    first = dict(list(notes.kept.items())[:stop_after])
    again = FakePool(languages)
    resumed = Driver([_rounds(again.engine, rounds)], at_most=size, cache=_Notes(first))
    assert resumed.run()[0].unwrap() == expected
    assert sum(map(len, _asked(again))) == len(notes.kept) - len(first)


def test_tasks_share_a_round_and_what_is_longest_goes_first(languages):
    pool = FakePool(languages)
    tasks = [_rounds(pool.engine, [["a" * i for i in range(1, 9)]]), _rounds(pool.engine, [["b", "bb"]])]
    Driver(tasks, at_most=4, wait=True).run()
    sizes = [len(submission) for submission in _asked(pool)]
    assert sizes == [4, 4, 2]
    assert _asked(pool)[0] == ["a" * 8, "a" * 7, "a" * 6, "a" * 5]


def test_what_waits_for_others_does_not_count_against_a_deadline(languages):
    gate = threading.Lock()
    gate.acquire()
    threading.Timer(0.5, gate.release).start()
    task = _rounds(FakePool(languages).engine, [["a"]])
    (outcome,) = Driver([task], deadline=time.monotonic() + 0.3, turns=Turns(gate)).run()
    assert outcome.unwrap() == ["A"]


class _Waits(_ByHand):
    """Takes everything, and does nothing with as much of it as `queued` says; joins what runs in `slots`."""

    def __init__(self, *, slots=0):
        super().__init__()
        self._slots = slots
        self.queued = 0

    def submit(self, generations, *, wait=False):
        self.queued += len(generations)
        return super().submit(generations, wait=wait)

    def stats(self):
        return EngineStats(queued=self.queued, slots=self._slots)


@pytest.mark.parametrize(("overlap", "slots", "submitted"), [(True, 0, 2), (True, 4, 1), (False, 0, 1)])
def test_the_next_round_waits_in_the_queue_once_all_of_this_one_runs(overlap, slots, submitted):
    engine, turns = _Waits(slots=slots), Turns(overlap=overlap)
    drivers = [Driver([_calls(engine, [])], turns=turns) for _ in range(2)]
    threads = [threading.Thread(target=driver.run) for driver in drivers]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    until(lambda: engine.futures)
    time.sleep(0.1)
    assert len(engine.futures) == 1, "nothing joins what waits"
    engine.queued = 0
    time.sleep(0.1)
    until(lambda: len(engine.futures) >= submitted)
    assert len(engine.futures) == submitted
    engine.queued = 0
    while any(thread.is_alive() for thread in threads):
        for future in list(engine.futures):
            if not future.done():
                future.set_result(Output((1,)))
    engine_s = sum(driver.effort.engine_s for driver in drivers)
    assert 0.1 < engine_s <= time.monotonic() - start, "no time counts twice"


# ---------------------------------------------------------------------- parts


def _call(engine, log, source):
    try:
        yield Generate(engine, [Generation((source,), Decoding(max_new_tokens=1))])
        return "done"
    finally:
        log.append("closed")


def test_the_failure_of_a_part_ends_the_others_and_may_be_borne():
    engine, log = _ByHand(), []

    def whole():
        try:
            yield Gather([_call(engine, log, 1), _call(engine, log, 2)])
        except EngineFailed:
            return "borne"
        return "not reached"

    running = stream(whole(), tick_s=0.01)
    next(running)
    engine.futures[0].set_exception(EngineFailed("no"))
    assert _outcome(running).unwrap() == "borne"
    assert engine.futures[1].cancelled()
    assert log == ["closed", "closed"]


def test_a_task_may_answer_its_deadline_with_what_it_has():
    def whole():
        try:
            yield from _call(_ByHand(), [], 1)
        except DeadlineExceeded:
            return "what there is"
        return "all"

    assert run(whole(), deadline=time.monotonic() + 0.1).unwrap() == "what there is"


@hypothesis_settings(max_examples=60)
@given(st.data())
def test_whatever_order_outputs_come_in_each_goes_where_it_was_asked(data):
    engine = _ByHand()

    def part(numbers):
        came = []
        for number in numbers:
            outputs = yield Generate(engine, [Generation((number,), Decoding(max_new_tokens=1))])
            came.append(outputs[0].token_ids[0])
        return came

    def whole(parts):
        came = yield Gather([part(numbers) for numbers in parts])
        return came

    parts = data.draw(st.lists(st.lists(st.integers(0, 5), max_size=4), max_size=5))
    running = stream(whole(parts), tick_s=0)
    while True:
        try:
            next(running)
        except StopIteration as end:
            assert end.value.unwrap() == parts
            return
        open_ones = [i for i, future in enumerate(engine.futures) if not future.done()]
        if open_ones:
            i = data.draw(st.sampled_from(open_ones))
            engine.futures[i].set_result(Output(engine.generations[i].source_ids))


def _cut_off_s(parts):
    """The CPU time of giving up so many parts that all wait for one generation."""
    engine = _ByHand()

    def whole():
        yield Gather([_call(engine, [], 1) for _ in range(parts)])
        return "not reached"

    running = stream(whole(), tick_s=0)
    next(running)
    start = time.process_time()
    running.close()
    return time.process_time() - start


def test_giving_up_takes_time_by_the_number_of_parts():
    """Each part looked through all others once: 50,000 lines that are alike held a request for 40 s."""
    ratio = min(_cut_off_s(8_000) / max(1e-4, _cut_off_s(2_000)) for _ in range(3))
    assert ratio < 9, "four times the parts took sixteen times as long"
