"""`dragoman check` and `dragoman clean`: what a source does not support, and what a page has to read."""

from typing import TYPE_CHECKING, Literal

import click

from service.commands.session import Session, count, note, write
from service.commands.text import FILE, HTML, JSON, is_html_file, read_file

if TYPE_CHECKING:
    from models.tasks.checker import Checked

FLAGGED = 3
"""The exit code where a check found an error."""


@click.command(epilog="Example: dragoman check --kind summary article.txt summary.txt")
@click.argument("source", metavar="SOURCE", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.argument("output", metavar="OUTPUT", type=click.Path(exists=True, dir_okay=False))
@click.option("--kind", type=click.Choice(["summary", "translation"]), required=True, help="What OUTPUT is.")
@click.option("--from", "source_language", default="auto", metavar="LANG", help="SOURCE's language.")
@click.option("--to", "target", metavar="LANG", help="OUTPUT's language.")
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
    """Say what in the file OUTPUT, a summary or translation by anybody, the file SOURCE does not support.

    One line for each finding: line and column in OUTPUT, its kind, the words, the reason. Exits with 3 if
    one of them is an error and not a mere warning.
    """
    from models.tasks.checker import CheckRequest
    from models.tasks.driver import run
    from service.schemas.checking import render_check

    written = read_file(output)
    request = CheckRequest(
        source=read_file(source),
        output=written,
        kind=kind,
        source_language=source_language,
        target=target,
    )
    with session.runtime() as runtime:
        checked = run(runtime.checker.steps(request)).unwrap()
    if as_json:
        write(render_check(checked, written).model_dump_json(indent=2))
    else:
        _show(checked, written)
    flagged = any(flag.severity == "error" for s in checked.sentences for flag in s.flags)
    return FLAGGED if flagged else None


@click.command(epilog="Example: dragoman clean page.html")
@FILE
@HTML
@JSON
@click.pass_obj
def clean(session: Session, file: str, is_html: bool | None, as_json: bool) -> None:
    """Print the article in FILE without what the web page put around it, and say what was left out."""
    from models.text.article.page import read_html
    from models.text.article.paste import read_pasted
    from service.schemas.checking import render_clean

    session.settings()  # it uses none, but a wrong one ends every command
    content = read_file(file)
    article = read_html(content) if is_html_file(file, is_html) else read_pasted(content)
    if as_json:
        write(render_clean(article).model_dump_json(indent=2))
        return
    write("\n\n".join(part for part in (article.title, article.content()) if part))
    for dropped in article.dropped:
        note(f"left out ({dropped.reason}): {' '.join(dropped.text.split())}")


def _show(checked: "Checked", output: str) -> None:
    flags = [flag for sentence in checked.sentences for flag in sentence.flags]
    for flag in flags:
        line = output.count("\n", 0, flag.span.start) + 1
        column = flag.span.start - (output.rfind("\n", 0, flag.span.start) + 1) + 1
        words = " ".join(output[flag.span.start : flag.span.end].split())
        write(f"{line}:{column}: {flag.severity}: {flag.kind}: {words!r}: {flag.reason}")
    note(f"{count(len(checked.sentences), 'sentence')}, {count(len(flags), 'finding')}")
