"""The tokens that a task read and wrote, over all models that it used."""

from collections.abc import Iterable
from dataclasses import dataclass

from models.engine.protocol import Generation, Output


@dataclass(frozen=True, slots=True)
class Usage:
    source_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.source_tokens + other.source_tokens, self.output_tokens + other.output_tokens)

    @classmethod
    def of(cls, generations: Iterable[Generation], outputs: Iterable[Output]) -> "Usage":
        """Count one call to an engine."""
        total = cls()
        for generation, output in zip(generations, outputs, strict=True):
            total += cls(*(output.usage or (len(generation.source_ids), len(output.token_ids))))
        return total
