"""`dragoman models`: what the catalog has, fetching it ahead of use, and checking its files."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from models.errors import DragomanError, InvalidInput, ModelUnavailable
from service.commands import machine
from service.commands.remote import ask, server_options
from service.commands.session import JSON, Session, note, write, write_json, write_table
from service.commands.sets import gigabytes, set_lines, set_rows

if TYPE_CHECKING:
    from rich.table import Table

    from models.entry import ModelEntry
    from service.runtime import Runtime

SHOWN_LANGUAGES = 8
"""A longer list is shown by its number."""

FIELDS = (
    "name",
    "family",
    "tasks",
    "languages",
    "licence",
    "max_source_tokens",
    "description",
    "bundled",
)


@click.group()
def models() -> None:
    """List, fetch and check the models of the catalog."""


@models.command("list", epilog="Example: dragoman models list --json")
@server_options
@JSON
@click.pass_obj
def list_models(session: Session, as_json: bool) -> None:
    """Show every model that can be used by its name, its size on this disk, and whether it is here.

    With --server, those of the server, and which of them are loaded.
    """
    rows = _servers(session) if session.server else _own(session)
    if as_json:
        write_json(rows)
        return
    write_table(_table(rows))
    if any(row.get("needs_download") for row in rows):
        note(
            "not pulled: it is fetched from the model hub by `dragoman models pull NAME`, or when first used"
        )


def _own(session: Session) -> list[dict[str, Any]]:
    from models.inventory import bytes_on_disk, is_prepared

    with session.runtime() as runtime:
        settings = runtime.settings
        defaults = {"summarize": settings.summarize_model, "translate": settings.translate_model}
        return [
            {
                **{field: getattr(entry, field) for field in FIELDS},
                "state": runtime.store.state(entry),
                "default_for": [task for task, name in defaults.items() if name == entry.name],
                "size_bytes": bytes_on_disk(runtime.store, entry),
                "prepared": is_prepared(runtime.store, entry),
                "needs_download": runtime.store.state(entry) == "not pulled",
            }
            for entry in runtime.catalog.entries
        ]


def _servers(session: Session) -> list[dict[str, Any]]:
    from service.schemas.models import ModelList

    found = ask(session, "/v1/models", None, ModelList)
    return [
        {**model.model_dump(), "state": "loaded" if model.loaded else "not loaded"} for model in found.models
    ]


@models.command(epilog="Example: dragoman models sets")
@JSON
@click.pass_obj
def sets(session: Session, as_json: bool) -> None:
    """Show the sets of models, what each takes, and which of them suits this machine."""
    with session.runtime() as runtime:
        rows = set_rows(runtime.catalog, runtime.settings.models)
    if as_json:
        write_json(rows)
    else:
        write("\n\n".join(map(set_lines, rows)))


@models.command(epilog="Example: dragoman models pull good; dragoman models pull Helsinki-NLP/opus-mt-en-fr")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--pairs", metavar="PAIRS", help="Of a set with a model a pair, those to fetch: en-fr,fr-en.")
@click.pass_obj
def pull(session: Session, names: Sequence[str], pairs: str | None) -> int:
    """Fetch sets or models, or put bundled ones together, and print the revision of each.

    The revision is kept: that one is used from then on. What was broken off goes on where it was. Exit code 1
    if one could not be had.
    """
    failed = False
    with session.runtime() as runtime:
        wanted = {each.name: each for name in names for each in _entries(runtime, name, pairs)}
        for entry in wanted.values():
            try:
                with session.fetching(entry.name) as tell:
                    revision = runtime.store.pull(entry, tell)
            except DragomanError as error:
                failed = True
                note(f"error: {error.placed if isinstance(error, ModelUnavailable) else error.message}")
            else:
                write(f"{entry.name} {revision}")
                if entry.caution and not entry.bundled:
                    note(f"note: {entry.caution}")
    return int(failed)


def _entries(runtime: "Runtime", name: str, pairs: str | None) -> list["ModelEntry"]:
    """The models of a set, after telling how much they are, or the one of this name."""
    from models.sets import load_sets

    if (chosen := load_sets().get(name)) is None:
        return [_entry(runtime, name)]
    chosen = chosen.here(runtime.settings.device)
    entries = chosen.entries(runtime.catalog, pairs.split(",") if pairs else ())
    left = sum(entry.download_mb for entry in entries if runtime.store.state(entry) == "not pulled") * 10**6
    free = machine.free_bytes(runtime.settings.cache_dir)
    if left > free:
        raise ModelUnavailable(
            f"{name} needs about {gigabytes(left)} more, and the cache's disk has {gigabytes(free)} free"
        )
    if left:
        note(f"{name}: about {gigabytes(left)} to fetch; the disk has {gigabytes(free)} free")
    return entries


@models.command(epilog="Example: dragoman models check")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@JSON
@click.pass_obj
def check(session: Session, names: Sequence[str], as_json: bool) -> int:
    """Verify the files of models: those named, or all that are here.

    Exit code 1 if anything is wrong.
    """
    with session.runtime() as runtime:
        entries = [_entry(runtime, name) for name in names] or [
            entry for entry in runtime.catalog.entries if runtime.store.state(entry) == "ready"
        ]
        with session.waiting("checking"):
            problems = {entry.name: runtime.store.check(entry) for entry in entries}
    if as_json:
        write_json(problems)
    else:
        write("\n".join(f"{name}: {'; '.join(found) or 'sound'}" for name, found in problems.items()))
    return int(any(problems.values()))


def _entry(runtime: "Runtime", name: str) -> "ModelEntry":
    entry = runtime.catalog.get(name)
    if entry.is_pattern:
        raise InvalidInput(
            f"{name} stands for one model a language pair",
            field="NAME",
            allowed=f"a pair, such as {name.replace('*', 'en-fr')}",
        )
    return entry


def _table(rows: Sequence[dict[str, Any]]) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("name", no_wrap=True)
    for title in ("tasks", "languages", "licence", "default for", "size", "state"):
        table.add_column(title, justify="right" if title == "size" else "left")
    for row in rows:
        table.add_row(
            row["name"],
            ", ".join(row["tasks"]),
            _languages(row["languages"]),
            row["licence"],
            ", ".join(row["default_for"]),
            _size(row.get("size_bytes")),
            _state(row),
        )
    return table


def _languages(languages: Sequence[str]) -> str:
    if not languages:
        return "any"
    return " ".join(languages) if len(languages) <= SHOWN_LANGUAGES else f"{len(languages)} languages"


def _state(row: dict[str, Any]) -> str:
    if not row["bundled"] or "prepared" not in row:
        return str(row["state"])
    return "bundled" if row["prepared"] else "bundled, put together at its first use"


def _size(size_bytes: int | None) -> str:
    return "" if size_bytes is None else f"{size_bytes / 1e6:,.0f} MB"
