"""Runs a unit's tasks in rounds, so that the engine's batches depend on the unit alone.

Only one round at a time is in the engine, and the next one goes in when it is done; meanwhile other units'
texts are read and restored. Within a round equal generations are done once, and long ones first.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from dataclasses import dataclass, field, replace

from models.engine.protocol import Engine, Generation, Output
from models.tasks.steps import Running, Steps, late
from service.batch.unit import Effort, Memory
from service.batch.work import Ran, Result

MOST_REMEMBERED_TOKENS = 256
"""Sentences are remembered, articles are not."""

LOOK_EVERY_S = 0.2
"""Whether the run was stopped."""

Ended = Output | Exception


class Stopped(Exception):
    """The run ends before its end."""


@dataclass(slots=True)
class _Round:
    """One unit's state: what it may take, what it took, what it has generated."""

    sees: int
    left_s: float | None
    effort: Effort = field(default_factory=Effort)
    fresh: dict[bytes, Output] = field(default_factory=dict)


@dataclass(slots=True)
class _SharedGeneration:
    """A generation that was asked for by one or more tasks."""

    key: bytes
    generation: Generation
    by: list[Running[Result]]


class Rounds:
    """The way into the engines, shared by all units in work.

    `name_of` tells an engine's model. Without a memory nothing is remembered, and what is asked for twice is
    done twice.
    """

    def __init__(self, name_of: Callable[[Engine], str], memory: Memory | None):
        self._name_of = name_of
        self._memory = memory
        self._gate = threading.Lock()
        self._stopped = threading.Event()
        self.tokens = 0
        """Output tokens made so far, those of rounds in work too."""

    def stop(self) -> None:
        """Give up: units in work end with Stopped."""
        self._stopped.set()

    def run(
        self, tasks: Sequence[Steps[Result]], sees: int, limit_s: float | None
    ) -> tuple[list[Ran], dict[bytes, Output], Effort]:
        """The tasks' ends in order, what is to be remembered, and what it took.

        Of `limit_s`, which all tasks have together, waiting for other units takes nothing.
        """
        running = [Running(task) for task in tasks]
        shares = {id(task): 0.0 for task in running}
        state = _Round(sees, limit_s)
        try:
            self._advance(running, [None] * len(running), state)
            while active := [task for task in running if task.call is not None]:
                self._round(active, shares, state)
        finally:
            for task in running:
                task.steps.close()
        ran = [Ran(task.value, task.error, task.text_s + shares[id(task)]) for task in running]
        text_s = sum(task.text_s for task in running)
        return ran, state.fresh, replace(state.effort, text_s=text_s)

    def _advance(
        self, tasks: Sequence[Running[Result]], outputs: Sequence[list[Output] | None], state: _Round
    ) -> None:
        """Each task to its next call, or to its end."""
        for task, own in zip(tasks, outputs, strict=True):
            if self._stopped.is_set():
                raise Stopped
            start = time.monotonic()
            task.advance(own, None if state.left_s is None else start + max(0.0, state.left_s))
            if state.left_s is not None:
                state.left_s -= time.monotonic() - start

    def _round(self, active: Sequence[Running[Result]], shares: dict[int, float], state: _Round) -> None:
        by_engine: dict[int, list[Running[Result]]] = {}
        for task in active:
            assert task.call is not None  # noqa: S101 - that is what active means
            by_engine.setdefault(id(task.call.engine), []).append(task)
        for group in by_engine.values():
            self._call(group, shares, state)

    def _call(self, tasks: Sequence[Running[Result]], shares: dict[int, float], state: _Round) -> None:
        """All calls of these tasks to one engine, and the tasks on from there."""
        call = tasks[0].call
        assert call is not None  # noqa: S101
        engine, name = call.engine, self._name_of(call.engine)
        asked: dict[bytes, _SharedGeneration] = {}
        own_keys: list[list[bytes]] = []
        for task in tasks:
            keys = []
            for generation in task.generations(None):
                key = _key(name, generation) if self._memory is not None else len(asked).to_bytes(8)
                asked.setdefault(key, _SharedGeneration(key, generation, [])).by.append(task)
                keys.append(key)
            own_keys.append(keys)
        ended = self._ended(engine, list(asked.values()), shares, state)
        answers = []
        for task, keys in zip(tasks, own_keys, strict=True):
            found = [ended[key] for key in keys]
            error = next((each for each in found if isinstance(each, Exception)), None)
            if error is not None:
                task.fail(error)
            answers.append([each for each in found if isinstance(each, Output)])
        left = [(task, own) for task, own in zip(tasks, answers, strict=True) if task.call is not None]
        self._advance([task for task, _ in left], [own for _, own in left], state)

    def _ended(
        self, engine: Engine, asked: Sequence[_SharedGeneration], shares: dict[int, float], state: _Round
    ) -> dict[bytes, Ended]:
        """What became of each generation, remembered or made."""
        known: dict[bytes, Ended] = {}
        if self._memory is not None:
            known.update({each.key: state.fresh[each.key] for each in asked if each.key in state.fresh})
            brief = [each.key for each in asked if each.key not in known and _is_brief(each.generation)]
            known.update(self._memory.recall(brief, state.sees))
        missing = [each for each in asked if each.key not in known]
        missing.sort(key=lambda each: -len(each.generation.source_ids))  # stable: the input decides
        made, engine_s = self._generate(engine, [each.generation for each in missing], state)
        tokens = sum(map(_length, made))
        for each, output in zip(missing, made, strict=True):
            known[each.key] = output
            if isinstance(output, Output):
                share = engine_s * len(output.token_ids) / max(1, tokens) / len(each.by)
                for task in each.by:
                    shares[id(task)] += share
                if self._memory is not None and _is_brief(each.generation):
                    state.fresh[each.key] = output
        wanted = sum(_length(known[each.key]) * len(each.by) for each in asked)
        source = sum(len(each.generation.source_ids) for each in missing)
        state.effort += Effort(0.0, engine_s, source, tokens, wanted - tokens)
        return known

    def _generate(
        self, engine: Engine, generations: Sequence[Generation], state: _Round
    ) -> tuple[list[Ended], float]:
        """Outputs, in order, and the engine's seconds."""
        if not generations:
            return [], 0.0
        with self._gate:
            start = time.monotonic()
            if state.left_s is not None and state.left_s <= 0:
                return [late() for _ in generations], 0.0
            deadline = None if state.left_s is None else start + state.left_s
            try:
                futures = engine.submit([replace(each, deadline=deadline) for each in generations], wait=True)
            except Exception as error:  # noqa: BLE001 - refused: all of it is
                return [error for _ in generations], 0.0
            self._wait(futures)
            seconds = time.monotonic() - start
        if state.left_s is not None:
            state.left_s -= seconds
        return [_result(future) for future in futures], seconds

    def _wait(self, futures: Sequence["Future[Output]"]) -> None:
        left = set(futures)
        while left:
            if self._stopped.is_set():
                for future in left:
                    future.cancel()
                raise Stopped
            done, left = wait_for(left, timeout=LOOK_EVERY_S)
            self.tokens += sum(_length(_result(future)) for future in done)


def _result(future: "Future[Output]") -> Ended:
    try:
        return future.result()
    except Exception as error:  # noqa: BLE001 - any failure is that generation's alone
        return error


def _length(ended: Ended) -> int:
    return len(ended.token_ids) if isinstance(ended, Output) else 0


def _key(name: str, generation: Generation) -> bytes:
    digest = hashlib.blake2b(f"{name}\0{generation.decoding}\0".encode(), digest_size=16)
    digest.update(",".join(map(str, generation.source_ids)).encode())
    return digest.digest()


def _is_brief(generation: Generation) -> bool:
    return len(generation.source_ids) <= MOST_REMEMBERED_TOKENS
