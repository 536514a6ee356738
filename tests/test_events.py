"""What tasks tell while they run: pieces of text, whole characters, and nothing that the result lacks."""

import pytest
from conftest import TinyHub
from hypothesis import given
from hypothesis import strategies as st

from models.engines import EngineMaker
from models.languages import Languages
from models.pool import ModelPool
from models.tasks.events import Event, Pieces, SentenceReady, Words
from models.tasks.steps import Outcome, stream
from models.tasks.summarizer import Summarizer
from models.tasks.summary import Summary, SummaryRequest
from models.tasks.translator import Translator
from models.text.language import LanguageDetector

ARTICLE = "The ferry did not sail on Monday. A gust had torn a rope."


def _decoded(ids: tuple[int, ...]) -> str:
    return " ".join(bytes(ids).decode("utf-8", errors="replace").split())


@given(st.text(min_size=1))
def test_pieces_are_the_text_and_hold_whole_characters(text: str) -> None:
    told: list[Event] = []
    pieces = Pieces(_decoded, told.append)
    ids = text.encode("utf-8", errors="ignore")
    for token in ids:
        pieces.add(token)
    words = [event.text for event in told if isinstance(event, Words)]
    whole = _decoded(tuple(ids))
    assert whole.startswith("".join(words))
    assert "\ufffd" in whole or "".join(words) == whole
    assert all(words)


def test_a_decoder_that_changes_its_mind_is_not_quoted_wrongly() -> None:
    told: list[Event] = []
    said = {1: "a", 2: "b", 3: "ab c"}
    pieces = Pieces(lambda ids: said[len(ids)], told.append)
    for token in range(3):
        pieces.add(token)
    assert told == [Words("a"), Words("b c")]


def _streamed(summarizer: Summarizer, request: SummaryRequest) -> tuple[list[Event], Outcome[Summary]]:
    told: list[Event] = []
    running = stream(summarizer.steps(request, told.append))
    while True:
        try:
            next(running)
        except StopIteration as end:
            return told, end.value


@pytest.mark.parametrize("kind", ["instruct", "mt5"])
def test_a_summary_is_told_as_it_is_written(tiny_hub: TinyHub, languages: Languages, kind: str) -> None:
    catalog = tiny_hub.catalog(kind, decoding={"num_beams": 1})
    engines = EngineMaker(tiny_hub.store, device="cpu", choice="auto", threads=1)
    pool = ModelPool(catalog, tiny_hub.store, languages, engines)
    detector = LanguageDetector()
    name = f"tiny/{kind}"
    translator = Translator(pool, languages, detector, default_model=name)
    summarizer = Summarizer(pool, languages, detector, translator, default_model=name)
    request = SummaryRequest(text=ARTICLE, length="headline")
    told, outcome = _streamed(summarizer, request)
    pool.close()
    summary = outcome.unwrap()
    words = "".join(event.text for event in told if isinstance(event, Words))
    sentences = [event for event in told if isinstance(event, SentenceReady)]
    assert [event.sentence for event in sentences] == list(summary.sentences)
    assert len([event for event in told if isinstance(event, Words)]) > 2
    assert "".join(words.split()).startswith("".join(summary.sentences[0].text.split())[:20])
