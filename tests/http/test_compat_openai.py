# ruff: noqa: E501 - cases are rows
"""OpenAI's interface, with the `openai` package on the real server, and by hand."""

import json
from typing import Any

import openai
import pytest
from compat_server import CompatServer
from openai.types.chat import ChatCompletion

SENTENCES = [
    "The foreign ministers of the two countries met in Vienna on Sunday for the first time in six years.",
    "They agreed to reopen the border crossing that has been closed since the conflict of 2019.",
    "Observers from neighbouring states welcomed the step but warned that much remains to be settled.",
    "A joint commission will meet every month and report to both parliaments before the summer.",
]
ARTICLE = " ".join(SENTENCES * 3)
TEXT = "It rained.\n\n%%\n\n- One day. Two days.\n"


@pytest.fixture
def server(compat_server: CompatServer) -> CompatServer:
    return compat_server


@pytest.fixture
def client(server: CompatServer) -> Any:
    with openai.OpenAI(base_url=f"{server.url}v1", api_key="any", max_retries=0) as client:
        yield client


def ask(client: openai.OpenAI, model: str, *messages: str, **options: Any) -> ChatCompletion:
    """The last message is the user's, those before it the system's."""
    roles = ["system"] * (len(messages) - 1) + ["user"]
    said = [{"role": role, "content": text} for role, text in zip(roles, messages, strict=True)]
    return client.chat.completions.create(model=model, messages=said, **options)  # type: ignore[no-any-return,call-overload]


# ---------------------------------------------------------------------- the package


@pytest.mark.parametrize(
    ("model", "messages"),
    [
        ("translate:fr", [TEXT]),
        ("translate:en:fr", [TEXT]),
        ("translate", [f"Translate to French:\n\n{TEXT}"]),
        (
            "gpt-4o-mini",
            [
                "You are a helpful assistant.",
                f"Translate the following text from English to French: \n\n{TEXT}",
            ],
        ),
        ("gpt-4o-mini", ["Translate the user's messages into French.", TEXT]),
        ("facebook/m2m100_418M:translate:fr", [TEXT]),
        ("facebook/m2m100_418M", ["Translate to French.", TEXT]),
        ("Helsinki-NLP/opus-mt-en-fr", [TEXT]),
    ],
)
def test_a_translation(client: openai.OpenAI, model: str, messages: list[str]) -> None:
    done = ask(client, model, *messages)
    assert done.choices[0].message.content == TEXT.upper()
    assert (done.object, done.model, done.choices[0].finish_reason) == ("chat.completion", model, "stop")


def test_a_first_line_like_an_instruction_is_translated_too(client: openai.OpenAI) -> None:
    text = "Translation of the Bible took years:\nThe first part was done in 1522."
    assert ask(client, "translate:en:fr", text).choices[0].message.content == text.upper()


def test_usage_is_what_the_models_read_and_wrote(client: openai.OpenAI) -> None:
    usage = ask(client, "translate:en:fr", "It rained.").usage
    framed = len("It rained.") + 2  # as the fake codec frames it
    assert usage is not None
    assert (usage.prompt_tokens % framed, usage.completion_tokens % 10) == (0, 0)
    assert usage.prompt_tokens >= framed
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


@pytest.mark.parametrize(
    ("model", "messages", "lines"),
    [
        ("summarize", [ARTICLE], 1),
        ("summarize:bullets", [ARTICLE], None),
        ("summarize:bullets:de", [ARTICLE], None),
        ("facebook/bart-large-cnn", [ARTICLE], 1),
        ("facebook/bart-large-cnn:summarize:headline", [ARTICLE], 1),
        ("gpt-4o-mini", ["Summarize the article in bullet points.", ARTICLE], None),
        ("gpt-4o-mini", ["You summarize.", f"Title: T\nAuthor: A\n\nContent: {ARTICLE}"], 1),
    ],
)  # fmt: skip
def test_a_summary(client: openai.OpenAI, model: str, messages: list[str], lines: int | None) -> None:
    done = ask(client, model, *messages, max_tokens=2048).choices[0].message.content or ""
    assert SENTENCES[0].upper() in done
    assert len(done) < len(ARTICLE)
    assert lines in (None, len(done.splitlines()))
    assert done.startswith("- ") == ("bullet" in "".join([model, *messages]))


def test_lengths_and_limits_of_a_summary(client: openai.OpenAI) -> None:
    sizes = [
        len(ask(client, model, ARTICLE, **limit).choices[0].message.content or "")
        for model, limit in [
            ("summarize:short", {"max_completion_tokens": 30}),
            ("summarize:short", {"max_tokens": 4000}),
            ("summarize:long", {}),
        ]
    ]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("translate:fr", TEXT),
        ("translate:zh", "One day. Two days.\n\n  > It rained. It\n  > snowed.\n"),
        ("translate:fr", "\n".join(["It rained all day long and nobody in the village went out to see it"] * 6) + ".\n\nB."),
        ("translate:fr", "<b>One</b> day. Two days."),
        ("summarize", ARTICLE),
        ("summarize:fr", ARTICLE),
        ("summarize:bullets:zh", ARTICLE),
        ("translate:en", "They met in Vienna on Sunday. It is English already."),
    ],
)  # fmt: skip
def test_a_stream_is_the_answer_in_pieces(client: openai.OpenAI, model: str, text: str) -> None:
    whole = ask(client, model, text)
    chunks = list(ask(client, model, text, stream=True, stream_options={"include_usage": True}))
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert "".join(piece or "" for piece in pieces) == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-2:] == [None, "stop"]
    assert [chunk.usage for chunk in chunks if chunk.usage] == [whole.usage]
    assert len({chunk.id for chunk in chunks}) == 1


def test_the_list_of_models_is_read_by_both(server: CompatServer, client: openai.OpenAI) -> None:
    names = [model.id for model in client.models.list()]
    assert {"translate", "translate:fr", "summarize:short", "summarize:bullets"} <= set(names)
    assert "facebook/bart-large-cnn" not in names or len(names) == len(set(names))
    assert client.models.retrieve(names[-1]).id == names[-1]
    ours = json.loads(server.request("GET", "/v1/models")[1])
    assert "dragoman/extractive" in [model["name"] for model in ours["models"]]
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4o-mini")


def test_a_format_of_one_string_is_json(client: openai.OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"translation": {"type": "string"}},
        "required": ["translation"],
    }
    form = {"type": "json_schema", "json_schema": {"name": "TranslationResponse", "schema": schema}}
    done = ask(client, "translate:fr", 'He said "no".', response_format=form)
    assert json.loads(done.choices[0].message.content or "") == {"translation": 'HE SAID "NO".'}
    chunks = ask(client, "translate:fr", 'He said "no".', response_format=form, stream=True)
    assert json.loads("".join(chunk.choices[0].delta.content or "" for chunk in chunks))  # type: ignore[attr-defined]


def test_the_text_is_the_last_message_of_the_user(client: openai.OpenAI) -> None:
    messages: list[Any] = [
        {"role": "developer", "content": "Translate to French."},
        {"role": "user", "content": "One day."},
        {"role": "assistant", "content": "Un jour."},
        {"role": "user", "content": [{"type": "text", "text": "Two days."}]},
    ]
    done = client.chat.completions.create(model="gpt-4o", messages=messages, temperature=0.3, seed=1, n=1)
    assert done.choices[0].message.content == "TWO DAYS."


@pytest.mark.parametrize(
    ("model", "text", "options", "error", "code", "said"),
    [
        ("gpt-4o-mini", "Hello there", {}, openai.BadRequestError, "invalid_input", "translate:fr"),
        ("translate", "Hello there", {}, openai.BadRequestError, "invalid_input", "into which language"),
        ("translate:fr", " ", {}, openai.BadRequestError, "invalid_input", "no text"),
        ("translate:xx", "Hello", {}, openai.NotFoundError, "model_not_found", "'xx' is not a language"),
        ("translate:en:fr:de", "Hello", {}, openai.NotFoundError, "model_not_found", "more than two"),
        ("summarize:fr:de", "Hello", {}, openai.NotFoundError, "model_not_found", "too much"),
        ("nobody/nothing", "Hello", {}, openai.NotFoundError, "model_not_found", "translate:fr"),
        ("translate:fr", "Translate to German:\n\nHello", {}, openai.BadRequestError, "invalid_input", "says fr"),
        ("gpt-4o-mini", "Translate this to French: Hello", {}, openai.BadRequestError, "invalid_input", "translate:fr"),
        ("translate:fr", "Hello", {"n": 2}, openai.BadRequestError, "invalid_input", "n is not 1"),
        ("translate:fr", "Hello", {"stop": ["."]}, openai.BadRequestError, "invalid_input", "stop"),
        ("translate:fr", "Hello", {"logprobs": True}, openai.BadRequestError, "invalid_input", "logprobs"),
        ("translate:fr", "One two three.", {"max_tokens": 2}, openai.BadRequestError, "invalid_input", "3 words"),
        ("translate:fr", "Hello", {"response_format": {"type": "json_object"}}, openai.BadRequestError, "invalid_input", "response_format"),
        ("translate:fr", "Hello", {"tools": [{"type": "function", "function": {"name": "f"}}]}, openai.BadRequestError, "invalid_input", "tools"),
        ("translate:fr", "this ✗ fails", {}, openai.InternalServerError, "engine_failed", "the model failed"),
        ("translate:fr", "a" * 31_000, {}, openai.APIStatusError, "context_length_exceeded", "31000"),
    ],
)  # fmt: skip
def test_errors_are_openais(
    client: openai.OpenAI, model: str, text: str, options: dict[str, Any], error: type[openai.APIStatusError], code: str, said: str
) -> None:  # fmt: skip
    with pytest.raises(error) as wrong:
        ask(client, model, text, **options)
    assert wrong.value.code == code
    assert said in str(wrong.value)
    with pytest.raises(error):
        ask(client, model, text, **options, stream=True)


def test_long_system_messages_are_refused(client: openai.OpenAI) -> None:
    """Reading 190,000 brackets took seconds in which nobody else was answered."""
    with pytest.raises(openai.BadRequestError, match="at most 8000 characters of system messages") as wrong:
        ask(client, "translate:fr", "[" * 4_000, "[" * 4_001, "Hello")
    assert (wrong.value.code, wrong.value.param) == ("invalid_input", "messages")


def test_a_message_of_another_kind_is_refused(client: openai.OpenAI) -> None:
    picture: Any = [{"type": "image_url", "image_url": {"url": "data:,"}}]
    with pytest.raises(openai.BadRequestError, match="parts of type text alone"):
        client.chat.completions.create(model="translate:fr", messages=[{"role": "user", "content": picture}])


# ---------------------------------------------------------------------- by hand


def test_a_failure_midway_is_told_in_the_stream(server: CompatServer) -> None:
    """The openai package raises it."""
    body = {
        "model": "translate:en:fr",
        "messages": [{"role": "user", "content": f"{'slow one. ' * 2}✗"}],
        "stream": True,
    }
    status, frames = post(server, **body)
    assert (
        status == 500 or json.loads(frames.strip().split("\n\n")[-1].partition("data: ")[2])["error"]["code"]
    )


def post(server: CompatServer, **body: Any) -> tuple[int, str]:
    response, answer = server.request("POST", "/v1/chat/completions", json.dumps(body))
    return response.status, answer.decode() if isinstance(answer, bytes) else answer


def test_nulls_are_as_good_as_nothing(server: CompatServer) -> None:
    nulls = dict.fromkeys(["stream", "stop", "max_tokens", "n", "tools", "response_format", "temperature"])
    status, answer = post(
        server, model="translate:fr", messages=[{"role": "user", "content": "Hi."}], **nulls
    )
    assert (status, json.loads(answer)["choices"][0]["message"]["content"]) == (200, "HI.")


def test_web_pages_may_call_it(server: CompatServer) -> None:
    headers = {"Origin": "https://reader.example.org", "Access-Control-Request-Headers": "authorization"}
    response, _ = server.request("OPTIONS", "/v1/chat/completions", None, headers)
    assert response.getheader("Access-Control-Allow-Origin") == "*"
    assert "Authorization" in response.getheader("Access-Control-Allow-Headers")


def test_a_stream_ends_as_openais(server: CompatServer) -> None:
    status, frames = post(
        server, model="translate:fr", messages=[{"role": "user", "content": "Hi."}], stream=True
    )
    assert (status, frames[-14:]) == (200, "data: [DONE]\n\n")
    assert all(line.startswith(("data: ", ": ")) for line in frames.split("\n") if line)
