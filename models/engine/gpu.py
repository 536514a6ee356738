"""The GPU as engine selection sees it: its capability, its free memory and the trials it passed or failed.

Only `look` imports torch, and `has_cuda` where there may be a GPU.
"""

import ctypes
import datetime
import json
import math
import os
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from models.engine.batching import BatchSizes

LEAST_CAPABILITY = (7, 0)
"""Volta: Triton's kernels, and PyTorch's own, are built for nothing older."""
BFLOAT16_CAPABILITY = (8, 0)
"""Ampere: older GPUs compute bfloat16 by way of float32, slower than on a CPU at times."""

GPU_DEVICES = ("nvidia", "nvhost", "nvmap", "nvgpu", "dxg", "kfd")
"""How names in /dev begin where there may be a GPU: a PC's, a Jetson's, WSL's, and AMD's for ROCm."""

WORKING_BYTES = 1 << 30
"""What an engine works in beside its weights and caches: CUDA's own context, an encoder's batch, a step."""

GPU_SIZES = BatchSizes(least_rows=1024, good_rows=1024, most_rows=2048, most_tokens=131072)
"""CTranslate2's batches on an H100, where it was fastest with 512 hypotheses of articles, and 2,048 of
sentences (1,024 greedy)."""

CUBLAS = ("libcublasLt.so.12", "libcublas.so.12")
"""What CTranslate2's package wants on CUDA beside the driver, and loads when it is first used."""

COMPUTING = ("torch", "triton", "transformers", "ctranslate2", "nvidia-cublas-cu12", "dragoman")
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

    def holds(self, num_parameters: int, *, bytes_each: int = 2) -> bool:
        """Return whether there is room for a model's weights, and to work in."""
        return not num_parameters or bytes_each * num_parameters + WORKING_BYTES <= self.free_bytes

    def lack(self, num_parameters: int, *, float16: bool, bytes_each: int = 2) -> str | None:
        """Return why a model should not run here, or None. With no parameters, room is not asked for."""
        described = f"{self.name} (compute capability {_dotted(self.capability)})"
        if self.capability < LEAST_CAPABILITY:
            return f"{described} is older than the kernels that there are ({_dotted(LEAST_CAPABILITY)})"
        if self.dtype(float16=float16) is None:
            return f"{described} has no bfloat16 ({_dotted(BFLOAT16_CAPABILITY)}), and float16 overflows"
        if not self.holds(num_parameters, bytes_each=bytes_each):
            need = bytes_each * num_parameters + WORKING_BYTES
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


def batch_sizes(folder: Path, free_bytes: int, max_source_tokens: int, max_new_tokens: int) -> BatchSizes:
    """Return the sizes of CTranslate2's batches on a GPU with so much free memory, for the model of a folder.

    Half of the memory is for sources: their keys and values in all layers, and one layer's attention scores.
    A quarter is for hypotheses: their keys and values, and their logits. The rest is room to copy in. Where
    the folder does not tell its sizes, those of a large model are taken.
    """
    try:
        config = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        config = {}

    def told(default: int, *names: str) -> int:
        return next((config[name] for name in names if isinstance(config.get(name), int)), default)

    layers = told(24, "decoder_layers", "num_decoder_layers", "num_layers", "num_hidden_layers")
    heads = told(16, "decoder_attention_heads", "num_heads", "num_attention_heads")
    head_width = told(0, "d_kv", "head_dim") or told(2048, "d_model", "hidden_size") // heads
    token_bytes = 2 * 2 * layers * told(heads, "num_key_value_heads") * head_width
    source_bytes = token_bytes + 2 * 2 * heads * max_source_tokens
    row_bytes = token_bytes * max_new_tokens + 2 * 4 * told(262144, "vocab_size")
    most_rows = max(1, min(GPU_SIZES.most_rows, free_bytes // 4 // row_bytes))
    return BatchSizes(
        least_rows=min(GPU_SIZES.least_rows, most_rows),
        good_rows=min(GPU_SIZES.good_rows, most_rows),
        most_rows=most_rows,
        most_tokens=max(1, min(GPU_SIZES.most_tokens, free_bytes // 2 // source_bytes)),
    )


def may_have_gpu() -> bool:
    """Return False where the system shows no GPU."""
    if sys.platform != "linux":
        return True
    return any(path.name.startswith(GPU_DEVICES) for path in Path("/dev").iterdir())


def has_cuda() -> bool:
    """Return whether PyTorch can use a GPU, without importing it where the system shows none.

    Asks nothing that would begin CUDA in this process.
    """
    if "torch" not in sys.modules and not may_have_gpu():
        return False
    import torch

    return torch.cuda.is_available()


def lack_of_triton() -> str:
    """Return why Triton cannot build the native engine's kernels here, or an empty word.

    It makes each kernel's launcher with the machine's own compiler and Python's headers, which a slim image
    may lack, and takes $CC, gcc or clang in that order.
    """
    if find_spec("triton") is None:
        return "Triton is not installed"
    if compiler() is None:
        return "Triton finds no C compiler (the variable CC, gcc or clang)"
    scheme = sysconfig.get_default_scheme()  # Debian's own, posix_local, names a folder that has none
    headers = Path(sysconfig.get_paths("posix_prefix" if scheme == "posix_local" else scheme)["include"])
    if not (headers / "Python.h").is_file():
        return f"Triton needs Python's headers, and {headers} has no Python.h (Debian's package python3-dev)"
    return ""


def compiler() -> str | None:
    """Return the C compiler that Triton would start."""
    given = os.environ.get("CC")  # Triton asks for no other then
    return next((name for name in ([given] if given else ["gcc", "clang"]) if shutil.which(name)), None)


def load_cublas() -> bool:
    """Load cuBLAS as CTranslate2 will ask for it, by name; return whether it is here.

    From the package nvidia-cublas-cu12 where that is installed, as the linker looks at what is loaded first.
    torch brings that package with its builds for CUDA 12, and not with later ones.
    """
    found = find_spec("nvidia")
    try:
        for folder in [] if found is None else found.submodule_search_locations or []:
            libraries = [Path(folder, "cublas", "lib", name) for name in CUBLAS]
            if all(library.is_file() for library in libraries):
                for library in libraries:
                    ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
        ctypes.CDLL(CUBLAS[-1])
    except OSError:
        return False
    return True


def context_lost() -> bool:
    """Return whether this process's CUDA context answers with errors only, as after an illegal access."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return False
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return True
    return False


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
    rates: Mapping[str, float] = field(default_factory=dict)
    """What the engines made of the same requests, in requests a second, by engine; empty without a race."""

    @property
    def fastest(self) -> str:
        """The engine that serves; `native` if none was faster."""
        slower = self.rates.get("ct2", 0.0) > self.rates.get("native", 0.0)
        return "ct2" if self.failure or slower else "native"

    def in_words(self) -> str:
        """What came of it, for an operator."""
        if self.failure:
            return self.failure
        told = ", ".join(f"{name} {rate:.1f}" for name, rate in self.rates.items())
        return f"passed; {self.fastest} serves ({told} requests/s)" if told else "passed"


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

    def keep(
        self, about: Mapping[str, str], failure: str, rates: Mapping[str, float] | None = None
    ) -> Verdict:
        """Keep a verdict in the place of the model's last one on that GPU."""
        place = (about["model"], about["card"])
        others = [each for each in self.all() if (each.about.get("model"), each.about.get("card")) != place]
        date = datetime.datetime.now(datetime.UTC).date().isoformat()
        verdict = Verdict(about, failure, date, rates or {})
        kept = [asdict(each) for each in (*others, verdict)]
        fresh = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        try:
            fresh.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
            fresh.replace(self._file)
        except OSError:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
        return verdict

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
