"""Models behind servers that speak chat completions: the client, and what the tasks make of it."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from chat_server import ChatServer, Reply
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from models import server_model
from models.catalog import Catalog
from models.codec import Purpose
from models.driver import IncrementalDecoder
from models.engine.process import from_output, to_output
from models.engine.protocol import Decoding, Generation, Output
from models.errors import (
    DeadlineExceeded,
    EngineFailed,
    InvalidInput,
    ServerFailed,
    ServerUnavailable,
    UnknownModel,
)
from models.languages import Languages
from models.server_model import Answer, ServerCodec, ServerEngine, cleaned, in_characters
from service.batch import executor
from service.cli.main import cli
from service.http.app import create_app
from service.problems import kind_of
from service.runtime import Runtime
from service.settings import Settings

WAIT_S = 60
KEY = "sk-test-0123456789"
SECRET_TEXT = "The minister told the ambassador of it in confidence on Friday."


@pytest.fixture
def chat() -> Iterator[ChatServer]:
    server = ChatServer(lambda reply: reply.answer(f"[{reply.text}]"))
    yield server
    server.close()


@pytest.fixture
def open_engine(chat: ChatServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ServerEngine]]:
    monkeypatch.setattr(server_model, "BACKOFFS_S", (0.0, 0.0))
    made: list[ServerEngine] = []

    def open_it(**given: Any) -> ServerEngine:
        made.append(ServerEngine("m", given.pop("url", chat.url), "served", api_key=KEY, **given))
        return made[-1]

    yield open_it
    for each in made:
        each.close()


@pytest.fixture(scope="module")
def codec() -> ServerCodec:
    languages = Languages.load()
    name = "server:http://127.0.0.1:1/v1#m"
    entry = Catalog.load(languages, named=[name]).get(name)
    return ServerCodec(in_characters(entry), languages)


def _generation(codec: ServerCodec, text: str, *, number: int = 1, **given: Any) -> Generation:
    purpose = Purpose("translate", "en", "fr")
    decoding = codec.decoding(purpose, max_new_tokens=200)
    decoding = Decoding(max_new_tokens=decoding.max_new_tokens, num_return_sequences=number)
    return Generation(codec.encode(text, purpose), decoding, **given)


def _output(engine: ServerEngine, generation: Generation) -> Output:
    (future,) = engine.submit([generation])
    return future.result(WAIT_S)


def _text(codec: ServerCodec, output: Output) -> str:
    return codec.decode(output.token_ids)


# ------------------------------------------------------------------------------------------- the client


def test_what_is_asked_and_what_is_answered(chat: ChatServer, open_engine: Any, codec: ServerCodec) -> None:
    output = _output(open_engine(), _generation(codec, "Good day."))
    assert _text(codec, output) == "[Good day.]"
    assert output.score == pytest.approx(-0.25) and output.finish == "stop" and output.usage == (7, 3)
    (body,) = chat.bodies
    assert body["model"] == "served" and body["stream"] is True and body["temperature"] == 0
    assert body["max_tokens"] == 100  # of 200 characters
    assert body["messages"][0]["content"].startswith("Translate the text below from English to French.")
    assert chat.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert to_output(from_output(output)) == output


def test_the_answer_is_told_as_it_comes(chat: ChatServer, open_engine: Any, codec: ServerCodec) -> None:
    heard: list[str] = []
    half = threading.Event()

    def reply(reply: Reply) -> None:
        reply.say("Sure! Here is the French translation:\n\n")
        reply.say("Une première phrase qui est assez longue pour que rien ne soit plus retenu. ")
        assert half.wait(WAIT_S)
        reply.say("La seconde.")
        reply.end()

    def hear(token: int) -> None:
        heard.append(chr(token))
        if len(heard) > 40:
            half.set()

    chat.reply = reply
    output = _output(open_engine(), _generation(codec, "x", on_token=hear))
    assert "".join(heard) == _text(codec, output)
    assert _text(codec, output).startswith("Une première") and "Sure" not in "".join(heard)


def test_words_are_told_whole(codec: ServerCodec) -> None:
    told, words = "Le ministre a dit\nhier. 部长说", list[str]()
    pieces = IncrementalDecoder(codec.decode_begun)
    for character in told:
        if (piece := pieces.add(ord(character))) is not None:
            words.append(piece.text)
    assert words == ["Le ", "ministre ", "a ", "dit\n", "hier. ", "部", "长", "说"]


def test_other_hypotheses_are_sampled(chat: ChatServer, open_engine: Any, codec: ServerCodec) -> None:
    chat.reply = lambda reply: reply.answer(f"answer {min(1, reply.body.get('seed', 0))}")
    output = _output(open_engine(), _generation(codec, "x", number=3))
    assert _text(codec, output) == "answer 0"
    assert [_text(codec, each) for each in output.others] == ["answer 1"]  # equal ones are one
    assert output.usage == (21, 9)
    assert sorted(body["temperature"] for body in chat.bodies) == [0, 0.7, 0.7]


def test_at_most_so_many_requests_at_a_time(chat: ChatServer, open_engine: Any, codec: ServerCodec) -> None:
    now, most, lock = 0, 0, threading.Lock()

    def reply(reply: Reply) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        reply.say("a")
        with lock:
            now -= 1
        reply.end()

    chat.reply = reply
    engine = open_engine(concurrency=2)
    futures = engine.submit([_generation(codec, str(i)) for i in range(8)])
    assert all(future.result(WAIT_S) for future in futures)
    assert most <= 2
    assert engine.stats().requests == 8 and engine.stats().output_tokens == 24


def test_flows_take_turns_at_the_places(chat: ChatServer, open_engine: Any, codec: ServerCodec) -> None:
    engine = open_engine(concurrency=1)
    flows = ["a"] * 6 + ["b"]
    futures = []
    for i, flow in enumerate(flows):
        futures += engine.submit([_generation(codec, f"{flow}{i}", flow=flow)])
    for future in futures:
        future.result(WAIT_S)
    asked = [body["messages"][-1]["content"] for body in chat.bodies]
    assert "b6" in asked[1] + asked[2]


@pytest.mark.parametrize(
    ("status", "headers", "error", "tries"),
    [
        (401, {}, ServerFailed, 1),
        (404, {}, ServerFailed, 1),
        (500, {}, ServerFailed, 3),
        (429, {}, ServerUnavailable, 3),
        (503, {"Retry_After": "0"}, ServerUnavailable, 3),
        (429, {"Retry_After": "3600"}, ServerUnavailable, 1),
        (502, {"Retry_After": "3600"}, ServerFailed, 1),
        (429, {"Retry_After": "inf"}, ServerUnavailable, 3),
        (307, {"Location": "http://127.0.0.1:9/v1"}, ServerFailed, 1),
    ],
)
def test_errors_are_the_servers_own_words(
    chat: ChatServer,
    open_engine: Any,
    codec: ServerCodec,
    status: int,
    headers: dict[str, str],
    error: type[Exception],
    tries: int,
) -> None:
    told = {"error": {"message": f"no such model, key {KEY}", "type": "t"}}
    chat.reply = lambda reply: reply.status(status, told, **headers)
    with pytest.raises(error) as found:
        _output(open_engine(), _generation(codec, SECRET_TEXT))
    assert type(found.value) is error and f"answers {status}" in str(found.value)
    assert "no such model" in str(found.value) and KEY not in str(found.value)
    assert len(chat.bodies) == tries
    if status == 429 and "3600" in headers.values():
        assert found.value.retry_after_s == 3600


def test_statuses_of_the_errors() -> None:
    assert kind_of(ServerFailed("")).status == 502
    assert kind_of(ServerUnavailable("")).status == 503
    assert kind_of(DeadlineExceeded("")).status == 504


def test_words_that_quote_the_text_are_not_passed_on(
    chat: ChatServer, open_engine: Any, codec: ServerCodec, caplog: pytest.LogCaptureFixture
) -> None:
    for text, word in ((SECRET_TEXT, "ambassador"), ("Zoë est morte.", "Zo"), ("他死了。", "死")):
        told = {"message": f"key {KEY}: cannot do {text} or {json.dumps(text)}"}
        chat.reply = lambda reply, told=told: reply.status(500, {"error": told})  # type: ignore[misc]
        with pytest.raises(ServerFailed) as found:
            _output(open_engine(), _generation(codec, text))
        assert word not in str(found.value) and word not in caplog.text
        assert KEY not in str(found.value) and KEY not in caplog.text


def test_a_server_that_comes_back(chat: ChatServer, open_engine: Any, codec: ServerCodec) -> None:
    def reply(reply: Reply) -> None:
        if len(chat.bodies) == 1:
            reply.status(503, {"error": {"message": "loading the model"}})
        elif len(chat.bodies) == 2:
            reply.say("Bro")  # and the connection is closed
        else:
            reply.answer("whole")

    chat.reply = reply
    assert _text(codec, _output(open_engine(), _generation(codec, "x"))) == "whole"


def test_what_was_told_is_not_told_again(chat: ChatServer, open_engine: Any, codec: ServerCodec) -> None:
    chat.reply = lambda reply: reply.say("x" * 200)  # and the connection is closed
    with pytest.raises(ServerFailed, match="broke off"):
        _output(open_engine(), _generation(codec, "x", on_token=lambda _: None))
    assert len(chat.bodies) == 1


def test_a_server_that_is_not_there(open_engine: Any, codec: ServerCodec) -> None:
    with pytest.raises(ServerUnavailable, match="cannot be reached"):
        _output(open_engine(url="http://127.0.0.1:9/v1"), _generation(codec, "x"))


def test_an_error_in_the_middle_of_the_stream(chat: ChatServer, open_engine: Any, codec: ServerCodec) -> None:
    def reply(reply: Reply) -> None:
        reply.say("He")
        reply.event({"error": {"message": "out of memory"}})

    chat.reply = reply
    with pytest.raises(ServerFailed, match="out of memory"):
        _output(open_engine(), _generation(codec, "x"))


def test_a_model_that_declines(chat: ChatServer, open_engine: Any, codec: ServerCodec) -> None:
    chat.reply = lambda reply: reply.end("content_filter")
    with pytest.raises(ServerFailed, match="declined"):
        _output(open_engine(), _generation(codec, "x"))


def test_an_answer_that_is_cut_off_says_so(chat: ChatServer, open_engine: Any, codec: ServerCodec) -> None:
    def reply(reply: Reply) -> None:
        reply.say("He said that")
        reply.end("length")

    chat.reply = reply
    assert _output(open_engine(), _generation(codec, "x")).finish == "length"


def _forever(held: threading.Event) -> Callable[[Reply], None]:
    def reply(reply: Reply) -> None:
        while True:
            reply.say("x" * 200)
            held.wait(0.01)

    return reply


def test_a_cancelled_request_ends_at_the_server(
    chat: ChatServer, open_engine: Any, codec: ServerCodec
) -> None:
    began, never = threading.Event(), threading.Event()
    chat.reply = _forever(never)
    (future,) = open_engine().submit([_generation(codec, "x", on_token=lambda _: began.set())])
    assert began.wait(WAIT_S)
    assert future.cancel()
    assert chat.client_went.wait(WAIT_S)


def test_a_late_request_ends_at_the_server(chat: ChatServer, open_engine: Any, codec: ServerCodec) -> None:
    chat.reply = _forever(threading.Event())
    with pytest.raises(DeadlineExceeded):
        _output(open_engine(), _generation(codec, "x", deadline=time.monotonic() + 0.3))
    assert chat.client_went.wait(WAIT_S)


def test_a_closed_engine_takes_nothing(open_engine: Any, codec: ServerCodec) -> None:
    closed = []
    engine = open_engine(on_close=lambda: closed.append(True))
    futures: list[Future[Output]] = engine.submit([_generation(codec, "x")])
    engine.close()
    assert futures[0].result(0) and closed == [True]
    with pytest.raises(EngineFailed, match="closed"):
        engine.submit([_generation(codec, "x")])
    engine.close = lambda: None  # type: ignore[method-assign]


# ------------------------------------------------------------------------------- what servers don't take


def test_parameters_that_a_server_refuses_are_left_out(
    chat: ChatServer, open_engine: Any, codec: ServerCodec
) -> None:
    def reply(reply: Reply) -> None:
        for name in ("max_tokens", "logprobs", "chat_template_kwargs"):  # as OpenAI's models that think do
            if name in reply.body:
                told = {"error": {"message": f"Unsupported parameter: '{name}'", "param": name}}
                return reply.status(400, told)
        return reply.answer("fine", log_probability=None)

    chat.reply = reply
    engine = open_engine()
    assert _output(engine, _generation(codec, "x")).score is None
    assert len(chat.bodies) == 4 and chat.bodies[-1]["max_completion_tokens"] == 100
    _output(engine, _generation(codec, "y"))
    assert len(chat.bodies) == 5


def test_a_server_that_does_not_say_what_it_refuses(
    chat: ChatServer, open_engine: Any, codec: ServerCodec
) -> None:
    def reply(reply: Reply) -> None:
        if "stream_options" in reply.body:
            return reply.status(422, {"detail": "bad request"})
        return reply.answer("fine")

    chat.reply = reply
    engine = open_engine()
    assert _text(codec, _output(engine, _generation(codec, "x"))) == "fine"
    assert chat.bodies[-1].keys() == {"model", "messages", "stream", "max_tokens"}


def test_what_is_refused_for_another_reason_is_asked_for_again(
    chat: ChatServer, open_engine: Any, codec: ServerCodec
) -> None:
    chat.reply = lambda reply: reply.status(400, {"error": {"message": "the context is too long"}})
    engine = open_engine()
    with pytest.raises(ServerFailed, match="context is too long"):
        _output(engine, _generation(codec, "x"))
    chat.reply = lambda reply: reply.answer("fine")
    _output(engine, _generation(codec, "x"))
    assert chat.bodies[-1]["logprobs"] is True


def test_an_answer_that_begins_with_a_line_end_is_no_thought(
    chat: ChatServer, open_engine: Any, codec: ServerCodec
) -> None:
    def reply(reply: Reply) -> None:
        reply.say("\n\nBonjour, et")
        reply.end("length")

    chat.reply = reply
    output = _output(open_engine(), _generation(codec, "Hello, and so on."))
    assert _text(codec, output) == "Bonjour, et" and len(chat.bodies) == 1


def test_a_model_that_thinks_gets_the_room_for_it(
    chat: ChatServer, open_engine: Any, codec: ServerCodec
) -> None:
    def reply(reply: Reply) -> None:
        reply.say("<think>", log_probability=-3.0)
        reply.say("What is meant", log_probability=-3.0)
        if reply.body["max_tokens"] < 4096:
            return reply.end("length")
        reply.say("</think>\n\n", log_probability=-3.0)
        reply.say("Bonjour.", log_probability=-0.5)
        return reply.end()

    chat.reply = reply
    output = _output(open_engine(), _generation(codec, "Hello."))
    assert _text(codec, output) == "Bonjour." and output.finish == "stop"
    assert output.score == pytest.approx(-0.5)


# ------------------------------------------------------------------------------- what is said around it

SOURCE = "Good day, minister."
ANSWER = "Bonjour, monsieur le ministre."


@pytest.mark.parametrize(
    "said",
    [
        ANSWER,
        f'"{ANSWER}"',
        f"« {ANSWER} »",
        f"“{ANSWER}”\n",
        f"<think>\n\n</think>\n\n{ANSWER}",  # Qwen 3, asked not to think
        f'<think>\nThe user wants French.\nSo: "Bonjour".\n</think>\n{ANSWER}',  # Qwen 3
        f"The user wants French.\n</think>\n\n{ANSWER}",  # DeepSeek R1, whose prompt has the opening tag
        f"<|channel|>analysis<|message|>Easy.<|end|><|start|>assistant<|channel|>final<|message|>{ANSWER}",
        f"Here is the translation:\n\n{ANSWER}",  # Llama 3.2
        f'Here\'s the translation of the text from English to French:\n\n"{ANSWER}"',
        f"Sure! Here is the French translation of your text:\n\n{ANSWER}",  # Mistral 7B
        f"Certainly! Here's the translation:\n\n---\n{ANSWER}".replace("---\n", ""),  # Qwen 2.5
        f"Sure!\n{ANSWER}",
        f"Voici la traduction :\n\n{ANSWER}",
        f"**Translation:**\n\n{ANSWER}",  # Gemma 3
        f"Translation: {ANSWER}",
        f"French translation: {ANSWER}".replace("French translation", "Translation (French)"),
        f"```\n{ANSWER}\n```",  # Qwen2.5 Coder
        f"```plaintext\n{ANSWER}\n```",
        f"{ANSWER}\n\nNote: I have kept the formal tone of the original.",  # Phi 3
        f"{ANSWER}\n\n(Note: “minister” may be feminine.)",
        f"{ANSWER}\n注意，“ministre”在这里可以是阴性。",  # seen of a Qwen: fishjar/kiss-translator issue 218
        # Gemini, in koharu-rs/koharu issue 850
        f'Here is a natural translation:\n\n"{ANSWER}"\n\n---\n\n### Key Breakdown\n\n* **a** (b)',
        f"{ANSWER}\n\nLet me know if you would like another version!",
    ],
)
def test_what_a_model_says_around_its_answer_is_taken_off(said: str) -> None:
    assert cleaned(said, SOURCE, "translate") == ANSWER
    assert cleaned(said, "A minister was greeted.", "summarize") == ANSWER
    told = [cleaned(said[:end], SOURCE, "translate", whole=False) for end in range(len(said))]
    assert all(ANSWER.startswith(each) for each in told if "</think>" not in said or "<think>" in said)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('"Good day," she said. "Come in."', '"Bonjour", dit-elle. "Entrez."'),
        ("“We can’t wait,” he said.", "« Nous ne pouvons pas attendre », a-t-il dit."),
        ("Translation: a history", "Translation: une histoire"),
        ("Here is the summary: nothing.", "Here is the summary: rien."),
        ("First.\n\nNote: second.", "Premier.\n\nNote: deuxième."),
        ("```\ncode\n```", "```\ncode\n```"),
        ("Think of it.", "Pensez-y : <b>vite</b>."),
        ("He said: Go.", "Il a dit : Partez."),
        ("“", "“"),
        ("Sure", "Sure"),
        ("A title", "Voici"),
        ("Voici ce que le ministre a dit : nous partons.", "Here is what the minister said: we are leaving."),
        ("Voici la liste : pommes, poires.", "Here is the list: apples and pears."),
        ("Des traducteurs protestent contre l’IA.", "Translators protest: AI threatens their jobs."),
        ("Bilan des faits : deux morts.", "Summary of the facts: two dead."),
        ("Voici le texte :\nIl part.", "Here is the text:\nHe leaves."),
        ("El texto dice:\n\nNota: cierre a las 6.", "The text says:\n\nNote: closed at 6."),
        ("It thinks between <think> and </think> tags.", "Il pense entre <think> et </think>."),
        ("It ends with </think>.", "Cela finit par </think>."),
    ],
)
def test_what_the_text_says_stays(source: str, said: str) -> None:
    assert cleaned(said, source, "translate") == said


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("One.\n* Notes show that sales fell.\n* Costs rose.", None),
        ("Here is a fact: sales fell.", None),
        ("Here is the summary:\n\nSales fell.", "Sales fell."),
        ("Sales fell.\n\nNote: the article says no more.", "Sales fell."),
        ("Note: sales fell.\n\nCosts rose.", None),
        ("Sales fell.\n\nNote: costs.\n\nThey rose.", None),
    ],
)
def test_a_summary_keeps_its_own_lines(said: str, kept: str | None) -> None:
    assert cleaned(said, "Sales fell, and costs rose.", "summarize") == (kept or said)


def test_a_chat_loses_a_thought_alone() -> None:
    said = '"Yes," he said.\n\n```\ncode\n```\n\n---\n\nNote: <think> is a tag.'
    assert cleaned(said, "", None) == said
    assert cleaned(f"<think>\nHm.\n</think>\n\n{said}", "", None) == said
    whole = f"<think>\nHm.\n</think>\n\n{said}"
    assert all(said.startswith(cleaned(whole[:end], "", None, whole=False)) for end in range(len(whole)))


def test_cleaning_takes_time_by_the_length() -> None:
    start = time.process_time()
    for piece in ("\n", " ", "<think>", "Note: ", '"', "here is ", "```\n", "\n* "):
        cleaned("x" * 200 + piece * 20_000, "", "translate", whole=False)
        cleaned(piece * 20_000, "", "summarize")
    assert time.process_time() - start < 5


_PIECES = st.sampled_from(
    [
        "<think>",
        "</think>",
        "\n",
        "\n\n",
        "Here is the translation:",
        '"',
        "«",
        "»",
        "Note: ",
        "```",
        "a ",
        "é",
    ]
)


@given(st.lists(_PIECES, max_size=12), st.lists(_PIECES, max_size=4))
def test_cleaning_takes_any_text(said: list[str], asked: list[str]) -> None:
    whole = "".join(said)
    told: list[int] = []
    answer = Answer("".join(asked), "translate", told.append)
    for piece in said:
        answer.add(_chunk(piece))
    output = "".join(map(chr, answer.output().token_ids))
    assert output in whole
    if "</think>" not in whole:  # without its beginning, nothing tells a thought until it ends
        assert output.startswith("".join(map(chr, told)))


def _chunk(text: str) -> Any:
    from types import SimpleNamespace as Some

    choice = Some(delta=Some(content=text), finish_reason=None, logprobs=None)
    return Some(usage=None, choices=[choice])


# ------------------------------------------------------------------------------- the catalog and settings

ENTRY = """
[[model]]
name = "ours"
family = "server"
tasks = ["summarize", "translate"]
url = "{url}"
model = "served"
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('model = "m"', "needs a `url`"),
        ('url = "http://127.0.0.1/v1"', "needs a `model`"),
        ('url = "127.0.0.1/v1"\nmodel = "m"', "an address such as"),
        ('url = "http://me:pw@127.0.0.1/v1"\nmodel = "m"', "api_key_env"),
    ],
)
def test_a_wrong_entry_says_what_is_wrong(tmp_path: Path, languages: Languages, text: str, said: str) -> None:
    file = tmp_path / "own.toml"
    file.write_text(f'[[model]]\nname = "n"\nfamily = "server"\ntasks = ["translate"]\n{text}\n')
    with pytest.raises(InvalidInput, match=said):
        Catalog.load(languages, file)


def test_a_url_is_of_servers_alone(tmp_path: Path, languages: Languages) -> None:
    file = tmp_path / "own.toml"
    file.write_text(
        '[[model]]\nname = "n"\nfamily = "marian"\ntasks = ["translate"]\nurl = "http://127.0.0.1/v1"\n'
    )
    with pytest.raises(InvalidInput, match="of the family `server` alone"):
        Catalog.load(languages, file)


@pytest.mark.parametrize("name", ["server:http://127.0.0.1:11434/v1", "server:#m", "server:ftp://a/b#m"])
def test_a_wrong_short_form_says_what_is_right(languages: Languages, name: str) -> None:
    with pytest.raises(InvalidInput) as found:
        Catalog.load(languages, named=[name])
    assert found.value.allowed == "server:URL#MODEL"


def test_a_key_of_openai_goes_to_openai_alone(languages: Languages) -> None:
    names = ["server:https://api.openai.com/v1#gpt-5-mini", "server:http://127.0.0.1:11434/v1#qwen3:8b"]
    entries = [Catalog.load(languages, named=names).get(name) for name in names]
    assert [each.api_key_env for each in entries] == ["OPENAI_API_KEY", None]
    assert [each.model for each in entries] == ["gpt-5-mini", "qwen3:8b"]
    assert "uk" in entries[0].languages and "fr" in entries[0].languages


Open = Callable[..., Runtime]


@pytest.fixture
def open_runtime(chat: ChatServer, tmp_path: Path) -> Iterator[Open]:
    made: list[Runtime] = []

    def open_it(**given: Any) -> Runtime:
        name = f"server:{chat.url}#served"
        own = {"translate_model": name, "summarize_model": name}
        folders = {"cache_dir": tmp_path / "cache", "data_dir": tmp_path / "data"}
        made.append(Runtime(Settings(**{**own, **folders, **given})))
        return made[-1]

    yield open_it
    for each in made:
        each.close()


def test_text_goes_only_to_servers_that_the_operator_named(
    chat: ChatServer, open_runtime: Open, tmp_path: Path
) -> None:
    file = tmp_path / "own.toml"
    file.write_text(ENTRY.format(url=chat.url))
    runtime = open_runtime(
        translate_model="dragoman/gemma3-270m-translate", allow_models=("*",), catalog=file
    )
    assert runtime.catalog.get("ours").url == chat.url
    for url in ("http://127.0.0.1:9/v1", f"{chat.url}x"):
        with pytest.raises(UnknownModel):
            runtime.catalog.get(f"server:{url}#served")
    client = create_app(runtime).test_client()
    body = {"text": "Good day.", "target": "fr", "model": "server:http://127.0.0.1:9/v1#m"}
    assert client.post("/v1/translate", json=body).status_code == 422


def test_an_entry_whose_key_is_not_set(chat: ChatServer, open_runtime: Open, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text(ENTRY.format(url=chat.url) + 'api_key_env = "KEY_OF_THIS_TEST"\n')
    client = create_app(open_runtime(catalog=file, translate_model="ours")).test_client()
    found = client.post("/v1/translate", json={"text": "Good day.", "target": "fr"})
    assert found.status_code == 503 and "KEY_OF_THIS_TEST" in found.json["detail"]


@pytest.mark.parametrize(
    ("model", "told", "said"),
    [
        ("served", {}, "sound"),
        ("served", {"max_model_len": 4096}, "sound"),
        ("qwen4:8b", {}, "model: qwen4:8b is not at http://127.0.0.1:"),
        (
            "served",
            {"meta": {"n_ctx": 2048}},
            "max_source_tokens: 3072 and max_new_tokens 1024 are more than the server's context of 2048; "
            "set max_source_tokens = 1024",
        ),
    ],
)
def test_models_check_asks_the_server(
    chat: ChatServer, tmp_path: Path, model: str, told: dict[str, Any], said: str
) -> None:
    chat.models[0].update(told)
    environment = {"DRAGOMAN_CACHE_DIR": str(tmp_path / "c"), "DRAGOMAN_DATA_DIR": str(tmp_path / "d")}
    name = f"server:{chat.url}#{model}"
    found = CliRunner().invoke(cli, ["models", "check", name], env=environment)
    assert f"{name}: {said}" in found.stdout, found.output
    assert found.exit_code == (said != "sound")
    if said == "sound":
        assert "Translate the text below from English to French" in found.stdout
    found = CliRunner().invoke(cli, ["models", "check", name, "--json"], env=environment)
    assert json.loads(found.stdout)[name]["positions"] == (
        told.get("max_model_len") or told.get("meta", {}).get("n_ctx")
    )


def test_doctor_asks_the_server(chat: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"DRAGOMAN_CACHE_DIR": str(tmp_path / "c"), "DRAGOMAN_DATA_DIR": str(tmp_path / "d")}
    for model, said in (("served", "served at"), ("other", "model: other is not at")):
        name = f"server:{chat.url}#{model}"
        told = CliRunner().invoke(cli, ["doctor"], env={**environment, "DRAGOMAN_TRANSLATE_MODEL": name})
        assert f"translations  {name}: {said} {chat.url}" in told.stdout, told.output


def test_models_check_says_that_an_address_has_no_list_of_models(chat: ChatServer, tmp_path: Path) -> None:
    name = f"server:{chat.url.removesuffix('/v1')}/page#m"
    environment = {"DRAGOMAN_CACHE_DIR": str(tmp_path / "c"), "DRAGOMAN_DATA_DIR": str(tmp_path / "d")}
    found = CliRunner().invoke(cli, ["models", "check", name], env=environment)
    assert found.exit_code == 1 and "does not answer with a list of models" in found.stdout


def test_models_check_says_that_a_server_is_not_there(tmp_path: Path) -> None:
    name = "server:http://127.0.0.1:9/v1#m"
    environment = {"DRAGOMAN_CACHE_DIR": str(tmp_path / "c"), "DRAGOMAN_DATA_DIR": str(tmp_path / "d")}
    found = CliRunner().invoke(cli, ["models", "check", name], env=environment)
    assert found.exit_code == 1 and "url: its server http://127.0.0.1:9/v1 cannot be reached" in found.stdout


# ------------------------------------------------------------------------------- the tasks


def test_a_text_is_translated_with_its_form_terms_and_confidence(
    chat: ChatServer, open_runtime: Open
) -> None:
    def reply(reply: Reply) -> None:
        known = {"Good day to the minister.": "Bonjour au ministre.", "We met QX7.": "Nous avons vu QX7."}
        reply.answer(known.get(reply.text, "ministre"), log_probability=-0.1)

    chat.reply = reply
    client = create_app(open_runtime()).test_client()
    body = {
        "text": "<p>Good day to the <b>minister</b>.</p><p>We met NATO.</p>",
        "format": "html",
        "source": "en",
        "target": "fr",
        "protect": ["NATO"],
    }
    found = client.post("/v1/translate", json=body).json
    assert found["translation"] == "<p>Bonjour au <b>ministre</b>.</p><p>Nous avons vu NATO.</p>"
    assert found["terms"][0]["honoured"] and found["usage"]["source_tokens"] == 14 + 7  # the <b> by itself
    assert found["segments"][0]["confidence"] == pytest.approx(0.905, abs=0.001)
    assert found["model"] == f"server:{chat.url}#served"


def test_a_server_without_probabilities_says_so(chat: ChatServer, open_runtime: Open) -> None:
    chat.reply = lambda reply: reply.answer("Bonjour au ministre.", log_probability=None)
    client = create_app(open_runtime()).test_client()
    body = {"text": "Good day to the minister.", "source": "en", "target": "fr"}
    found = client.post("/v1/translate", json=body).json
    assert found["segments"][0]["confidence"] is None
    assert any("no probabilities" in note for note in found["notes"])


def test_a_wrong_fact_is_named_when_it_is_asked_again(chat: ChatServer, open_runtime: Open) -> None:
    source = "The meeting was held on Monday in Moscow."

    def reply(reply: Reply) -> None:
        day = "lundi" if "“Monday” as “lundi”" in reply.asked else "mardi"
        reply.answer(f"La réunion s’est tenue {day} à Moscou.")

    chat.reply = reply
    client = create_app(open_runtime()).test_client()
    found = client.post("/v1/translate", json={"text": source, "source": "en", "target": "fr"}).json
    assert found["translation"] == "La réunion s’est tenue lundi à Moscou."
    assert not found["segments"][0]["flags"]
    assert chat.bodies[-1]["messages"][-1]["content"].endswith(f"Write “Monday” as “lundi”.\n\n{source}")


def test_a_failed_second_try_costs_nothing(chat: ChatServer, open_runtime: Open) -> None:
    def reply(reply: Reply) -> None:
        if "Write “" in reply.asked:
            reply.status(400, {"error": "no"})
        else:
            reply.answer("La réunion s’est tenue mardi à Moscou.")

    chat.reply = reply
    client = create_app(open_runtime()).test_client()
    body = {"text": "The meeting was held on Monday in Moscow.", "source": "en", "target": "fr"}
    found = client.post("/v1/translate", json=body)
    assert found.status_code == 200 and "mardi" in found.json["translation"]
    assert found.json["segments"][0]["flags"]


def test_a_long_article_is_summarized_in_windows(chat: ChatServer, open_runtime: Open) -> None:
    sentence = "The ministers of {0} and Egypt met in room {0} of the palace and spoke for {0} hours. "
    article = "".join(sentence.format(i) for i in range(2, 130))

    def reply(reply: Reply) -> None:
        reply.answer("The ministers of 2 and Egypt met in room 2 of the palace.")

    chat.reply = reply
    client = create_app(open_runtime()).test_client()
    found = client.post("/v1/summarize", json={"text": article}).json
    assert found["source"]["windows"] > 1 and found["source"]["coverage"] == 1
    assert len(chat.bodies) == found["source"]["windows"] + 1
    assert "sentences, in English" in chat.bodies[0]["messages"][0]["content"]
    assert {body["max_tokens"] for body in chat.bodies} == {1024}
    asked = {"inputs": article, "parameters": {"generate_parameters": {"max_new_tokens": 50}}}
    client.post("/pipeline/summarization", json=asked)
    assert chat.bodies[-1]["max_tokens"] == 50
    found = client.post("/v1/summarize", json={"text": article, "length": "headline"}).json
    assert "in one sentence, in English" in chat.bodies[-1]["messages"][0]["content"]
    assert found["summary"] == "The ministers of 2 and Egypt met in room 2 of the palace."


def test_a_failing_server_is_a_problem_document(
    chat: ChatServer, open_runtime: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_model, "BACKOFFS_S", ())
    client = create_app(open_runtime()).test_client()
    body = {"text": "Good day.", "source": "en", "target": "fr"}
    chat.reply = lambda reply: reply.status(404, {"error": {"message": "model 'served' not found"}})
    found = client.post("/v1/translate", json=body)
    assert found.status_code == 502 and found.json["type"] == "/problems/server-failed"
    assert "model 'served' not found" in found.json["detail"]
    chat.reply = lambda reply: reply.status(429, {"error": "slow down"}, Retry_After="7")
    found = client.post("/v1/translate", json=body)
    assert found.status_code == 503 and found.headers["Retry-After"] == "7"


def test_the_command_line_takes_a_short_form(chat: ChatServer, tmp_path: Path) -> None:
    chat.reply = lambda reply: reply.answer("Bonjour au ministre.")
    file = tmp_path / "in.txt"
    file.write_text("Good day to the minister.")
    name = f"server:{chat.url}#served"
    environment = {"DRAGOMAN_CACHE_DIR": str(tmp_path / "c"), "DRAGOMAN_DATA_DIR": str(tmp_path / "d")}
    arguments = ["translate", "--from", "en", "--to", "fr", "--model", name, str(file)]
    found = CliRunner().invoke(cli, arguments, env=environment)
    assert found.exit_code == 0, found.output
    assert found.stdout == "Bonjour au ministre.\n"


def test_a_batch_goes_on_when_the_server_does(
    chat: ChatServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_model, "BACKOFFS_S", ())
    monkeypatch.setattr(executor, "RETRY_WAITS_S", (0.0,))

    def reply(reply: Reply) -> None:
        if len(chat.bodies) == 2:
            reply.status(503, {"error": "loading"})
        else:
            reply.answer(reply.text.replace("Good day", "Bonjour"))

    chat.reply = reply
    texts = [f"Good day to the minister {name}." for name in ("Anna", "Berta", "Clara")]
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    name = f"server:{chat.url}#served"
    environment = {"DRAGOMAN_CACHE_DIR": str(tmp_path / "c"), "DRAGOMAN_DATA_DIR": str(tmp_path / "d")}
    arguments = [
        "batch",
        "translate",
        "--from",
        "en",
        "--to",
        "fr",
        "--model",
        name,
        str(source),
        str(target),
    ]
    found = CliRunner().invoke(cli, arguments, env=environment)
    assert found.exit_code == 0, found.output
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert [row["result"]["translation"] for row in rows] == [
        text.replace("Good day", "Bonjour") for text in texts
    ]


def test_a_chat_goes_on_with_the_server(chat: ChatServer, open_runtime: Open) -> None:
    chat.reply = lambda reply: reply.answer(f"{len(reply.body['messages'])} messages")
    client = create_app(open_runtime()).test_client()
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How many?"}]
    body = {"model": f"server:{chat.url}#served", "messages": messages}
    found = client.post("/v1/chat/completions", json=body).json
    assert found["choices"][0]["message"]["content"] == "2 messages"
