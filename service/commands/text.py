"""`dragoman summarize`, `translate` and `detect`: a text or document in, its result to stdout or a file."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from models.choices import MOST_ALTERNATIVES
from service.commands.marks import counted, marked, others, reasons
from service.commands.options import summary_options, translation_options, translation_request
from service.commands.remote import answered, ask, body_of, server_options
from service.commands.session import Session, note, write
from service.commands.source import ALLOW_PRIVATE, FILE, Source, read, tells_formats
from service.documents.formats import BINARY, COMMENTED

if TYPE_CHECKING:
    from models.tasks.steps import Event, Outcome, Steps
    from models.tasks.translation import Recall, TranslationRequest
    from service.documents.document import File
    from service.runtime import Runtime
    from service.schemas.answers import (
        DetectionAnswer,
        SegmentPart,
        SentencePart,
        SummaryAnswer,
        TranslationAnswer,
    )

T = TypeVar("T")

UNFINISHED = 1
"""The exit code where a server's time ran out before all was translated."""

HTML = click.option(
    "--html/--text",
    "is_html",
    default=None,
    help="What FILE is. If not given, its name tells; standard input is text.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Everything that is known, as JSON.")
MARK = click.option(
    "--mark",
    is_flag=True,
    help="Put marks around sentences that the checks found something in, and say on stderr what.",
)
OUTPUT = click.option(
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the result there rather than to standard output.",
)


@tells_formats
@click.command(epilog="Example: dragoman summarize article.html --length short --to fr")
@FILE
@summary_options
@HTML
@ALLOW_PRIVATE
@server_options
@MARK
@OUTPUT
@JSON
@click.pass_obj
def summarize(
    session: Session,
    /,
    file: str,
    is_html: bool | None,
    mark: bool,
    output: Path | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Summarize the article in FILE.

    FILE is a file ({FORMATS}), an http:// or https:// address, `-` for standard input, or the words
    themselves.
    """
    from models.tasks.summary import SummaryRequest
    from service.commands import remote_job
    from service.schemas.answers import SummaryAnswer
    from service.schemas.requests import SummarizeBody
    from service.work import plan

    _check_output(output, file, (*BINARY, ".pdf"), "a summary is text")
    source = read(file, session.settings(), allow_private=session.allow_private)
    article = source.article(is_html=is_html, clean=options["clean"])
    given = {**options, "clean": options["clean"] and article.clean, article.field: article.text}
    request = SummaryRequest(**given)

    def here() -> "SummaryAnswer":
        with session.runtime() as runtime:
            outcome, total_s = _run(session, runtime, runtime.summarizer.steps(request))
        return plan.answer(outcome, total_s)

    body = body_of(request, SummarizeBody)
    if session.server and len(article.text) > remote_job.LONG_CHARACTERS:
        answer = remote_job.summarized(session, body)
    else:
        answer = answered(session, "/v1/summarize", body, SummaryAnswer, here)
    if source.is_packed:  # the spans refer to what was read in it
        answer.source.text = answer.source.text or article.text
    text = marked(answer.summary, answer.sentences) if mark else answer.summary
    _put(answer.model_dump_json(indent=2) if as_json else text, output)
    _tell(answer.notes, answer.sentences, mark, as_json)


@tells_formats
@click.command(epilog="Example: dragoman translate --to fr report.docx --output report.fr.docx")
@FILE
@translation_options
@click.option(
    "--alternatives",
    type=click.IntRange(0, MOST_ALTERNATIVES),
    default=0,
    help="So many other translations of each sentence, on stderr; with --json in the segments.",
)
@ALLOW_PRIVATE
@server_options
@MARK
@OUTPUT
@JSON
@click.pass_obj
def translate(
    session: Session, /, file: str, mark: bool, output: Path | None, as_json: bool, **options: Any
) -> int:
    """Translate FILE, which keeps its form: documents of Office and the like with --output.

    FILE is a file ({FORMATS}), an http:// or https:// address, `-` for standard input, or the words
    themselves. A PDF comes back as text. In a .docx file --mark puts comments on sentences.
    """
    from service.commands import remote_job
    from service.recollection import FileMemory
    from service.schemas.answers import TranslationAnswer
    from service.schemas.requests import TranslateBody
    from service.work.flagged import comments_on

    if options["remembered"] and session.server:
        raise click.UsageError("--memory is for models here; a server's own is filled by POST /v1/memory")
    as_document = _is_document(output) and not as_json
    _check_output(output, file, (".pdf",), "a translated PDF comes back as text")
    source = read(file, session.settings(), allow_private=session.allow_private)
    if as_document and output is not None:
        _check_document(output, source, options, mark)
    part = source.page_article() if options["article"] else source.to_translate(options["format"])
    request = translation_request({**options, "format": part.format}, part.text)

    body, code = body_of(request, TranslateBody), 0
    if not session.server:
        with session.runtime() as runtime:
            pairs = options["remembered"]
            recall = FileMemory.of(pairs, runtime.languages).recall if pairs else None
            answer, code = _translated(session, runtime, request, recall)
    elif len(part.text) > remote_job.LONG_CHARACTERS:
        answer, code = remote_job.translated(session, body)
    else:  # a server has a deadline
        answer = ask(session, "/v1/translate", {**body, "partial": True}, TranslationAnswer)
    in_text, in_comments = mark and not as_document, mark and as_document
    translation = marked(answer.translation, answer.segments) if in_text else answer.translation
    if as_json:
        _put(answer.model_dump_json(indent=2), output)
    elif source.is_packed and not options["format"] and not options["article"]:
        comments = comments_on(answer.segments) if in_comments else ()
        _put_document(source, source.translated(translation, answer.target, comments), output)
    else:
        _put(translation, output)
    for line in others(answer.segments if not as_json else ()):
        note(line)
    _tell(answer.notes, answer.segments, mark, as_json)
    return code or (UNFINISHED if answer.partial else 0)


@click.command(epilog="Example: dragoman detect article.txt")
@FILE
@ALLOW_PRIVATE
@server_options
@JSON
@click.pass_obj
def detect(session: Session, file: str, as_json: bool) -> None:
    """Say which language FILE is in, and with which confidence (0 to 1)."""
    from service.schemas.answers import DetectionAnswer, render_detection

    text = read(file, session.settings(), allow_private=session.allow_private).words()

    def here() -> "DetectionAnswer":
        with session.runtime() as runtime:
            return render_detection(runtime.detector.candidates(text))

    answer = answered(session, "/v1/detect", {"text": text}, DetectionAnswer, here)
    write(answer.model_dump_json(indent=2) if as_json else f"{answer.language} {answer.confidence:.2f}")


def _run(session: Session, runtime: "Runtime", task: "Steps[T]") -> "tuple[Outcome[T], float]":
    """The task's outcome and its seconds."""
    start = time.monotonic()
    with session.waiting("loading the model and working"):
        outcome = runtime.run_all([task], wait=True)[0]
    return outcome, time.monotonic() - start


def _translated(
    session: Session, runtime: "Runtime", request: "TranslationRequest", recall: "Recall | None"
) -> "tuple[TranslationAnswer, int]":
    """Return the translation, and the exit code; after Ctrl-C what is done of it, if anything is."""
    from models.tasks.driver import Driver
    from service.commands import so_far
    from service.schemas.events import SegmentEvent, render_event
    from service.work import plan

    told: dict[int, SegmentEvent] = {}
    start = time.monotonic()
    with session.waiting("loading the model and working") as tell:

        def hear(event: "Event") -> None:
            _, segment = render_event(event)
            if isinstance(segment, SegmentEvent):
                told[segment.index] = segment
                tell(so_far.progress(len(told), segment.total, "sentence", time.monotonic() - start))

        driver = Driver([runtime.translator.steps(request, recall)], wait=True, in_rounds=False)
        try:
            (outcome,) = driver.run(hear)
        except KeyboardInterrupt:
            if not told:
                raise
            made = so_far.partial(request.text, request.format, request.target, told, "interrupted")
            return made, so_far.INTERRUPTED
    return plan.answer(outcome, time.monotonic() - start), so_far.DONE


# ------------------------------------------------------------------ what comes out


def _is_document(output: Path | None) -> bool:
    return output is not None and output.suffix.lower() in BINARY


def _check_document(output: Path, source: Source, options: dict[str, Any], mark: bool) -> None:
    """Raise click.UsageError if no document of this kind can come of it."""
    suffix = output.suffix.lower()
    if source.suffix != suffix or options["format"] or options["article"]:
        raise click.UsageError(f"--output is a {suffix} file only of a {suffix} file, without --format")
    if mark and suffix not in COMMENTED:
        raise click.UsageError(f"--mark puts marks into text, or comments into {' '.join(COMMENTED)} files")


def _check_output(output: Path | None, file: str, suffixes: tuple[str, ...], why: str) -> None:
    """Raise click.UsageError, before anything is loaded, for a file that could not be written as asked."""
    if output is None or str(output) == "-":
        return
    if output.suffix.lower() in suffixes:
        raise click.UsageError(f"--output cannot be a {output.suffix} file: {why}")
    if not output.parent.is_dir():
        raise click.UsageError(f"--output: there is no folder {output.parent}")
    if output.exists() and Path(file).exists() and output.samefile(file):
        raise click.UsageError("--output is FILE itself, which would be lost")


def _put(text: str, output: Path | None) -> None:
    if output is None or str(output) == "-":
        write(text)
    else:
        output.write_bytes(text.encode() + (b"" if text.endswith("\n") else b"\n"))


def _put_document(source: Source, file: "File", output: Path | None) -> None:
    """Write the file; of a document that no terminal shows and that is not to be one, its text."""
    if file.suffix not in BINARY:
        _put(file.data.decode(), output)
    elif output is not None and _is_document(output):
        output.write_bytes(file.data)
    else:
        _put(Source(f"translation{file.suffix}", file.data, source.settings).words(), output)


def _tell(
    notes: Sequence[str],
    sentences: "Sequence[SegmentPart] | Sequence[SentencePart]",
    mark: bool,
    as_json: bool,
) -> None:
    """Say on stderr what the reader should know, and how many sentences the checks found something in."""
    if as_json:
        return
    for each in notes:
        note(f"note: {each}")
    if mark:
        for line in reasons(sentences):
            note(line)
    if number := counted(sentences):
        note(number if mark else f"{number}; --mark shows them")
    elif mark:
        note("no sentence is flagged")
