"""The GPU as far as the choice of an engine asks: what it can compute with, and what is free on it.

Nothing here imports torch but `look`, and `has_cuda` where there may be one.
"""

import math
import sys
from dataclasses import dataclass
from pathlib import Path

LEAST_CAPABILITY = (7, 0)
"""Volta: Triton's kernels, and PyTorch's own, are built for nothing older."""
BFLOAT16_CAPABILITY = (8, 0)
"""Ampere: older cards compute bfloat16 by way of float32, slower than on a CPU at times."""

GPU_DEVICES = ("nvidia", "nvhost", "nvmap", "nvgpu", "dxg", "kfd")
"""How names in /dev begin where there may be a GPU: a PC's, a Jetson's, WSL's, and AMD's for ROCm."""

WORKING_BYTES = 1 << 30
"""What an engine works in beside its weights and caches: CUDA's own context, an encoder's batch, a step."""


@dataclass(frozen=True, slots=True)
class Card:
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
        if self.capability < LEAST_CAPABILITY:
            return f"{self._told} is older than the kernels that there are ({_version(LEAST_CAPABILITY)})"
        if self.dtype(float16=float16) is None:
            return f"{self._told} has no bfloat16 ({_version(BFLOAT16_CAPABILITY)}), and float16 overflows"
        need = self.need(num_parameters)
        if num_parameters and need > self.free_bytes:
            free = f"{self.free_bytes / 1e9:.1f} GB are free"
            return f"it needs {need / 1e9:.1f} GB of {self.name}'s memory, and {free}"
        return None

    def need(self, num_parameters: int) -> int:
        """Return the bytes that so many weights take in 16 bits, and work with them."""
        return 2 * num_parameters + WORKING_BYTES

    @property
    def _told(self) -> str:
        return f"{self.name} (compute capability {_version(self.capability)})"


def _version(capability: tuple[int, int]) -> str:
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


def look() -> Card | None:
    """Return PyTorch's current CUDA device; None without one."""
    if not has_cuda():
        return None
    import torch

    torch.cuda.empty_cache()  # what a model left behind that was closed is free as well
    free, _ = torch.cuda.mem_get_info()
    return Card(torch.cuda.get_device_name(), torch.cuda.get_device_capability(), free)
