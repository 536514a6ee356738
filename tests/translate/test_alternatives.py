"""Other translations of a sentence: from the n-best to the answers of every way in."""

import json
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fake_pool import FakeEngine, FakePool, cipher
from flask.testing import FlaskClient
from http_fakes import FakeRuntime, settings
from hypothesis import given
from hypothesis import strategies as st
from job_client import ended, put

from models.driver import run
from models.engine.protocol import Generation, Output
from models.languages import Languages
from models.text.detect import LanguageDetector
from models.translate.translator import Translation, TranslationRequest, Translator
from service import long_texts
from service.http.app import create_app
from service.jobs import JobService
from service.store.results import packed, unpacked

GEMMA = "dragoman/gemma3-270m-translate"


class Ranked(FakeEngine):
    """Answers a text with all the hypotheses that `rank` gives, as many as are wanted."""

    def __init__(self, rank: Callable[[str], list[str]], score: float | None):
        super().__init__(str)
        self._rank = rank
        self._score = score

    def _answer(self, generation: Generation) -> Future[Output]:
        text = "".join(map(chr, generation.source_ids[1:-1]))
        wanted = self._rank(text)[: generation.decoding.num_return_sequences]
        first, *others = (Output(tuple(map(ord, each)), self._score) for each in wanted)
        done: Future[Output] = Future()
        done.set_result(replace(first, others=tuple(others)))
        return done


def marked(text: str) -> list[str]:
    return [cipher(text) + i * "~" for i in range(6)]


def translate(
    rank: Callable[[str], list[str]] = marked, score: float | None = None, **request: Any
) -> tuple[Translation, Ranked]:
    languages = Languages.load()
    pool = FakePool(languages)
    pool.engine = engine = Ranked(rank, score)
    translator = Translator(pool.as_pool, languages, LanguageDetector(), default_model=GEMMA)
    asked = TranslationRequest(**{"source": "en", "target": "fr", **request})
    return run(translator.steps(asked)).unwrap(), engine


def searches(engine: Ranked) -> list[tuple[int, int]]:
    """The beams and the wanted hypotheses of all generations."""
    decodings = [each.decoding for batch in engine.submissions for each in batch]
    return [(decoding.num_beams, decoding.num_return_sequences) for decoding in decodings]


@pytest.mark.parametrize("many", [1, 2, 4])
def test_each_segment_has_the_next_best_and_a_greedy_search_gets_beams(many: int) -> None:
    result, engine = translate(text="The talks failed. They paid.", alternatives=many)
    assert [each.text for each in result.segments] == [cipher("The talks failed."), cipher("They paid.")]
    for each in result.segments:
        assert each.alternatives == tuple(each.text + i * "~" for i in range(1, many + 1))
    assert searches(engine) == [(many + 1, many + 1)] * 2
    assert result.alternatives == tuple(
        " ".join(each.text + i * "~" for each in result.segments) for i in range(1, many + 1)
    )


def test_who_asks_for_none_gets_none_and_the_models_own_search() -> None:
    result, engine = translate(text="The talks failed.")
    assert (result.alternatives, result.segments[0].alternatives) == ((), None)
    assert searches(engine) == [(1, 1)]


def test_terms_and_markup_are_in_each() -> None:
    text = "<p>Talks at <b>Blue Lantern</b> see <code>a.b</code>.</p>\n<p>They paid.</p>"
    result, _ = translate(
        text=text, format="html", protect=("Blue Lantern",), glossary={"talks": "pour"}, alternatives=2
    )
    first = "Pour bu Blue Lantern tff a.b."
    assert result.segments[0].alternatives == (f"{first}~", f"{first}~~")
    for i, whole in enumerate((result.translation, *result.alternatives)):
        marks = i * "~"
        assert whole == (
            f"<p>Pour bu <b>Blue Lantern</b> tff <code>a.b</code>.{marks}</p>\n<p>Uifz qbje.{marks}</p>"
        )


def test_fewer_than_asked_for_where_hypotheses_are_alike_or_wrong() -> None:
    right, wrong = cipher("It cost 12 euros in all."), cipher("It cost 13 euros in all.")

    def rank(text: str) -> list[str]:
        return [right, right, wrong, right + "~", ""]

    result, _ = translate(rank, text="It cost 12 euros in all.", alternatives=4)
    assert result.translation == right
    assert result.segments[0].alternatives == (right + "~",)


def test_one_with_nothing_wrong_is_taken_and_not_tried_again() -> None:
    right, wrong = cipher("It cost 12 euros in all."), cipher("It cost 13 euros in all.")
    result, engine = translate(
        lambda _: [wrong, right, right + "~"], text="It cost 12 euros in all.", alternatives=2
    )
    assert (result.translation, result.segments[0].flags) == (right, ())
    assert result.segments[0].alternatives == (right + "~",)
    assert searches(engine) == [(3, 3)]


def test_where_all_are_wrong_a_reader_has_the_choice() -> None:
    wrong = [cipher(f"It cost {i} euros in all.") for i in (13, 14)]
    result, _ = translate(lambda _: wrong, text="It cost 12 euros in all.", alternatives=1)
    assert (result.translation, result.segments[0].alternatives) == (wrong[0], (wrong[1],))
    assert result.segments[0].flags


def test_the_last_of_two_models_is_asked() -> None:
    result, engine = translate(text="Die Rede ist lang.", source="de", alternatives=2)
    assert searches(engine) == [(1, 1), (3, 3)]
    assert result.segments[0].alternatives is not None
    assert len(result.segments[0].alternatives) == 2


def test_a_segment_left_in_its_language_has_none() -> None:
    result, _ = translate(text="The talks failed.", alternatives=2, min_confidence=0.5, score=-2.0)
    assert (result.segments[0].abstained, result.segments[0].alternatives) == (True, ())
    assert (result.translation, result.alternatives) == ("The talks failed.", ())
    result, _ = translate(text="2024", alternatives=2)
    assert (result.segments, result.alternatives) == ((), ())


# ---------------------------------------------------------------------- over HTTP


@pytest.fixture
def runtime(tmp_path: Path, languages: Languages) -> FakeRuntime:
    runtime = FakeRuntime(settings(data_dir=tmp_path / "data"))
    pool = FakePool(languages, cipher)
    runtime.translator = Translator(  # type: ignore[assignment]
        pool.as_pool, languages, LanguageDetector(), default_model=GEMMA
    )
    return runtime


@pytest.fixture
def client(runtime: FakeRuntime) -> FlaskClient:
    return create_app(runtime).test_client()


BODY = {"text": "The talks failed.", "source": "en", "target": "fr"}
FIRST = cipher("The talks failed.")


def test_an_answer_has_them_if_they_were_asked_for(client: FlaskClient) -> None:
    segment = client.post("/v1/translate", json={**BODY, "alternatives": 2}).json["segments"][0]
    assert (segment["text"], segment["alternatives"]) == (FIRST, [f"{FIRST}~", f"{FIRST}~~"])
    for body in (BODY, {**BODY, "alternatives": 0}):
        assert "alternatives" not in client.post("/v1/translate", json=body).json["segments"][0]


def test_a_stream_and_a_job_have_them(client: FlaskClient, runtime: FakeRuntime) -> None:
    body = {**BODY, "alternatives": 1}
    segment = client.post("/v1/translate", json=body).json["segments"][0]
    told = client.post("/v1/translate", json={**body, "stream": True}).text.splitlines()
    assert json.loads(told[1].removeprefix("data: ")) == {**segment, "index": 0, "total": 1}
    jobs = JobService(runtime)
    jobs.start()
    try:
        job = create_app(runtime, jobs=jobs).test_client()
        address = put(job, task="translate", **body)
        assert ended(job, address)["status"] == "done"
        assert job.get(f"{address}/result").json["segments"] == [segment]
    finally:
        jobs.close()


def test_a_long_text_has_those_of_all_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n\n".join(f"The ferry of day {i} stayed in." for i in range(20))
    whole, _ = translate(text=text, alternatives=2)
    monkeypatch.setattr(long_texts, "PART_CHARACTERS", 100)
    planned: list[int] = []
    languages, pool = Languages.load(), FakePool(Languages.load())
    pool.engine = Ranked(marked, None)
    translator = Translator(pool.as_pool, languages, LanguageDetector(), default_model=GEMMA)
    monkeypatch.setattr(translator, "steps", _noting(translator.steps, planned))
    request = TranslationRequest(text=text, source="en", target="fr", alternatives=2)
    in_parts = run(long_texts.in_parts(cast(Any, SimpleNamespace(translator=translator)), request)).unwrap()
    assert len(planned) > 5
    assert len(whole.alternatives) == 2 and in_parts.alternatives == whole.alternatives


def _noting(steps: Callable[..., Any], planned: list[int]) -> Callable[..., Any]:
    def noted(request: TranslationRequest, recall: Any) -> Any:
        planned.append(len(request.text))
        return steps(request, recall)

    return noted


@pytest.mark.parametrize("wrong", [-1, 5, 1.5, "2", True])
def test_a_wrong_number_is_refused_by_name(client: FlaskClient, wrong: object) -> None:
    response = client.post("/v1/translate", json={**BODY, "alternatives": wrong})
    assert (response.status_code, response.json["field"]) == (422, "alternatives")


# ---------------------------------------------------------------------- kept outputs

outputs = st.builds(
    Output,
    st.lists(st.integers(0, 2**31 - 1), max_size=5).map(tuple),
    st.none() | st.floats(allow_nan=False),
    st.sampled_from(["stop", "length"]),
)


@given(st.builds(replace, outputs, others=st.lists(outputs, max_size=4).map(tuple)))
def test_an_output_is_kept_with_its_others(output: Output) -> None:
    assert unpacked(packed(output)) == output
