"""How many processes share the text work, by the settings and by what the machine has."""

from collections.abc import Sequence
from pathlib import Path

from models import cores
from service.settings import Settings

GPUS = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
"""There is a GPU where one of these is: asking torch takes seconds."""
LEAST_CORES, MOST_WORKERS = 4, 8
CORES_A_TEXT_PROCESS = 16
"""A model that writes takes some 20 ms of a core a sentence, and the text work of that sentence 1.3."""


def server_workers(settings: Settings, *, devices: Sequence[Path] = GPUS) -> int:
    """Return how many workers of a server the settings ask for, or suit this machine.

    Python reads and checks text on one core a process: enough for 20 to 50 articles a second. A GPU answers
    some 250, so it gets a worker for each two cores. Where the models compute on the processors too, they
    need most of them, and further workers are for what else is asked meanwhile.
    """
    if settings.workers:
        return settings.workers
    number = cores.whole(cores.usable())
    if settings.device != "cpu" and any(device.exists() for device in devices):
        return _for_each_two(number)
    return 1 if number < LEAST_CORES else min(MOST_WORKERS // 2, 1 + number // LEAST_CORES)


def text_processes(settings: Settings, device: str, *, writes: bool) -> int:
    """Return how many processes do the text work of a batch.

    `device` is where the models run, and `writes` says that one of them writes. Where none does, each
    process has a model that reads, and uses a core for it and another one now and then.
    """
    if settings.workers:
        return settings.workers
    number = cores.whole(cores.usable())
    if writes and device == "cpu":
        return min(MOST_WORKERS, max(1, number // CORES_A_TEXT_PROCESS))
    return _for_each_two(number)


def _for_each_two(number: int) -> int:
    return min(MOST_WORKERS, max(1, number // 2))
