"""`dragoman batch`: many articles, through to the end, whatever interrupts it."""

import gc
import hashlib
import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from models.errors import ModelUnavailable
from service.commands.batch_options import BatchOptions, batch_options, split
from service.commands.batch_places import brought_here
from service.commands.options import (
    summary_options,
    translation_options,
    translation_request,
)
from service.commands.session import Session, count, note, write_json
from service.commands.source import tells_formats

if TYPE_CHECKING:
    from models.better import Betters
    from models.entry import ModelEntry
    from models.loading import Store
    from service.batch.job import BatchJob, Estimate, How, MakeDoer, Where
    from service.batch.task import Task
    from service.runtime import Runtime

SOME_FAILED = 3
"""The exit code of a run that came to its end with error records in its output."""

TOO_MANY_FAILED = 4
"""The exit code of a run that stopped at --max-errors."""

EXAMPLES = """\b
Examples: dragoman batch summarize articles.jsonl summaries.jsonl --length short
          dragoman batch translate --to fr articles.jsonl french.jsonl
"""


@tells_formats
@click.group(epilog=EXAMPLES)
def batch() -> None:
    """Summarize or translate many articles.

    IN is JSON lines, CSV or TSV (the first row has the names), or Parquet, as its name tells; or a folder, of
    which every file ({FORMATS}) is a record, with its path as `id`. A record has
    `text` or `html`, perhaps `id`, and fields of its own. OUT is JSON lines, or Parquet if it is called so.
    Names that end with .gz or .zst are compressed. `-` is standard input or output, as JSON lines.

    IN, OUT, --summary and --report may be at s3://, gs:// or hf://, and IN at https:// (the extra
    `remote`). What is written appears there when it is whole; until then it is kept in this machine's cache,
    and so is OUT.cache.

    OUT has a line for each record, in order: the record as it was, and a field `result` (what --json shows
    for one article, without timings) or a field `error` (type, message, field, line). In Parquet the columns
    are `id`, `record` and `result` (both as JSON), `text` (the summary or translation) and `error`. A bad
    record never stops the run.

    Until all is done, OUT is called OUT.part. Every result is kept in OUT.cache by its text, the model and
    its revision, and the options that touch it. So the same command, started again after whatever
    interruption, does only what is not done, and its output is to the byte that of an unbroken run; with
    other options, or a changed IN, only what that touches is done again. --forget removes the cache at the
    end.

    \b
    Exit codes: 0  all records done
                1  stopped before the end; the same command goes on
                2  wrong usage
                3  came to the end; some records are errors
                4  stopped because more records are errors than --max-errors allows
    """


@batch.command(epilog="Example: dragoman batch summarize articles.jsonl summaries.jsonl --length short")
@batch_options
@summary_options
@click.pass_obj
def summarize(session: Session, /, **given: Any) -> int:
    """Summarize every record of IN into OUT."""
    from models.summarize.summarizer import SummaryRequest
    from service.batch.task import Task

    options, own = split(given)
    return _batch(session, options, Task("summarize", SummaryRequest(**own), own))


@batch.command(epilog="Example: dragoman batch translate --to fr articles.jsonl french.jsonl")
@batch_options
@translation_options
@click.pass_obj
def translate(session: Session, /, **given: Any) -> int:
    """Translate every record of IN into OUT."""
    from service.batch.task import Task

    options, own = split(given)
    pairs = own.pop("remembered")
    request = translation_request(own, "")
    if pairs:
        own["memory"] = hashlib.sha256(repr(pairs).encode()).hexdigest()
    return _batch(session, options, Task("translate", request, own, tuple(pairs)))


def _batch(session: Session, options: BatchOptions, task: "Task") -> int:
    """Check what can be checked at once, load the models, run; returns the exit code."""
    with brought_here(session, options) as here:
        return _batch_here(session, here, task)


def _batch_here(session: Session, options: BatchOptions, task: "Task") -> int:
    by_ray = options.engine == "ray" and not options.dry_run
    if by_ray:
        from service.batch.ray.environment import prepare

        prepare(local=options.ray_address is None)
    from models.translate.route import cautions
    from service.batch.job import BatchJob
    from service.batch.processes import text_processes
    from service.work.outputs import OutputKeys

    given, marks = _better(session, options, task)
    with session.runtime(**given) as runtime:
        count = 1
        if not by_ray and not options.dry_run:
            count = text_processes(runtime.settings, runtime.device, writes=task.writes(runtime))
        if count > 1 or (runtime.device == "cuda" and not by_ray):
            runtime.part_engines()
        with session.waiting("loading the models"):
            models = task.models(runtime, load=not by_ray)
        gc.collect()
        gc.freeze()  # what is loaded stays: a collector that walks it took an eighth of all text work
        told = {"dragoman": importlib.metadata.version("dragoman"), **task.told(), "models": models}
        if found := cautions(runtime.pool, [runtime.catalog.get(name) for name in models]):
            told["cautions"] = list(found)
        for each in found:
            note(f"note: {each}")
        where, how = _settings(options, "cpu" if by_ray else runtime.device)
        make_doer: MakeDoer | None = None
        if by_ray:
            make_doer = _by_ray(session.opener(**given), options, task, models, session.settings().device)
        elif count > 1:
            make_doer = _by_processes(session.opener(**given), options, task, runtime.part_engines(), count)
        job = BatchJob(where, how, task.work(runtime), told, OutputKeys(runtime), make_doer, marks)
        if options.dry_run:
            with session.waiting("looking through the input"):
                estimate = job.estimate(runtime.detector)
            return _show(estimate)
        return _run(job, options)


def _better(session: Session, options: BatchOptions, task: "Task") -> tuple[dict[str, Any], list[str]]:
    """Have the better models that the set `auto` takes here, before the run begins.

    Returns settings by which the run takes these and no others, and marks for its cache: a run that goes on
    takes what it began with, whatever is here by then.
    """
    from models.catalog import Catalog
    from models.languages import Languages
    from models.loading import Store
    from models.sets import load_sets
    from service.runtime import betters

    own = {"models": options.models} if options.models else {}
    settings = session.settings(**own)
    if not load_sets()[settings.models].betters:
        return own, []
    languages = Languages.load()
    catalog = Catalog.load(languages, settings.catalog)
    known = betters(settings, catalog)
    groups = [group for group in task.better(known, languages) if group]
    if not groups:
        return {"models": "bundled"}, []
    store = Store(settings.cache_dir, offline=settings.offline)
    begun_with = _begun_with(options, groups)
    if begun_with is None:
        entries = _found(session, known, groups, store, ask=not options.dry_run)
    else:
        entries = [entry for group in groups for entry in group if entry.name in begun_with]
        for entry in entries:
            _fetch(session, entry, store)
    marks = [_mark(groups), *(_mark(groups, entry) for entry in entries)]
    if not entries:
        note(
            "note: this run is done by the bundled models"
            + (", with which it began; --restart begins anew" if begun_with is not None else "")
        )
        return {"models": "bundled"}, marks
    named = [model] if (model := task.given.get("model")) else []
    return {"models": settings.models, "allow_models": (*named, *(entry.name for entry in entries))}, marks


def _begun_with(options: BatchOptions, groups: "Sequence[Sequence[ModelEntry]]") -> set[str] | None:
    """Return the better models that an earlier run over this cache took; None if there was none."""
    from service.batch.store import ResultStore

    if options.restart or options.cache_path is None or not options.cache_path.exists():
        return None
    with ResultStore(options.cache_path) as store:
        if not store.number(_mark(groups)):
            return None
        return {each.name for group in groups for each in group if store.number(_mark(groups, each))}


def _mark(groups: "Sequence[Sequence[ModelEntry]]", entry: "ModelEntry | None" = None) -> str:
    """Return the name by which a run's cache keeps that it chose among these models, or took this one."""
    among = " | ".join(", ".join(each.name for each in group) for group in groups)
    return f"auto of {among}" if entry is None else f"auto of {among}: {entry.name}"


def _found(
    session: Session, known: "Betters", groups: "Sequence[Sequence[ModelEntry]]", store: "Store", *, ask: bool
) -> "list[ModelEntry]":
    """Return the best model of each group, fetched; none where no hub answers, or where there is no room."""
    from models import better, hub

    is_asked = ask and not store.offline and hub.answers(better.ASK_S) is not None
    entries = []
    for group in groups:
        if (entry := better.found(known, group, store, ask=is_asked)) is None:
            continue
        try:
            disk_left = partial(better.free_disk, store.cache)
            better.require_room(entry, store, memory_left=better.free_memory, disk_left=disk_left)
        except ModelUnavailable as error:
            note(f"note: {error.message}")
            continue
        _fetch(session, entry, store)
        entries.append(entry)
    return entries


def _fetch(session: Session, entry: "ModelEntry", store: "Store") -> None:
    if store.state(entry) == "ready":
        return
    size, licence = f"about {entry.download_mb} MB", f"licence {entry.licence}"
    note(f"fetching {entry.name} ({size}, {licence}); --models bundled does without")
    with session.fetching(entry.name) as tell:
        store.pull(entry, tell)


def _by_ray(
    opener: "Callable[..., Runtime]",
    options: BatchOptions,
    task: "Task",
    models: Mapping[str, str],
    device: str,
) -> "MakeDoer":
    from service.batch.ray.doer import ray_doer
    from service.batch.task import Order

    order = Order(opener, task, models, options.record_timeout)
    return partial(
        ray_doer,
        order,
        address=options.ray_address,
        count=options.actors,
        device=device,
    )


def _by_processes(
    opener: "Callable[..., Runtime]", options: BatchOptions, task: "Task", engines: Path, count: int
) -> "MakeDoer":
    from service.batch.processes import TextProcesses
    from service.batch.task import Order

    order = Order(opener, task, {}, options.record_timeout)
    return partial(TextProcesses, order, engines, count=count)


def _run(job: "BatchJob", options: BatchOptions) -> int:
    from service.batch.run import TooManyErrors

    try:
        tally = job.run()
    except TooManyErrors as error:
        note(f"error: {error.message}")
        return TOO_MANY_FAILED
    except KeyboardInterrupt:
        if options.cache_path is not None:
            note("what is done is kept; the same command goes on from there")
        raise
    out = "standard output" if options.out == "-" else options.shown_out or options.out
    there = f", {count(tally.found, 'result')} there already" if tally.found else ""
    note(
        f"{out}: {count(tally.records, 'record')}, {count(tally.errors, 'error')}, {tally.made:,} made in "
        f"{tally.seconds:.1f} s ({tally.rate():.1f} a second){there}"
    )
    for kind, each in tally.errors_by_kind.items():
        note(f"  {each.records:,} {kind}, as in line {each.line:,}: {each.message}")
    if tally.left_out:
        files = ", ".join(f"{number:,} {suffix}" for suffix, number in sorted(tally.left_out.items()))
        note(f"  files left out: {files}")
    return SOME_FAILED if tally.errors else 0


def _show(estimate: "Estimate") -> int:
    """A dry run's findings: numbers on standard output, the time in words beside them."""
    from service.batch.progress import duration

    seconds, rate = estimate.seconds, estimate.characters_per_s
    by = "a sample" if estimate.measured else "the last run"
    figures = {
        **estimate.survey.as_json(),
        "characters_per_s": None if rate is None else round(rate, 1),
        "rate_of": by if rate else None,
        "seconds": None if seconds is None else round(seconds, 1),
    }
    write_json(figures)
    if seconds is not None:
        note(f"about {duration(seconds)}, at the rate of {by} ({rate:,.0f} characters a second)")
    return 0


def _settings(options: BatchOptions, device: str) -> "tuple[Where, How]":
    from service.batch.job import How, Where
    from service.batch.run import RowNames

    fields = options.field_names()
    where = Where(
        options.infile,
        options.out,
        options.input_format,
        options.cache_path,
        _path(options.log),
        _path(options.summary),
        _path(options.report),
    )
    omitted = tuple(name for name in (fields.text, fields.html) if name is not None)
    how = How(
        fields,
        RowNames(options.result_field, fields.id, omitted if options.omit_text else ()),
        restart=options.restart,
        forget=options.forget,
        retry_failed=options.retry_failed,
        max_errors=options.max_errors,
        record_timeout_s=options.record_timeout,
        memory=options.memory,
        device=device,
    )
    return where, how


def _path(given: str | None) -> Path | None:
    return None if given is None else Path(given)
