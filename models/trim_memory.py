"""Returns freed memory to the system and the GPU, and closes engines that may hang."""

import ctypes
import gc
import logging
import threading

from models.engine.protocol import Engine

log = logging.getLogger(__name__)

_ARENA_MAX = -8
"""mallopt's M_ARENA_MAX."""


def limit_arenas(most: int) -> None:
    """Limit new threads to `most` malloc arenas; glibc's default is eight per core.

    `trim_memory` trims the end of the first arena only: after its work a server with the bundled models kept
    700 to 707 MB with one or two arenas, and 708 to 739 MB with glibc's default.
    """
    option = getattr(ctypes.CDLL(None), "mallopt", None)
    if option is not None:
        option(_ARENA_MAX, most)


def trim_memory() -> None:
    """Return free heap memory to the system: 0.4 of 0.96 GB right after the bundled models were read."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def trim_cuda_memory() -> None:
    """Empty PyTorch's CUDA cache."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def close_soon(engine: Engine, *, within_s: float = 10.0) -> None:
    """Close an engine that may hang. If it does, its thread and memory remain until the process ends."""
    closing = threading.Thread(target=engine.close, name="close-engine", daemon=True)
    closing.start()
    closing.join(within_s)
    if closing.is_alive():
        log.warning("the engine does not stop; its memory is in use until the process ends")
