"""The real thing: `dragoman serve` with the bundled models, an article in over HTTP, its brief out.

The first run on a machine puts the bundled models together, which takes a minute or two; they are kept in
the user's cache, where `make run` finds them too.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

READY_WITHIN_S = 400

ARTICLE = """Ministers Reopen Border Crossing
Ministers Reopen Border Crossing

The foreign ministers of the two countries met in Vienna on Sunday, for the first time in six years, and \
agreed to reopen the border crossing that has been closed since 2019.

"This is a good day for both our peoples," the host of the talks said after the meeting.

The crossing had been used by some 12,000 people a day before it was closed. Traders on both sides said that \
they had lost most of their income.

Click here to read more news from the region.

A joint commission will meet every month and report to both parliaments before the summer. It will also look \
at the water of the two rivers, over which the neighbours have quarrelled for decades.

Observers welcomed the step but warned that much remains to be settled. The last talks, in 2021, had ended \
without a result.

Leave a Reply

Your email address will not be published.
"""


class Server:
    """A running `dragoman serve`."""

    def __init__(self, port: int):
        self.port = port

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        headers = {"Content-Type": "application/json"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        content = response.read().decode()
        connection.close()
        is_json = "json" in (response.getheader("Content-Type") or "")
        return response.status, json.loads(content) if is_json else content

    def ready(self) -> bool:
        try:
            return self.ask("GET", "/readyz")[0] == 200
        except OSError:
            return False


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {"PORT": str(port), "DRAGOMAN_DEVICE": "cpu", "DRAGOMAN_OFFLINE": "1", "DRAGOMAN_ALLOW_MODELS": "*"}
    environment = {**os.environ, **own}
    process = subprocess.Popen(
        [str(Path(sys.executable).with_name("dragoman")), "serve"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    server = Server(port)
    end = time.monotonic() + READY_WITHIN_S
    while not server.ready():
        assert process.poll() is None, "dragoman serve ended"
        assert time.monotonic() < end, server.ask("GET", "/readyz")
        time.sleep(0.5)
    yield server
    process.terminate()
    assert process.wait(60) == 0


pytestmark = pytest.mark.timeout(READY_WITHIN_S + 200)


def test_an_article_becomes_a_summary_of_its_own_sentences(server: Server) -> None:
    status, answer = server.ask("POST", "/v1/summarize", {"text": ARTICLE, "length": "short"})
    assert status == 200
    assert answer["model"] == "dragoman/extractive"
    for sentence in answer["sentences"]:
        span = sentence["source"]
        assert ARTICLE[span["start"] : span["end"]] == sentence["text"]
    assert answer["summary"] == " ".join(sentence["text"] for sentence in answer["sentences"])
    assert "reopen the border crossing" in answer["summary"]
    reasons = {dropped["reason"] for dropped in answer["source"]["dropped"]}
    assert reasons == {"repeated headline", "call to action", "reply form"}
    assert answer["source"]["title"] == "Ministers Reopen Border Crossing"


def test_the_article_becomes_french_in_its_own_form(server: Server) -> None:
    text = "Talks in Vienna\n\n- The ministers met on Sunday.\n- They spoke about the border.\n"
    status, answer = server.ask("POST", "/v1/translate", {"text": text, "target": "fr"})
    assert status == 200
    lines = answer["translation"].split("\n")
    assert [line[:2] for line in lines[1:]] == ["", "- ", "- ", ""]
    assert "ministres" in lines[2]
    _, detected = server.ask("POST", "/v1/detect", {"text": answer["translation"]})
    assert detected["language"] == "fr"
    assert answer["source"]["language"] == "en"
    spans = [segment["source"] for segment in answer["segments"]]
    assert text[spans[1]["start"] : spans[1]["end"]] == "The ministers met on Sunday."


def test_a_brief_in_another_language(server: Server) -> None:
    status, answer = server.ask(
        "POST", "/v1/summarize", {"text": ARTICLE, "length": "headline", "target": "fr"}
    )
    assert status == 200
    assert (answer["language"], answer["translation_model"]) == ("fr", "dragoman/gemma3-270m-translate")
    [sentence] = answer["sentences"]
    assert sentence["original"] in ARTICLE
    assert sentence["text"] != sentence["original"]


def test_an_array_answers_in_order_and_a_bad_item_fails_alone(server: Server) -> None:
    texts = ["The talks failed.", "", "The ministers met on Sunday."]
    status, answer = server.ask("POST", "/v1/translate", {"texts": texts, "target": "de"})
    assert status == 200
    first, bad, last = answer["results"]
    assert (bad["status"], bad["field"]) == (422, "texts[1]")
    assert "Minister" in last["translation"]
    assert first["translation"]


def test_languages_are_detected_and_models_listed(server: Server) -> None:
    _, detected = server.ask("POST", "/v1/detect", {"text": "Les ministres se sont rencontrés dimanche."})
    assert detected["language"] == "fr"
    _, models = server.ask("GET", "/v1/models")
    assert {"dragoman/extractive", "facebook/bart-large-cnn"} <= {model["name"] for model in models["models"]}
    _, metrics = server.ask("GET", "/metrics")
    assert "dragoman_batch_size" in metrics


def test_a_model_whose_weights_cannot_be_had_is_told(server: Server) -> None:
    status, problem = server.ask(
        "POST", "/v1/summarize", {"text": ARTICLE, "model": "facebook/bart-large-cnn"}
    )
    assert status == 503
    assert (
        "not here: unset DRAGOMAN_OFFLINE; then `dragoman models pull facebook/bart-large-cnn`"
        in problem["detail"]
    )
