"""A row of the output, and the protocol of whatever writes rows."""

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
        """Return the summary or the translation itself."""
        if self.result is None:
            return None
        result = json.loads(self.result)
        return next((result[name] for name in TEXT_OF_RESULT if name in result), None)


class RowOutput(Protocol):
    """Writes rows."""

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows."""
