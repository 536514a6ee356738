"""What this machine has, and which model set fits it. Only `torch_finds_a_gpu` and
`cuda_versions` import torch.
"""

import ctypes
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from models import cpu
from models.cpu import memory as memory
from models.engine.gpu import compiler as compiler
from models.engine.gpu import lack_of_triton as lack_of_triton
from models.engine.gpu import load_cublas as load_cublas
from service.workers import VISIBLE as VISIBLE
from service.workers import visible_cards as visible_cards

if TYPE_CHECKING:
    from models.catalog import Catalog, ModelSet
    from service.settings import Settings

CGROUP = Path("/sys/fs/cgroup")
PROBE_S = 10.0


def processors(cgroup: Path = CGROUP) -> tuple[float, str]:
    """Return how many processors this process may use, and that in words."""
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


def gpu_bytes(gpus: Sequence[str]) -> int | None:
    """Return the memory of the first of these GPUs; None if there is none, or it is not told."""
    found = re.search(r"(\d+) MiB", gpus[0]) if gpus else None
    return int(found[1]) << 20 if found else None


def torch_finds_a_gpu() -> bool:
    """Return whether torch can use one; takes seconds, as it imports torch."""
    import torch

    return torch.cuda.is_available()


def cuda_versions() -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
    """Return the CUDA version up to which the GPU's driver goes, and the one that torch is built for."""
    import torch

    found = ctypes.c_int()
    try:
        failed = ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(found))
    except (OSError, AttributeError):
        failed = 1
    driver = None if failed else (found.value // 1000, found.value % 1000 // 10)
    built = torch.version.cuda
    return driver, None if built is None else (int(built.split(".")[0]), int(built.split(".")[1]))


def has(package: str) -> bool:
    """Return whether a package is installed."""
    return find_spec(package) is not None


def unwritable(folder: Path) -> str | None:
    """Return why nothing can be written into the folder, or None; it may be yet to be made."""
    there = _nearest(folder)
    try:
        with tempfile.TemporaryFile(dir=there):
            return None
    except OSError as error:
        return f"{there}: {error.strerror}"


def free_bytes(folder: Path) -> int:
    """Return the bytes free on the folder's disk."""
    return shutil.disk_usage(_nearest(folder)).free


def _nearest(folder: Path) -> Path:
    """Return the folder, or where it would be made."""
    return next(each for each in (folder, *folder.parents) if each.exists())


# ---------------------------------------------------------------------- sets of models


def fitting(catalog: "Catalog", *, with_gpu: bool = True) -> "ModelSet":
    """Return the largest set that this machine has the memory and the processors for."""
    from models.catalog import fitting as largest

    found = memory()
    of_gpu = gpu_bytes(gpus()) if with_gpu else None
    return largest(catalog, found and found[1], of_gpu, processors()[0])


def advice(catalog: "Catalog", settings: "Settings", device: str) -> tuple[bool, str]:
    """Return whether the machine has the memory for the chosen set, and which one suits it, in words."""
    from models.catalog import load_sets

    name, found = settings.models, memory()
    chosen = load_sets()[name].on(device, found and found[0])
    suits = fitting(catalog, with_gpu=device == "cuda")
    told = f"{name}, good at {chosen.good_at}"
    if chosen.betters:
        told = f"{name}: {_better_in_words(catalog, settings)}"
    if suits.name != name and suits.translate not in chosen.betters:
        size = gigabytes(suits.download_bytes(catalog))
        told += f"; the set that suits this machine is {suits.name} ({size} to fetch)"
    needs = chosen.memory_bytes(catalog, device)
    if not chosen.download_bytes(catalog) or device == "cuda" or found is None or needs <= found[1]:
        return True, told
    return False, f"{told}; {name} takes up to {gigabytes(needs)} of memory when it is first loaded"


def _better_in_words(catalog: "Catalog", settings: "Settings") -> str:
    """Say what is fetched beside the bundled models, and how to stop it."""
    from service.runtime import betters

    known = betters(settings, catalog)
    begin = "starts with the bundled models"
    if not known:
        return f"{begin}, and no better ones may be fetched (DRAGOMAN_ALLOW_MODELS, or models that are set)"
    if settings.offline:
        return (
            f"{begin}; better ones are taken if the cache has them, and none are fetched (DRAGOMAN_OFFLINE)"
        )
    names = ", ".join(
        f"{each.name} {gigabytes(each.download_mb * 1e6)}{' a pair' if each.is_pattern else ''}"
        for each in (*known.translators, *known.summarizers)
    )
    return (
        f"{begin}; where a model hub answers, better ones for what is asked are fetched in the background "
        f"({names}) and taken once they are ready; MODELS=bundled or --models bundled fetches nothing"
    )


def gigabytes(size: float) -> str:
    """`6.6 GB`."""
    return f"{size / 1e9:.1f} GB"
