"""Models behind servers that speak chat completions: the client, and what the tasks make of it."""

import json
import threading
import time
from types import SimpleNamespace as Some

import pytest
from chat_server import ChatServer
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from models import server_model
from models.catalog import Catalog
from models.codec import Purpose
from models.driver import IncrementalDecoder
from models.engine.process import from_output, to_output
from models.engine.protocol import Decoding, Generation
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
from service.runtime import Runtime
from service.settings import Settings

WAIT_S = 60
KEY = "sk-test-0123456789"
SECRET_TEXT = "The minister told the ambassador of it in confidence on Friday."
CODEC = ServerCodec(
    in_characters(
        Catalog.load(Languages.load(), named=["server:http://127.0.0.1:1/v1#m"]).get(
            "server:http://127.0.0.1:1/v1#m"
        )
    ),
    Languages.load(),
)


@pytest.fixture
def chat():
    server = ChatServer(lambda reply: reply.answer(f"[{reply.text}]"))
    yield server
    server.close()


@pytest.fixture
def open_engine(chat, monkeypatch):
    monkeypatch.setattr(server_model, "BACKOFFS_S", (0.0, 0.0))
    made = []

    def open_it(**given):
        made.append(ServerEngine("m", given.pop("url", chat.url), "served", api_key=KEY, **given))
        return made[-1]

    yield open_it
    for each in made:
        each.close()


@pytest.fixture
def engine(open_engine):
    return open_engine()


def _generation(text, *, number=1, **given):
    purpose = Purpose("translate", "en", "fr")
    decoding = CODEC.decoding(purpose, max_new_tokens=200)
    decoding = Decoding(max_new_tokens=decoding.max_new_tokens, num_return_sequences=number)
    return Generation(CODEC.encode(text, purpose), decoding, **given)


def _output(engine, text="x", **given):
    (future,) = engine.submit([_generation(text, **given)])
    return future.result(WAIT_S)


def _text(output):
    return CODEC.decode(output.token_ids)


def _does(*steps):
    """A reply of these calls; without `end` the connection is closed after them."""

    def reply(reply):
        for name, *what in steps:
            getattr(reply, name)(*what)

    return reply


# ------------------------------------------------------------------------------------------- the client


def test_what_is_asked_and_what_is_answered(chat, engine):
    output = _output(engine, "Good day.")
    assert _text(output) == "[Good day.]"
    assert output.score == pytest.approx(-0.25) and output.finish == "stop" and output.usage == (7, 3)
    (body,) = chat.bodies
    assert body["model"] == "served" and body["stream"] is True and body["temperature"] == 0
    assert body["max_tokens"] == 100  # of 200 characters
    assert body["messages"][0]["content"].startswith("Translate the text below from English to French.")
    assert chat.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert to_output(from_output(output)) == output


def test_the_answer_is_told_as_it_comes(chat, engine):
    heard, half = [], threading.Event()

    def reply(reply):
        reply.say("Sure! Here is the French translation:\n\n")
        reply.say("Une première phrase qui est assez longue pour que rien ne soit plus retenu. ")
        assert half.wait(WAIT_S)
        reply.say("La seconde.")
        reply.end()

    def hear(token):
        heard.append(chr(token))
        if len(heard) > 40:
            half.set()

    chat.reply = reply
    output = _output(engine, on_token=hear)
    assert "".join(heard) == _text(output)
    assert _text(output).startswith("Une première") and "Sure" not in "".join(heard)


def test_words_are_told_whole():
    pieces = IncrementalDecoder(CODEC.decode_begun)
    told = [pieces.add(ord(character)) for character in "Le ministre a dit\nhier. 部长说"]
    assert [piece.text for piece in told if piece is not None] == [
        *("Le ", "ministre ", "a ", "dit\n", "hier. ", "部", "长", "说")
    ]


def test_other_hypotheses_are_sampled(chat, engine):
    chat.reply = lambda reply: reply.answer(f"answer {min(1, reply.body.get('seed', 0))}")
    output = _output(engine, number=3)
    assert _text(output) == "answer 0"
    assert [_text(each) for each in output.others] == ["answer 1"]  # equal ones are one
    assert output.usage == (21, 9)
    assert sorted(body["temperature"] for body in chat.bodies) == [0, 0.7, 0.7]


def test_at_most_so_many_requests_at_a_time(chat, open_engine):
    now, most, lock = 0, 0, threading.Lock()

    def reply(reply):
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
    futures = engine.submit([_generation(str(i)) for i in range(8)])
    assert all(future.result(WAIT_S) for future in futures)
    assert most <= 2
    assert engine.stats().requests == 8 and engine.stats().output_tokens == 24


def test_flows_take_turns_at_the_places(chat, open_engine):
    engine = open_engine(concurrency=1)
    flows = ["a"] * 6 + ["b"]
    futures = []
    for i, flow in enumerate(flows):
        futures += engine.submit([_generation(f"{flow}{i}", flow=flow)])
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
def test_errors_are_the_servers_own_words(chat, engine, status, headers, error, tries):
    told = {"error": {"message": f"no such model, key {KEY}", "type": "t"}}
    chat.reply = lambda reply: reply.status(status, told, **headers)
    with pytest.raises(error) as found:
        _output(engine, SECRET_TEXT)
    assert type(found.value) is error and f"answers {status}" in str(found.value)
    assert "no such model" in str(found.value) and KEY not in str(found.value)
    assert len(chat.bodies) == tries
    if status == 429 and "3600" in headers.values():
        assert found.value.retry_after_s == 3600


def test_words_that_quote_the_text_are_not_passed_on(chat, engine, caplog):
    for text, word in ((SECRET_TEXT, "ambassador"), ("Zoë est morte.", "Zo"), ("他死了。", "死")):
        told = {"message": f"key {KEY}: cannot do {text} or {json.dumps(text)}"}
        chat.reply = _does(("status", 500, {"error": told}))
        with pytest.raises(ServerFailed) as found:
            _output(engine, text)
        assert word not in str(found.value) and word not in caplog.text
        assert KEY not in str(found.value) and KEY not in caplog.text


def test_a_server_that_comes_back(chat, engine):
    replies = [
        _does(("status", 503, {"error": {"message": "loading the model"}})),
        _does(("say", "Bro")),
        _does(("answer", "whole")),
    ]
    chat.reply = lambda reply: replies.pop(0)(reply)
    assert _text(_output(engine)) == "whole"


def test_what_was_told_is_not_told_again(chat, engine):
    chat.reply = _does(("say", "x" * 200))
    with pytest.raises(ServerFailed, match="broke off"):
        _output(engine, on_token=lambda _: None)
    assert len(chat.bodies) == 1


def test_a_server_that_is_not_there(open_engine):
    with pytest.raises(ServerUnavailable, match="cannot be reached"):
        _output(open_engine(url="http://127.0.0.1:9/v1"))


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([("say", "He"), ("event", {"error": {"message": "out of memory"}})], "out of memory"),
        ([("end", "content_filter")], "declined"),
    ],
)
def test_an_answer_that_ends_in_an_error(chat, engine, steps, said):
    chat.reply = _does(*steps)
    with pytest.raises(ServerFailed, match=said):
        _output(engine)


@pytest.mark.parametrize("said", ["Bonjour, et", "\n\nBonjour, et"])  # a line end at first begins no thought
def test_an_answer_that_is_cut_off_says_so(chat, engine, said):
    chat.reply = _does(("say", said), ("end", "length"))
    output = _output(engine, "Hello, and so on.")
    assert (_text(output), output.finish, len(chat.bodies)) == ("Bonjour, et", "length", 1)


def _forever(reply):
    while True:
        reply.say("x" * 200)
        time.sleep(0.01)


def test_a_cancelled_or_late_request_ends_at_the_server(chat, engine):
    began = threading.Event()
    chat.reply = _forever
    (future,) = engine.submit([_generation("x", on_token=lambda _: began.set())])
    assert began.wait(WAIT_S)
    assert future.cancel()
    assert chat.client_went.wait(WAIT_S)
    chat.client_went.clear()
    with pytest.raises(DeadlineExceeded):
        _output(engine, deadline=time.monotonic() + 0.3)
    assert chat.client_went.wait(WAIT_S)


def test_a_closed_engine_takes_nothing(open_engine, monkeypatch):
    closed = []
    engine = open_engine(on_close=lambda: closed.append(True))
    futures = engine.submit([_generation("x")])
    engine.close()
    assert futures[0].result(0) and closed == [True]
    with pytest.raises(EngineFailed, match="closed"):
        engine.submit([_generation("x")])
    monkeypatch.setattr(engine, "close", lambda: None)


# ------------------------------------------------------------------------------- what servers don't take


def test_parameters_that_a_server_refuses_are_left_out(chat, engine):
    def reply(reply):
        for name in ("max_tokens", "logprobs", "chat_template_kwargs"):  # as OpenAI's models that think do
            if name in reply.body:
                told = {"error": {"message": f"Unsupported parameter: '{name}'", "param": name}}
                return reply.status(400, told)
        return reply.answer("fine", log_probability=None)

    chat.reply = reply
    assert _output(engine).score is None
    assert len(chat.bodies) == 4 and chat.bodies[-1]["max_completion_tokens"] == 100
    _output(engine, "y")
    assert len(chat.bodies) == 5


def test_a_server_that_does_not_say_what_it_refuses(chat, engine):
    def reply(reply):
        if "stream_options" in reply.body:
            return reply.status(422, {"detail": "bad request"})
        return reply.answer("fine")

    chat.reply = reply
    assert _text(_output(engine)) == "fine"
    assert chat.bodies[-1].keys() == {"model", "messages", "stream", "max_tokens"}


def test_what_is_refused_for_another_reason_is_asked_for_again(chat, engine):
    chat.reply = _does(("status", 400, {"error": {"message": "the context is too long"}}))
    with pytest.raises(ServerFailed, match="context is too long"):
        _output(engine)
    chat.reply = _does(("answer", "fine"))
    _output(engine)
    assert chat.bodies[-1]["logprobs"] is True


def test_a_model_that_thinks_gets_the_room_for_it(chat, engine):
    def reply(reply):
        reply.say("<think>", log_probability=-3.0)
        reply.say("What is meant", log_probability=-3.0)
        if reply.body["max_tokens"] < 4096:
            return reply.end("length")
        reply.say("</think>\n\n", log_probability=-3.0)
        reply.say("Bonjour.", log_probability=-0.5)
        return reply.end()

    chat.reply = reply
    output = _output(engine, "Hello.")
    assert _text(output) == "Bonjour." and output.finish == "stop"
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
def test_what_a_model_says_around_its_answer_is_taken_off(said):
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
def test_what_the_text_says_stays(source, said):
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
def test_a_summary_keeps_its_own_lines(said, kept):
    assert cleaned(said, "Sales fell, and costs rose.", "summarize") == (kept or said)


def test_a_chat_loses_a_thought_alone():
    said = '"Yes," he said.\n\n```\ncode\n```\n\n---\n\nNote: <think> is a tag.'
    assert cleaned(said, "", None) == said
    assert cleaned(f"<think>\nHm.\n</think>\n\n{said}", "", None) == said
    whole = f"<think>\nHm.\n</think>\n\n{said}"
    assert all(said.startswith(cleaned(whole[:end], "", None, whole=False)) for end in range(len(whole)))


def test_cleaning_takes_time_by_the_length():
    start = time.process_time()
    for piece in ("\n", " ", "<think>", "Note: ", '"', "here is ", "```\n", "\n* "):
        cleaned("x" * 200 + piece * 20_000, "", "translate", whole=False)
        cleaned(piece * 20_000, "", "summarize")
    assert time.process_time() - start < 5


_PIECES = st.sampled_from(
    ["<think>", "</think>", "\n", "\n\n", "Here is the translation:", '"', "«", "»", "Note: ", "```", *"aé"]
)


@given(st.lists(_PIECES, max_size=12), st.lists(_PIECES, max_size=4))
def test_cleaning_takes_any_text(said, asked):
    whole = "".join(said)
    told = []
    answer = Answer("".join(asked), "translate", told.append)
    for piece in said:
        answer.add(_chunk(piece))
    output = "".join(map(chr, answer.output().token_ids))
    assert output in whole
    if "</think>" not in whole:  # without its beginning, nothing tells a thought until it ends
        assert output.startswith("".join(map(chr, told)))


def _chunk(text):
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
    ("family", "text", "said"),
    [
        ("server", 'model = "m"', "needs a `url`"),
        ("server", 'url = "http://127.0.0.1/v1"', "needs a `model`"),
        ("server", 'url = "127.0.0.1/v1"\nmodel = "m"', "an address such as"),
        ("server", 'url = "http://me:pw@127.0.0.1/v1"\nmodel = "m"', "api_key_env"),
        ("marian", 'url = "http://127.0.0.1/v1"', "of the family `server` alone"),
    ],
)
def test_a_wrong_entry_says_what_is_wrong(tmp_path, languages, family, text, said):
    file = tmp_path / "own.toml"
    file.write_text(f'[[model]]\nname = "n"\nfamily = "{family}"\ntasks = ["translate"]\n{text}\n')
    with pytest.raises(InvalidInput, match=said):
        Catalog.load(languages, file)


@pytest.mark.parametrize("name", ["server:http://127.0.0.1:11434/v1", "server:#m", "server:ftp://a/b#m"])
def test_a_wrong_short_form_says_what_is_right(languages, name):
    with pytest.raises(InvalidInput) as found:
        Catalog.load(languages, named=[name])
    assert found.value.allowed == "server:URL#MODEL"


def test_a_key_of_openai_goes_to_openai_alone(languages):
    names = ["server:https://api.openai.com/v1#gpt-5-mini", "server:http://127.0.0.1:11434/v1#qwen3:8b"]
    entries = [Catalog.load(languages, named=names).get(name) for name in names]
    assert [each.api_key_env for each in entries] == ["OPENAI_API_KEY", None]
    assert [each.model for each in entries] == ["gpt-5-mini", "qwen3:8b"]
    assert "uk" in entries[0].languages and "fr" in entries[0].languages


@pytest.fixture
def open_runtime(chat, tmp_path):
    made = []

    def open_it(**given):
        name = f"server:{chat.url}#served"
        own = {"translate_model": name, "summarize_model": name}
        folders = {"cache_dir": tmp_path / "cache", "data_dir": tmp_path / "data"}
        made.append(Runtime(Settings(**{**own, **folders, **given})))
        return made[-1]

    yield open_it
    for each in made:
        each.close()


@pytest.fixture
def client(open_runtime):
    return create_app(open_runtime()).test_client()


@pytest.fixture
def run(tmp_path):
    """Runs a command."""

    def run(*arguments, **environment):
        folders = {f"DRAGOMAN_{name}_DIR": str(tmp_path / name) for name in ("CACHE", "DATA")}
        return CliRunner().invoke(cli, list(map(str, arguments)), env=folders | environment)

    return run


def test_text_goes_only_to_servers_that_the_operator_named(chat, open_runtime, tmp_path):
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


def test_an_entry_whose_key_is_not_set(chat, open_runtime, tmp_path):
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
def test_models_check_asks_the_server(chat, run, model, told, said):
    chat.models[0].update(told)
    name = f"server:{chat.url}#{model}"
    found = run("models", "check", name)
    assert f"{name}: {said}" in found.stdout, found.output
    assert found.exit_code == (said != "sound")
    if said == "sound":
        assert "Translate the text below from English to French" in found.stdout
    positions = json.loads(run("models", "check", name, "--json").stdout)[name]["positions"]
    assert positions == (told.get("max_model_len") or told.get("meta", {}).get("n_ctx"))


def test_models_check_says_that_there_is_no_such_server(chat, run):
    for url, said in (
        (f"{chat.url.removesuffix('/v1')}/page", "does not answer with a list of models"),
        ("http://127.0.0.1:9/v1", "url: its server http://127.0.0.1:9/v1 cannot be reached"),
    ):
        found = run("models", "check", f"server:{url}#m")
        assert found.exit_code == 1 and said in found.stdout


def test_doctor_asks_the_server(chat, run):
    for model, said in (("served", "served at"), ("other", "model: other is not at")):
        name = f"server:{chat.url}#{model}"
        told = run("doctor", DRAGOMAN_TRANSLATE_MODEL=name)
        assert f"translations  {name}: {said} {chat.url}" in told.stdout, told.output


# ------------------------------------------------------------------------------- the tasks


EN_FR = {"source": "en", "target": "fr"}


def test_a_text_is_translated_with_its_form_terms_and_confidence(chat, client):
    def reply(reply):
        known = {"Good day to the minister.": "Bonjour au ministre.", "We met QX7.": "Nous avons vu QX7."}
        reply.answer(known.get(reply.text, "ministre"), log_probability=-0.1)

    chat.reply = reply
    page = "<p>Good day to the <b>minister</b>.</p><p>We met NATO.</p>"
    body = {"text": page, "format": "html", "protect": ["NATO"], **EN_FR}
    found = client.post("/v1/translate", json=body).json
    assert found["translation"] == "<p>Bonjour au <b>ministre</b>.</p><p>Nous avons vu NATO.</p>"
    assert found["terms"][0]["honoured"] and found["usage"]["source_tokens"] == 14 + 7  # the <b> by itself
    assert found["segments"][0]["confidence"] is None and not found["segments"][0]["flags"]
    assert any(note.startswith("not calibrated: ") for note in found["notes"])
    assert found["model"] == f"server:{chat.url}#served"


def test_a_wrong_fact_is_named_when_it_is_asked_again(chat, client):
    source = "The meeting was held on Monday in Moscow."

    def reply(reply):
        day = "lundi" if "“Monday” as “lundi”" in reply.asked else "mardi"
        reply.answer(f"La réunion s’est tenue {day} à Moscou.")

    chat.reply = reply
    found = client.post("/v1/translate", json={"text": source, **EN_FR}).json
    assert found["translation"] == "La réunion s’est tenue lundi à Moscou."
    assert not found["segments"][0]["flags"]
    assert chat.bodies[-1]["messages"][-1]["content"].endswith(f"Write “Monday” as “lundi”.\n\n{source}")


def test_a_failed_second_try_costs_nothing(chat, client):
    def reply(reply):
        if "Write “" in reply.asked:
            reply.status(400, {"error": "no"})
        else:
            reply.answer("La réunion s’est tenue mardi à Moscou.")

    chat.reply = reply
    found = client.post("/v1/translate", json={"text": "The meeting was held on Monday in Moscow.", **EN_FR})
    assert found.status_code == 200 and "mardi" in found.json["translation"]
    assert found.json["segments"][0]["flags"]


def test_a_long_article_is_summarized_in_windows(chat, client):
    sentence = "The ministers of {0} and Egypt met in room {0} of the palace and spoke for {0} hours. "
    article = "".join(sentence.format(i) for i in range(2, 130))
    chat.reply = _does(("answer", "The ministers of 2 and Egypt met in room 2 of the palace."))
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


def test_a_failing_server_is_a_problem_document(chat, client, monkeypatch):
    monkeypatch.setattr(server_model, "BACKOFFS_S", ())
    body = {"text": "Good day.", **EN_FR}
    chat.reply = lambda reply: reply.status(404, {"error": {"message": "model 'served' not found"}})
    found = client.post("/v1/translate", json=body)
    assert found.status_code == 502 and found.json["type"] == "/problems/server-failed"
    assert "model 'served' not found" in found.json["detail"]
    chat.reply = lambda reply: reply.status(429, {"error": "slow down"}, Retry_After="7")
    found = client.post("/v1/translate", json=body)
    assert found.status_code == 503 and found.headers["Retry-After"] == "7"


def test_the_command_line_takes_a_short_form(chat, run):
    chat.reply = _does(("answer", "Bonjour au ministre."))
    name = f"server:{chat.url}#served"
    found = run("translate", "--from", "en", "--to", "fr", "--model", name, "Good day to the minister.")
    assert (found.exit_code, found.stdout) == (0, "Bonjour au ministre.\n"), found.output


def test_a_batch_goes_on_when_the_server_does(chat, run, tmp_path, monkeypatch):
    monkeypatch.setattr(server_model, "BACKOFFS_S", ())
    monkeypatch.setattr(executor, "RETRY_WAITS_S", (0.0,))

    def reply(reply):
        if len(chat.bodies) == 2:
            reply.status(503, {"error": "loading"})
        else:
            reply.answer(reply.text.replace("Good day", "Bonjour"))

    chat.reply = reply
    texts = [f"Good day to the minister {name}." for name in ("Anna", "Berta", "Clara")]
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    options = ["--from", "en", "--to", "fr", "--model", f"server:{chat.url}#served"]
    found = run("batch", "translate", *options, source, target)
    assert found.exit_code == 0, found.output
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    expected = [text.replace("Good day", "Bonjour") for text in texts]
    assert [row["result"]["translation"] for row in rows] == expected


def test_a_chat_goes_on_with_the_server(chat, client):
    chat.reply = lambda reply: reply.answer(f"{len(reply.body['messages'])} messages")
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "How many?"}]
    body = {"model": f"server:{chat.url}#served", "messages": messages}
    found = client.post("/v1/chat/completions", json=body).json
    assert found["choices"][0]["message"]["content"] == "2 messages"
