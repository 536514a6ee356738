"""`dragoman summarize`, `translate` and `detect`: one text in, its result on stdout."""

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from service.commands.options import (
    summary_options,
    summary_request,
    translation_options,
    translation_request,
)
from service.commands.session import Session, note, write

if TYPE_CHECKING:
    from pydantic import BaseModel

    from models.tasks.steps import Outcome, Steps
    from service.runtime import Runtime

T = TypeVar("T")

HTML_NAMES = (".html", ".htm", ".xhtml")
FORMATS = {HTML_NAMES: "html", (".md", ".markdown"): "markdown", (".xml",): "xml"}

FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
HTML = click.option(
    "--html/--text",
    "is_html",
    default=None,
    help="What FILE is. If not given, its name tells; standard input is text.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Everything that is known, as JSON.")


@click.command(epilog="Example: dragoman summarize article.html --length short --to fr")
@FILE
@summary_options
@HTML
@JSON
@click.pass_obj
def summarize(session: Session, /, file: str, is_html: bool | None, as_json: bool, **options: Any) -> None:
    """Summarize the article in FILE (`-` is standard input)."""
    from service.schemas import render_summary

    content = read_file(file)
    name = "html" if is_html_file(file, is_html) else "text"
    request = summary_request(options, **{name: content})
    with session.runtime() as runtime:
        outcome, total_s = _run(session, runtime, runtime.summarizer.steps(request))
    summary = outcome.unwrap()
    notes = (*summary.notes, *summary.cautions)
    _show(summary.summary, notes, as_json, lambda: render_summary(summary, outcome.timings, total_s))


@click.command(epilog="Example: dragoman translate --to fr article.txt")
@FILE
@translation_options
@JSON
@click.pass_obj
def translate(session: Session, /, file: str, as_json: bool, **options: Any) -> None:
    """Translate the text in FILE (`-` is standard input). HTML and Markdown come back with their markup."""
    from models.text.article.page import read_html
    from service.schemas import render_translation

    text = read_file(file)
    format_ = options["format"] or _format_of(file)
    if options["article"]:
        text, format_ = read_html(text).content(), "text"
    request = translation_request({**options, "format": format_}, text)
    with session.runtime() as runtime:
        outcome, total_s = _run(session, runtime, runtime.translator.steps(request))
    done = outcome.unwrap()
    notes = (*done.notes, *done.cautions)
    _show(done.translation, notes, as_json, lambda: render_translation(done, outcome.timings, total_s))


@click.command(epilog="Example: dragoman detect article.txt")
@FILE
@JSON
@click.pass_obj
def detect(session: Session, file: str, as_json: bool) -> None:
    """Say which language the text in FILE is in, and with which confidence (0 to 1)."""
    from service.schemas import render_detection

    content = read_file(file)
    with session.runtime() as runtime:
        candidates = runtime.detector.candidates(content)
    best = candidates[0]
    _show(f"{best.language} {best.confidence:.2f}", (), as_json, lambda: render_detection(candidates))


def read_file(file: str) -> str:
    """The file's text. Raises click.UsageError if it is not UTF-8."""
    data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise click.BadParameter(
            f"{file} is not UTF-8 text (byte {error.start + 1})", param_hint="FILE"
        ) from error


def is_html_file(file: str, told: bool | None) -> bool:
    """What the user says, or else what the file's name says."""
    return file.lower().endswith(HTML_NAMES) if told is None else told


def _format_of(file: str) -> str:
    """The format that a file's name tells."""
    return next((name for ends, name in FORMATS.items() if file.lower().endswith(ends)), "text")


def _run(session: Session, runtime: "Runtime", task: "Steps[T]") -> "tuple[Outcome[T], float]":
    """The task's outcome and its seconds."""
    start = time.monotonic()
    with session.waiting("loading the model and working"):
        outcome = runtime.run_all([task], wait=True)[0]
    return outcome, time.monotonic() - start


def _show(text: str, notes: Sequence[str], as_json: bool, answer: "Callable[[], BaseModel]") -> None:
    if as_json:
        write(answer().model_dump_json(indent=2))
        return
    write(text)
    for each in notes:
        note(f"note: {each}")
