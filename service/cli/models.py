"""`dragoman models`: lists models and sets, downloads models ahead of use, checks their files."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from models.errors import DragomanError, InvalidInput, ModelUnavailable
from service.cli import machine
from service.cli.machine import gigabytes
from service.cli.session import JSON, Session, note, write, write_json, write_table

if TYPE_CHECKING:
    from rich.table import Table

    from models.catalog import Catalog, ModelEntry
    from models.inspection import Inspection
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
@JSON
@click.pass_obj
def list_models(session: Session, as_json: bool) -> None:
    """List every model of the catalog, with its size on disk and whether it is here."""
    with session.runtime() as runtime:
        settings = runtime.settings
        defaults = {"summarize": settings.summarize_model, "translate": settings.translate_model}
        rows: list[dict[str, Any]] = [
            {
                **{field: getattr(entry, field) for field in FIELDS},
                "state": runtime.store.state(entry),
                "default_for": [task for task, name in defaults.items() if name == entry.name],
                "size_bytes": runtime.store.bytes_on_disk(entry),
                "prepared": runtime.store.is_prepared(entry),
                "needs_download": runtime.store.state(entry) == "not pulled",
            }
            for entry in runtime.catalog.entries
        ]
    if as_json:
        write_json(rows)
        return
    write_table(_table(rows))
    if any(row["needs_download"] for row in rows):
        first = "without DRAGOMAN_OFFLINE, " if settings.offline else ""
        note(f"not pulled: {first}it is fetched by `dragoman models pull NAME`, or when it is first used")


@models.command(epilog="Example: dragoman models sets")
@JSON
@click.pass_obj
def sets(session: Session, as_json: bool) -> None:
    """List the sets of models, what each needs, and which one suits this machine."""
    with session.runtime() as runtime:
        rows = _set_rows(runtime.catalog, runtime.settings.models)
    if as_json:
        write_json(rows)
    else:
        write("\n\n".join(map(_set_lines, rows)))


def _set_rows(catalog: "Catalog", chosen: str) -> list[dict[str, Any]]:
    """Return each set with what it takes, in bytes."""
    from models.catalog import load_sets

    suits, found = machine.fitting(catalog).name, machine.memory()
    device = "cuda" if machine.gpus() else "cpu"
    return [
        {
            "name": each.name,
            "models": list(dict.fromkeys((here.summarize, here.translate))),
            "better": list(each.betters),
            "good_at": each.good_at,
            "device": each.device,
            "download_bytes": here.download_bytes(catalog),
            "cpu_memory_bytes": here.memory_bytes(catalog, "cpu"),
            "gpu_memory_bytes": each.memory_bytes(catalog, "cuda"),
            "suits": each.name == suits,
            "chosen": each.name == chosen,
        }
        for each in load_sets().values()
        for here in [each.on(device, found and found[0])]
    ]


def _set_lines(row: Mapping[str, Any]) -> str:
    """Return a set in some lines."""
    marks = [
        word for word, is_so in (("chosen", row["chosen"]), ("suits this machine", row["suits"])) if is_so
    ]
    cpu = f"{gigabytes(row['cpu_memory_bytes'])} of memory, or " if row["device"] == "any" else ""
    lines = [
        row["name"] + (f" ({', '.join(marks)})" if marks else ""),
        f"good at {row['good_at']}",
        ", ".join(row["models"]),
        *([f"as it suits requests, fetched then: {', '.join(row['better'])}"] if row["better"] else []),
        f"{gigabytes(row['download_bytes'])} to fetch; {cpu}{gigabytes(row['gpu_memory_bytes'])} of a GPU's",
    ]
    return "\n    ".join(lines)


@models.command(epilog="Example: dragoman models pull good; dragoman models pull Helsinki-NLP/opus-mt-en-fr")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--pairs", metavar="PAIRS", help="For a set with a model per pair: which pairs, en-fr,fr-en.")
@click.pass_obj
def pull(session: Session, names: Sequence[str], pairs: str | None) -> int:
    """Download sets or models, or build bundled ones, and print the revision of each.

    That revision is used from then on. After an interruption complete files are kept. Exit code 1 if a
    model is unavailable.
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
    """The models of a set, after telling their size, or the model of this name."""
    from models.catalog import load_sets

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


@models.command(epilog="Example: dragoman models check; dragoman models check facebook/m2m100_418M --json")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@JSON
@click.pass_obj
def check(session: Session, names: Sequence[str], as_json: bool) -> int:
    """Compare models with their catalog entries and verify their files: those named, or all that are here.

    For models that are named it prints everything it finds: family, positions, prompts and labels, search
    settings and their origin, a sentence as it is fed, what the vocabulary lacks of a news paragraph. A
    problem names the key of the catalog and its correct value; the exit code is then 1.
    """
    from models.inspection import inspect

    session.named_models += names
    with session.runtime() as runtime:
        entries = [_entry(runtime, name) for name in names] or _here(runtime)
        with session.waiting("checking"):
            found = [inspect(runtime.store, entry, runtime.languages, os.environ.get) for entry in entries]
    if as_json:
        write_json({each.name: asdict(each) for each in found})
    else:
        for each in found:
            write(f"{each.name}: {'; '.join(each.problems) or 'sound'}")
            for title, line in _findings(each) if names else ():
                write(f"  {title:<10} {line}")
    return int(any(each.problems for each in found))


def _here(runtime: "Runtime") -> list["ModelEntry"]:
    """The models that need no network, those of patterns too."""
    store, entries = runtime.store, runtime.catalog.entries
    pairs = [own for entry in entries if entry.is_pattern and not entry.path for own in store.pulled(entry)]
    return [entry for entry in entries if store.state(entry) == "ready"] + pairs


def _findings(found: "Inspection") -> Iterator[tuple[str, str]]:
    """What was found out about a model: titles, and a line for each."""
    sizes = ", ".join(f"{name} {_bytes(size)}" for name, size in found.files.items())
    if found.kind == "server":
        context = "tells no context" if found.positions is None else f"context {found.positions}"
        if found.files:
            yield "file", f"{found.origin} at {found.revision}: {sizes}; {found.model_type}, {context}"
        else:
            yield "server", f"{found.revision} at {found.origin}; {context}"
        yield "limits", f"max_source_tokens {found.max_source_tokens}, max_new_tokens {found.max_new_tokens}"
    elif found.origin:
        yield "files", f"{found.origin} at {found.revision}: {sizes}"
    if found.model_type and found.kind != "server":
        architectures = ", ".join(found.architectures) or "not named"
        yield "family", f"{found.family}; config.json: model_type {found.model_type}, {architectures}"
        yield "positions", _positions(found)
    for task, prompt in found.prompt.items():
        yield "prompt", f"{task}: {json.dumps(prompt, ensure_ascii=False)}"
    if (labels := found.labels) is not None:
        lacking = f"; none for {', '.join(labels.missing)}" if labels.missing else ""
        shown = (f"{pair} {label}" for pair, label in list(labels.by_direction.items())[:SHOWN_LANGUAGES])
        told = f"{labels.total - len(labels.missing)} of {labels.total} have a {labels.kind}{lacking}"
        yield "languages", "; ".join((told, *shown))
    for task, settings in found.search.items():
        fields = (f"{each.name} {_value(each.value)} ({each.source})" for each in settings)
        yield "search", f"{task}: {', '.join(fields)}"
    for fed in found.fed:
        pair = f" {fed.source}-{fed.target}" if fed.target else f" {fed.source}"
        label = f", label {fed.label}" if fed.label else ""
        yield "fed", f"{fed.task}{pair}{label}: {fed.text}"
        if fed.pieces:
            yield "", " ".join(f"{piece!r}:{number}" for piece, number in fed.pieces)
        if fed.rendered is not None:
            yield "", json.dumps(fed.rendered, ensure_ascii=False)
    if found.unknown:
        lacks = (
            f"{language} {lack.unknown} of {lack.pieces}"
            + (f" ({' '.join(lack.texts)})" if lack.texts else "")
            for language, lack in found.unknown.items()
        )
        yield "unknown", f"pieces of a news paragraph: {', '.join(lacks)}"
    for each in found.notes:
        yield "note", each


def _positions(found: "Inspection") -> str:
    known = "not in config.json" if found.positions is None else str(found.positions)
    tokenizer = f"; the tokenizer says {found.model_max_length}" if found.model_max_length else ""
    read = {
        "entailment": f"max_source_tokens {found.max_source_tokens}",
    }.get(found.kind, f"max_source_tokens {found.max_source_tokens}, max_new_tokens {found.max_new_tokens}")
    return f"{'relative, without a limit' if found.relative_positions else known}{tokenizer}; {read}"


def _value(value: Any) -> str:
    if isinstance(value, (tuple, list)) and len(value) > SHOWN_LANGUAGES:
        return f"{len(value)} ids"
    return json.dumps(value)


def _bytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 10**5 else f"{size / 1e3:,.1f} kB"


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
            _size(row["size_bytes"]),
            _state(row),
        )
    return table


def _languages(languages: Sequence[str]) -> str:
    if not languages:
        return "any"
    return " ".join(languages) if len(languages) <= SHOWN_LANGUAGES else f"{len(languages)} languages"


def _state(row: dict[str, Any]) -> str:
    if not row["bundled"]:
        return str(row["state"])
    return "bundled" if row["prepared"] else "bundled, put together at its first use"


def _size(size_bytes: int | None) -> str:
    return "" if size_bytes is None else f"{size_bytes / 1e6:,.0f} MB"
