"""The simulated engine in a process of its own, fed by two processes that do the product's own text work.

Each of the two takes articles in units, as a batch does: reads and cuts them, tokenizes, submits through
`models.engine.process`, decodes and checks. While a unit is in the engine the next one's texts are made
ready.

The engine's process counts its own CPU time, of all its threads, and the device's time. Few cores cannot make
text as fast as a GPU would take it: the device waits for text without its time going on, and the pace at
which two processes with a core each make it, by their CPU time, is told beside. Of one article at a time the
CPU time of the way to the engine and back counts too, in the process that asks; beside it is told what a
single byte takes that way.
"""

import gc
import multiprocessing
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Client, Listener
from pathlib import Path
from typing import Any, NamedTuple

import torch
from engine_hop import byte_there_and_back_s
from engine_simulated import (
    CASES,
    Case,
    Device,
    SimulatedEngine,
    about,
    count_of,
    limits_of,
    replayed_s,
    seconds_of,
)
from engine_texts import OwnTime, TextTask, WritingEngine, texts_of
from engine_workloads import simulated_model

from models.engine.process import EngineClient, EngineServer, prepare_process
from models.engine.protocol import Engine, Generation, Output
from models.tasks.driver import Driver

WORKERS = 2
UNIT = 32
"""Articles."""
KEY = b"the bench's own"
SLICE_S, LACKING_S = 2e-5, 1e-3
"""Of real time, for the other threads, as often as the engine waits for the device, or that for texts."""
LEAST_S = 2e-5
"""CPU time of others in a slice that means that they have something to do."""


def most_of(case: Case) -> int:
    """Generations that are enough; texts take their time."""
    return 512 if case.workload.name == "bart-large" else 8192


class ServedDevice(Device):
    """A device in a process with other threads: while the engine waits for it they work, and time goes on.

    Where texts are wanted and to come it waits for them, and no time passes but that in which others work.
    """

    def __init__(self, to_come: Any):
        super().__init__(host_is_free=False)
        self._to_come = to_come
        self.looking_s = 0.0
        """CPU time of waiting itself: a GPU's takes none."""
        self.lacks: Callable[[], bool] = lambda: False

    def now(self) -> float:
        return super().now() - self.looking_s

    def wait_until(self, moment: float) -> None:
        own_s = time.thread_time()
        until = _others_s() + moment - self.now()  # the others may work so long
        worked = True
        while (spent := _others_s()) < until:
            lacks = bool(self._to_come.value) and self.lacks()
            if not worked and not lacks:
                break
            time.sleep(LACKING_S if lacks and not worked else SLICE_S)
            worked = _others_s() - spent > LEAST_S
        self.looking_s += time.thread_time() - own_s
        self._waited_s += max(0.0, moment - self.now())


def _others_s() -> float:
    """CPU seconds of this process's other threads."""
    return time.process_time() - time.thread_time()


class ServedEngine(SimulatedEngine):
    """Keeps what is submitted, and after how many steps of the device."""

    def __init__(self, case: Case, simulated: ServedDevice):
        self.simulated = simulated
        self.feed: list[tuple[int, Sequence[Generation]]] = []
        super().__init__(case, simulated, simulated_model(case.workload), limits_of(case))
        slots = 0 if case.alone else self.stats().slots
        simulated.lacks = lambda: self.stats().queued < slots

    def submit(self, generations: Sequence[Generation], *, wait: bool = False) -> list[Future[Output]]:
        self.feed.append((self.simulated.steps, generations))
        return super().submit(generations, wait=wait)


class Served(NamedTuple):
    """A case as the engine's process had it."""

    seconds: float
    busy_s: float
    feed: list[tuple[int, Sequence[Generation]]]
    cpu_us: dict[str, float]


def serve(address: str, to_come: Any, pipe: Any) -> None:
    """The engines' process: makes each case's engine when a worker loads it, until None comes."""
    torch.set_num_threads(1)
    prepare_process()
    made: dict[int, ServedEngine] = {}

    def make(number: int) -> ServedEngine:
        made[number] = ServedEngine(CASES[number], ServedDevice(to_come))
        gc.collect()
        gc.freeze()  # as a server does once it is up
        return made[number]

    with Listener(address, "AF_UNIX", authkey=KEY) as listener:
        threading.Thread(target=EngineServer(make).serve, args=(listener,), daemon=True).start()
        pipe.send("ready")
        while (number := pipe.recv()) is not None:  # everyone has loaded it
            engine, device = made[number], made[number].simulated
            engine.feed.clear()
            device.steps, device.busy_s, device.looking_s = 0, 0.0, 0.0
            start_s, threads_s = device.now(), _threads_s()
            pipe.send("go")
            pipe.recv()  # everyone has all answers
            seconds, cpu_s = device.now() - start_s, _threads_s()
            cpu_s["native-engine"] -= device.looking_s
            requests = sum(len(generations) for _, generations in engine.feed)
            cpu_us = {name: (end_s - threads_s[name]) / requests * 1e6 for name, end_s in cpu_s.items()}
            pipe.send(Served(seconds, device.busy_s, engine.feed, cpu_us))


def _threads_s() -> dict[str, float]:
    """CPU seconds of this process by the names of its threads."""
    spent: dict[str, float] = defaultdict(float)
    for thread in threading.enumerate():
        told = Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text()
        spent[thread.name] += int(told.split()[0]) / 1e9
    return spent


def feed(worker: int, address: str, to_come: Any, pipe: Any) -> None:
    """A text worker's process: feeds the case that it is told, until None comes."""
    torch.set_num_threads(1)
    engines = EngineClient(lambda: Client(address, "AF_UNIX", authkey=KEY))
    while (number := pipe.recv()) is not None:
        case = CASES[number]
        engine = engines.load(f"case {number}", number)
        count = count_of(case) if case.alone else min(count_of(case), most_of(case)) // WORKERS
        texts = [] if case.alone else texts_of(case.workload, count, worker)
        units = [texts[i : i + UNIT] for i in range(0, len(texts), UNIT)]
        feeder = _Feeder(case, engine, to_come)
        generations = case.workload.generations(count, case.num_beams) if case.alone else []
        feeder.unit(90 + worker, texts_of(case.workload, 12, 90)[:1])  # loads whatever the first text does
        gc.collect()
        gc.freeze()
        pipe.send(len(units))
        pipe.recv()
        OwnTime.seconds, start_s = 0.0, time.process_time()
        if case.alone and worker == 0:
            for generation in generations:
                engine.submit([generation], wait=True)[0].result()
        elif units:
            with ThreadPoolExecutor(len(units)) as threads:
                for done in [threads.submit(feeder.unit, *each, True) for each in enumerate(units)]:
                    done.result()
        pipe.send(time.process_time() - start_s - OwnTime.seconds)
        pipe.recv()
        engine.close()
    engines.close()


class _Feeder:
    """Does units: the texts of one at a time until they are submitted, and then those of the next."""

    def __init__(self, case: Case, engine: Engine, to_come: Any):
        self._case = case
        self._engine = engine
        self._to_come = to_come
        self._turn = threading.Lock()

    def unit(self, number: int, texts: list[str], counts: bool = False) -> None:
        self._turn.acquire()
        engine = WritingEngine(self._engine, self._case.workload, self._case.num_beams, number)
        engine.submitted = lambda: self._submitted(engine, counts)
        task = TextTask(self._case.workload, engine)
        for outcome in Driver([task.steps(text) for text in texts], wait=True).run():
            if outcome.error is not None:
                raise outcome.error

    def _submitted(self, engine: WritingEngine, counts: bool) -> None:
        engine.submitted = lambda: None
        if counts:
            with self._to_come.get_lock():
                self._to_come.value -= 1
        self._turn.release()


def fed() -> Iterator[dict[str, object]]:
    """Yield a record of each case."""
    with _processes() as (engine, workers, to_come):
        for number, case in enumerate(CASES):
            yield _record(case, *_run(number, engine, workers, to_come))


def _record(case: Case, served: Served, workers_s: float) -> dict[str, object]:
    seconds, requests = served.seconds, sum(len(generations) for _, generations in served.feed)
    if case.alone:
        seconds += workers_s
        free_s, _ = seconds_of(case, host_is_free=True, count=requests)
    else:
        free_s = replayed_s(case, served.feed)
    rate, a_request_s = requests / seconds, workers_s / requests
    record = {
        "system": "simulated, in a process of its own",
        **about(case),
        "per_s": rate,
        "of_the_device": free_s / seconds,
        "busy": served.busy_s / seconds,
        "cpu_us": {name: round(each, 1) for name, each in served.cpu_us.items() if each > 1.0},
    }
    if case.alone:
        return {**record, "hop_ms": a_request_s * 1e3, "machine_ms": byte_there_and_back_s() * 1e3}
    return {
        **record,
        "text_ms": a_request_s * 1e3,
        "text_per_s": WORKERS / a_request_s,
        "text_cores": rate * a_request_s,
    }


def _run(number: int, engine: Any, workers: list[Any], to_come: Any) -> tuple[Served, float]:
    """What the engine's process tells of the case, and the CPU seconds of the workers."""
    for worker in workers:
        worker.send(number)
    to_come.value = sum([worker.recv() for worker in workers])
    engine.send(number)
    engine.recv()
    for worker in workers:
        worker.send("begin")
    workers_s = sum([worker.recv() for worker in workers])
    engine.send("end")
    told = engine.recv()
    for worker in workers:
        worker.send("end")
    return told, workers_s


@contextmanager
def _processes() -> Iterator[tuple[Any, list[Any], Any]]:
    """Pipes to the engines' process and to the workers, and the number of units that are to come."""
    context = multiprocessing.get_context("spawn")
    to_come = context.Value("i", 0)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:

        def begin(target: Callable[..., None], *given: object) -> Any:
            here, there = context.Pipe()
            process = context.Process(target=target, args=(*given, f"{folder}/s", to_come, there))
            process.start()
            there.close()
            stack.callback(process.join)
            stack.callback(process.terminate)
            return here

        engine = begin(serve)
        engine.recv()  # it listens
        workers = [begin(feed, worker) for worker in range(WORKERS)]
        yield engine, workers, to_come
        for each in (*workers, engine):
            each.send(None)
        for each in (*workers, engine):
            with suppress(EOFError):
                each.recv()  # it ends
