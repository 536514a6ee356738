"""Memory given back: what this process has freed and a library keeps for later, and what an engine holds."""

import ctypes
import gc
import logging
import threading

from models.engine.protocol import Engine

log = logging.getLogger(__name__)

_ARENA_MAX = -8
"""mallopt's M_ARENA_MAX."""


def limit_arenas(most: int) -> None:
    """Have threads that start from now on share so many arenas; glibc has eight for each core otherwise.

    `give_back` does not return the end of an arena, but for the first one's: after its work a server with the
    bundled models kept 700 to 707 MB in one arena or two, and 708 to 739 in as many as glibc likes.
    """
    option = getattr(ctypes.CDLL(None), "mallopt", None)
    if option is not None:
        option(_ARENA_MAX, most)


def give_back() -> None:
    """Return what is free to the system: 0.4 GB of 0.96 when the bundled models were just read."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def give_back_cuda() -> None:
    """Return to the GPU what PyTorch keeps of it."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def close_soon(engine: Engine, *, within_s: float = 10.0) -> None:
    """Close an engine that may hang; then its thread and its memory stay behind until the process ends."""
    closing = threading.Thread(target=engine.close, name="close-engine", daemon=True)
    closing.start()
    closing.join(within_s)
    if closing.is_alive():
        log.warning("the engine does not stop; its memory stays taken until the process ends")
