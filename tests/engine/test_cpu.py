"""The processors that may be used: a container's quota, and what others leave of them."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from models import cpu


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
