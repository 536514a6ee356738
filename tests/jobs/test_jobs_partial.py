"""What there is of a job's result before it is done, and when it never will be: nothing is lost."""

from io import BytesIO

import pytest
from fake_pool import cipher
from http_fakes import settings
from job_client import ended, put, until
from ticket_runtime import SENTENCES, TEXT, TicketRuntime

from models.driver import Driver
from models.translate.translator import TranslationRequest
from service import long_texts
from service.http.app import create_app
from service.job_schemas import PartialAnswer
from service.jobs import JobService


@pytest.fixture
def runtime(tmp_path, database_url):
    runtime = TicketRuntime(settings(data_dir=tmp_path / "data", database=database_url))
    yield runtime
    runtime.database.close()


@pytest.fixture
def client(runtime):
    jobs = JobService(runtime)
    jobs.start()
    yield create_app(runtime, jobs=jobs).test_client()
    runtime.engine.tickets.release(1000)
    jobs.close()


def so_far(client, address, after=0):
    answer = client.get(f"{address}/result?partial=true&after={after}")
    assert (answer.status_code, answer.mimetype) == (200, "application/json"), answer.text
    if "partial" in answer.json:
        PartialAnswer.model_validate_json(answer.data)
    return answer.json


def translate(client, text):
    return put(client, task="translate", text=text, source="en", target="fr")


def until_told(client, address, number):
    until(lambda: len(so_far(client, address)["segments"]) >= number)
    return so_far(client, address)


def test_sentences_are_shown_in_reading_order_while_it_runs(client, runtime):
    address = translate(client, TEXT)
    runtime.engine.tickets.release(3)
    told = until_told(client, address, 24)
    assert (told["status"], told["progress"]) == ("running", {"done": 24, "total": 80})
    assert {each["index"] for each in told["segments"]} <= set(range(32)), "the text's beginning comes first"
    for each in told["segments"]:
        span = each["source"]
        assert TEXT[span["start"] : span["end"]] == SENTENCES[each["index"]]
        assert (each["text"], each["total"]) == (cipher(SENTENCES[each["index"]]), 80)
    assert so_far(client, address, told["next"])["segments"] == []
    runtime.engine.tickets.release(1)
    until(lambda: len(so_far(client, address, told["next"])["segments"]) >= 8)
    more = so_far(client, address, told["next"])
    before = {each["index"] for each in told["segments"]}
    assert len(more["segments"]) == 8 and before.isdisjoint(each["index"] for each in more["segments"])

    runtime.engine.tickets.release(1000)
    assert ended(client, address)["status"] == "done"
    whole = so_far(client, address)
    assert whole["translation"] == cipher(TEXT)
    assert whole == client.get(f"{address}/result").json


def test_a_cancelled_job_keeps_what_was_done_until_it_is_forgotten(client, runtime):
    address = translate(client, TEXT)
    runtime.engine.tickets.release(2)
    until_told(client, address, 16)
    assert client.delete(address).status_code == 204
    runtime.engine.tickets.release(1)
    told = so_far(client, address)
    assert told["status"] == "cancelled" and len(told["segments"]) >= 16
    assert "expires" in told
    assert client.get(f"{address}/result").status_code == 409
    assert client.delete(address).status_code == 204
    assert client.get(f"{address}/result?partial=true").status_code == 404


def test_a_failed_job_keeps_what_was_done(client, runtime):
    runtime.engine.tickets.release(1000)
    address = translate(client, TEXT + " And ✗ then.")
    assert ended(client, address)["status"] == "failed"
    told = so_far(client, address)
    assert (told["status"], told["problem"]["type"]) == ("failed", "/problems/engine-failed")
    assert len(told["segments"]) >= 64 and told["progress"]["total"] == 81
    assert client.get(f"{address}/result").json == told["problem"]


def test_many_texts_that_are_done_are_shown_and_others_are_null(client):
    workers_are_busy = [translate(client, TEXT), translate(client, TEXT)]
    address = put(client, task="translate", texts=["It rains.", ""], source="en", target="fr")
    told = so_far(client, address)
    assert (told["status"], told["results"][0], told["results"][1]["status"]) == ("queued", None, 422)
    assert all(so_far(client, each)["segments"] == [] for each in workers_are_busy)
    summary = put(client, task="summarize", text="One.")
    assert so_far(client, summary)["partial"] is True
    assert client.get(f"{summary}/result?partial=perhaps").json["field"] == "partial"


def test_a_document_s_sentences_come_with_their_source(client, runtime):
    form = {"file": (BytesIO(TEXT.encode()), "a.txt"), "task": "translate", "source": "en", "target": "fr"}
    address = client.post("/v1/jobs", data=form).headers["Location"]
    runtime.engine.tickets.release(1)
    for each in until_told(client, address, 8)["segments"]:
        assert each["original"] == SENTENCES[each["index"]]
    runtime.engine.tickets.release(1000)
    ended(client, address)
    told = so_far(client, address)
    assert (told["status"], len(told["segments"])) == ("done", 80)
    assert client.get(f"{address}/result").text == cipher(TEXT)


def test_parts_of_a_very_long_text_tell_their_sentences_as_the_whole_s(runtime, monkeypatch):
    monkeypatch.setattr(long_texts, "PART_CHARACTERS", 900)
    runtime.engine.tickets.release(1000)
    request = TranslationRequest(text=TEXT, source="en", target="fr")
    told = {}

    def tell(event):
        told[event.index] = event

    result = Driver([long_texts.in_parts(runtime, request)]).run(tell)[0].unwrap()
    assert [told[i].segment for i in range(80)] == list(result.segments)
    assert [TEXT[each.source.start : each.source.end] for each in result.segments] == SENTENCES


@pytest.mark.parametrize("source", ["en", "auto"])
def test_a_first_part_without_words_tells_nothing_of_the_others(runtime, monkeypatch, source):
    monkeypatch.setattr(long_texts, "PART_CHARACTERS", 900)
    runtime.engine.tickets.release(1000)
    rules = "* * *\n\n" * 200
    request = TranslationRequest(text=rules + TEXT, source=source, target="fr")
    result = Driver([long_texts.in_parts(runtime, request)]).run()[0].unwrap()
    assert (result.translation, result.source) == (rules + cipher(TEXT), "en")
    assert len(result.segments) == len(SENTENCES)
    assert not any("nothing to translate" in note for note in result.notes)
