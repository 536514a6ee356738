"""The options of the two tasks, the same for one article and for a batch, and the requests made of them."""

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from models.choices import (
    ABOUT_LENGTHS,
    DEFAULT_LENGTH,
    LENGTHS,
    MAX_SENTENCES,
    ON_UNSUPPORTED,
    SUMMARY_FORMATS,
    TEXT_FORMATS,
)

if TYPE_CHECKING:
    from models.translate.translator import TranslationRequest
    from service.tmx import TmxPair

F = TypeVar("F", bound=Callable[..., Any])


def _glossary(_context: click.Context, parameter: click.Parameter, file: str | None) -> dict[str, str]:
    """The entries of a TSV file, or of a CSV file by its name."""
    from models.errors import InvalidInput
    from service.terms import read

    if file is None:
        return {}
    try:
        text = Path(file).read_text("utf-8-sig")
        return read(text, "csv" if file.lower().endswith(".csv") else "tsv")
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"{file} is not UTF-8 text (byte {error.start + 1})") from error
    except InvalidInput as error:
        raise click.BadParameter(f"{file}: {error.message}") from error


def _remembered(_context: click.Context, _parameter: click.Parameter, file: str | None) -> "list[TmxPair]":
    from models.errors import InvalidInput
    from service import tmx

    if file is None:
        return []
    try:
        return tmx.read(Path(file).read_bytes())
    except InvalidInput as error:
        raise click.BadParameter(f"{file}: {error.message}") from error


def _model(context: click.Context, _parameter: click.Parameter, name: str | None) -> str | None:
    """The session hears of a model behind a server: text goes only to those that the user has named."""
    if name is not None:
        context.obj.named_models.append(name)
    return name


_MODEL = click.option(
    "--model",
    metavar="NAME",
    callback=_model,
    help="A model of the catalog (`dragoman models list`), or one that a server has: server:URL#MODEL, as in "
    "server:http://127.0.0.1:11434/v1#qwen3:8b.",
)

_SUMMARY = (
    click.option(
        "--length",
        type=click.Choice(list(LENGTHS)),
        default=DEFAULT_LENGTH,
        show_default=True,
        help=f"How long: {ABOUT_LENGTHS}.",
    ),
    click.option("--max-sentences", type=click.IntRange(1, MAX_SENTENCES), help="At most so many sentences."),
    click.option(
        "--format",
        type=click.Choice(SUMMARY_FORMATS),
        default="paragraph",
        show_default=True,
        help="Running text, or a line for each sentence.",
    ),
    click.option("--to", "target", metavar="LANG", help="The summary's language, if not the article's own."),
    _MODEL,
    click.option(
        "--clean/--all-text",
        default=True,
        help="Look for the article in what was pasted (the default), or read all of it.",
    ),
    click.option(
        "--on-unsupported",
        type=click.Choice(ON_UNSUPPORTED),
        default="flag",
        show_default=True,
        help="What becomes of a sentence that the article does not support.",
    ),
)

_TRANSLATION = (
    click.option("--to", "target", metavar="LANG", required=True, help="The language to translate into."),
    click.option(
        "--from",
        "source",
        metavar="LANG",
        default="auto",
        show_default=True,
        help="The text's language; auto finds it.",
    ),
    _MODEL,
    click.option(
        "--format",
        type=click.Choice(TEXT_FORMATS),
        help="What is translated: markup is kept. If not given, the file's name tells; else it is text.",
    ),
    click.option(
        "--article", is_flag=True, help="Of an HTML page, translate only the article found in it, as text."
    ),
    click.option(
        "--protect",
        metavar="TERM",
        multiple=True,
        callback=lambda _context, _parameter, terms: list(terms),  # as JSON has it, for a batch's own file
        help="A term to leave as it is; may be repeated.",
    ),
    click.option(
        "--glossary",
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False),
        callback=_glossary,
        help="Terms and what each is to be, a pair a line: TSV, or CSV by its name.",
    ),
    click.option(
        "--memory",
        "remembered",
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False),
        callback=_remembered,
        help="Sentences and what each is to be, as TMX: they are taken as they stand there.",
    ),
    click.option(
        "--min-confidence",
        type=click.FloatRange(0, 1),
        help="Leave sentences untranslated that the model is less sure of than this.",
    ),
)


def added(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Return a decorator that adds all of these to a command, in order."""
    return lambda command: reduce(lambda made, option: option(made), reversed(options), command)


summary_options = added(*_SUMMARY)
"""Adds what a summary is asked for with."""
translation_options = added(*_TRANSLATION)
"""Adds what a translation is asked for with."""


def translation_request(options: dict[str, Any], text: str) -> "TranslationRequest":
    """The request of `translation_options`' values; `article` is for who reads the text."""
    from models.translate.translator import TranslationRequest

    given = {name: value for name, value in options.items() if name not in ("article", "remembered")}
    given |= {"format": given["format"] or "text", "protect": tuple(given["protect"])}
    return TranslationRequest(text=text, **given)
