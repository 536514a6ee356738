"""The options that batch commands share: input, output and execution."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from service.batch.options import BatchOptions
from service.batch.remote import CREDENTIALS, LIBRARIES, WRITTEN, scheme_of, shown
from service.cli.options import added


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
            self.fail(f"{shown(value)} does not name a file", param, ctx)
        return value


_FILE = _Place(dir_okay=False)
_WRITTEN = _Place(WRITTEN, dir_okay=False)

_IN = click.argument("infile", metavar="IN", type=_Place(tuple(LIBRARIES), allow_dash=True))
_OUT = click.argument("out", metavar="OUT", type=_Place(WRITTEN, dir_okay=False, allow_dash=True))

_RECORDS = (
    click.option(
        "--input-format",
        type=click.Choice(["jsonl", "csv", "tsv", "parquet"]),
        help="The format of IN, if its name does not tell.",
    ),
    click.option("--text-field", metavar="NAME", help="Field with the text, if not `text`."),
    click.option("--html-field", metavar="NAME", help="Field with the HTML, if not `html`."),
    click.option("--id-field", metavar="NAME", default="id", show_default=True, help="Field with the id."),
    click.option(
        "--result-field",
        metavar="NAME",
        default="result",
        show_default=True,
        help="Field of OUT for the result. No record may have a field of this name.",
    ),
    click.option("--omit-text", is_flag=True, help="Omit the records' text or HTML from OUT."),
)

_RUN = (
    click.option(
        "--models",
        metavar="SET",
        help="Set of models; else DRAGOMAN_MODELS, else auto: downloads better models than the bundled ones "
        "before the run begins. A resumed run keeps the models that it began with.",
    ),
    click.option(
        "--cache",
        metavar="FILE",
        type=_FILE,
        help="File for stored results, if not OUT.cache. Several runs can share one, one after another.",
    ),
    click.option("--forget", is_flag=True, help="Remove the cache when the run is completed."),
    click.option("--restart", is_flag=True, help="Empty the cache first and redo everything."),
    click.option("--overwrite", is_flag=True, help="Replace OUT if it exists."),
    click.option(
        "--retry-failed",
        is_flag=True,
        help="Redo only the records that failed, and rewrite OUT.",
    ),
    click.option(
        "--max-errors",
        metavar="N",
        type=click.IntRange(0),
        help="Stop when more records than this have failed.",
    ),
    click.option(
        "--record-timeout",
        "record_timeout_s",
        metavar="SECONDS",
        type=click.FloatRange(0, min_open=True),
        default=600.0,
        show_default=True,
        help="Time limit for a record.",
    ),
    click.option(
        "--reuse/--no-reuse",
        default=True,
        help="Process a sentence that occurs in several records once (the default), or each time.",
    ),
    click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="Work on this machine, or in Ray actors that each load the models. The output is the same.",
    ),
    click.option(
        "--ray-address",
        metavar="ADDRESS",
        help="Ray cluster that this machine belongs to: `auto` or HOST:PORT. By default Ray is started here "
        "for this run.",
    ),
    click.option(
        "--actors",
        metavar="N",
        type=click.IntRange(1),
        help="Number of Ray actors. By default one per GPU, or one per four CPU cores.",
    ),
    click.option("--log", metavar="FILE", type=_FILE, help="Append progress to FILE every ten seconds."),
    click.option(
        "--summary", metavar="FILE", type=_WRITTEN, help="Write the numbers of the run to FILE, as JSON."
    ),
    click.option(
        "--report", metavar="FILE", type=_WRITTEN, help="Write a report of the run to FILE, as HTML."
    ),
    click.option("--dry-run", is_flag=True, help="Survey IN and estimate the time; write nothing."),
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
        raise click.BadParameter(f"{options.result_field!r} is reserved", param_hint="--result-field")
    if options.retry_failed and options.cache_path is None:
        raise click.BadParameter("the cache has no record of what failed", param_hint="--retry-failed")
    if options.retry_failed and options.restart:
        raise click.BadParameter("--restart redoes everything", param_hint="--retry-failed")
    for value, option in ((options.ray_address, "--ray-address"), (options.actors, "--actors")):
        if value is not None and options.engine != "ray":
            raise click.BadParameter("needs --engine ray", param_hint=option)
    _check_out_name(options)
    for name in ("log", "summary", "report"):
        path = getattr(options, name)
        if path is not None and not Path(path).parent.is_dir():
            raise click.BadParameter(f"there is no folder {Path(path).parent}", param_hint=f"--{name}")
    if options.infile != "-" and scheme_of(options.infile) is None and not Path(options.infile).exists():
        raise click.BadParameter(f"there is no file {options.infile}", param_hint="IN")
    _check_out(options)


OTHER_FORMATS = (".json", ".xlsx", ".txt", ".html", ".docx", ".pdf")
"""Names that promise what a batch does not write."""


def _check_out_name(options: BatchOptions) -> None:
    from service.batch.readers import format_of, inner_suffix
    from service.batch.writers import DELIMITERS

    infile = options.infile if scheme_of(options.infile) is None else urlsplit(options.infile).path
    out, is_table = Path(options.out), (options.input_format or format_of(infile)) in ("csv", "tsv")
    suffix = inner_suffix(out.name)
    if suffix in OTHER_FORMATS or (suffix in DELIMITERS and not is_table):
        raise click.BadParameter(
            f"OUT is JSON Lines or Parquet, or CSV or TSV where IN is: call it {out.stem}.jsonl or "
            f"{out.stem}.parquet",
            param_hint="OUT",
        )


def _check_out(options: BatchOptions) -> None:
    if options.out == "-" or options.dry_run:
        return
    out = Path(options.out)
    if not out.parent.is_dir():
        raise click.BadParameter(f"there is no folder {out.parent}", param_hint="OUT")
    is_here = options.infile != "-" and scheme_of(options.infile) is None
    if is_here and out.exists() and out.samefile(options.infile):
        raise click.BadParameter("IN and OUT are the same file", param_hint="OUT")
    if out.exists() and not (options.overwrite or options.retry_failed):
        raise click.BadParameter(f"{out} exists; --overwrite replaces it", param_hint="OUT")
