"""`dragoman check` and `dragoman clean`: what a source does not support, and what a page has to read."""

from typing import TYPE_CHECKING, Literal

import click

from service.commands.session import Session, count, note, write
from service.commands.source import ALLOW_PRIVATE, ARGUMENT, FILE, read, tells_formats
from service.commands.text import HTML, JSON

if TYPE_CHECKING:
    from service.schemas.checking import CheckAnswer

FLAGGED = 3
"""The exit code where a check found an error."""


@tells_formats
@click.command(epilog="Example: dragoman check --kind summary article.txt summary.txt")
@click.argument("source", metavar="SOURCE", type=ARGUMENT)
@click.argument("output", metavar="OUTPUT", type=ARGUMENT)
@click.option("--kind", type=click.Choice(["summary", "translation"]), required=True, help="What OUTPUT is.")
@click.option("--from", "source_language", default="auto", metavar="LANG", help="SOURCE's language.")
@click.option("--to", "target", metavar="LANG", help="OUTPUT's language.")
@ALLOW_PRIVATE
@JSON
@click.pass_obj
def check(
    session: Session,
    source: str,
    output: str,
    kind: Literal["summary", "translation"],
    source_language: str,
    target: str | None,
    as_json: bool,
) -> int | None:
    """Say what in OUTPUT, a summary or translation by anybody, SOURCE does not support.

    Each is a file ({FORMATS}), an http:// or https:// address, or the words themselves; SOURCE may be `-`.
    One line for each finding: line and column in OUTPUT, its kind, the words, the reason. Exits with 3
    if one of them is an error and not a mere warning.
    """
    from models.checker import CheckRequest
    from service.schemas.checking import render_check

    settings = session.settings()
    written = read(output, settings, allow_private=session.allow_private).words()
    request = CheckRequest(
        source=read(source, settings, allow_private=session.allow_private).words(),
        output=written,
        kind=kind,
        source_language=source_language,
        target=target,
    )

    with session.runtime() as runtime:
        (outcome,) = runtime.run_all([runtime.checker.steps(request)], wait=True)
    answer = render_check(outcome.unwrap(), written)
    if as_json:
        write(answer.model_dump_json(indent=2))
    else:
        _show(answer, written)
    flagged = any(flag.severity == "error" for s in answer.sentences for flag in s.flags)
    return FLAGGED if flagged else None


@click.command(epilog="Example: dragoman clean page.html")
@FILE
@HTML
@ALLOW_PRIVATE
@JSON
@click.pass_obj
def clean(session: Session, file: str, is_html: bool | None, as_json: bool) -> None:
    """Print the article in FILE without what the web page put around it, and say what was left out."""
    from models.text.article.page import read_html
    from models.text.article.paste import read_pasted
    from service.schemas.checking import render_clean

    source = read(file, session.settings(), allow_private=session.allow_private)
    given = source.article(is_html=is_html)
    answer = render_clean((read_html if given.field == "html" else read_pasted)(given.text))
    if as_json:
        write(answer.model_dump_json(indent=2))
        return
    write("\n\n".join(part for part in (answer.title, answer.text) if part))
    for dropped in answer.dropped:
        note(f"left out ({dropped.reason}): {' '.join(dropped.text.split())}")


def _show(answer: "CheckAnswer", output: str) -> None:
    flags = [flag for sentence in answer.sentences for flag in sentence.flags]
    for flag in flags:
        line = output.count("\n", 0, flag.start) + 1
        column = flag.start - (output.rfind("\n", 0, flag.start) + 1) + 1
        words = " ".join(output[flag.start : flag.end].split())
        write(f"{line}:{column}: {flag.severity}: {flag.kind}: {words!r}: {flag.reason}")
    note(f"{count(len(answer.sentences), 'sentence')}, {count(len(flags), 'finding')}")
