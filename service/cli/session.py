"""What commands share: the settings, a runtime while they run, standard output and standard error.

The result goes to stdout in UTF-8, everything else to stderr.
"""

import json
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from models import cpu
from models.trim_memory import limit_arenas

if TYPE_CHECKING:
    from rich.table import Table

    from service.runtime import Runtime
    from service.settings import Settings
    from service.store.database import Database

INTERRUPTED = 130
"""The exit code after Ctrl-C."""

WIDE = 1000
"""Columns of a table that goes into a pipe or a file: enough for any row."""

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

OpenRuntime = Callable[["Settings"], "Runtime"]

QUIET = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
}
"""What keeps the libraries from talking; set before they are imported, and not over a user's own choice."""


def _open_runtime(settings: "Settings") -> "Runtime":
    from service.runtime import Runtime

    return Runtime(settings)


def _open_elsewhere(open_runtime: OpenRuntime, settings: Mapping[str, Any], **given: Any) -> "Runtime":
    prepare_process()
    from service.settings import Settings

    return open_runtime(Settings(**{**settings, **given}))


class Session:
    """One call of the program. `open_runtime` is what tests put in."""

    def __init__(self, open_runtime: OpenRuntime = _open_runtime):
        self._open_runtime = open_runtime
        self.debug = False
        self.named_models: list[str] = []
        """The models that the command line names."""
        self.allow_private = False
        """Whether addresses that are not public may be fetched."""

    def settings(self, **given: Any) -> "Settings":
        """The settings, with those of the command line over the environment's.

        Raises click.UsageError, naming the variable, its value and what is allowed.
        """
        from pydantic import ValidationError

        from service.settings import Settings
        from service.workers import select_card

        select_card()
        try:
            return Settings(**{name: value for name, value in given.items() if value is not None})
        except ValidationError as error:
            wrong = "; ".join(_setting_error(detail) for detail in error.errors())
            raise click.UsageError(f"in the environment, {wrong}") from error

    @contextmanager
    def runtime(self, **given: Any) -> Iterator["Runtime"]:
        """Everything that commands work with, by the settings; models are loaded when they are first used.

        Whoever has the command line may use every model of the catalog.
        """
        settings = self.settings(**{**self._all_models(), **given})
        with self.waiting("starting"):
            runtime = self._open_runtime(settings)
        try:
            yield runtime
        finally:
            runtime.close()

    @contextmanager
    def database(self) -> Iterator["Database"]:
        """What the service keeps, without what runs models."""
        from service.store.database import Database

        settings = self.settings()
        with closing(Database(settings.data_dir, settings.database)) as database:
            yield database

    def opener(self, **given: Any) -> Callable[..., "Runtime"]:
        """Opens the same runtime in another process, but for settings that are given; it can be pickled.

        Where things are kept there, that machine decides if nobody has said so here. What nobody has pinned
        is not pinned there either.
        """
        settings = self.settings(**{**self._all_models(), **given})
        unsaid = {"cache_dir", "data_dir", "summarize_model", "translate_model"}
        left_out = {"callback_secret", "database"} | (unsaid - settings.model_fields_set)
        return partial(_open_elsewhere, self._open_runtime, settings.model_dump(exclude=left_out))

    def _all_models(self) -> dict[str, Any]:
        return {"allow_models": ("*", *self.named_models)}

    @contextmanager
    def waiting(self, what: str) -> Iterator[Callable[[str], None]]:
        """Says on a terminal that something takes its time; yields a function that says something else."""
        if not sys.stderr.isatty():
            yield lambda _: None
            return
        from rich.console import Console

        with Console(stderr=True).status(f"{what} ...") as status:
            yield lambda now: status.update(f"{now} ...")

    @contextmanager
    def fetching(self, what: str) -> Iterator[Callable[[int, int], None]]:
        """Yields what is to be told the bytes that are here, and of how many; shown on a terminal."""
        if not sys.stderr.isatty():
            yield lambda _done, _total: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        text = TextColumn("{task.description}")
        columns = text, BarColumn(), DownloadColumn(), TimeRemainingColumn()
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(what, total=None)
            yield lambda done, total: progress.update(task, completed=done, total=total)


def keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    """An option's callback: the session keeps its value."""
    setattr(context.obj, str(parameter.name), value)


WAITING_THREADS = {"GOMP_SPINCOUNT": "1000", "OMP_WAIT_POLICY": "ACTIVE"}
"""How often OpenMP's threads look whether the others are done before they sleep. One sentence on two threads
(seconds alone, and beside one busy process): 0.38 and 0.26 if they do not look at all, 0.11 and 0.50 with
1,000 times, 0.10 and 3.06 with 20,000; libgomp's own 300,000 are worse. The policy makes that the number too
where there are more threads than processors, as when a model is loaded in one thread and used in others; else
it would be 100 then, and a sentence take 0.30 s."""


ARENAS = "MALLOC_ARENA_MAX"
"""The variable for what `limit_arenas` sets: one for each core, unless the user has set it."""


def prepare_process() -> None:
    """Set the libraries up, before they are imported: silent, and good neighbours to other threads."""
    for name, value in (QUIET | WAITING_THREADS).items():
        os.environ.setdefault(name, value)
    if ARENAS not in os.environ:
        number = cpu.whole(cpu.usable())
        os.environ[ARENAS] = str(number)  # for glibc in the processes that this one starts
        limit_arenas(number)
    warnings.simplefilter("ignore")
    logging.getLogger().addHandler(logging.NullHandler())


def write(text: str) -> None:
    """Put a result on stdout, in UTF-8 whatever the locale, with an end of line."""
    click.echo(text.encode(), nl=not text.endswith("\n"))


def write_json(found: object) -> None:
    """Put a result on stdout as JSON."""
    write(json.dumps(found, ensure_ascii=False, indent=2))


def write_table(table: "Table") -> None:
    """Put a table on stdout that fits the terminal; where there is none, as wide as it needs to be."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDE)
    with console.capture() as capture:
        console.print(table, markup=False)
    write("\n".join(line.rstrip() for line in capture.get().splitlines()))


def write_rows(rows: Sequence[Mapping[str, Any]], what: str, as_json: bool = False) -> None:
    """Put rows on stdout, as JSON or as a table whose head are their keys; tell that there are none."""
    if as_json:
        write_json(rows)
    elif rows:
        from rich.table import Table

        table = Table(*rows[0], box=None, pad_edge=False)
        for row in rows:
            table.add_row(*("" if value is None else str(value) for value in row.values()))
        write_table(table)
    else:
        note(f"no {what}")


def count(number: int, noun: str) -> str:
    """`1 record`, `2,000 records`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def note(text: str) -> None:
    """Tell the user something that is not the result."""
    click.echo(text, err=True)


def _setting_error(detail: Any) -> str:
    field = str(detail["loc"][0])
    names = [f"DRAGOMAN_{field.upper()}", field.upper()]
    name = next((name for name in names if os.environ.get(name) == detail["input"]), names[0])
    message = str(detail["msg"]).replace("Input should", "it should")
    return f"{name} is {detail['input']!r}: {message}"
