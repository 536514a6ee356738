"""`dragoman summarize`, `translate` and `detect`: one text or document in, its result out."""

import time
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from models.checks.registry import NOTHING_FOUND
from service.cli.inputs import ALLOW_PRIVATE, FILE, Input, read, tells_formats
from service.cli.options import TaskCommand, task_options
from service.cli.session import INTERRUPTED, Session, count, note, write
from service.documents.formats import BINARY, COMMENTED

if TYPE_CHECKING:
    from models.steps import Event
    from models.translate.translator import MemoryLookup, TranslationRequest
    from service.answers import SegmentEvent, SegmentPart, SentencePart, TranslationAnswer
    from service.documents.formats import File
    from service.runtime import Runtime

TELLING_S = 2.0
"""Before this nobody is told how long it will take."""

HTML = click.option(
    "--html/--text",
    "is_html",
    default=None,
    help="Read FILE as HTML or as text. By default its name decides; standard input is text.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print the full result as JSON.")
MARK = click.option(
    "--mark",
    is_flag=True,
    help="Mark flagged sentences in the text, and list the reasons on standard error.",
)
OUTPUT = click.option(
    "--output",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write the result to FILE instead of standard output.",
)


@tells_formats
@click.command(
    cls=TaskCommand,
    task="summarize",
    epilog="Example: dragoman summarize article.html --length short --to fr",
)
@FILE
@HTML
@ALLOW_PRIVATE
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

    FILE is a file ({FORMATS}), a URL (http:// or https://), `-` for standard input, or the text itself.
    """
    from service import tasks
    from service.options import SummaryOptions

    _check_output(output, file, (*BINARY, ".pdf"), "a summary is text")
    source = read(file, session.settings(), allow_private=session.allow_private)
    article = source.article(is_html=is_html, clean=options["clean"])
    make = tasks.request_maker(task_options(SummaryOptions, options))
    request = make(**{article.field: article.text}, clean=options["clean"] and article.clean)
    with session.runtime() as runtime:
        start = time.monotonic()
        with session.waiting("loading the model and working"):
            (outcome,) = runtime.run_all([tasks.steps(runtime, request)], wait=True)
        total_s = time.monotonic() - start
    answer = tasks.answer(outcome, total_s)
    if source.is_packed:  # the spans refer to what was read in it
        answer.source.text = answer.source.text or article.text
    text = marked(answer.summary, answer.sentences) if mark else answer.summary
    _tell_notes(answer.notes, as_json)
    _put(answer.model_dump_json(indent=2) if as_json else text, output)
    _tell_flags(answer.sentences, mark, as_json)


@tells_formats
@click.command(
    cls=TaskCommand,
    task="translate",
    epilog="Example: dragoman translate --to fr report.docx --output report.fr.docx",
)
@FILE
@ALLOW_PRIVATE
@MARK
@OUTPUT
@JSON
@click.pass_obj
def translate(
    session: Session, /, file: str, mark: bool, output: Path | None, as_json: bool, **options: Any
) -> int:
    """Translate FILE and keep its formatting; office documents need --output.

    FILE is a file ({FORMATS}), a URL (http:// or https://), `-` for standard input, or the text itself. A
    PDF is translated to plain text. In a .docx file --mark adds comments to flagged sentences.
    """
    from service import tasks
    from service.options import TranslationOptions
    from service.store.tmx import file_memory

    as_document = _is_document(output) and not as_json
    _check_output(output, file, (".pdf",), "a PDF is translated to plain text")
    source = read(file, session.settings(), allow_private=session.allow_private)
    if as_document and output is not None:
        _check_document(output, source, options, mark)
    part = source.page_article() if options["article"] else source.to_translate(options["format"])
    make = tasks.request_maker(task_options(TranslationOptions, options))
    request = make(text=part.text, format=part.format)

    with session.runtime() as runtime:
        pairs = options["remembered"]
        recall = file_memory(pairs, runtime.languages) if pairs else None
        answer, code = _translated(session, runtime, request, recall)
    _tell_notes(answer.notes, as_json)
    in_text, in_comments = mark and not as_document, mark and as_document
    translation = marked(answer.translation, answer.segments) if in_text else answer.translation
    if as_json:
        _put(answer.model_dump_json(indent=2), output)
    elif source.is_packed and not options["format"] and not options["article"]:
        comments = tasks.comments_on(answer.segments) if in_comments else ()
        _put_document(source, source.translated(translation, answer.target, comments), output)
    else:
        _put(translation, output)
    for line in _alternatives(answer.segments if not as_json else ()):
        note(line)
    _tell_flags(answer.segments, mark, as_json)
    return code


@click.command(epilog="Example: dragoman detect article.txt")
@FILE
@ALLOW_PRIVATE
@JSON
@click.pass_obj
def detect(session: Session, file: str, as_json: bool) -> None:
    """Detect the language of FILE, with a confidence from 0 to 1."""
    from service.answers import render_detection

    text = read(file, session.settings(), allow_private=session.allow_private).words()
    with session.runtime() as runtime:
        answer = render_detection(runtime.detector.candidates(text))
    write(answer.model_dump_json(indent=2) if as_json else f"{answer.language} {answer.confidence:.2f}")


def _translated(
    session: Session, runtime: "Runtime", request: "TranslationRequest", recall: "MemoryLookup | None"
) -> "tuple[TranslationAnswer, int]":
    """Return the translation, and the exit code; after Ctrl-C what is done of it, if anything is."""
    from models.driver import Driver
    from service import tasks
    from service.answers import SegmentEvent, render_event

    told: dict[int, SegmentEvent] = {}
    start = time.monotonic()
    with session.waiting("loading the model and working") as tell:

        def hear(event: "Event") -> None:
            _, segment = render_event(event)
            if isinstance(segment, SegmentEvent):
                told[segment.index] = segment
                tell(progress(len(told), segment.total, time.monotonic() - start))

        (asked,) = tasks.best_of_few([request])
        driver = Driver([tasks.steps(runtime, asked, recall)], wait=True, in_rounds=False)
        try:
            (outcome,) = driver.run(hear)
        except KeyboardInterrupt:
            if not told:
                raise
            return _so_far(request, told), INTERRUPTED
    return tasks.answer(outcome, time.monotonic() - start), 0


def _so_far(request: "TranslationRequest", told: "Mapping[int, SegmentEvent]") -> "TranslationAnswer":
    """Return the answer with these segments, at least one, by their numbers; what is missing is the source's.

    It has only what is known: no model, no timings.
    """
    from service.answers import TranslationAnswer

    segments = [told[i] for i in sorted(told)]
    number = f"{len(segments):,} of {count(segments[0].total, 'sentence')}"
    is_markup = request.format in ("html", "xml")
    parts, end = list[str](), 0
    for each in segments:
        text = escape(each.text, quote=False) if is_markup else each.text
        parts += [request.text[end : each.source.start], text]
        end = each.source.end
    return TranslationAnswer.model_construct(
        translation="".join([*parts, request.text[end:]]),
        segments=segments,
        target=request.target,
        notes=[f"interrupted: {number} are translated; the others are left as in the source"],
        partial=True,
    )


def progress(done: int, total: int, seconds: float) -> str:
    """Return `137 of 410 sentences, about 2 minutes left`, after so many seconds of work."""
    left_s = seconds / done * (total - done) if done and seconds > TELLING_S else 0.0
    about = count(round(left_s), "second") if left_s < 90 else count(round(left_s / 60), "minute")
    return f"{done:,} of {count(total, 'sentence')}" + (f", about {about} left" if left_s >= 1 else "")


# ------------------------------------------------------------------ what comes out


def _is_document(output: Path | None) -> bool:
    return output is not None and output.suffix.lower() in BINARY


def _check_document(output: Path, source: Input, options: dict[str, Any], mark: bool) -> None:
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
        raise click.UsageError("--output and FILE are the same file")


def _put(text: str, output: Path | None) -> None:
    if output is None or str(output) == "-":
        write(text)
    else:
        output.write_bytes(text.encode() + (b"" if text.endswith("\n") else b"\n"))


def _put_document(source: Input, file: "File", output: Path | None) -> None:
    """Write the file; of a document that no terminal shows and that is not to be one, its text."""
    if file.suffix not in BINARY:
        _put(file.data.decode(), output)
    elif output is not None and _is_document(output):
        output.write_bytes(file.data)
    else:
        _put(Input(f"translation{file.suffix}", file.data, source.settings).words(), output)


def _tell_notes(notes: Sequence[str], as_json: bool) -> None:
    """Say on stderr what the reader should know before the text."""
    for each in () if as_json else notes:
        note(f"note: {each}")


def _tell_flags(
    sentences: "Sequence[SegmentPart] | Sequence[SentencePart]", mark: bool, as_json: bool
) -> None:
    """Say on stderr how many sentences the checks found something in."""
    if as_json:
        return
    if mark:
        for number, sentence in _flagged(sentences):
            for flag in sentence.flags:
                note(f"[{number}] {flag.severity}: {flag.kind}: {flag.reason}")
    if told := counted(sentences):
        note(told if mark else f"{told}; --mark shows them")
    elif mark:
        note(NOTHING_FOUND)


# ---------------------------------------------------------------------- marks

OPEN, CLOSE = "⟦", "⟧"


def marked(text: str, sentences: "Sequence[SegmentPart] | Sequence[SentencePart]") -> str:
    """Return the text with a mark around each flagged sentence, and its number after it."""
    parts, end = list[str](), 0
    for number, sentence in _flagged(sentences):
        start = text.find(sentence.text, end) if sentence.text else -1
        if start >= 0:
            after = start + len(sentence.text)
            parts += [text[end:start], OPEN, sentence.text, CLOSE, f"[{number}]"]
            end = after
    return "".join([*parts, text[end:]])


def counted(sentences: "Sequence[SegmentPart] | Sequence[SentencePart]") -> str | None:
    """Return how many sentences are flagged, in words; None if none is."""
    from service.tasks import flag_counts

    flagged, errors, doubtful = flag_counts(sentences)
    if not flagged:
        return None
    told = [f"{errors} with an error" if errors else "", f"{doubtful} doubtful" if doubtful else ""]
    more = ", ".join(filter(None, told))
    verb = "is" if flagged == 1 else "are"
    return f"{flagged} of {len(sentences)} sentences {verb} flagged" + (f": {more}" if more else "")


def _alternatives(segments: "Sequence[SegmentPart]") -> Iterator[str]:
    """Yield each sentence that has alternatives, and these below it."""
    for each in segments:
        if each.alternatives:
            yield each.text.strip()
            yield from (f"  or: {other}" for other in each.alternatives)


def _flagged(
    sentences: "Sequence[SegmentPart] | Sequence[SentencePart]",
) -> "Iterator[tuple[int, SegmentPart | SentencePart]]":
    """The flagged ones, numbered from 1."""
    return enumerate((sentence for sentence in sentences if sentence.flags), 1)
