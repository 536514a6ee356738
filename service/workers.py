"""The number of workers of a server, by the settings and the machine."""

from collections.abc import Sequence
from pathlib import Path

from models import cpu
from service.settings import Settings

GPUS = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
"""There is a GPU where one of these is: asking torch takes seconds."""
LEAST_CORES, MOST_WORKERS = 4, 8


def server_workers(settings: Settings, *, devices: Sequence[Path] = GPUS) -> int:
    """Return how many workers of a server the settings ask for, or suit this machine.

    Python reads and checks text on one core a process: enough for 20 to 50 articles a second. A GPU answers
    some 250, so it gets a worker for each two cores. Where the models compute on the processors too, they
    need most of them, and further workers are for what else is asked meanwhile.
    """
    if settings.workers:
        return settings.workers
    number = cpu.whole(cpu.usable())
    if settings.device != "cpu" and any(device.exists() for device in devices):
        return for_each_two(number)
    return 1 if number < LEAST_CORES else min(MOST_WORKERS // 2, 1 + number // LEAST_CORES)


def for_each_two(number: int) -> int:
    """Return the processes that so many cores have beside a GPU."""
    return min(MOST_WORKERS, max(1, number // 2))
