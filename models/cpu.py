"""The processors and memory that this process may use, and the load of other processes, from Linux's files.

Where those files are missing, all processors count and other processes are ignored.
"""

import os
import time
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
PROC = Path("/proc")
LOOK_EVERY_S = 0.2
"""Linux counts time in hundredths of a second: what others took is not known more often."""


def usable(cgroups: Path = CGROUPS, proc: Path = PROC) -> float:
    """Return the processors that may be used: those it is bound to, or a container's quota if less."""
    number = float(len(bound()))
    for folder in _own_cgroups(cgroups, proc):
        limit = quota(folder)
        number = number if limit is None else min(number, limit)
    return number


def memory(cgroup: Path = CGROUPS, facts: Path = PROC / "meminfo") -> tuple[int, int] | None:
    """Return the bytes that may be used in all, and those free now; None where it cannot be told."""
    try:
        lines = (line.split() for line in facts.read_text().splitlines())
        known = {words[0]: int(words[1]) << 10 for words in lines if len(words) == 3}
        whole, free = known["MemTotal:"], known["MemAvailable:"]
    except (OSError, ValueError, KeyError):
        return None
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            most = int((cgroup / limit).read_text())  # `max` without one
            return min(whole, most), max(0, min(free, most - int((cgroup / used).read_text())))
        except (OSError, ValueError):
            continue
    return whole, free


def whole(number: float) -> int:
    """Return how many threads fit on so many processors; half of one is rounded up."""
    return max(1, int(number + 0.5))


def bound() -> set[int]:
    """Return the processors that this process may be scheduled on."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def quota(folder: Path) -> float | None:
    """Return the processors that a control group of version 2 or 1 may use; None without a limit."""
    for name, period in (("cpu.max", None), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            words = (folder / name).read_text().split()
            words += (folder / period).read_text().split() if period else []
            if words[0] not in ("max", "-1"):
                return int(words[0]) / int(words[1])
        except (OSError, ValueError, IndexError, ZeroDivisionError):
            continue
    return None


def _own_cgroups(cgroups: Path, proc: Path) -> list[Path]:
    """The process's own control groups and all above them, of both versions.

    A container sees its own as the top, whatever it is called outside.
    """
    try:
        lines = (proc / "self/cgroup").read_text().splitlines()
    except OSError:
        lines = []
    found = [cgroups, cgroups / "cpu"]
    for line in lines:  # "0::/a/b" of version 2, "4:cpu,cpuacct:/a/b" of version 1
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        top = cgroups if not controllers else cgroups / "cpu" if "cpu" in controllers.split(",") else None
        if top is not None and ".." not in path:  # else it lies outside of what is mounted here
            place = top / path.lstrip("/")
            found += [each for each in (place, *place.parents) if each.is_relative_to(top)]
    return found


class Neighbours:
    """How many processors others have kept busy of late, among those that this process is bound to."""

    def __init__(self, proc: Path = PROC):
        self._proc = proc
        self._seen = self._look()
        self._busy = 0.0

    def busy(self) -> float:
        """Return others' share since the last look, in processors, without what runs at low priority."""
        if time.monotonic() - self._seen[0] >= LOOK_EVERY_S:
            now = self._look()
            others = (now[1] - self._seen[1]) - (now[2] - self._seen[2])
            self._busy, self._seen = max(0.0, others / (now[0] - self._seen[0])), now
        return self._busy

    def _look(self) -> tuple[float, float, float]:
        """The time, and seconds of work since the start: of everybody, and of this process."""
        try:
            lines = [line.split() for line in (self._proc / "stat").read_text().splitlines()]
            names = {f"cpu{number}" for number in bound()}
            # user, nice, system, idle, iowait, irq, softirq, steal
            ticks = sum(
                int(words[i]) for words in lines if words and words[0] in names for i in (1, 3, 6, 7, 8)
            )
            busy = ticks / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, IndexError, AttributeError):
            return time.monotonic(), 0.0, 0.0
        own = os.times()
        return time.monotonic(), busy, own.user + own.system
