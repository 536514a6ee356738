"""Translation as a task: form, spans, languages, the way through English, and texts too long for a window."""

import re
import string
from typing import Any

import pytest
from fake_pool import FakePool
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import InvalidInput, UnknownModel, UnsupportedLanguage
from models.languages import Languages
from models.tasks.steps import Outcome, run
from models.tasks.translation import Translation, TranslationRequest
from models.tasks.translator import Translator
from models.text.language import LanguageDetector

GEMMA = "dragoman/gemma3-270m-translate"

REPORT = """Talks in Vienna

  The ministers met on Sunday. They spoke about trade!

- The first point was the border.
- The second was water.

2024
"""


SHIFTED = str.maketrans(
    string.ascii_letters, string.ascii_lowercase[1:] + "a" + string.ascii_uppercase[1:] + "A"
)


@pytest.fixture(scope="session")
def detector() -> LanguageDetector:
    return LanguageDetector()


def cipher(text: str) -> str:
    """A translation that the checks take for one: other letters, and names with digits as they were."""
    return re.sub(r"[^\W\d_]+(?!\w*\d)", lambda word: word[0].translate(SHIFTED), text)


def _pool(languages: Languages, **changes: Any) -> FakePool:
    return FakePool(languages, **{"change": cipher, **changes})


def _translate(pool: FakePool, detector: LanguageDetector, **request: Any) -> Outcome[Translation]:
    translator = Translator(pool.as_pool, Languages.load(), detector, default_model=GEMMA)
    return run(translator.steps(TranslationRequest(**{"target": "fr", **request})))


def test_form_stays_and_every_segment_has_its_span(languages: Languages, detector: LanguageDetector) -> None:
    result = _translate(_pool(languages), detector, text=REPORT).unwrap()
    assert result.translation == cipher(REPORT)
    assert [REPORT[s.source.start : s.source.end] for s in result.segments] == [
        "Talks in Vienna",
        "The ministers met on Sunday.",
        "They spoke about trade!",
        "The first point was the border.",
        "The second was water.",
    ]
    assert all(s.text == cipher(REPORT[s.source.start : s.source.end]) for s in result.segments)
    assert (result.source, result.target, result.model, result.notes) == ("en", "fr", GEMMA, ())
    assert result.detected is not None
    assert result.detected.language == "en"
    assert result.usage.source_tokens == sum(len(s.text) + 2 for s in result.segments)


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.sampled_from("ab. \n-1é中。"), min_size=1, max_size=120))
def test_any_text_comes_back_whole(languages: Languages, detector: LanguageDetector, text: str) -> None:
    pool = _pool(languages, change=lambda part: part)
    outcome = _translate(pool, detector, text=text, source="en", target="fr")
    if not text.strip():
        assert isinstance(outcome.error, InvalidInput)
        return
    result = outcome.unwrap()
    assert "".join(result.translation.split()) == "".join(text.split())
    assert [line.strip() == "" for line in result.translation.splitlines()] == [
        line.strip() == "" for line in text.splitlines()
    ]


def test_pairs_without_english_go_through_it(languages: Languages, detector: LanguageDetector) -> None:
    pool = _pool(languages)
    result = _translate(pool, detector, text="Les pourparlers ont échoué.", source="fr", target="de").unwrap()
    assert result.via == "en"
    assert pool.used == [GEMMA, GEMMA]
    assert result.translation == cipher(cipher("Les pourparlers ont échoué."))


def test_a_pattern_takes_the_pair_or_two_that_meet(languages: Languages, detector: LanguageDetector) -> None:
    opus = {"model": "Helsinki-NLP/opus-mt-*", "source": "fr", "text": "Les pourparlers."}
    direct = _pool(languages, pairs=["fr-de"])
    assert _translate(direct, detector, target="de", **opus).unwrap().via is None
    assert direct.used == ["Helsinki-NLP/opus-mt-fr-de"]
    pivot = _pool(languages, pairs=["fr-en", "en-de"])
    assert _translate(pivot, detector, target="de", **opus).unwrap().via == "en"
    assert pivot.used == ["Helsinki-NLP/opus-mt-fr-en", "Helsinki-NLP/opus-mt-en-de"]


def test_a_sentence_over_the_window_goes_in_parts(languages: Languages, detector: LanguageDetector) -> None:
    pool = _pool(languages, max_source_tokens=60, max_new_tokens=200)
    text = "The ministers spoke about trade, about the border, about water, " * 6 + "and about much else."
    result = _translate(pool, detector, text=text, source="en").unwrap()
    assert len(pool.engine.submissions[0]) > 5
    assert all(len(g.source_ids) <= 60 for g in pool.engine.submissions[0])
    assert result.translation == cipher(text)
    assert len(result.segments) == 1


def test_a_translation_cut_by_its_limit_is_told(languages: Languages, detector: LanguageDetector) -> None:
    pool = _pool(languages, change=lambda text: text * 99)
    result = _translate(pool, detector, text="The talks failed.", source="en").unwrap()
    assert [segment.complete for segment in result.segments] == [False]
    assert "may be unfinished" in result.notes[0]


def test_what_needs_no_model_gets_none(languages: Languages, detector: LanguageDetector) -> None:
    pool = _pool(languages)
    same = _translate(pool, detector, text="Les pourparlers ont échoué dimanche à Vienne.").unwrap()
    assert "already" in same.notes[0]
    nothing = _translate(pool, detector, text="2024\n----\n").unwrap()
    assert (nothing.translation, nothing.source) == ("2024\n----\n", "und")
    assert pool.used == []


@pytest.mark.parametrize(
    ("request_", "error", "field"),
    [
        ({"text": " \n"}, InvalidInput, "text"),
        ({"text": "Talks", "target": "xx"}, UnsupportedLanguage, "target"),
        ({"text": "Talks", "source": "qq"}, UnsupportedLanguage, "source"),
        ({"text": "Talks", "source": "en", "target": "ja"}, UnsupportedLanguage, "target"),
        ({"text": "Talks", "model": "none"}, UnknownModel, "model"),
        ({"text": "Talks", "model": "facebook/bart-large-cnn"}, UnknownModel, "model"),
    ],
)
def test_what_is_refused_names_its_field(
    languages: Languages,
    detector: LanguageDetector,
    request_: dict[str, str],
    error: type[InvalidInput],
    field: str,
) -> None:
    outcome = _translate(_pool(languages), detector, **request_)
    assert isinstance(outcome.error, error)
    assert outcome.error.field == field


def test_an_unsupported_language_names_models_that_have_it(
    languages: Languages, detector: LanguageDetector
) -> None:
    outcome = _translate(_pool(languages), detector, text="Talks", source="en", target="ja")
    assert "facebook/m2m100_418M" in str(outcome.error)


def test_chinese_has_no_spaces(languages: Languages, detector: LanguageDetector) -> None:
    pool = _pool(languages, change=lambda _: "会谈失败。")
    result = _translate(pool, detector, text="The talks failed. They did.", source="en", target="zh").unwrap()
    assert result.translation == "会谈失败。会谈失败。"


def test_a_script_that_a_model_cannot_write_is_refused(
    languages: Languages, detector: LanguageDetector
) -> None:
    pool = _pool(languages)
    assert _translate(pool, detector, text="會談失敗。", source="zh-TW", target="en").error is None
    for source in ("en", "zh"):
        outcome = _translate(pool, detector, text="Talks.", source=source, target="zh-TW")
        assert isinstance(outcome.error, UnsupportedLanguage)
        assert outcome.error.field == "target"


@pytest.mark.parametrize(
    ("pair", "source", "target", "field"),
    [
        ("en-de", "en", "fr", "target"),
        ("en-de", "ja", "de", "source"),
        ("tc-big-en-de", "en", "fr", "target"),
        ("en-de", "en", "de", None),
        ("en-ROMANCE", "en", "fr", None),
        ("mul-en", "ja", "en", None),
    ],
)
def test_a_pairs_own_model_takes_that_pair(
    languages: Languages, detector: LanguageDetector, pair: str, source: str, target: str, field: str | None
) -> None:
    name = f"Helsinki-NLP/opus-mt-{pair}"
    outcome = _translate(_pool(languages), detector, text="Talks.", model=name, source=source, target=target)
    assert getattr(outcome.error, "field", None) == field
