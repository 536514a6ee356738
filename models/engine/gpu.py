"""The GPU as engine selection sees it: its capability, its free memory and the trials it passed or failed.

Only `look` imports torch, and `has_cuda` where there may be a GPU.
"""

import datetime
import json
import math
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LEAST_CAPABILITY = (7, 0)
"""Volta: Triton's kernels, and PyTorch's own, are built for nothing older."""
BFLOAT16_CAPABILITY = (8, 0)
"""Ampere: older GPUs compute bfloat16 by way of float32, slower than on a CPU at times."""

GPU_DEVICES = ("nvidia", "nvhost", "nvmap", "nvgpu", "dxg", "kfd")
"""How names in /dev begin where there may be a GPU: a PC's, a Jetson's, WSL's, and AMD's for ROCm."""

WORKING_BYTES = 1 << 30
"""What an engine works in beside its weights and caches: CUDA's own context, an encoder's batch, a step."""

COMPUTING = ("torch", "triton", "transformers", "dragoman")
"""The packages whose versions a trial's verdict holds for."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """One CUDA device."""

    name: str
    capability: tuple[int, int]
    free_bytes: int

    def dtype(self, *, float16: bool) -> str | None:
        """The 16-bit numbers that it computes with, if any; `float16` says that the model bears those."""
        if self.capability >= BFLOAT16_CAPABILITY:
            return "bfloat16"
        return "float16" if float16 and self.capability >= LEAST_CAPABILITY else None

    def lack(self, num_parameters: int, *, float16: bool) -> str | None:
        """Return why a model should not run here, or None. With no parameters, room is not asked for."""
        described = f"{self.name} (compute capability {_dotted(self.capability)})"
        if self.capability < LEAST_CAPABILITY:
            return f"{described} is older than the kernels that there are ({_dotted(LEAST_CAPABILITY)})"
        if self.dtype(float16=float16) is None:
            return f"{described} has no bfloat16 ({_dotted(BFLOAT16_CAPABILITY)}), and float16 overflows"
        need = 2 * num_parameters + WORKING_BYTES
        if num_parameters and need > self.free_bytes:
            free = f"{self.free_bytes / 1e9:.1f} GB are free"
            return f"it needs {need / 1e9:.1f} GB of {self.name}'s memory, and {free}"
        return None


def _dotted(capability: tuple[int, int]) -> str:
    return "{}.{}".format(*capability)


def parameters_in(folder: Path) -> int:
    """Return the number of weights in a model's folder, by its files' heads, or for a `.bin` by its size."""
    from safetensors import safe_open

    total = 0
    for file in folder.glob("*.safetensors"):
        with safe_open(file, "pt") as weights:
            names = weights.keys()
            total += sum(math.prod(weights.get_slice(name).get_shape()) for name in names)
    return total or sum(file.stat().st_size // 2 for file in folder.glob("pytorch_model*.bin"))


def has_cuda() -> bool:
    """Return whether PyTorch can use a GPU, without importing it where the system shows none.

    Asks nothing that would begin CUDA in this process.
    """
    if "torch" not in sys.modules and sys.platform == "linux":
        names = [path.name for path in Path("/dev").iterdir()]
        if not any(name.startswith(GPU_DEVICES) for name in names):
            return False
    import torch

    return torch.cuda.is_available()


def look() -> Gpu | None:
    """Return PyTorch's current CUDA device; None without one."""
    if not has_cuda():
        return None
    import torch

    torch.cuda.empty_cache()  # what a model left behind that was closed is free as well
    free, _ = torch.cuda.mem_get_info()
    return Gpu(torch.cuda.get_device_name(), torch.cuda.get_device_capability(), free)


# ------------------------------------------------------------------------------------- verdicts of trials


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of a trial (see `trial`)."""

    about: Mapping[str, str]
    """With `model` and `card`; see `subject`."""
    failure: str
    """The reason; empty if all was right."""
    date: str


class Verdicts:
    """The verdicts, in a file in the cache, so that a model is not tried at each load.

    A verdict holds for what it is about: the model and its revision, the GPU, and the versions of all that
    computes. A file that cannot be read or written keeps nothing: then each load has a trial.
    """

    def __init__(self, cache: Path):
        self._file = cache / "trials.json"

    def all(self) -> list[Verdict]:
        """Return those that are kept: one for each model on each GPU."""
        try:
            return [Verdict(**each) for each in json.loads(self._file.read_text("utf-8"))]
        except (OSError, ValueError, TypeError):
            return []

    def of(self, about: Mapping[str, str]) -> Verdict | None:
        """Return the verdict about just this."""
        return next((each for each in self.all() if each.about == about), None)

    def keep(self, about: Mapping[str, str], failure: str) -> None:
        """Keep a verdict in the place of the model's last one on that GPU."""
        place = (about["model"], about["card"])
        others = [each for each in self.all() if (each.about.get("model"), each.about.get("card")) != place]
        date = datetime.datetime.now(datetime.UTC).date().isoformat()
        kept = [asdict(each) for each in (*others, Verdict(about, failure, date))]
        fresh = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        try:
            fresh.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
            fresh.replace(self._file)
        except OSError:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)

    def forget(self) -> None:
        """Forget all of them."""
        self._file.unlink(missing_ok=True)


def subject(model: str, revision: str, gpu: str, **more: str) -> dict[str, str]:
    """Return what a verdict is about."""
    computing = {name: _version(name) for name in COMPUTING}
    return {"model": model, "revision": revision, "card": gpu, **more, **computing}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
