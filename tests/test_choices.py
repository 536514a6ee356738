"""Every choice of a request stands once: the command line, the schemas and the forms read it there."""

from typing import Any, get_args

import pytest
from click import Choice, Command

from models.choices import (
    ABOUT_LENGTHS,
    LENGTHS,
    ON_UNSUPPORTED,
    SUMMARY_FORMATS,
    TEXT_FORMATS,
    TEXT_SUFFIXES,
    Length,
)
from models.summarize.summarizer import SummaryRequest
from service.cli.batch import batch
from service.cli.check import check
from service.cli.source import PACKED
from service.cli.text import summarize, translate
from service.documents.formats import SUFFIXES
from service.schemas.documents import SummarizeForm
from service.schemas.requests import SummarizeBody, TranslateBody

CHOICES: list[tuple[str, Command, list[type], tuple[str, ...]]] = [
    ("length", summarize, [SummarizeBody, SummarizeForm], tuple(LENGTHS)),
    ("format", summarize, [SummarizeBody, SummarizeForm], SUMMARY_FORMATS),
    ("on_unsupported", summarize, [SummarizeBody, SummarizeForm], ON_UNSUPPORTED),
    ("format", translate, [TranslateBody], TEXT_FORMATS),
]


@pytest.mark.parametrize(("name", "command", "bodies", "values"), CHOICES)
def test_every_way_in_has_the_same_choices(
    name: str, command: Command, bodies: list[Any], values: tuple[str, ...]
) -> None:
    [option] = [each for each in command.params if each.name == name]
    assert isinstance(option.type, Choice)
    assert tuple(option.type.choices) == values
    for body in bodies:
        assert tuple(body.model_json_schema()["properties"][name]["enum"]) == values


def test_a_summary_is_short_unless_asked_otherwise() -> None:
    [option] = [each for each in summarize.params if each.name == "length"]
    defaults = {option.default, SummaryRequest().length}
    assert defaults == {body.model_fields["length"].default for body in (SummarizeBody, SummarizeForm)}


def test_each_length_is_described_in_words() -> None:
    assert tuple(LENGTHS) == get_args(Length)
    assert ABOUT_LENGTHS.startswith("headline (one sentence), short (about 50 words)")
    assert ABOUT_LENGTHS in str(SummarizeBody.model_json_schema())


def test_the_form_names_every_format_of_documents() -> None:
    described = SummarizeForm.model_json_schema()["properties"]["file"]["description"]
    assert all(suffix in described for suffix in SUFFIXES)


def test_the_command_line_reads_every_format_of_documents() -> None:
    assert {*TEXT_SUFFIXES, *PACKED} == set(SUFFIXES)


@pytest.mark.parametrize("command", [summarize, translate, check, batch])
def test_help_names_every_format_of_documents(command: Command) -> None:
    assert all(suffix in str(command.help) for suffix in PACKED)
