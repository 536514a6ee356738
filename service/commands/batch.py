"""`dragoman batch`: a file of many articles, through to the end, whatever interrupts it."""

import importlib.metadata
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import click

from service.commands.options import (
    summary_options,
    summary_request,
    translation_options,
    translation_request,
)
from service.commands.session import Session, count, note

if TYPE_CHECKING:
    from service.batch.part import Sink
    from service.batch.run import Totals
    from service.batch.work import Work
    from service.runtime import Runtime

F = TypeVar("F", bound=Callable[..., Any])

TAKEN_FIELDS = ("id", "text", "html", "error", "record")

SOME_FAILED = 3
"""The exit code of a run that came to its end with error records in its output."""

_FILES = (
    click.argument("infile", metavar="IN", type=click.Path(exists=True, dir_okay=False, allow_dash=True)),
    click.argument("out", metavar="OUT", type=click.Path(dir_okay=False, allow_dash=True)),
    click.option(
        "--result-field",
        metavar="NAME",
        default="result",
        show_default=True,
        help="The output's field for the result. No record may have a field of this name.",
    ),
    click.option("--restart", is_flag=True, help="Begin anew, even if an interrupted run could go on."),
    click.option("--overwrite", is_flag=True, help="Replace OUT if it exists."),
)


@dataclass(frozen=True, slots=True)
class Files:
    """Where a batch reads and writes, and what it may write over."""

    infile: str
    out: str
    result_field: str
    restart: bool
    overwrite: bool


def _files(command: F) -> F:
    for each in reversed(_FILES):
        command = each(command)
    return command


@click.group()
def batch() -> None:
    """Summarize or translate a file of many articles.

    IN is JSONL, one JSON object a line: `text` or `html`, perhaps `id`, and fields of its own. OUT has a line
    for each line of IN, in order: the record as it was, and a field `result` (what --json shows for one
    article, without timings) or a field `error` (type, message, field, line). A bad record never stops the
    run. `-` is standard input or output.

    Until all is done, OUT is called OUT.part. Interrupted in any way and started again, the same command goes
    on where it stopped, and the output is the same as of an unbroken run.

    \b
    Exit codes: 0  all records done
                1  stopped before the end; the same command goes on
                2  wrong usage, or an OUT.part of another run
                3  came to the end; some records are errors
    """


@batch.command(epilog="Example: dragoman batch summarize articles.jsonl summaries.jsonl --length short")
@_files
@summary_options
@click.pass_obj
def summarize(session: Session, /, **given: Any) -> int:
    """Summarize every record of IN into OUT."""
    from service.batch import preflight, work

    files, options = _split(given)
    request = summary_request(options)

    def prepare(runtime: "Runtime") -> "tuple[Work, dict[str, str]]":
        models = preflight.check_summary(runtime, request)
        return work.summarize(runtime.summarizer.steps, request, files.result_field), models

    return _batch(session, files, {"task": "summarize", "parameters": options}, prepare)


@batch.command(epilog="Example: dragoman batch translate --to fr articles.jsonl french.jsonl")
@_files
@translation_options
@click.pass_obj
def translate(session: Session, /, **given: Any) -> int:
    """Translate every record of IN into OUT."""
    from service.batch import preflight, work

    files, options = _split(given)
    request = translation_request(options, "")

    def prepare(runtime: "Runtime") -> "tuple[Work, dict[str, str]]":
        models = preflight.check_translation(runtime, request)
        own = work.translate(
            runtime.translator.steps, request, files.result_field, article=options["article"]
        )
        return own, models

    return _batch(session, files, {"task": "translate", "parameters": options}, prepare)


def _split(given: dict[str, Any]) -> tuple[Files, dict[str, Any]]:
    """The files, and the task's own options."""
    names = Files.__dataclass_fields__
    files = Files(**{name: value for name, value in given.items() if name in names})
    return files, {name: value for name, value in given.items() if name not in names}


def _batch(
    session: Session,
    files: Files,
    asked: Mapping[str, Any],
    prepare: "Callable[[Runtime], tuple[Work, dict[str, str]]]",
) -> int:
    """Check what can be checked at once, load the models, run; returns the exit code."""
    _check(files)
    with session.runtime() as runtime:
        with session.waiting("loading the models"):
            work, models = prepare(runtime)
        with _input(files.infile) as stream:
            job = {
                "dragoman": importlib.metadata.version("dragoman"),
                **asked,
                "result_field": files.result_field,
                "models": models,
                "settings": runtime.settings.model_dump(mode="json", include={"device", "max_batch_size"}),
                "input_bytes": _size(stream),
            }
            with _sink(files, job) as sink:
                totals = _run(runtime, work, stream, sink)
    out = "standard output" if files.out == "-" else files.out
    note(
        f"{out}: {count(totals.records, 'record')}, {count(totals.errors, 'error')}, "
        f"{totals.seconds:.1f} s, {totals.rate:.1f} records a second"
    )
    return SOME_FAILED if totals.errors else 0


def _check(files: Files) -> None:
    out = Path(files.out)
    if files.result_field in TAKEN_FIELDS:
        raise click.BadParameter(
            f"{files.result_field!r} has a meaning of its own", param_hint="--result-field"
        )
    if files.out == "-":
        return
    if not out.parent.is_dir():
        raise click.BadParameter(f"there is no folder {out.parent}", param_hint="OUT")
    if files.infile != "-" and out.exists() and out.samefile(files.infile):
        raise click.BadParameter("OUT is IN", param_hint="OUT")
    if out.exists() and not files.overwrite:
        raise click.BadParameter(f"{out} exists; --overwrite replaces it", param_hint="OUT")


@contextmanager
def _input(source: str) -> Iterator[BinaryIO]:
    if source == "-":
        yield sys.stdin.buffer
        return
    with Path(source).open("rb") as stream:
        yield stream


def _size(stream: BinaryIO) -> int | None:
    """The input's bytes; None for a pipe."""
    try:
        status = os.fstat(stream.fileno())
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


@contextmanager
def _sink(files: Files, job: Mapping[str, Any]) -> "Iterator[Sink]":
    from service.batch.part import Part, Stream

    if files.out == "-":
        yield Stream(sys.stdout.buffer)
        return
    with Part(Path(files.out), job, restart=files.restart) as part:
        yield part


def _run(runtime: "Runtime", work: "Work", stream: BinaryIO, sink: "Sink") -> "Totals":
    from service.batch.formats import JsonlReader
    from service.batch.part import Part
    from service.batch.progress import progress
    from service.batch.run import run

    resumable = isinstance(sink, Part)
    if done := sink.checkpoint.position.records:
        note(f"going on after the {count(done, 'record')} of an interrupted run")

    def run_all(tasks: "Sequence[Any]") -> "list[Any]":
        return runtime.run_all(tasks, wait=True)

    with progress(sink.checkpoint, _size(stream)) as view:
        try:
            return run(JsonlReader(stream), sink, work, run_all, view)
        except KeyboardInterrupt:
            finished = count(sink.checkpoint.position.records, "record")
            note(f"{finished} done" + ("; the same command goes on from there" if resumable else ""))
            raise
