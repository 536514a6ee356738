"""`dragoman glossary`, `memory` and `jobs`: what the HTTP interface stores in the database.

A running server may use it at the same time. `--key` says whose data is meant; without it, that of callers on
this machine who have no key.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

import click

from models.errors import DragomanError, InvalidInput
from service.cli.options import F, added, read_glossary, read_memory
from service.cli.session import JSON, Session, count, note, write, write_json, write_rows
from service.documents.formats import BINARY

if TYPE_CHECKING:
    from service.job_schemas import JobAnswer
    from service.store.database import Database
    from service.store.glossaries import Glossaries, Glossary
    from service.store.jobs import Job, JobStore
    from service.store.tmx import TmxPair
    from service.store.translation_memory import TranslationMemory

KEY = click.option(
    "--key",
    "key_id",
    metavar="ID",
    help="Id of the API key whose data it is (`dragoman keys list`); else the data stored without a key.",
)
_FILE = click.Path(exists=True, dir_okay=False)
_OUTPUT = click.Path(dir_okay=False, writable=True, path_type=Path)


def _pair(*, required: bool = False) -> Callable[[F], F]:
    """Return a decorator that adds the options for two languages."""
    return added(
        click.option("--from", "source", metavar="LANG", required=required, help="Language of the sources."),
        click.option(
            "--to", "target", metavar="LANG", required=required, help="Language of the translations."
        ),
    )


def _caller(database: "Database", key_id: str | None) -> str:
    """Return the name under which the owner's data is counted. Raises InvalidInput for an unknown key."""
    from service.shares import KEY as OF_KEY
    from service.shares import named
    from service.store.keys import Keys

    if key_id is not None:
        known = [key.id for key in Keys(database).all()]
        if key_id not in known:
            raise InvalidInput(f"unknown key id: {key_id[:100]!r}", field="--key", allowed=known)
    return named("127.0.0.1") if key_id is None else f"{OF_KEY}{key_id}"


# ---------------------------------------------------------------------- glossaries


@click.group()
def glossary() -> None:
    """List, show, add and remove stored glossaries.

    A request uses one by its id or name: `"glossary": "NAME"`.
    """


@contextmanager
def _glossaries(session: Session, key_id: str | None) -> Iterator["Glossaries"]:
    from models.languages import Languages
    from service.store.glossaries import Glossaries

    with session.database() as database:
        yield Glossaries(database, Languages.load()).of(key_id, _caller(database, key_id))


@glossary.command("list", epilog="Example: dragoman glossary list --key 5f0c9a1e")
@KEY
@JSON
@click.pass_obj
def list_glossaries(session: Session, key_id: str | None, as_json: bool) -> None:
    """List the glossaries, the oldest first."""
    with _glossaries(session, key_id) as own:
        write_rows([_glossary_row(each, as_json) for each in own.all()], "glossaries", as_json)


@glossary.command("show", epilog="Example: dragoman glossary show capitals > capitals.tsv")
@click.argument("name")
@_pair()
@KEY
@JSON
@click.pass_obj
def show_glossary(
    session: Session, name: str, source: str | None, target: str | None, key_id: str | None, as_json: bool
) -> None:
    """Print the entries of the glossary with this name or id, as tab-separated lines."""
    from service.store.glossary_files import write_tsv

    with _glossaries(session, key_id) as own:
        found = own.find(name)
        if as_json:
            from service.http.glossaries import render_glossary

            entries = [own.entries(found.id, pair.source, pair.target) for pair in found.pairs]
            write_json(render_glossary(found, entries).model_dump(mode="json"))
        else:
            if source is None or target is None:
                source, target = _only_pair(found, source, target)
            write(write_tsv(own.entries(found.id, source, target)))


@glossary.command("add", epilog="Example: dragoman glossary add capitals capitals.tsv --from en --to fr")
@click.argument("name")
@click.argument("entries", metavar="FILE", type=_FILE, callback=read_glossary)
@_pair(required=True)
@KEY
@click.pass_obj
def add_glossary(
    session: Session, name: str, entries: Mapping[str, str], source: str, target: str, key_id: str | None
) -> None:
    """Add the entries of a TSV or CSV file (by its name) to the glossary NAME, which is made if need be."""
    from service.store.glossaries import Dictionary

    dictionaries = [Dictionary(source, target, entries)]
    with _glossaries(session, key_id) as own:
        if any(name in (each.id, each.name) for each in own.all()):
            kept = own.update(own.find(name).id, dictionaries=dictionaries)
        else:
            kept = own.create(name, dictionaries)
    note(f"added {count(len(entries), 'term')} to the glossary {kept.name} ({kept.id})")


@glossary.command("remove", epilog="Example: dragoman glossary remove capitals")
@click.argument("name")
@KEY
@click.pass_obj
def remove_glossary(session: Session, name: str, key_id: str | None) -> None:
    """Remove the glossary with this name or id."""
    with _glossaries(session, key_id) as own:
        found = own.find(name)
        own.delete(found.id)
    note(f"removed the glossary {found.name} ({found.id})")


def _only_pair(found: "Glossary", source: str | None, target: str | None) -> tuple[str, str]:
    """Return the only pair of languages with what is given. Raises click.UsageError."""
    pairs = [(each.source, each.target) for each in found.pairs]
    meant = [pair for pair in pairs if source in (None, pair[0]) and target in (None, pair[1])]
    if len(meant) != 1:
        there = " or ".join(f"--from {pair[0]} --to {pair[1]}" for pair in pairs)
        raise click.UsageError(f"pass {there}")
    return meant[0]


def _glossary_row(each: "Glossary", as_json: bool) -> dict[str, Any]:
    if as_json:
        from service.http.glossaries import render_glossary

        return render_glossary(each).model_dump(mode="json")
    pairs = ", ".join(f"{pair.source} to {pair.target}: {pair.size:,}" for pair in each.pairs)
    created = each.created.isoformat(timespec="seconds")
    return {"id": each.id, "name": each.name, "terms": pairs, "created": created}


# ---------------------------------------------------------------------- the translation memory


@click.group()
def memory() -> None:
    """List, export, import and forget sentences of the translation memory.

    Translations over HTTP take them as they stand.
    """


@contextmanager
def _memory(session: Session, key_id: str | None) -> Iterator["TranslationMemory"]:
    from models.languages import Languages
    from service.store.translation_memory import TranslationMemory

    with session.database() as database:
        yield TranslationMemory(database, Languages.load()).of(key_id, _caller(database, key_id))


@memory.command("list", epilog="Example: dragoman memory list")
@KEY
@JSON
@click.pass_obj
def list_memory(session: Session, key_id: str | None, as_json: bool) -> None:
    """List the pairs of languages, and how many sentences each has."""
    with _memory(session, key_id) as own:
        rows = [{"from": each.source, "to": each.target, "sentences": each.size} for each in own.pairs()]
    write_rows(rows, "sentences", as_json)


@memory.command("export", epilog="Example: dragoman memory export memory.tmx --to fr")
@click.argument("file", required=False, type=_OUTPUT)
@_pair()
@KEY
@click.pass_obj
def export_memory(
    session: Session, file: Path | None, source: str | None, target: str | None, key_id: str | None
) -> None:
    """Write the sentences to FILE, or to standard output, as TMX."""
    from service.store.tmx import write_tmx

    with _memory(session, key_id) as own:
        text = "".join(write_tmx(own.sentences(source, target)))
    if file is None:
        write(text)
    else:
        file.write_text(text, "utf-8")


@memory.command("import", epilog="Example: dragoman memory import memory.tmx")
@click.argument("pairs", metavar="FILE", type=_FILE, callback=read_memory)
@KEY
@click.pass_obj
def import_memory(session: Session, pairs: "list[TmxPair]", key_id: str | None) -> None:
    """Add the sentences of a TMX file; a sentence that is there gets the file's translation."""
    with _memory(session, key_id) as own:
        note(f"added {count(own.add(pairs), 'sentence')}")


@memory.command("forget", epilog="Example: dragoman memory forget --text 'The talks go on.'")
@_pair()
@click.option("--text", metavar="SENTENCE", help="Only this sentence.")
@click.option("--all", "everything", is_flag=True, help="All sentences.")
@KEY
@click.pass_obj
def forget_memory(
    session: Session,
    source: str | None,
    target: str | None,
    text: str | None,
    everything: bool,
    key_id: str | None,
) -> None:
    """Forget the sentences of these languages, one sentence, or all."""
    if everything == any((source, target, text)):
        raise click.UsageError("pass --all alone, or at least one of --from, --to and --text")
    with _memory(session, key_id) as own:
        note(f"forgot {count(own.forget(source, target, text), 'sentence')}")


# ---------------------------------------------------------------------- jobs


@click.group()
def jobs() -> None:
    """List and show jobs of the HTTP interface, fetch their results, and cancel them."""


@contextmanager
def _jobs(session: Session, key_id: str | None) -> Iterator["JobStore"]:
    from service.store.jobs import JobStore

    with session.database() as database:
        _caller(database, key_id)
        yield JobStore(database, session.settings().results)


@jobs.command("list", epilog="Example: dragoman jobs list --limit 5")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@KEY
@JSON
@click.pass_obj
def list_jobs(session: Session, limit: int, key_id: str | None, as_json: bool) -> None:
    """List the jobs, the newest first."""
    with _jobs(session, key_id) as store:
        _write_jobs(session, store.page(key_id, limit=limit), as_json)


@jobs.command("show", epilog="Example: dragoman jobs show 0d4c8f6f2b7f4d07a2f0f4b9a4a1d6a3 --json")
@click.argument("job_id", metavar="ID")
@KEY
@JSON
@click.pass_obj
def show_job(session: Session, job_id: str, key_id: str | None, as_json: bool) -> None:
    """Show how a job stands."""
    with _jobs(session, key_id) as store:
        job = store.get(job_id, key_id)
    _write_jobs(session, [job], as_json)
    if job.problem is not None and not as_json:
        note(f"error: {_detail(job.problem)}")


@jobs.command(
    "result", epilog="Example: dragoman jobs result 0d4c8f6f2b7f4d07a2f0f4b9a4a1d6a3 --output a.fr.docx"
)
@click.argument("job_id", metavar="ID")
@click.option("--output", metavar="FILE", type=_OUTPUT, help="Write the result to FILE.")
@KEY
@click.pass_obj
def result(session: Session, job_id: str, output: Path | None, key_id: str | None) -> None:
    """Print a job's result: the JSON that HTTP gives, or the translated document."""
    from service.errors import JobNotDone

    with _jobs(session, key_id) as store:
        job = store.get(job_id, key_id)
        if job.problem is not None:
            raise DragomanError(f"the job failed: {_detail(job.problem)}")
        if job.status != "done":
            raise JobNotDone(f"the job is {job.status}")
        found = store.open(job)
        if output is None and PurePath(found.filename or "").suffix.lower() in BINARY:
            raise click.UsageError(f"the result is a document: pass --output, such as {found.filename}")
        data = b"".join(iter(found.read, b""))
    if output is None:
        write(data.decode())
    else:
        output.write_bytes(data)


@jobs.command("cancel", epilog="Example: dragoman jobs cancel 0d4c8f6f2b7f4d07a2f0f4b9a4a1d6a3")
@click.argument("job_id", metavar="ID")
@KEY
@click.pass_obj
def cancel(session: Session, job_id: str, key_id: str | None) -> None:
    """Cancel a job that has not ended; what it has done is kept as long as other results."""
    with _jobs(session, key_id) as store:
        job = store.remove(job_id, key_id, forget=False)
        if job.ended:
            raise InvalidInput(f"the job has ended: it is {job.status}")
    note(f"cancelled job {job_id}")


def _write_jobs(session: Session, found: "list[Job]", as_json: bool) -> None:
    from service.job_schemas import render_job

    answers = [render_job(each, session.settings().job_retention_s) for each in found]
    write_rows([_job_row(each, as_json) for each in answers], "jobs", as_json)


def _job_row(each: "JobAnswer", as_json: bool) -> dict[str, Any]:
    if as_json:
        return each.model_dump(mode="json")
    return {
        "id": each.id,
        "task": each.task,
        "status": each.status,
        "done": f"{each.progress.done:,} of {each.progress.total:,}",
        "created": each.created.isoformat(timespec="seconds"),
    }


def _detail(problem: bytes) -> str:
    from service.problems import Problem

    return Problem.model_validate_json(problem).detail
