"""One record of the output, and what any file that takes such records does."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from service.batch.record import Fields

TEXT_OF_RESULT = ("summary", "translation")


@dataclass(frozen=True, slots=True)
class Row:
    """One record of the output: with a result, or with an error."""

    fields: Fields
    id_field: str
    result_field: str
    result: str | None = None
    """JSON."""
    error: Mapping[str, Any] | None = None

    def text(self) -> str | None:
        """The summary or the translation itself."""
        if self.result is None:
            return None
        result = json.loads(self.result)
        return next((result[name] for name in TEXT_OF_RESULT if name in result), None)


class RowOutput(Protocol):
    """Where rows go."""

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows."""

    def close(self) -> None:
        """All is written."""

    def abandon(self) -> None:
        """The run ends before all is written."""
