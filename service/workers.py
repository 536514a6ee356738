"""How many processes suit the settings and the machine: of text work, and of engines, one for each card."""

import os
import re
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING

from models import cpu
from models.engine.gpu import may_have_gpu
from models.errors import InvalidInput

if TYPE_CHECKING:
    from service.settings import Settings

LEAST_CORES, MOST_WORKERS = 4, 8
"""Of the workers, the most that there are by default for each card."""
MOST_PROCESSES = 64

COUNT_CARDS = "import torch; print(torch.cuda.device_count() if torch.cuda.is_available() else 0)"
COUNT_WITHIN_S = 60.0
DEVICE, VISIBLE = "DRAGOMAN_DEVICE", "CUDA_VISIBLE_DEVICES"
ONE_CARD = re.compile("cuda:([0-9]+)")


def visible_cards(device: str) -> tuple[str, ...]:
    """Return the cards that models may run on, by their names in CUDA_VISIBLE_DEVICES; none without a GPU.

    Torch counts them in a process of its own, by CUDA's rules: the first process of a server forks, and may
    not begin CUDA.
    """
    if device == "cpu" or not may_have_gpu():
        return ()
    named = os.environ.get(VISIBLE)
    try:
        number = _counted(COUNT_CARDS, named)
    except (OSError, ValueError, subprocess.SubprocessError):
        return ()
    names = map(str, range(number)) if named is None else (name.strip() for name in named.split(","))
    return tuple(names)[:number]


@cache
def _counted(code: str, _: str | None) -> int:
    """Return the number of cards where this is CUDA_VISIBLE_DEVICES; torch takes seconds to start."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, check=True, timeout=COUNT_WITHIN_S)  # noqa: S603
    return int(done.stdout)


def select_card() -> None:
    """Where DRAGOMAN_DEVICE is `cuda:1`, make it `cuda`, and that card the only one that CUDA shows.

    For this process and those that it starts. Raises InvalidInput if there is no such card.
    """
    found = ONE_CARD.fullmatch(os.environ.get(DEVICE, ""))
    if found is None:
        return
    cards, number = visible_cards("cuda"), int(found[1])
    if number >= len(cards):
        known = ["auto", "cpu", *(["cuda"] if cards else []), *(f"cuda:{n}" for n in range(len(cards)))]
        raise InvalidInput(f"{DEVICE} is {found[0]}, and there is no such card", field=DEVICE, allowed=known)
    os.environ.update({DEVICE: "cuda", VISIBLE: cards[number]})


def server_workers(settings: "Settings", *, cards: int) -> int:
    """Return how many workers of a server the settings ask for, or suit this machine.

    Python reads and checks text on one core a process: enough for 20 to 50 articles a second. A GPU answers
    some 250, so it gets a worker for each two cores, up to eight for each of the `cards`. Where the models
    compute on the processors too, they need most of them, and further workers are for what else is asked
    meanwhile.
    """
    if settings.workers:
        return settings.workers
    number = cpu.whole(cpu.usable())
    if cards:
        return for_each_two(number, cards)
    return 1 if number < LEAST_CORES else min(MOST_WORKERS // 2, 1 + number // LEAST_CORES)


def for_each_two(number: int, cards: int = 1) -> int:
    """Return the processes that so many cores have beside GPUs."""
    return min(MOST_PROCESSES, MOST_WORKERS * max(1, cards), max(1, number // 2))
