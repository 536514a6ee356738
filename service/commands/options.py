"""The options of the two tasks, the same for one article and for a batch, and the requests made of them."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from models.tasks.summary import SummaryRequest
    from models.tasks.translation import TranslationRequest

F = TypeVar("F", bound=Callable[..., Any])

_MODEL = click.option("--model", metavar="NAME", help="A model of the catalog (`dragoman models list`).")

_SUMMARY = (
    click.option(
        "--length",
        type=click.Choice(["headline", "short", "medium", "long"]),
        default="short",
        show_default=True,
        help="How long the summary is to be.",
    ),
    click.option("--max-sentences", type=click.IntRange(1, 100), help="At most so many sentences."),
    click.option(
        "--format",
        type=click.Choice(["paragraph", "bullets"]),
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
        type=click.Choice(["flag", "drop", "retry"]),
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
)


def summary_options(command: F) -> F:
    """Add what a summary is asked for with."""
    for option in reversed(_SUMMARY):
        command = option(command)
    return command


def translation_options(command: F) -> F:
    """Add what a translation is asked for with."""
    for option in reversed(_TRANSLATION):
        command = option(command)
    return command


def summary_request(options: dict[str, Any], **content: Any) -> "SummaryRequest":
    """The request of `summary_options`' values, for `text` or `html`."""
    from models.tasks.summary import SummaryRequest

    return SummaryRequest(**content, **options)


def translation_request(options: dict[str, Any], text: str) -> "TranslationRequest":
    """The request of `translation_options`' values."""
    from models.tasks.translation import TranslationRequest

    return TranslationRequest(text=text, **options)
