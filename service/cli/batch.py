"""`dragoman batch`: summarize or translate many articles; the same command resumes an interrupted run."""

import gc
import hashlib
import importlib.metadata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from models.errors import ModelUnavailable
from service.batch.options import BatchOptions
from service.batch.remote import scheme_of, shown
from service.cli.batch_options import batch_options, check, split
from service.cli.inputs import tells_formats
from service.cli.options import TaskCommand, task_options
from service.cli.session import Session, count, note, write_json

if TYPE_CHECKING:
    from models.better import Betters
    from models.catalog import ModelEntry
    from models.store import Store
    from service.batch.progress import Tally
    from service.batch.run import BatchRun, MakeExecutor
    from service.batch.survey import Survey
    from service.batch.task import Task

SOME_FAILED = 3
"""Exit code: the run was completed, and some records failed."""

TOO_MANY_FAILED = 4
"""Exit code: the run stopped at --max-errors."""

EXAMPLES = """\b
Examples: dragoman batch summarize articles.jsonl summaries.jsonl --length short
          dragoman batch translate --to fr articles.jsonl french.jsonl
"""


@tells_formats
@click.group(epilog=EXAMPLES)
def batch() -> None:
    """Summarize or translate many articles.

    IN is JSON Lines, CSV or TSV (the first row names the fields) or Parquet, by its name; or a folder, of
    which every file ({FORMATS}) is a record, with its path as `id`. A record has
    `text` or `html`, and any other fields. OUT is JSON Lines, Parquet if its name ends in .parquet, or for a
    CSV or TSV file another one. Files ending in .gz or .zst are read and written compressed. `-` is standard
    input or output, as JSON Lines.

    IN, OUT, --summary and --report can be URLs: s3://, gs:// or hf://, and for IN https:// too (with the
    extra `remote`). What is written appears there once it is complete; until then it is in this machine's
    cache, as is OUT.cache.

    OUT has a line for each record, in order: the record, with a field `result` (what --json prints for one
    article, without timings) or a field `error` (type, message, field, line). In Parquet the columns are
    `id`, `record` and `result` (both as JSON), `text` (the summary or translation) and `error`. In CSV and
    TSV they are those of IN, `result` (the summary or translation), `flags` (their kinds) and `error` (the
    message). A bad record never stops the run.

    While it is written, OUT is called OUT.part. Every result is stored in OUT.cache under its text, the model
    and its revision, and the options that affect it. To resume an interrupted run, start the same command
    again: it does only what is missing, and its output is byte for byte that of an uninterrupted run. After
    a change of options or of IN, it redoes only what the change affects. --forget removes the cache at the
    end.

    \b
    Exit codes: 0  all records done
                1  stopped early; the same command resumes
                2  wrong usage
                3  completed; some records failed
                4  stopped because more than --max-errors records failed
                130  interrupted; the same command resumes
    """


@batch.command(
    cls=TaskCommand,
    task="summarize",
    epilog="Example: dragoman batch summarize articles.jsonl summaries.jsonl --length short",
)
@batch_options
@click.pass_obj
def summarize(session: Session, /, **given: Any) -> int:
    """Summarize every record of IN into OUT."""
    from service.batch.task import Task
    from service.options import SummaryOptions
    from service.tasks import request_maker

    options, own = split(given)
    asked = task_options(SummaryOptions, own)
    return _do(session, options, Task("summarize", request_maker(asked)(), asked.model_dump(mode="json")))


@batch.command(
    cls=TaskCommand,
    task="translate",
    epilog="Example: dragoman batch translate --to fr articles.jsonl french.jsonl",
)
@batch_options
@click.pass_obj
def translate(session: Session, /, **given: Any) -> int:
    """Translate every record of IN into OUT."""
    from service.batch.task import Task
    from service.options import TranslationOptions
    from service.tasks import request_maker

    options, own = split(given)
    asked, pairs = task_options(TranslationOptions, own), own["remembered"]
    request = request_maker(asked)(text="", format=own["format"] or "text")
    told = asked.model_dump(mode="json", exclude={"memory", "partial"})
    told |= {"format": own["format"], "article": own["article"]}
    if pairs:
        told["memory"] = hashlib.sha256(repr(pairs).encode()).hexdigest()
    return _do(session, options, Task("translate", request, told, tuple(pairs)))


def _do(session: Session, options: BatchOptions, task: "Task") -> int:
    """Check the arguments, then the files, and run; returns the exit code."""
    from models.catalog import Catalog
    from models.languages import Languages
    from service.batch import preflight

    languages = Languages.load()
    catalog = Catalog.load(languages, session.settings().catalog, session.named_models)
    preflight.check_names(catalog, languages, task.request)
    with _local_files(session, options) as local:
        preflight.check_fields(local)
        return _run_batch(session, local, task)


def _run_batch(session: Session, options: BatchOptions, task: "Task") -> int:
    """Load the models and run, with files of this machine; returns the exit code."""
    by_ray = options.engine == "ray" and not options.dry_run
    if by_ray:
        from service.batch.executor import prepare_ray

        prepare_ray(local=options.ray_address is None)
    from models.translate.route import cautions
    from service.batch import preflight
    from service.batch.processes import TextProcesses, text_processes
    from service.batch.run import BatchRun
    from service.batch.task import WorkerSpec

    given, marks = _better(session, options, task)
    with session.runtime(**given) as runtime:
        count = cards = 1
        if runtime.device == "cuda" and not by_ray:
            cards = len(runtime.part_engines())
        if not by_ray and not options.dry_run:
            writes = task.writes(runtime)
            count = text_processes(runtime.settings, runtime.device, writes=writes, cards=cards)
        if count > 1:
            runtime.part_engines()
        with session.waiting("loading the models"):
            models = preflight.check(runtime, task.request, load=not by_ray)
        gc.collect()
        gc.freeze()  # what is loaded stays: a collector that walks it took an eighth of all text work
        told: dict[str, Any] = {
            "dragoman": importlib.metadata.version("dragoman"),
            "task": task.name,
            "parameters": task.given,
            "models": models,
        }
        if found := cautions(runtime.pool, [runtime.catalog.get(name) for name in models]):
            told["cautions"] = list(found)
        for each in found:
            note(f"note: {each}")
        make_executor: MakeExecutor | None = None
        if by_ray:
            from service.batch.ray_executor import ray_executor

            spec = WorkerSpec(session.opener(**given), task, models, options.record_timeout_s)
            device = session.settings().device
            make_executor = partial(
                ray_executor, spec, address=options.ray_address, count=options.actors, device=device
            )
        elif count > 1:
            spec = WorkerSpec(session.opener(**given), task, {}, options.record_timeout_s)
            make_executor = partial(TextProcesses, spec, runtime.part_engines(), count=count)
        run_device = "cpu" if by_ray else runtime.device
        run = BatchRun(options, task.work(runtime), told, make_executor, marks, device=run_device)
        if options.dry_run:
            with session.waiting("reading the input"):
                surveyed = run.survey(runtime.detector)
            return _show(surveyed)
        return _run(run, options)


def _better(session: Session, options: BatchOptions, task: "Task") -> tuple[dict[str, Any], list[str]]:
    """Have the better models that the set `auto` takes here, before the run begins.

    Returns settings by which the run takes these and no others, and marks for its cache: a run that goes on
    takes what it began with, whatever is here by then.
    """
    from models.catalog import Catalog, load_sets
    from models.languages import Languages
    from models.store import Store
    from service.batch import preflight
    from service.runtime import betters

    own = {"models": options.models} if options.models else {}
    settings = session.settings(**own)
    if not load_sets()[settings.models].betters:
        return own, []
    languages = Languages.load()
    catalog = Catalog.load(languages, settings.catalog)
    known = betters(settings, catalog)
    groups = [group for group in preflight.better(known, languages, task.request) if group]
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
            "note: this run uses the bundled models"
            + (", as it began with them; --restart starts over" if begun_with is not None else "")
        )
        return {"models": "bundled"}, marks
    named = [model] if (model := task.given.get("model")) else []
    return {"models": settings.models, "allow_models": (*named, *(entry.name for entry in entries))}, marks


def _begun_with(options: BatchOptions, groups: "Sequence[Sequence[ModelEntry]]") -> set[str] | None:
    """Return the better models that an earlier run over this cache took; None if there was none."""
    from service.store.batch_cache import BatchCache

    if options.restart or options.cache_path is None or not options.cache_path.exists():
        return None
    with BatchCache(options.cache_path) as cache:
        if not cache.number(_mark(groups)):
            return None
        return {each.name for group in groups for each in group if cache.number(_mark(groups, each))}


def _mark(groups: "Sequence[Sequence[ModelEntry]]", entry: "ModelEntry | None" = None) -> str:
    """Return the name by which a run's cache keeps that it chose among these models, or took this one."""
    among = " | ".join(", ".join(each.name for each in group) for group in groups)
    return f"auto of {among}" if entry is None else f"auto of {among}: {entry.name}"


def _found(
    session: Session, known: "Betters", groups: "Sequence[Sequence[ModelEntry]]", store: "Store", *, ask: bool
) -> "list[ModelEntry]":
    """Return the best model of each group, fetched; none where no hub answers, or where there is no room."""
    from models import better, hub

    is_asked = ask and not store.offline and hub.silence() is None
    entries = []
    for group in groups:
        if (entry := better.found(known, group, store, ask=is_asked)) is None:
            continue
        try:
            better.require_room(entry, store)
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


def _run(run: "BatchRun", options: BatchOptions) -> int:
    from models.translate.confidence import likely_right
    from service.batch.run import TooManyErrors

    try:
        tally = run.run()
    except TooManyErrors as error:
        note(f"error: {error.message}")
        return TOO_MANY_FAILED
    except KeyboardInterrupt:
        if options.cache_path is not None:
            note("results are stored; the same command resumes")
        raise
    out = "standard output" if options.out == "-" else options.shown_out or options.out
    if tally.sentences:
        note(likely_right(tally.likely_right, tally.sentences))
    there = f", {count(tally.found, 'result')} there already" if tally.found else ""
    note(
        f"{out}: {count(tally.records, 'record')}, {count(tally.errors, 'error')}, {tally.made:,} made in "
        f"{tally.seconds:.1f} s ({tally.rate():.1f} a second){there}; {_flags(tally)}"
    )
    rows = [("records", "first", "type", "message"), *tally.causes_table()]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for number, *first, message in rows if tally.causes else ():
        cells = [number.rjust(widths[0]), *map(str.ljust, first, widths[1:]), message]
        note("  " + "  ".join(cells))
    if tally.left_out:
        files = ", ".join(f"{number:,} {suffix}" for suffix, number in sorted(tally.left_out.items()))
        note(f"  files skipped: {files}")
    return SOME_FAILED if tally.errors else 0


def _flags(tally: "Tally") -> str:
    """Return the counts of the checks' flags and of doubtful sentences, in words."""
    from service.tasks import DOUBTFUL

    doubtful = tally.flags[DOUBTFUL]
    told = count(tally.flags.total() - doubtful, "flag")
    return f"{told}, {count(doubtful, 'doubtful sentence')}" if doubtful else told


def _show(found: "Survey") -> int:
    """Print what a dry run found: numbers on standard output, the time in words beside them."""
    from service.batch.progress import duration

    write_json(found.as_json())
    if found.seconds is not None:
        rate = f"the rate of {found.rate_of} ({found.characters_per_s:,.0f} characters a second)"
        note(f"about {duration(found.seconds)} at {rate}")
    return 0


# ---------------------------------------------------------------------- addresses


@contextmanager
def _local_files(session: Session, options: BatchOptions) -> Iterator[BatchOptions]:
    """Check the options; yield them with files of this machine for all that is at an address.

    What is written is put at its address at the end, unless an error comes out of the context.
    """
    # made ready in this order, and put at their addresses in the opposite one, so that OUT is last
    names = ("out", "summary", "report")
    there = {name: url for name in names if (url := getattr(options, name)) and scheme_of(url)}
    is_remote = scheme_of(options.infile) is not None
    if not there and not is_remote:
        check(options)
        yield options
        return
    places = [options.infile, *there.values()]
    if twice := next((shown(url) for url in places if places.count(url) > 1), None):
        raise click.UsageError(f"{twice} is named twice")
    from service.batch.remote import staged

    batches = session.settings().cache_dir / "batches"
    with staged(batches, options.infile, options.out) as staging:
        here = replace(options, shown_out=shown(options.out))
        overwrite = options.overwrite or options.retry_failed
        for name, url in there.items():
            replaced = overwrite or name in ("summary", "report")
            place = staging.written(name, url, overwrite=replaced, check=not options.dry_run)
            here = replace(here, **{name: str(place)})  # type: ignore[arg-type]  # all three are strings
        check(here)
        if is_remote:
            note(f"fetching {shown(options.infile)}")
            with session.fetching("fetching IN") as hears:
                place = staging.fetched(options.infile, hears)
            if place.is_dir() and options.input_format is not None:
                raise click.BadParameter(f"{shown(options.infile)} is a folder", param_hint="IN")
            here = replace(here, infile=str(place))
        yield here
        if not options.dry_run:
            with session.waiting("uploading"):
                staging.put()
            staging.clear()
