"""Memory that this process has freed and the C library keeps for later; of libraries, glibc alone is told."""

import ctypes

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
