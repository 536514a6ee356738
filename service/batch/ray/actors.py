"""How many actors there are, and what each has of the machines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.errors import InvalidInput

CORES_AN_ACTOR = 4
"""If nothing else is asked for. An engine on a CPU gains little from many more."""


@dataclass(frozen=True, slots=True)
class Actors:
    """So many, and each with so much."""

    count: int
    cpus: int
    gpus: int = 0

    @property
    def device(self) -> str:
        """Where an actor's models run."""
        return "cuda" if self.gpus else "cpu"

    @property
    def threads(self) -> int:
        """Of an engine on a CPU; see `Settings.threads`."""
        return 0 if self.gpus else self.cpus


def planned(
    machines: Sequence[Mapping[str, float]], count: int | None, device: str, *, may_grow: bool
) -> Actors:
    """Actors for machines with these resources (`CPU`, `GPU`), one a GPU, or so that they share the CPUs.

    `count` is what the user asks for, `device` is `auto`, `cpu` or `cuda`. Machines that may grow need not
    have room for all actors yet. Raises InvalidInput if there is no room.
    """
    gpus = sum(int(machine.get("GPU", 0)) for machine in machines)
    if device == "cuda" or (device == "auto" and gpus):
        return Actors(_checked(count or gpus, gpus, "GPU", may_grow), 1, 1)
    cores = [int(machine.get("CPU", 0)) for machine in machines]
    if count is None:
        share = _even(max(cores, default=0))
        return Actors(_checked(_room(cores, share), sum(cores), "CPU core", may_grow), share)
    _checked(count, sum(cores), "CPU core", may_grow)
    shares = [share for share in range(1, max(cores, default=0) + 1) if _room(cores, share) >= count]
    return Actors(count, max(shares, default=CORES_AN_ACTOR))


def _checked(count: int, there: int, what: str, may_grow: bool) -> int:
    if count < 1 or (count > there and not may_grow):
        raise InvalidInput(
            f"{max(1, count)} actors need a {what} each, and there are {there}", field="--actors"
        )
    return count


def _even(cores: int) -> int:
    """About CORES_AN_ACTOR, so that nothing is left of so many cores, or little."""
    return max(1, cores // max(1, cores // CORES_AN_ACTOR))


def _room(cores: Sequence[int], share: int) -> int:
    """For how many actors with so many cores there is room."""
    return sum(own // share for own in cores)
