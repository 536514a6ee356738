"""The options that batch commands share: what is read and written, and how a run goes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from service.batch.remote import CREDENTIALS, LIBRARIES, WRITTEN, scheme_of, shown
from service.commands.options import added

if TYPE_CHECKING:
    from service.batch.record import FieldNames


class _Place(click.Path):
    """A file or folder, or an address with one of `schemes`, which is taken as it is."""

    def __init__(self, schemes: Sequence[str] = (), **path: Any):
        super().__init__(**path)
        self._schemes = schemes

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        scheme = scheme_of(value) if isinstance(value, str) else None
        if scheme is None:
            return super().convert(value, param, ctx)
        if scheme not in self._schemes:
            others = " or ".join(f"{each}://" for each in self._schemes)
            may = f"a file, or at {others}" if others else "a file of this machine"
            self.fail(f"{shown(value)} cannot be used here; it may be {may}", param, ctx)
        host, _, path = value.partition("://")[2].partition("/")
        if "@" in host and scheme in CREDENTIALS and ":" in host:
            self.fail(f"{scheme}:// takes no credentials in the address; {CREDENTIALS[scheme]}", param, ctx)
        if not host or (not self.dir_okay and scheme in WRITTEN and (not path or path.endswith("/"))):
            self.fail(f"{shown(value)} names no file", param, ctx)
        return value


_FILE = _Place(dir_okay=False)
_WRITTEN = _Place(WRITTEN, dir_okay=False)

_IN = click.argument("infile", metavar="IN", type=_Place(tuple(LIBRARIES), exists=True, allow_dash=True))
_OUT = click.argument("out", metavar="OUT", type=_Place(WRITTEN, dir_okay=False, allow_dash=True))

_RECORDS = (
    click.option(
        "--input-format",
        type=click.Choice(["jsonl", "csv", "tsv", "parquet"]),
        help="What IN is, if its name does not tell.",
    ),
    click.option("--text-field", metavar="NAME", help="The field with the text, if not `text`."),
    click.option("--html-field", metavar="NAME", help="The field with the HTML, if not `html`."),
    click.option("--id-field", metavar="NAME", default="id", show_default=True, help="The records' id."),
    click.option(
        "--result-field",
        metavar="NAME",
        default="result",
        show_default=True,
        help="The output's field for the result. No record may have a field of this name.",
    ),
    click.option("--omit-text", is_flag=True, help="Leave the records' own text or HTML out of OUT."),
)

_RUN = (
    click.option(
        "--models",
        metavar="SET",
        help="The set of models where none is named; else DRAGOMAN_MODELS, else auto: better models than the "
        "bundled ones are fetched before the run begins. A run that goes on keeps those that it began with.",
    ),
    click.option(
        "--cache",
        metavar="FILE",
        type=_FILE,
        help="Where results are kept, if not in OUT.cache; several runs may share one, one after another.",
    ),
    click.option("--forget", is_flag=True, help="Remove the cache when the run has come to its end."),
    click.option("--restart", is_flag=True, help="Empty the cache first: everything is done again."),
    click.option("--overwrite", is_flag=True, help="Replace OUT if it exists."),
    click.option(
        "--retry-failed",
        is_flag=True,
        help="Do the records again that are errors, and only those; OUT is written anew.",
    ),
    click.option(
        "--max-errors",
        metavar="N",
        type=click.IntRange(0),
        help="Stop when more records than this are errors.",
    ),
    click.option(
        "--record-timeout",
        metavar="SECONDS",
        type=click.FloatRange(0, min_open=True),
        default=600.0,
        show_default=True,
        help="What a record may take for itself.",
    ),
    click.option(
        "--reuse/--no-reuse",
        "memory",
        default=True,
        help="Do a sentence that stands in several records once (the default), or each time.",
    ),
    click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="Where it is done: in this process, or by Ray's actors, which hold the models each. The "
        "output is the same.",
    ),
    click.option(
        "--ray-address",
        metavar="ADDRESS",
        help="A Ray cluster that this machine belongs to: `auto` or HOST:PORT. If not given, a Ray is "
        "started here for this run.",
    ),
    click.option(
        "--actors",
        metavar="N",
        type=click.IntRange(1),
        help="How many actors Ray has; if not given, one a GPU, or one for every four CPU cores.",
    ),
    click.option("--log", metavar="FILE", type=_FILE, help="Append a line to FILE every ten seconds."),
    click.option(
        "--summary", metavar="FILE", type=_WRITTEN, help="Write the run in numbers to FILE, as JSON."
    ),
    click.option(
        "--report", metavar="FILE", type=_WRITTEN, help="Write the run with plots to FILE, as HTML."
    ),
    click.option("--dry-run", is_flag=True, help="Count, tell languages, estimate the time; write nothing."),
)


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """Their values."""

    infile: str
    out: str
    cache: str | None
    forget: bool
    restart: bool
    overwrite: bool
    retry_failed: bool
    max_errors: int | None
    record_timeout: float
    memory: bool
    engine: str
    ray_address: str | None
    actors: int | None
    models: str | None
    log: str | None
    summary: str | None
    report: str | None
    input_format: Any
    text_field: str | None
    html_field: str | None
    id_field: str
    result_field: str
    omit_text: bool
    dry_run: bool
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
            must_exist=named,
        )


batch_options = added(_IN, _OUT, *_RECORDS, *_RUN)
"""Adds them all."""


def split(given: dict[str, Any]) -> tuple[BatchOptions, dict[str, Any]]:
    """These options, and the task's own."""
    names = BatchOptions.__dataclass_fields__
    own = BatchOptions(**{name: value for name, value in given.items() if name in names})
    return own, {name: value for name, value in given.items() if name not in names}


def check(options: BatchOptions) -> None:
    """What can be told from the options alone. Raises click.BadParameter."""
    if options.result_field in (options.id_field, "text", "html", "error", "record"):
        raise click.BadParameter(
            f"{options.result_field!r} has a meaning of its own", param_hint="--result-field"
        )
    if options.retry_failed and options.cache_path is None:
        raise click.BadParameter("there is no cache that says what failed", param_hint="--retry-failed")
    if options.retry_failed and options.restart:
        raise click.BadParameter("--restart does everything again", param_hint="--retry-failed")
    for value, option in ((options.ray_address, "--ray-address"), (options.actors, "--actors")):
        if value is not None and options.engine != "ray":
            raise click.BadParameter("it is for --engine ray", param_hint=option)
    for name in ("log", "summary", "report"):
        path = getattr(options, name)
        if path is not None and not Path(path).parent.is_dir():
            raise click.BadParameter(f"there is no folder {Path(path).parent}", param_hint=f"--{name}")
    _check_out(options)


OTHER_FORMATS = (".csv", ".tsv", ".json", ".xlsx", ".txt", ".html", ".docx", ".pdf")
"""Names that promise what a batch does not write."""


def _check_out(options: BatchOptions) -> None:
    from service.batch.compression import inner_suffix

    if options.out == "-" or options.dry_run:
        return
    out = Path(options.out)
    if not out.parent.is_dir():
        raise click.BadParameter(f"there is no folder {out.parent}", param_hint="OUT")
    is_here = options.infile != "-" and scheme_of(options.infile) is None
    if is_here and out.exists() and out.samefile(options.infile):
        raise click.BadParameter("OUT is IN", param_hint="OUT")
    if inner_suffix(out.name) in OTHER_FORMATS:
        raise click.BadParameter(
            f"{out} would be JSON lines or Parquet: call it {out.stem}.jsonl or {out.stem}.parquet",
            param_hint="OUT",
        )
    if out.exists() and not (options.overwrite or options.retry_failed):
        raise click.BadParameter(f"{out} exists; --overwrite replaces it", param_hint="OUT")
