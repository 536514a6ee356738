"""Hugging Face's inference interface, with `huggingface_hub` on the real server, and by hand."""

import json
from typing import Any

import pytest
from compat_server import CompatServer
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

SENTENCES = [
    "The foreign ministers of the two countries met in Vienna on Sunday for the first time in six years.",
    "They agreed to reopen the border crossing that has been closed since the conflict of 2019.",
    "Observers from neighbouring states welcomed the step but warned that much remains to be settled.",
    "A joint commission will meet every month and report to both parliaments before the summer.",
]
ARTICLE = " ".join(SENTENCES * 3)


@pytest.fixture
def server(compat_server: CompatServer) -> CompatServer:
    return compat_server


def client(server: CompatServer, task: str, token: str | None = None) -> InferenceClient:
    return InferenceClient(model=f"{server.url}pipeline/{task}", token=token)


def post(server: CompatServer, task: str, **body: Any) -> tuple[int, Any]:
    response, answer = server.request("POST", f"/pipeline/{task}", json.dumps(body))
    return response.status, json.loads(answer)


# ---------------------------------------------------------------------- huggingface_hub


@pytest.mark.parametrize("text", ["The ministers met in Vienna.", "Goedemorgen allemaal", "Bom dia", "A"])
def test_a_few_words_are_translated_without_saying_their_language(server: CompatServer, text: str) -> None:
    assert client(server, "translation").translation(text).translation_text == text.upper()


def test_a_summary(server: CompatServer) -> None:
    done = client(server, "summarization").summarization(ARTICLE)
    assert done.summary_text.startswith(SENTENCES[0].upper())


def test_a_summary_with_all_that_the_client_can_ask_for(server: CompatServer) -> None:
    done = client(server, "summarization", token="hf_x").summarization(
        ARTICLE,
        clean_up_tokenization_spaces=True,
        truncation="longest_first",
        generate_parameters={"max_length": 50, "min_length": 10, "do_sample": False},
    )
    longer = client(server, "summarization").summarization(
        ARTICLE, generate_parameters={"max_new_tokens": 150}
    )
    assert len(done.summary_text) < len(longer.summary_text)


@pytest.mark.parametrize(("source", "target"), [("en", "fr"), ("en_XX", "fr_XX"), ("eng_Latn", "fra_Latn")])
def test_a_translation_by_any_codes(server: CompatServer, source: str, target: str) -> None:
    text = "Good morning.\n\nHow are you?"
    done = client(server, "translation").translation(text, src_lang=source, tgt_lang=target)
    assert done.translation_text == text.upper()


@pytest.mark.parametrize("text", ["The ministers met in Vienna on Sunday.", "Les ministres se sont réunis."])
def test_a_translation_without_languages(server: CompatServer, text: str) -> None:
    done = client(server, "translation").translation(text, generate_parameters={"max_new_tokens": 50})
    assert done.translation_text == text.upper()


def test_a_translation_with_the_languages_in_its_task(server: CompatServer) -> None:
    done = client(server, "translation_en_to_fr").translation("It rains.")
    assert done.translation_text == "IT RAINS."


def test_twenty_kilobytes_pass_whole(server: CompatServer) -> None:
    text = "\n\n".join(f"Paragraph {i} says é and 中." for i in range(700))
    done = client(server, "translation").translation(text, src_lang="en", tgt_lang="fr")
    assert done.translation_text == text.upper()


def test_health(server: CompatServer) -> None:
    for task in ("translation", "summarization"):
        url = f"{server.url}pipeline/{task}"
        assert InferenceClient(model=url, provider="hf-inference").health_check()


@pytest.mark.parametrize(
    ("task", "text", "languages", "status", "said"),
    [
        ("translation", "a", ("en", "xx"), 422, "'xx' is not a language code"),
        ("translation", "", ("en", "fr"), 422, "empty"),
        ("translation", "this ✗ fails", ("en", "fr"), 500, "the model failed"),
        ("translation", "a" * 31_000, ("en", "fr"), 413, "31000 characters"),
        ("translation", "a" * 30_000_000, ("en", "fr"), 413, "bytes"),
        ("nothing", "a", ("en", "fr"), 404, "no task 'nothing'"),
    ],
)
def test_errors_are_the_clients_own(
    server: CompatServer, task: str, text: str, languages: tuple[str, str], status: int, said: str
) -> None:
    with pytest.raises(HfHubHTTPError) as wrong:
        client(server, task).translation(text, src_lang=languages[0], tgt_lang=languages[1])
    assert wrong.value.response.status_code == status
    assert said in str(wrong.value)


# ---------------------------------------------------------------------- by hand


def test_lists_give_lists_of_their_length(server: CompatServer) -> None:
    languages = {"src_lang": "en", "tgt_lang": "fr"}
    status, answer = post(server, "translation", inputs=["One day.", "", "Two days."], parameters=languages)
    assert (status, [each["translation_text"] for each in answer]) == (200, ["ONE DAY.", "", "TWO DAYS."])
    assert len(post(server, "translation", inputs=["One day."], parameters=languages)[1]) == 1
    status, answer = post(server, "summarization", inputs=[ARTICLE, SENTENCES[0]])
    assert (status, [set(each) for each in answer]) == (200, [{"summary_text"}] * 2)


@pytest.mark.parametrize(
    ("task", "body", "said"),
    [
        ("translation", {}, "inputs is required"),
        ("translation", {"inputs": None}, "inputs must be a string, not null"),
        ("translation", {"inputs": []}, "inputs is empty"),
        ("translation", {"inputs": "a", "parameters": {"src_lang": "en"}}, "go together"),
        ("translation", {"inputs": "a", "parameters": {"tgt_lang": "en"}}, "go together"),
        ("summarization", {"inputs": "a", "parameters": {"max_length": "long"}}, "parameters.max_length"),
        (
            "summarization",
            {"inputs": "a", "parameters": {"generate_parameters": {"max_length": 0}}},
            "max_length",
        ),
        ("summarization", {"inputs": ["fine.", ""]}, "empty"),
    ],
)
def test_what_is_wrong_is_said(server: CompatServer, task: str, body: dict[str, Any], said: str) -> None:
    status, answer = post(server, task, **body)
    assert (status, set(answer)) == (422, {"error"})
    assert said in answer["error"]


def test_every_error_has_the_familys_form(server: CompatServer) -> None:
    cases = [
        ("POST", "/pipeline/nothing/at/all", "{}", 404),
        ("GET", "/pipeline/nothing/health", None, 404),
        ("GET", "/pipeline/translation", None, 405),
        ("POST", "/pipeline/translation", "{", 400),
        ("POST", "/pipeline/translation", "[]", 422),
    ]
    for method, path, body, status in cases:
        response, answer = server.request(method, path, body)
        assert (response.status, set(json.loads(answer))) == (status, {"error"}), (method, path)


@pytest.mark.parametrize("scheme", ["Basic é", "Basic", "Bearer", "Digest a=é"])
def test_a_header_of_another_scheme_is_no_key(server: CompatServer, scheme: str) -> None:
    """werkzeug cannot decode the first; it was a 500."""
    body, headers = json.dumps({"inputs": "It rained."}), {"Authorization": scheme}
    response, _ = server.request("POST", "/pipeline/summarization", body, headers)
    assert response.status == 200
