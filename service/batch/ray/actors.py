"""Plans how many actors do units, and how many cores or GPUs each has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from models.errors import InvalidInput

CORES_AN_ACTOR = 4
"""The number without --actors. An engine on a CPU gains little from many more."""


@dataclass(frozen=True, slots=True)
class Actors:
    """A number of actors, and the cores and GPUs of each."""

    count: int
    cpus: int
    gpus: int = 0

    @property
    def device(self) -> str:
        """Return the device of an actor's models."""
        return "cuda" if self.gpus else "cpu"

    @property
    def threads(self) -> int:
        """Return the threads of an engine on a CPU; see `Settings.threads`."""
        return 0 if self.gpus else self.cpus


def planned(
    machines: Sequence[Mapping[str, float]], count: int | None, device: str, *, may_grow: bool
) -> Actors:
    """Return actors for machines with these resources (`CPU`, `GPU`): one a GPU, or such as share the CPUs.

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
    """Return about CORES_AN_ACTOR, so that no core is left over, or few."""
    return max(1, cores // max(1, cores // CORES_AN_ACTOR))


def _room(cores: Sequence[int], share: int) -> int:
    """Return how many actors with `share` cores each there is room for."""
    return sum(own // share for own in cores)
