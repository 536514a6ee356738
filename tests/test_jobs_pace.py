"""Long tasks in small steps: the same outcome, shared rounds, and nothing asked for twice."""

from collections.abc import Mapping
from typing import Any

from fake_pool import FakePool
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from models.engine.protocol import Decoding, Generation
from models.languages import Languages
from models.tasks.steps import Call, Steps, run, run_all
from service.jobs.pace import Kept, Pace

LANGUAGES = Languages.load()


class Notes:
    """A memory in memory."""

    def __init__(self, known: Mapping[int, Kept] | None = None):
        self.kept: dict[int, Kept] = dict(known or {})
        self.told: list[tuple[int, int]] = []

    def recall(self, item: int) -> Mapping[int, Kept]:
        return self.kept

    def keep(self, item: int, outputs: Mapping[int, Kept]) -> None:
        self.kept.update(outputs)

    def progress(self, done: int, total: int) -> None:
        self.told.append((done, total))


def task(engine: Any, rounds: list[list[str]]) -> Steps[list[str]]:
    """Asks for each round's texts at once; its value is all that came back."""
    came = []
    for texts in rounds:
        yield None
        outputs = yield Call(
            engine,
            [Generation((0, *map(ord, text), 1), Decoding(max_new_tokens=1000)) for text in texts],
        )
        came += ["".join(map(chr, output.token_ids)) for output in outputs]
    return came


def asked(pool: FakePool) -> list[list[str]]:
    return [
        ["".join(map(chr, g.source_ids[1:-1])) for g in submission] for submission in pool.engine.submissions
    ]


ROUNDS = st.lists(
    st.lists(st.text(st.characters(codec="ascii"), min_size=1, max_size=8), max_size=20), max_size=3
)


@hypothesis_settings(max_examples=60, deadline=None)
@given(ROUNDS, st.integers(1, 6), st.integers(0, 30))
def test_small_steps_change_nothing_and_what_is_kept_is_not_asked_again(
    rounds: list[list[str]], size: int, stop_after: int
) -> None:
    whole = FakePool(LANGUAGES)
    expected = run(task(whole.engine, rounds)).unwrap()
    pool, notes = FakePool(LANGUAGES), Notes()
    assert run(Pace(size, notes).steps(0, task(pool.engine, rounds))).unwrap() == expected
    assert all(len(submission) <= size for submission in asked(pool))
    total = sum(map(len, rounds))
    assert [done for done, _ in notes.told] == sorted(done for done, _ in notes.told)
    assert notes.told[:1] == [(0, len(texts)) for texts in rounds if texts][:1], "at once, how many there are"
    assert notes.told[-1:] == ([(total, total)] if total else [])

    first = dict(list(notes.kept.items())[:stop_after])
    again = FakePool(LANGUAGES)
    resumed = Pace(size, Notes(first)).steps(0, task(again.engine, rounds))
    assert run(resumed).unwrap() == expected
    assert sum(map(len, asked(again))) == total - len(first)


def test_an_output_of_another_source_is_not_taken(languages: Languages) -> None:
    notes = Notes()
    pool = FakePool(languages)
    run(Pace(1, notes).steps(0, task(pool.engine, [["a", "b"]])))
    assert len(notes.kept) == 2
    outcome = run(Pace(1, Notes(notes.kept)).steps(0, task(pool.engine, [["c", "b"]])))
    assert outcome.unwrap() == ["C", "B"]
    assert asked(pool)[2:] == [["c"]]


def test_tasks_share_a_round_and_take_over_what_others_leave(languages: Languages) -> None:
    pool = FakePool(languages)
    pace = Pace(4, Notes())
    run_all([pace.steps(0, task(pool.engine, [["a"] * 8])), pace.steps(1, task(pool.engine, [["b"] * 2]))])
    sizes = [len(submission) for submission in asked(pool)]
    assert sum(sizes) == 10
    assert sizes == [4, 2, 4], "two each; then, one having ended after the other asked, two and four"


def test_short_tasks_leave_nothing_behind(languages: Languages) -> None:
    notes = Notes()
    run(Pace(4, notes).steps(0, task(FakePool(languages).engine, [["a", "b"]])))
    assert notes.kept == {}
