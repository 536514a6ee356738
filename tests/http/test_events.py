"""What tasks tell while they run: pieces of text, whole characters, and nothing that the result lacks."""

from typing import TypeVar

import pytest
from conftest import TinyHub
from fake_pool import FakePool, cipher
from hypothesis import given
from hypothesis import strategies as st

from models.checker import Checker
from models.driver import IncrementalDecoder, stream
from models.engine_choice import EngineMaker
from models.languages import Languages
from models.pool import ModelPool
from models.steps import Event, Outcome, Steps, Words
from models.summarize.summarizer import SentenceReady, Summarizer, SummaryRequest
from models.text.detect import LanguageDetector
from models.translate.translator import SegmentReady, TranslationRequest, Translator

T = TypeVar("T")

ARTICLE = "The ferry did not sail on Monday. A gust had torn a rope."


def _decoded(ids: tuple[int, ...]) -> str:
    return " ".join(bytes(ids).decode("utf-8", errors="replace").split())


@given(st.text(min_size=1))
def test_pieces_are_the_text_and_hold_whole_characters(text: str) -> None:
    pieces = IncrementalDecoder(_decoded)
    ids = text.encode("utf-8", errors="ignore")
    words = [told.text for token in ids if (told := pieces.add(token)) is not None]
    whole = _decoded(tuple(ids))
    assert whole.startswith("".join(words))
    assert "\ufffd" in whole or "".join(words) == whole
    assert all(words)


def test_a_decoder_that_changes_its_mind_is_not_quoted_wrongly() -> None:
    said = {1: "a", 2: "b", 3: "ab c"}
    pieces = IncrementalDecoder(lambda ids: said[len(ids)])
    assert [pieces.add(token) for token in range(3)] == [Words("a"), None, Words("b c")]


def _streamed(steps: Steps[T]) -> tuple[list[Event], Outcome[T]]:
    told: list[Event] = []
    running = stream(steps)
    while True:
        try:
            if (event := next(running)) is not None:
                told.append(event)
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
    summarizer = Summarizer(
        pool, languages, detector, translator, Checker(pool, languages, detector), default_model=name
    )
    request = SummaryRequest(text=ARTICLE, length="headline")
    told, outcome = _streamed(summarizer.steps(request))
    pool.close()
    summary = outcome.unwrap()
    words = "".join(event.text for event in told if isinstance(event, Words))
    sentences = [event for event in told if isinstance(event, SentenceReady)]
    assert [event.sentence for event in sentences] == list(summary.sentences)
    assert len([event for event in told if isinstance(event, Words)]) > 2
    assert "".join(words.split()).startswith("".join(summary.sentences[0].text.split())[:20])


def _translator(languages: Languages, pool: FakePool) -> Translator:
    return Translator(pool.as_pool, languages, LanguageDetector(), default_model="facebook/m2m100_418M")


def test_every_segment_of_a_translation_is_told(languages: Languages) -> None:
    translator = _translator(languages, FakePool(languages))
    text = "The talks failed.\n\n- Nobody was hurt. The talks failed.\n"
    request = TranslationRequest(text=text, source="en", target="fr")
    told, outcome = _streamed(translator.steps(request))
    segments = {event.index: event.segment for event in told if isinstance(event, SegmentReady)}
    assert len(told) >= 3
    assert [segments[i] for i in sorted(segments)] == list(outcome.unwrap().segments)


def test_through_english_only_the_last_language_is_told(languages: Languages) -> None:
    pool = FakePool(languages, change=lambda text: f"<{text}>")
    translator = Translator(
        pool.as_pool, languages, LanguageDetector(), default_model="dragoman/gemma3-270m-translate"
    )
    request = TranslationRequest(text="Die Rede ist lang.", source="de", target="fr")
    told, outcome = _streamed(translator.steps(request))
    assert outcome.unwrap().via == "en"
    assert {event.segment.text for event in told if isinstance(event, SegmentReady)} == {
        "<<Die Rede ist lang.>>"
    }


def test_a_text_in_parts_is_told_when_its_last_part_is_there(languages: Languages) -> None:
    pool = FakePool(languages, max_source_tokens=40)
    translator = _translator(languages, pool)
    text = "The minister spoke of the border, of the river, of the bridge and of the weather in the town."
    request = TranslationRequest(text=text, source="en", target="fr")
    told, outcome = _streamed(translator.steps(request))
    assert len(pool.engine.submissions[0]) > 1
    assert told[0].segment.text == text.upper()
    assert outcome.unwrap().translation == text.upper()


def test_a_translated_summary_is_told_in_its_own_language(languages: Languages) -> None:
    pool = FakePool(languages, cipher)
    detector = LanguageDetector()
    translator = _translator(languages, pool)
    summarizer = Summarizer(
        pool.as_pool,
        languages,
        detector,
        translator,
        Checker(pool.as_pool, languages, detector),
        default_model="Qwen/Qwen2.5-1.5B-Instruct",
    )
    request = SummaryRequest(text=ARTICLE, length="headline", target="fr")
    told, outcome = _streamed(summarizer.steps(request))
    summary = outcome.unwrap()
    assert summary.translation_model is not None
    assert told == [SentenceReady(i, sentence) for i, sentence in enumerate(summary.sentences)]
