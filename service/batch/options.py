"""The options of a batch: what it reads and writes, and how it is run. Imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from service.batch.record import FieldNames

Format = Literal["jsonl", "csv", "tsv", "parquet", "folder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    """The values of the command line's options, by their names; `-` is standard input or output."""

    infile: str
    out: str
    input_format: Format | None = None
    text_field: str | None = None
    html_field: str | None = None
    id_field: str = "id"
    result_field: str = "result"
    omit_text: bool = False
    cache: str | None = None
    forget: bool = False
    restart: bool = False
    overwrite: bool = False
    retry_failed: bool = False
    max_errors: int | None = None
    record_timeout_s: float | None = None
    reuse: bool = True
    """True if a sentence that stands in several records is done once."""
    engine: str = "local"
    ray_address: str | None = None
    actors: int | None = None
    models: str | None = None
    log: str | None = None
    summary: str | None = None
    report: str | None = None
    dry_run: bool = False
    shown_out: str | None = None
    """OUT as it is told, if it is at an address, and `out` what is written here."""

    @property
    def cache_path(self) -> Path | None:
        """Where results are kept; None for a run from which none can go on."""
        if self.cache is not None:
            return Path(self.cache)
        return None if self.out == "-" else Path(self.out + ".cache")

    def field_names(self) -> "FieldNames":
        """Return the names of the records' and the rows' fields."""
        from service.batch.record import FieldNames

        named = self.text_field is not None or self.html_field is not None
        return FieldNames(
            self.text_field if named else "text",
            self.html_field if named else "html",
            self.id_field,
            self.result_field,
            self.omit_text,
        )
