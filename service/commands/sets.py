"""Sets of models in words: what each takes, and which of them suits this machine."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from service.commands import machine

if TYPE_CHECKING:
    from models.catalog import Catalog
    from models.sets import ModelSet


def fitting(catalog: "Catalog", *, with_gpu: bool = True) -> "ModelSet":
    """Return the largest set that this machine has the memory and the processors for."""
    from models import sets

    found = machine.memory()
    gpu_bytes = machine.gpu_bytes(machine.gpus()) if with_gpu else None
    return sets.fitting(catalog, found and found[1], gpu_bytes, machine.processors()[0])


def advice(catalog: "Catalog", name: str, device: str) -> tuple[bool, str]:
    """Return whether the machine has the memory for the chosen set, and which one suits it, in words."""
    from models.sets import DEFAULT, load_sets

    found = machine.memory()
    chosen = load_sets()[name].on(device, found and found[0])
    suits = fitting(catalog, with_gpu=device == "cuda")
    told = f"{name}, good at {chosen.good_at}"
    if suits.name != name:
        size = gigabytes(suits.download_bytes(catalog))
        told += f"; the set that suits this machine is {suits.name} ({size} to fetch)"
    needs = chosen.memory_bytes(catalog, device)
    if name == DEFAULT or device == "cuda" or found is None or needs <= found[1]:
        return True, told
    return False, f"{told}; {name} takes up to {gigabytes(needs)} of memory when it is first loaded"


def set_rows(catalog: "Catalog", chosen: str) -> list[dict[str, Any]]:
    """Return each set with what it takes, in bytes."""
    from models.sets import load_sets

    suits, found = fitting(catalog).name, machine.memory()
    device = "cuda" if machine.gpus() else "cpu"
    return [
        {
            "name": each.name,
            "models": list(dict.fromkeys((here.summarize, here.translate))),
            "good_at": each.good_at,
            "device": each.device,
            "download_bytes": here.download_bytes(catalog),
            "cpu_memory_bytes": here.memory_bytes(catalog, "cpu"),
            "gpu_memory_bytes": each.memory_bytes(catalog, "cuda"),
            "suits": each.name == suits,
            "chosen": each.name == chosen,
        }
        for each in load_sets().values()
        for here in [each.on(device, found and found[0])]
    ]


def set_lines(row: Mapping[str, Any]) -> str:
    """Return a set in some lines."""
    marks = [
        word for word, is_so in (("chosen", row["chosen"]), ("suits this machine", row["suits"])) if is_so
    ]
    cpu = f"{gigabytes(row['cpu_memory_bytes'])} of memory, or " if row["device"] == "any" else ""
    lines = [
        row["name"] + (f" ({', '.join(marks)})" if marks else ""),
        f"good at {row['good_at']}",
        ", ".join(row["models"]),
        f"{gigabytes(row['download_bytes'])} to fetch; {cpu}{gigabytes(row['gpu_memory_bytes'])} of a GPU's",
    ]
    return "\n    ".join(lines)


def gigabytes(size: int) -> str:
    """`6.6 GB`."""
    return f"{size / 1e9:.1f} GB"
