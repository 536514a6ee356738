"""One model of options for each task: every way in reads it, and says what is wrong in the same words."""

import json
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, get_args

import anyio
import pytest
from click import Choice, Command, Context
from click.testing import CliRunner
from fake_runtime import FakeRuntime as OfflineRuntime
from http_fakes import FakeRuntime, settings
from hypothesis import given
from hypothesis import strategies as st
from mcp import Client

from models.choices import (
    ABOUT_LENGTHS,
    LENGTHS,
    SUMMARY_FORMATS,
    TEXT_FORMATS,
    TEXT_SUFFIXES,
    Length,
    OnUnsupported,
    Quality,
)
from models.errors import InvalidInput
from models.summarize.summarizer import SummaryRequest
from models.translate.translator import TranslationRequest
from service.cli.batch import batch
from service.cli.check import check
from service.cli.inputs import PACKED
from service.cli.main import cli
from service.cli.serve import runner
from service.cli.session import Session
from service.cli.text import summarize, translate
from service.documents.formats import SUFFIXES
from service.errors import TooLong, TooManyTexts
from service.http.app import create_app
from service.jobs import JobService
from service.mcp_tools import make_tools, tool_server
from service.options import (
    BODIES,
    OPTIONS,
    DetectBody,
    SummarizeBody,
    SummarizeForm,
    TaskName,
    TranslateBody,
    TranslateForm,
    inputs,
)
from service.tasks import Request, request_maker
from service.validation import InvalidFields, validated

LIMITS = settings()


def requests(task: TaskName, data: object) -> list[Request]:
    """The requests that a body of JSON becomes."""
    body = validated(BODIES[task], data)
    sent = inputs(body, LIMITS)
    make = request_maker(body)
    return [make(**{sent.kind: each}) for each in sent.good]


# ------------------------------------------------------------------ every field, over every way in


def _sample(task: str, name: str, form: dict[str, Any]) -> Any:
    """A value other than the default, of any field."""
    known = {"target": "fr", "source": "de", "model": f"fake/{task}", "glossary": {"kept": "tenu"}}
    own = form.get("anyOf", [form])[0]
    if name in known:
        return known[name]
    if "enum" in own:
        return next(each for each in own["enum"] if each != form["default"])
    samples = {
        "boolean": not form.get("default"),
        "integer": own.get("minimum", 0) + 1,
        "number": 0.5,
        "array": ["kbd", "nav"],
        "string": "a",
    }
    return samples[own["type"]]


SAMPLES: dict[str, dict[str, Any]] = {
    task: {
        name: _sample(task, name, form) for name, form in options.model_json_schema()["properties"].items()
    }
    for task, options in OPTIONS.items()
}
"""Another value than the default for each option of a task."""
TEXT = "One thing is kept."


class Heard:
    """A runtime of either kind that notes the requests which reach its tasks."""

    def __init__(self, runtime: Any):
        self.runtime, self.requests = runtime, list[Any]()
        for task in (runtime.summarizer, runtime.translator):
            task.steps = self._noting(task.steps)

    def _noting(self, steps: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        def noting(request: Any, recall: Any = None) -> Iterator[Any]:
            self.requests.append(request)
            return steps(request)

        return noting


def _posted(heard: Heard, path: str, **sent: Any) -> None:
    response = create_app(heard.runtime).test_client().post(path, **sent)
    assert response.status_code == 200, response.text
    assert response.data  # a stream is read to its end


def _by_json(heard: Heard, task: str, fields: dict[str, Any]) -> None:
    _posted(heard, f"/v1/{task}", json={"text": TEXT, **fields})


def _by_stream(heard: Heard, task: str, fields: dict[str, Any]) -> None:
    _posted(heard, f"/v1/{task}", json={"text": TEXT, "stream": True, **fields})


def _form(fields: dict[str, Any]) -> dict[str, Any]:
    as_text = {name: json.dumps(each) for name, each in fields.items() if not isinstance(each, str | list)}
    return {"file": (BytesIO(TEXT.encode()), "a.txt"), **fields, **as_text}


def _by_form(heard: Heard, task: str, fields: dict[str, Any]) -> None:
    _posted(heard, f"/v1/documents/{task}", data=_form(fields))


def _by_job(heard: Heard, **sent: Any) -> None:
    jobs = JobService(heard.runtime)
    jobs.start()
    try:
        client = create_app(heard.runtime, jobs=jobs).test_client()
        response = client.post("/v1/jobs", **sent)
        assert response.status_code == 202, response.text
        end = time.monotonic() + 20
        while client.get(response.headers["Location"]).json["status"] in ("queued", "running"):
            assert time.monotonic() < end
            time.sleep(0.01)
    finally:
        jobs.close()


def _by_job_body(heard: Heard, task: str, fields: dict[str, Any]) -> None:
    _by_job(heard, json={"task": task, "text": TEXT, **fields})


def _by_job_form(heard: Heard, task: str, fields: dict[str, Any]) -> None:
    _by_job(heard, data={"task": task, **_form(fields)})


def _by_tool(heard: Heard, task: str, fields: dict[str, Any]) -> None:
    async def run() -> Any:
        async with Client(tool_server(make_tools(heard.runtime, runner(heard.runtime)))) as client:
            return await client.call_tool(task, {"text": TEXT, **fields})

    done = anyio.run(run)
    assert not done.is_error, done.content


WAYS = [_by_json, _by_stream, _by_form, _by_job_body, _by_job_form, _by_tool]


def _require(request: Any, given: dict[str, Any]) -> None:
    """Require that the request has each of these options."""
    for name, value in given.items():
        assert getattr(request, name) == (tuple(value) if isinstance(value, list) else value), name


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("task", SAMPLES)
def test_every_option_is_read_by_every_way_in(task: str, way: Any) -> None:
    heard = Heard(FakeRuntime(settings()))
    way(heard, task, SAMPLES[task])
    (request,) = heard.requests
    _require(request, SAMPLES[task])


@pytest.mark.parametrize(
    ("path", "body", "quality"),
    [
        ("/v1/translate", {"text": TEXT, "target": "fr"}, "best"),
        ("/v1/translate", {"text": TEXT, "target": "fr", "stream": True}, "best"),
        ("/v1/translate", {"text": TEXT, "target": "fr", "quality": "fast"}, "fast"),
        ("/v1/translate", {"texts": [TEXT] * 3, "target": "fr"}, "best"),
        ("/v1/translate", {"texts": [TEXT * 10] * 4, "target": "fr"}, "auto"),
        ("/v1/translate", {"text": f"{TEXT} " * 40, "target": "fr", "stream": True}, "auto"),
        ("/v1/translate", {"text": f"{TEXT} " * 40, "target": "fr", "quality": "best"}, "best"),
        ("/v2/translate", {"text": [TEXT], "target_lang": "FR"}, "best"),
        ("/v2/translate", {"text": [TEXT], "target_lang": "FR", "model_type": "latency_optimized"}, "fast"),
    ],
)
def test_a_few_sentences_are_searched_best(path: str, body: dict[str, Any], quality: str) -> None:
    heard = Heard(FakeRuntime(settings()))
    _posted(heard, path, json=body)
    assert {request.quality for request in heard.requests} == {quality}


@pytest.mark.parametrize("way", [_by_json, _by_form, _by_job_body, _by_job_form])
def test_a_stored_glossary_is_named_over_http(way: Any) -> None:
    heard = Heard(FakeRuntime(settings()))
    made = {"name": "terms", "source": "en", "target": "fr", "entries": {"kept": "tenu"}}
    assert create_app(heard.runtime).test_client().post("/v1/glossaries", json=made).status_code == 201
    way(heard, "translate", {"target": "fr", "glossary": "terms"})
    assert heard.requests[0].glossary == {"kept": "tenu"}
    with pytest.raises(AssertionError, match="unknown-glossary"):
        way(heard, "translate", {"target": "fr", "glossary": "others"})


@pytest.mark.parametrize("glossary", ["{", "{" * 100_000, '{"a": 1}', '{"a": ""}'])
def test_a_forms_glossary_is_json_or_a_name(glossary: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        validated(TranslateForm, {"file": "a.txt", "target": "fr", "glossary": glossary})
    assert str(caught.value.field).startswith("glossary")


NOT_FLAGS = {"memory", "partial"}
"""The command line's memory is a file; it has no deadline."""
FLAGS = {"target": "--to", "source": "--from", "clean": "--all-text"}


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize(
    ("task", "model"),
    [("summarize", "dragoman/extractive"), ("translate", "dragoman/gemma3-270m-translate")],
)
def test_every_option_is_a_flag(tmp_path: Path, task: str, model: str, batched: bool) -> None:
    wanted = {name: value for name, value in SAMPLES[task].items() if name not in NOT_FLAGS}
    wanted["model"] = model
    flags = list[str]()
    for name, value in wanted.items():
        flag = FLAGS.get(name, f"--{name.replace('_', '-')}")
        if isinstance(value, dict):
            (tmp_path / "terms.tsv").write_text("".join(f"{term}\t{to}\n" for term, to in value.items()))
            flags += [flag, str(tmp_path / "terms.tsv")]
        elif isinstance(value, bool):
            flags.append(flag)
        else:
            flags += [
                part for each in (value if isinstance(value, list) else [value]) for part in (flag, str(each))
            ]
    heard = list[Heard]()

    def opened(settings: Any) -> Any:
        runtime = OfflineRuntime(settings)
        heard.append(Heard(runtime))
        return runtime

    command = [task, *flags, TEXT]
    if batched:
        (tmp_path / "in.jsonl").write_text(json.dumps({"text": TEXT}) + "\n")
        command = ["batch", task, str(tmp_path / "in.jsonl"), str(tmp_path / "out.jsonl"), *flags]
    done = CliRunner().invoke(cli, command, obj=Session(opened))
    assert done.exit_code == 0, done.output
    _require(heard[0].requests[-1], wanted)


# ------------------------------------------------------------------ the same choices everywhere


CHOICES: list[tuple[str, Command, list[type], tuple[str, ...]]] = [
    ("length", summarize, [SummarizeBody, SummarizeForm], tuple(LENGTHS)),
    ("format", summarize, [SummarizeBody, SummarizeForm], SUMMARY_FORMATS),
    ("on_unsupported", summarize, [SummarizeBody, SummarizeForm], get_args(OnUnsupported)),
    ("format", translate, [TranslateBody], TEXT_FORMATS),
    ("quality", translate, [TranslateBody, TranslateForm], get_args(Quality)),
]


@pytest.mark.parametrize(("name", "command", "bodies", "values"), CHOICES)
def test_every_way_in_has_the_same_choices(
    name: str, command: Command, bodies: list[Any], values: tuple[str, ...]
) -> None:
    [option] = [each for each in command.get_params(Context(command)) if each.name == name]
    assert isinstance(option.type, Choice)
    assert tuple(option.type.choices) == values
    for body in bodies:
        assert tuple(body.model_json_schema()["properties"][name]["enum"]) == values


def test_a_summary_is_short_unless_asked_otherwise() -> None:
    [option] = [each for each in summarize.get_params(Context(summarize)) if each.name == "length"]
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


# ------------------------------------------------------------------ bodies


def test_summarize_fills_defaults() -> None:
    assert requests("summarize", {"text": "A b."}) == [SummaryRequest(text="A b.")]


def test_null_is_as_if_absent() -> None:
    asked = requests("summarize", {"text": "A", "html": None, "model": None, "target": None})
    assert asked == [SummaryRequest(text="A")]


def test_translate_passes_every_field_on() -> None:
    asked = requests("translate", {"texts": ["a", "b"], "source": "en", "target": "fr", "model": "m"})
    assert asked == [TranslationRequest(text=t, source="en", target="fr", model="m") for t in ("a", "b")]


@pytest.mark.parametrize(
    ("body", "error", "field", "message"),
    [
        ([], InvalidInput, None, "the body must be a JSON object, not an array"),
        ({"text": "a"}, InvalidInput, "target", "target is required"),
        (
            {"target": "fr"},
            InvalidInput,
            "text",
            "exactly one of text, texts must be given, not none of them",
        ),
        (
            {"text": "a", "texts": ["a"], "target": "fr"},
            InvalidInput,
            "texts",
            "exactly one of text, texts must be given, not text and texts",
        ),
        ({"text": 1, "target": "fr"}, InvalidInput, "text", "text must be a string, not a number"),
        ({"texts": "a", "target": "fr"}, InvalidInput, "texts", "texts must be an array, not a string"),
        ({"texts": [], "target": "fr"}, InvalidInput, "texts", "texts is empty"),
        ({"texts": ["a"] * 5, "target": "fr"}, TooManyTexts, "texts", "texts has 5 items"),
        ({"text": " \n", "target": "fr"}, InvalidInput, "text", "text is empty"),
        ({"text": "a" * 1001, "target": "fr"}, TooLong, "text", "text has 1001 characters"),
        ({"texts": ["a" * 600] * 2, "target": "fr"}, TooLong, "texts", "texts has 1200 characters"),
        ({"text": "a", "target": ""}, InvalidInput, "target", "target should have at least 1 character"),
        (
            {"text": "a", "tarqet": "fr", "target": "fr"},
            InvalidInput,
            "tarqet",
            "'tarqet' is not a field of this request; did you mean target?",
        ),
    ],
)
def test_translate_refuses(body: object, error: type[Exception], field: str | None, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        requests("translate", body)
    assert type(caught.value) is error
    assert (caught.value.field, caught.value.message) == (field, message)


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("length", "tiny", ["headline", "short", "medium", "long"]),
        ("format", None, ["paragraph", "bullets"]),
        ("max_sentences", 0, "1 or more"),
        ("max_sentences", True, "an integer"),
        ("max_sentences", 2.5, "an integer"),
        ("max_sentences", "2", "an integer"),
    ],
)
def test_summarize_says_what_is_allowed(field: str, value: object, allowed: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        requests("summarize", {"text": "a", field: value})
    assert (caught.value.field, caught.value.allowed) == (field, allowed)


def test_several_wrong_fields_are_all_named() -> None:
    with pytest.raises(InvalidFields) as caught:
        requests("summarize", {"text": 1, "length": "tiny", "x" * 500: 1})
    assert [error.field for error in caught.value.errors] == ["text", "length", "x" * 60 + "…"]


def test_a_bad_item_fails_alone() -> None:
    asked = inputs(DetectBody(texts=["a", "", 3, "b" * 1001]), LIMITS)
    assert asked.items[0] == "a"
    assert [item.field for item in asked.items[1:] if isinstance(item, InvalidInput)] == [
        "texts[1]",
        "texts[2]",
        "texts[3]",
    ]
    assert isinstance(asked.items[3], TooLong)


def test_detect_takes_texts_alone() -> None:
    with pytest.raises(InvalidInput, match="not a field"):
        validated(DetectBody, {"text": "a", "target": "fr"})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(["text", "texts", "html", "target", "source", "length", "max_sentences", "model"])


@given(JSON | st.dictionaries(FIELDS | st.text(), JSON, max_size=5))
def test_any_json_is_read_or_refused(data: object) -> None:
    for body in (SummarizeBody, TranslateBody, DetectBody):
        try:
            assert inputs(validated(body, data), LIMITS).items
        except InvalidInput as error:
            assert error.message


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", "rtf"),
        ("protect", [" "]),
        ("protect", "Dragoman"),
        ("glossary", ["a"]),
        ("glossary", {"a": 1}),
        ("min_confidence", 1.1),
        ("min_confidence", "high"),
    ],
)
def test_wrong_forms_and_terms_are_named(field: str, value: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        requests("translate", {"text": "a", "target": "fr", field: value})
    assert str(caught.value.field).startswith(field)
    assert "dictionary" not in caught.value.message
