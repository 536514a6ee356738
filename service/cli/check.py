"""`dragoman check` and `dragoman clean`: check a text against its source, extract an article."""

from typing import TYPE_CHECKING, Literal

import click

from models.checks.flag import any_error
from service.cli.inputs import ALLOW_PRIVATE, ARGUMENT, FILE, read, tells_formats
from service.cli.session import Session, count, note, write
from service.cli.text import HTML, JSON

if TYPE_CHECKING:
    from service.answers import CheckAnswer

FLAGGED = 3
"""The exit code where a check found an error."""


@tells_formats
@click.command(epilog="Example: dragoman check --kind summary article.txt summary.txt")
@click.argument("source", metavar="SOURCE", type=ARGUMENT)
@click.argument("output", metavar="OUTPUT", type=ARGUMENT)
@click.option(
    "--kind",
    type=click.Choice(["summary", "translation"]),
    required=True,
    help="Whether OUTPUT is a summary or a translation.",
)
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
    """Find what SOURCE does not support in OUTPUT, a summary or translation of it.

    Each is a file ({FORMATS}), a URL (http:// or https://), or the text itself; SOURCE can be `-`. Prints one
    line for each finding: line and column in OUTPUT, severity, kind, words, reason. The exit code is 3 if a
    finding is an error rather than a warning.
    """
    from models.checker import CheckRequest
    from service.answers import render_check

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
    return FLAGGED if any(any_error(sentence.flags) for sentence in answer.sentences) else None


@click.command(epilog="Example: dragoman clean page.html")
@FILE
@HTML
@ALLOW_PRIVATE
@JSON
@click.pass_obj
def clean(session: Session, file: str, is_html: bool | None, as_json: bool) -> None:
    """Print the article in FILE without the page around it, and list what was dropped."""
    from models.text.article.html_article import read_html
    from models.text.article.paste import read_pasted
    from service.answers import render_clean

    source = read(file, session.settings(), allow_private=session.allow_private)
    given = source.article(is_html=is_html)
    answer = render_clean((read_html if given.field == "html" else read_pasted)(given.text))
    if as_json:
        write(answer.model_dump_json(indent=2))
        return
    write("\n\n".join(part for part in (answer.title, answer.text) if part))
    for dropped in answer.dropped:
        note(f"dropped ({dropped.reason}): {' '.join(dropped.text.split())}")


def _show(answer: "CheckAnswer", output: str) -> None:
    flags = [flag for sentence in answer.sentences for flag in sentence.flags]
    for flag in flags:
        line = output.count("\n", 0, flag.start) + 1
        column = flag.start - (output.rfind("\n", 0, flag.start) + 1) + 1
        words = " ".join(output[flag.start : flag.end].split())
        write(f"{line}:{column}: {flag.severity}: {flag.kind}: {words!r}: {flag.reason}")
    note(f"{count(len(answer.sentences), 'sentence')}, {count(len(flags), 'finding')}")
