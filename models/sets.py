"""Sets of models that are chosen by one word, what each takes, and which of them suits a machine."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any, Literal

from models import cpu
from models.catalog import Catalog
from models.engine.gpu import has_cuda
from models.entry import ModelEntry

DEFAULT = "auto"

SPARE_BYTES = 1_000_000_000
"""Memory of the process itself, with its libraries."""
INT8_BYTES = 1.2
"""A parameter's bytes in CTranslate2's int8, with scales and buffers."""
CONVERSION_BYTES = 2.0
"""A parameter's bytes while a model is converted to int8, beside its file's pages, which can be read again. A
model with the sizes of BART large (406 million parameters) took 1.75 from a file in float32."""
GPU_BYTES = 3.0
"""A parameter's bytes on a GPU: bfloat16, and half as much again for caches."""


@dataclass(frozen=True, slots=True)
class ModelSet:
    """A set. `pairs` are those that are fetched of a model that stands for one a pair."""

    name: str
    summarize: str
    translate: str
    device: Literal["any", "cuda"]
    good_at: str
    pairs: tuple[str, ...] = ()
    cpu_cores: int = 1
    """Processors with fewer of which it is too slow on a CPU."""
    better_summarize: tuple[str, ...] = ()
    better_translate: tuple[str, ...] = ()
    """Names of models that are taken where one suits, the best first, once they are here."""
    on_cpu: tuple[Mapping[str, Any], ...] = ()
    """Its models on a CPU, where they are others, with the `memory_gb` that they take; the best first."""

    def on(self, device: str, memory_bytes: int | None = None) -> "ModelSet":
        """Return the set with its models for a device: on a CPU the best that have so much memory."""
        if device == "cuda" or not self.on_cpu:
            return self
        fits = (
            each for each in self.on_cpu if memory_bytes is None or each["memory_gb"] * 1e9 <= memory_bytes
        )
        chosen = next(fits, self.on_cpu[-1])
        return replace(self, summarize=chosen["summarize"], translate=chosen["translate"], on_cpu=(chosen,))

    def here(self, device: str) -> "ModelSet":
        """Return the set with its models for this machine; `device` is the setting: auto, cpu or cuda."""
        if not self.on_cpu:
            return self
        memory = cpu.memory()
        on_gpu = device == "cuda" or (device == "auto" and has_cuda())
        return self.on("cuda" if on_gpu else "cpu", memory and memory[0])

    @property
    def betters(self) -> tuple[str, ...]:
        """Return the names of all models that it takes once they are here."""
        return self.better_summarize + self.better_translate

    def entries(self, catalog: Catalog, pairs: Iterable[str] = ()) -> list[ModelEntry]:
        """Return its models, each once, a pattern as the models of these pairs (or of its own)."""
        found: dict[str, ModelEntry] = {}
        for name in (self.summarize, self.translate):
            names = (
                [name.replace("*", pair) for pair in (tuple(pairs) or self.pairs)] if "*" in name else [name]
            )
            found |= {each: catalog.get(each) for each in names}
        return list(found.values())

    def download_bytes(self, catalog: Catalog) -> int:
        """Return about how much a pull of it fetches."""
        return sum(entry.download_mb for entry in self.entries(catalog)) * 1_000_000

    def memory_bytes(self, catalog: Catalog, device: str) -> int:
        """Return about how much memory of the device it takes, the first start's conversion included.

        Of a pattern's models two are counted: both ways between two languages.
        """
        if device != "cuda" and self.on_cpu:
            return int(1e9 * self.on_cpu[-1]["memory_gb"])
        sizes = [
            entry.parameters_m * 1_000_000
            for name in dict.fromkeys((self.summarize, self.translate))
            for entry in (catalog.get(name),) * (2 if "*" in name else 1)
        ]
        if device == "cuda":
            return int(GPU_BYTES * sum(sizes))
        return int(SPARE_BYTES + INT8_BYTES * sum(sizes) + CONVERSION_BYTES * max(sizes))


def load_sets() -> Mapping[str, ModelSet]:
    """Read the sets that are shipped, by name, from the least to the most that a machine needs."""
    data = tomllib.loads(files("models").joinpath("sets.toml").read_text("utf-8"))
    return {name: ModelSet(name, **_frozen(raw)) for name, raw in data.items()}


def _frozen(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in raw.items()}


def fitting(catalog: Catalog, memory_bytes: int | None, gpu_bytes: int | None, cores: float = 1) -> ModelSet:
    """Return the largest set that a machine has the memory and the processors for, else the default."""
    sets = load_sets()
    best = sets[DEFAULT]
    for each in sets.values():
        on_gpu = gpu_bytes is not None and each.memory_bytes(catalog, "cuda") <= gpu_bytes
        on_cpu = (
            each.device == "any"
            and each.cpu_cores <= cores
            and memory_bytes is not None
            and each.memory_bytes(catalog, "cpu") <= memory_bytes
        )
        if on_gpu or on_cpu:
            best = each.on("cuda" if on_gpu else "cpu", memory_bytes)
    return best
