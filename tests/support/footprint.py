"""What a server holds: memory, descriptors, threads and files, over time, and whether that stays flat."""

import contextlib
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

PAGE_KB = 4


@dataclass(frozen=True, slots=True)
class Footprint:
    """One look; sums over all processes of the server's session."""

    at_s: float
    rss_mb: float
    descriptors: int
    threads: int
    processes: int
    temporary_files: int
    data_files: int
    data_mb: float


TOLERANCES = {
    "rss_mb": (1.10, 30.0),
    "descriptors": (1.2, 12.0),
    "threads": (1.2, 12.0),
    "processes": (1.0, 4.0),
    "temporary_files": (1.0, 2.0),
    "data_files": (1.0, 2.0),
    "data_mb": (1.2, 4.0),
}
"""How far the last median may be over the first: so many times, and so much."""


def look(leader: int, *, started: float, data: Path, temporary: Path) -> Footprint:
    """The footprint now; `started` is on `time.monotonic()`'s clock."""
    pids = family(leader)
    stats = [_count(Path(f"/proc/{pid}/task")) for pid in pids]
    kept = _sizes(data)
    return Footprint(
        at_s=round(time.monotonic() - started, 2),
        rss_mb=round(sum(_resident_mb(pid) for pid in pids), 1),
        descriptors=sum(_count(Path(f"/proc/{pid}/fd")) for pid in pids),
        threads=sum(stats),
        processes=len(pids),
        temporary_files=len(_sizes(temporary)),
        data_files=len(kept),
        data_mb=round(sum(kept) / 1e6, 2),
    )


def unflat(seen: Sequence[Footprint]) -> list[str]:
    """What grew: medians of the second fifth against those of the last, beyond `TOLERANCES`."""
    fifth = len(seen) // 5
    if not fifth:
        return ["there were too few looks to tell"]
    early, late = seen[fifth : 2 * fifth], seen[-fifth:]
    found = []
    for name, (times, more) in TOLERANCES.items():
        before, after = (statistics.median(getattr(each, name) for each in part) for part in (early, late))
        if after > before * times + more:
            found.append(f"{name} grew from {before:g} to {after:g}")
    return found


def table(seen: Sequence[Footprint], rows: int = 12) -> str:
    """The looks, some of them, as a table."""
    names = [field.name for field in fields(Footprint)]
    step = max(1, len(seen) // rows)
    lines = ["  ".join(f"{name:>15}" for name in names)]
    lines += ["  ".join(f"{value:>15}" for value in asdict(each).values()) for each in seen[::step]]
    return "\n".join(lines)


def family(leader: int) -> list[int]:
    """All processes of a session, those too whose parent has died."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (path / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
                if int(fields[3]) == leader and fields[0] != "Z":
                    found.append(int(path.name))
    return found


def cpu_s(leaders: Sequence[int]) -> tuple[float, float, float]:
    """CPU seconds so far of these sessions, of this process, and of the machine."""
    stats = [Path(f"/proc/{pid}/stat").read_text() for leader in leaders for pid in family(leader)]
    ticks = sum(sum(map(int, stat.rpartition(")")[2].split()[11:13])) for stat in stats)
    machine = list(map(int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9]))
    hertz = os.sysconf("SC_CLK_TCK")
    return ticks / hertz, time.process_time(), (sum(machine) - sum(machine[3:5])) / hertz


def _resident_mb(pid: int) -> float:
    """Its share of memory, where shared pages count in part; without leave for that, all its pages."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_KB / 1024
    return 0.0


def _count(folder: Path) -> int:
    with contextlib.suppress(OSError):
        return sum(1 for _ in folder.iterdir())
    return 0


def _sizes(folder: Path) -> list[int]:
    """Of all files in it; some may go meanwhile."""
    sizes = []
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file():
                sizes.append(path.stat().st_size)
    return sizes
