"""CTranslate2's workers have as many threads as their batch may take, and write the same with any number."""

import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import TinyHub
from hypothesis import given, settings
from hypothesis import strategies as st
from test_families import _codec, _purpose

from models import cpu
from models.engine import ct2, ct2_threads
from models.engine.protocol import Generation
from models.languages import Languages

TEXTS = ("The cat sat on the mat.", "A dog.", "It rains in Oslo today and tomorrow.")


def _never(_: int) -> bool:
    return False


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.lists(st.integers(1, 8), min_size=1, max_size=6))
def test_every_free_worker_is_told_once(workers: int, wanted: list[int]) -> None:
    told: list[tuple[int, int]] = []
    library = SimpleNamespace(omp_set_num_threads=lambda n: told.append((threading.get_native_id(), n)))
    with ThreadPoolExecutor(workers) as pool:
        for _ in range(workers):  # as CTranslate2 does, start them all
            pool.submit(threading.Event().wait, 0.001)

        def probe(callback: Callable[[Any], bool]) -> None:
            pool.submit(callback, None).result()

        threads = ct2_threads.WorkerThreads([library, library], probe, workers)
        for number in wanted:
            told.clear()
            threads.set(number, free=workers)
            again = len(told)
            threads.set(number, free=workers)
            assert len(told) == again, "who knows it is not told again"
            assert {n for _, n in told} <= {number}
            assert len({worker for worker, _ in told}) == len(told) / 2, "both libraries, no worker twice"
            assert list(threads._threads.values()) == [number] * workers


@pytest.mark.skipif(not ct2_threads.openmp(), reason="CTranslate2 has another OpenMP here")
def test_the_model_s_own_workers_follow_and_write_the_same(
    tiny_hub: TinyHub, languages: Languages, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = _codec(tiny_hub, languages, "marian")
    purpose = _purpose(codec)
    folder = tiny_hub.store.ct2_folder(tiny_hub.entry("marian"))
    backend = ct2.Ct2Backend(folder, causal=False, max_source_tokens=64, threads=2)
    monkeypatch.setattr(cpu.Neighbours, "busy", lambda _: 0.0)
    monkeypatch.setattr(cpu, "bound", lambda: {0, 1})
    decoding = codec.decoding(purpose, max_new_tokens=12)
    batch = [Generation(codec.encode(text, purpose), decoding) for text in TEXTS]
    outputs = []
    for at_a_time, threads in ((1, 2), (2, 1), (1, 2)):
        backend.batches_at_a_time = at_a_time
        outputs.append(backend.run(batch, _never))
        assert backend._threads is not None
        assert list(backend._threads._threads.values()) == ([threads] * 2)
    assert outputs[0] == outputs[1] == outputs[2]
    monkeypatch.setattr(cpu.Neighbours, "busy", lambda _: 1.0)
    assert backend.run(batch, _never) == outputs[0]
    assert set(backend._threads._threads.values()) == {1}, "a neighbour has the other core"
    backend.close()


def test_without_a_listener_no_python_runs_with_each_token(
    tiny_hub: TinyHub, languages: Languages, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = _codec(tiny_hub, languages, "marian")
    purpose = _purpose(codec)
    folder = tiny_hub.store.ct2_folder(tiny_hub.entry("marian"))
    backend = ct2.Ct2Backend(folder, causal=False, max_source_tokens=64, threads=1)
    heard: list[int] = []
    decoding = dataclasses.replace(codec.decoding(purpose, max_new_tokens=12), num_beams=1)
    silent, loud = (
        [Generation(codec.encode(text, purpose), decoding, on_token=on_token) for text in TEXTS]
        for on_token in (None, heard.append)
    )
    with_callback = backend.run(loud, _never)
    assert heard
    monkeypatch.setattr(ct2, "_StepCallback", None)
    assert backend.run(silent, _never) == with_callback
    backend.close()


def test_a_quota_of_a_group_above_counts(tmp_path: Path) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/system.slice/dragoman.service\n")
    inner = tmp_path / "cg/system.slice/dragoman.service"
    inner.mkdir(parents=True)
    groups = tmp_path / "cg", tmp_path / "proc"
    assert cpu.usable(*groups) == len(cpu.bound())
    (inner / "cpu.max").write_text("max 100000\n")
    (inner.parent / "cpu.max").write_text("60000 100000\n")
    assert cpu.usable(*groups) == 0.6
    (inner / "cpu.max").write_text("25000 100000\n")
    assert cpu.usable(*groups) == 0.25
    assert cpu.usable(tmp_path / "nowhere", tmp_path) == len(cpu.bound())


@pytest.mark.parametrize(
    "place", ["docker/1a", ""], ids=["of a service", "of a container, which sees it as the top"]
)
def test_a_quota_of_version_1_counts(tmp_path: Path, place: str) -> None:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("5:memory:/docker/9\n4:cpu,cpuacct:/docker/1a\n0::/\n")
    group = tmp_path / "cg/cpu" / place
    group.mkdir(parents=True)
    groups = tmp_path / "cg", tmp_path / "proc"
    (group / "cpu.cfs_period_us").write_text("100000\n")
    (group / "cpu.cfs_quota_us").write_text("-1\n")
    assert cpu.usable(*groups) == len(cpu.bound())
    (group / "cpu.cfs_quota_us").write_text("50000\n")
    assert cpu.usable(*groups) == 0.5


@pytest.mark.parametrize(("number", "threads"), [(0.2, 1), (1, 1), (1.4, 1), (1.5, 2), (2.5, 3), (16, 16)])
def test_threads_follow_the_quota(number: float, threads: int) -> None:
    assert cpu.whole(number) == threads


def test_neighbours_are_those_on_one_s_own_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, own = [100.0], [5.0]
    monkeypatch.setattr(cpu, "bound", lambda: {0, 1})
    monkeypatch.setattr(cpu.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(cpu.os, "times", lambda: SimpleNamespace(user=own[0], system=0.0))
    monkeypatch.setattr(cpu.os, "sysconf", lambda _: 100)

    def stat(zero: int, one: int, two: int) -> None:
        rows = [f"cpu{i} {ticks} 5000 0 9999 7 0 0 0 0 0" for i, ticks in enumerate((zero, one, two))]
        (tmp_path / "stat").write_text("\n".join(["cpu 1 2 3 4 5 6 7 8", *rows, "ctxt 5"]))

    stat(1000, 1000, 1000)
    neighbours = cpu.Neighbours(tmp_path)
    assert neighbours.busy() == 0
    clock[0], own[0] = 101.0, 6.0
    stat(1100, 1050, 1100)  # cpu2 is not ours; one of the 1.5 seconds was ours
    assert neighbours.busy() == pytest.approx(0.5)
    clock[0] = 101.1
    stat(1110, 1060, 1100)
    assert neighbours.busy() == pytest.approx(0.5), "too soon to tell"
    assert cpu.Neighbours(tmp_path / "nowhere").busy() == 0


def test_every_copy_of_openmp_is_told(tmp_path: Path) -> None:
    import torch

    maps = Path("/proc/self/maps")
    if not ct2_threads.openmp():
        pytest.skip("CTranslate2 has another OpenMP here")
    paths = {line.split()[-1] for line in maps.read_text().splitlines() if "/libgomp" in line}
    assert {library._name for library in ct2_threads.openmp()} == paths
    assert torch.get_num_threads() >= 1  # it stays loaded
    (tmp_path / "maps").write_text("7f00-7f01 r-xp 0000 fe:00 1  /usr/lib/libgomp.so.1\n")
    assert ct2_threads.openmp(tmp_path / "maps") == []
    assert ct2_threads.openmp(tmp_path / "nowhere") == []
