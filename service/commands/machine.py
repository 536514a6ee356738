"""What this machine has: processors, memory, GPU, compiler, disk, network. One question imports torch."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from http.client import HTTPException
from importlib.util import find_spec
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from models import cpu
from models.cpu import memory as memory

CGROUP = Path("/sys/fs/cgroup")
COMPILERS = ("cc", "gcc", "clang")
HUB_S = 3.0
PROBE_S = 10.0


def processors(cgroup: Path = CGROUP) -> tuple[float, str]:
    """Return how many of them this process may use, and that in words."""
    all_of_them = os.cpu_count() or 1
    number, bound = cpu.usable(cgroup), len(cpu.bound())
    told = f"{number:g} of {all_of_them}" if number != all_of_them else f"{number:g}"
    return number, told + (" by the cgroup's quota" if number < bound else "")


def gpus() -> list[str]:
    """Return the names of the NVIDIA GPUs that their driver shows."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        command = [program, "--query-gpu=name,memory.total", "--format=csv,noheader"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_S)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if not done.returncode else []


def gpu_bytes(cards: Sequence[str]) -> int | None:
    """Return the memory of the first of these GPUs; None if there is none, or it is not told."""
    found = re.search(r"(\d+) MiB", cards[0]) if cards else None
    return int(found[1]) << 20 if found else None


def torch_finds_a_gpu() -> bool:
    """Return whether torch can use one; takes seconds, as it imports torch."""
    import torch

    return torch.cuda.is_available()


def compiler() -> str | None:
    """Return the C compiler that triton would start."""
    return os.environ.get("CC") or next((name for name in COMPILERS if shutil.which(name)), None)


def has(module: str) -> bool:
    """Return whether a package is installed."""
    return find_spec(module) is not None


def unwritable(folder: Path) -> str | None:
    """Return why nothing can be written into the folder, or None; it may be yet to be made."""
    there = next(each for each in (folder, *folder.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            return None
    except OSError as error:
        return f"{there}: {error.strerror}"


def free_bytes(folder: Path) -> int:
    """Return the bytes free on the folder's disk."""
    return shutil.disk_usage(next(each for each in (folder, *folder.parents) if each.exists())).free


def unreachable(url: str) -> str | None:
    """Return why the model hub does not answer, or None if it does."""
    try:
        with urlopen(Request(url, method="HEAD"), timeout=HUB_S):  # noqa: S310 - the operator's own hub
            return None
    except HTTPError as error:
        return f"it answers {error.code}" if error.code >= 500 else None
    except (URLError, HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return str(getattr(reason, "strerror", None) or reason)
