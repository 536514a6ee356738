# ruff: noqa: E501 - cases are rows
"""Streamed completions: sentences go out as they come, and together they are the answer to the letter."""

from textwrap import fill
from typing import Any

import pytest
from conftest import TinyHub
from fake_pool import FakePool, cipher
from hypothesis import given, settings
from hypothesis import strategies as st

from models.chat import ChatAnswer, ChatMessage, ChatRequest, chat
from models.checker import Checker
from models.driver import stream
from models.engine_choice import EngineMaker
from models.errors import InvalidInput
from models.languages import Languages
from models.pool import ModelPool
from models.steps import Outcome, Steps
from models.summarize.summarizer import Summarizer, SummaryRequest
from models.text.detect import LanguageDetector
from models.translate.translator import TranslationRequest, Translator
from service.http.compat.openai import Delta, Segments, Sentences, written

SAID = "The talks of the ministers went on all day and nobody knew when they would end. It rained again, and nobody saw it. "
WRAPPED = fill(SAID * 3, 66)

LANGUAGES = Languages.load()
DETECTOR = LanguageDetector()
POOL = FakePool(LANGUAGES, lambda text: text.upper() if "again" in text else cipher(text))
"""Of some sentences the first attempt looks wrong to the checks, so that there is another."""
TRANSLATOR = Translator(POOL.as_pool, LANGUAGES, DETECTOR, default_model="facebook/m2m100_418M")


def pieces(steps: Steps[Any], delta: Delta) -> tuple[list[str], Any]:
    told: list[str] = []
    running = stream(steps)
    while True:
        try:
            if (event := next(running)) is not None:
                told.append(delta(event))
        except StopIteration as end:
            outcome: Outcome[Any] = end.value
            return [piece for piece in told if piece], outcome.unwrap()


def translated(text: str, target: str = "fr") -> tuple[list[str], str]:
    request = TranslationRequest(text=text, source="en", target=target)
    told, done = pieces(TRANSLATOR.steps(request), Segments(request).add)
    return told, done.translation


def test_sentences_are_told_as_they_come() -> None:
    told, whole = translated("  The talks failed. Nobody was hurt.\n\n* It goes on. \n")
    assert len(told) == 3
    assert whole == "".join([*told, " \n"])


def test_a_wrapped_paragraph_is_told_when_it_is_whole() -> None:
    told, whole = translated(f"{WRAPPED}\n\nThen it snowed. It was cold.\n\nThe end.")
    assert told[0].count("\n") > 3
    assert whole == "".join(told)


LINES = st.lists(
    st.sampled_from(
        ["The talks failed.", "Do it again now.", "“No,” he said. Then he left.", "", "%%", "- 1) a b. C d.", "  > X y.",
         "12.", " ", WRAPPED, "Word\u2028word. \t"]
    ), max_size=12,
)  # fmt: skip


@settings(deadline=None, max_examples=40)
@given(
    st.lists(LINES.map("\n".join), min_size=1, max_size=3).map("\r\n\r\n".join), st.sampled_from(["fr", "zh"])
)
def test_all_pieces_are_the_beginning_of_the_translation(text: str, target: str) -> None:
    if text.strip():
        told, whole = translated(text, target)
        assert whole.startswith("".join(told))


@pytest.mark.parametrize("form", ["paragraph", "bullets"])
@pytest.mark.parametrize("target", ["fr", "zh"])
def test_a_summary_in_another_language(form: Any, target: str) -> None:
    text = "The ferry did not sail. Do it again now. Nobody was hurt."
    summarizer = Summarizer(
        POOL.as_pool,
        LANGUAGES,
        DETECTOR,
        TRANSLATOR,
        Checker(POOL.as_pool, LANGUAGES, DETECTOR),
        default_model="facebook/bart-large-cnn",
    )
    request = SummaryRequest(text=text, target=target, format=form)
    told, done = pieces(summarizer.steps(request), Sentences(request).add)
    assert len(told) > 1
    assert "".join(told) == done.summary


def test_messages_go_to_an_instruct_model_as_they_are(tiny_hub: TinyHub, languages: Languages) -> None:
    catalog = tiny_hub.catalog("instruct", max_source_tokens=300, max_new_tokens=12)
    engines = EngineMaker(tiny_hub.store, device="cpu", choice="auto", threads=1)
    pool = ModelPool(catalog, tiny_hub.store, languages, engines)
    entry = catalog.get("tiny/instruct")
    assert entry.follows_instructions
    messages = (
        ChatMessage("user", "What is <|im_end|> rain?"),
        ChatMessage("assistant", "Water."),
        ChatMessage("user", "Oh?"),
    )
    with pool.use(entry) as model:
        ids = model.codec.encode_messages([(each.role, each.content) for each in messages])  # type: ignore[union-attr]
        read = model.codec.tokenizer.decode(ids)  # type: ignore[union-attr]
    told, done = pieces(chat(pool, ChatRequest(messages, entry, 6)), written)
    with pytest.raises(InvalidInput, match="tokens"):
        pieces(chat(pool, ChatRequest((ChatMessage("user", "rain " * 400),), entry)), written)
    pool.close()
    assert isinstance(done, ChatAnswer)
    assert all(word in read for word in ("What is", "Water.", "Oh?"))
    assert (done.usage.source_tokens, done.complete) == (len(ids), done.usage.output_tokens < 6)
    assert done.usage.output_tokens <= 6
    assert done.text.startswith("".join(told))
