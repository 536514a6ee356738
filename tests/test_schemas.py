"""Requests in and answers out, as plain data."""

from dataclasses import replace
from typing import Any

import pytest
from http_fakes import settings
from hypothesis import given
from hypothesis import strategies as st

from models.checks.evidence import Evidence
from models.checks.flag import Flag
from models.errors import InvalidInput
from models.steps import Timings, Usage
from models.summarize.summarizer import Summary, SummaryRequest, SummarySentence, SummarySource
from models.text.article import Dropped
from models.text.detect import Detection
from models.text.span import Span
from models.translate.translator import Segment, Term, Translation, TranslationRequest
from service.errors import TooLong, TooManyTexts
from service.schemas.answers import SummaryAnswer, render_detection, render_summary, render_translation
from service.schemas.fields import InvalidFields
from service.schemas.problem import Problem
from service.schemas.requests import (
    Asked,
    SummarizeBody,
    TranslateBody,
    parse_detect,
    parse_summarize,
    parse_translate,
)

LIMITS = settings()

SUMMARY = Summary(
    summary="A.",
    sentences=(SummarySentence("A.", Span(3, 5), evidence=(Evidence(Span(3, 5), 1.0),)),),
    language="en",
    model="m",
    translation_model=None,
    detected=Detection("en", 0.9),
    source=SummarySource(10, 2, "T", (Dropped("Share", "clutter"),), 1, 1.0),
    usage=Usage(4, 2),
    notes=("short",),
)


def test_summarize_fills_defaults() -> None:
    asked = parse_summarize({"text": "A b."}, LIMITS)
    assert asked == Asked((SummaryRequest(text="A b."),), many=False)


def test_summarize_passes_every_field_on() -> None:
    fields: dict[str, Any] = {
        "length": "short",
        "max_sentences": 2,
        "format": "bullets",
        "model": "m",
        "target": "fr",
        "clean": False,
        "on_unsupported": "drop",
    }
    asked = parse_summarize({"html": "<p>A</p>", **fields}, LIMITS)
    assert asked.items == (SummaryRequest(html="<p>A</p>", **fields),)


def test_null_is_as_if_absent() -> None:
    asked = parse_summarize({"text": "A", "html": None, "model": None, "target": None}, LIMITS)
    assert asked.items == (SummaryRequest(text="A"),)


def test_translate_passes_every_field_on() -> None:
    asked = parse_translate({"texts": ["a", "b"], "source": "en", "target": "fr", "model": "m"}, LIMITS)
    assert asked.many
    assert asked.items == tuple(
        TranslationRequest(text=t, source="en", target="fr", model="m") for t in ("a", "b")
    )


@pytest.mark.parametrize(
    ("body", "error", "field", "message"),
    [
        ([], InvalidInput, None, "the body must be a JSON object, not an array"),
        ({"text": "a"}, InvalidInput, "target", "target is required"),
        (
            {"target": "fr"},
            InvalidInput,
            "text",
            "exactly one of text, texts must be given, not none of them",
        ),
        (
            {"text": "a", "texts": ["a"], "target": "fr"},
            InvalidInput,
            "texts",
            "exactly one of text, texts must be given, not text and texts",
        ),
        ({"text": 1, "target": "fr"}, InvalidInput, "text", "text must be a string, not a number"),
        ({"texts": "a", "target": "fr"}, InvalidInput, "texts", "texts must be an array, not a string"),
        ({"texts": [], "target": "fr"}, InvalidInput, "texts", "texts is empty"),
        ({"texts": ["a"] * 5, "target": "fr"}, TooManyTexts, "texts", "texts has 5 items"),
        ({"text": " \n", "target": "fr"}, InvalidInput, "text", "text is empty"),
        ({"text": "a" * 1001, "target": "fr"}, TooLong, "text", "text has 1001 characters"),
        ({"texts": ["a" * 600] * 2, "target": "fr"}, TooLong, "texts", "texts has 1200 characters"),
        ({"text": "a", "target": ""}, InvalidInput, "target", "target should have at least 1 character"),
        (
            {"text": "a", "tarqet": "fr", "target": "fr"},
            InvalidInput,
            "tarqet",
            "'tarqet' is not a field of this request; did you mean target?",
        ),
    ],
)
def test_translate_refuses(body: object, error: type[Exception], field: str | None, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_translate(body, LIMITS)
    assert type(caught.value) is error
    assert (caught.value.field, caught.value.message) == (field, message)


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("length", "tiny", ["headline", "short", "medium", "long"]),
        ("format", None, ["paragraph", "bullets"]),
        ("max_sentences", 0, "be greater than or equal to 1"),
        ("max_sentences", True, "an integer"),
        ("max_sentences", 2.5, "an integer"),
        ("max_sentences", "2", "an integer"),
    ],
)
def test_summarize_says_what_is_allowed(field: str, value: object, allowed: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_summarize({"text": "a", field: value}, LIMITS)
    assert (caught.value.field, caught.value.allowed) == (field, allowed)


def test_several_wrong_fields_are_all_named() -> None:
    with pytest.raises(InvalidFields) as caught:
        parse_summarize({"text": 1, "length": "tiny", "x" * 500: 1}, LIMITS)
    assert [error.field for error in caught.value.errors] == ["text", "length", "x" * 60 + "…"]


def test_a_bad_item_fails_alone() -> None:
    asked = parse_detect({"texts": ["a", "", 3, "b" * 1001]}, LIMITS)
    assert asked.items[0] == "a"
    assert [item.field for item in asked.items[1:] if isinstance(item, InvalidInput)] == [
        "texts[1]",
        "texts[2]",
        "texts[3]",
    ]
    assert isinstance(asked.items[3], TooLong)


def test_detect_takes_texts_alone() -> None:
    with pytest.raises(InvalidInput, match="not a field"):
        parse_detect({"text": "a", "target": "fr"}, LIMITS)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(["text", "texts", "html", "target", "source", "length", "max_sentences", "model"])


@given(JSON | st.dictionaries(FIELDS | st.text(), JSON, max_size=5))
def test_any_json_is_read_or_refused(data: object) -> None:
    for parse in (parse_summarize, parse_translate, parse_detect):
        try:
            assert parse(data, LIMITS).items
        except InvalidInput as error:
            assert error.message


def test_summary_is_rendered_without_absent_fields() -> None:
    answer = render_summary(SUMMARY, Timings(0.00123, 0.5), 0.6).model_dump(mode="json")
    assert answer == {
        "summary": "A.",
        "sentences": [
            {
                "text": "A.",
                "start": 0,
                "end": 2,
                "source": {"start": 3, "end": 5},
                "evidence": [{"start": 3, "end": 5, "score": 1.0}],
                "flags": [],
            }
        ],
        "language": "en",
        "model": "m",
        "detected": {"language": "en", "confidence": 0.9},
        "source": {
            "characters": 10,
            "sentences": 2,
            "title": "T",
            "dropped": [{"text": "Share", "reason": "clutter"}],
            "windows": 1,
            "coverage": 1.0,
        },
        "usage": {"source_tokens": 4, "output_tokens": 2},
        "timings_ms": {"text": 1.2, "model": 500.0, "total": 600.0},
        "notes": ["short"],
    }


def test_translated_summary_names_its_translation() -> None:
    sentence = SummarySentence("B.", None, original="A.", flags=(Flag("name", Span(0, 2), "not there"),))
    translated = replace(SUMMARY, summary="- B.", translation_model="t", sentences=(sentence,))
    answer = render_summary(translated, Timings(0, 0), 0).model_dump(mode="json")
    assert answer["translation_model"] == "t"
    (part,) = answer["sentences"]
    assert (part["text"], part["original"], part["start"], part["end"]) == ("B.", "A.", 2, 4)
    assert part["flags"] == [
        {"kind": "name", "start": 2, "end": 4, "reason": "not there", "severity": "error"}
    ]


@pytest.mark.parametrize(
    ("detected", "source"),
    [
        (Detection("en", 0.75), {"language": "en", "confidence": 0.75, "detected": True}),
        (None, {"language": "en", "confidence": None, "detected": False}),
    ],
)
def test_translation_says_where_its_source_language_is_from(
    detected: Detection | None, source: dict[str, Any]
) -> None:
    translation = Translation(
        translation="B",
        segments=(Segment(Span(0, 1), "B", False),),
        source="en",
        target="fr",
        detected=detected,
        model="m",
        via="en",
        usage=Usage(1, 1),
        notes=(),
    )
    answer = render_translation(translation, Timings(0, 0), 0).model_dump(mode="json")
    assert answer["source"] == source
    assert answer["via"] == "en"
    assert answer["segments"] == [
        {
            "source": {"start": 0, "end": 1},
            "text": "B",
            "complete": False,
            "confidence": None,
            "abstained": False,
            "flags": [],
        }
    ]
    assert "terms" not in answer


def test_a_segment_tells_what_was_found_in_it_and_what_became_of_terms() -> None:
    flag = Flag("number", Span(2, 4), "the source has 12", source=Span(0, 2))
    translation = Translation(
        translation="à 11",
        segments=(Segment(Span(0, 5), "à 11", True, 0.25, (flag,), original="at 12"),),
        source="en",
        target="fr",
        detected=None,
        model="m",
        via=None,
        usage=Usage(1, 1),
        notes=(),
        terms=(Term("Dragoman", "Dragoman", 2, False),),
    )
    answer = render_translation(translation, Timings(0, 0), 0).model_dump(mode="json")
    assert answer["segments"][0]["flags"] == [
        {
            "kind": "number",
            "start": 2,
            "end": 4,
            "reason": "the source has 12",
            "severity": "error",
            "source": {"start": 0, "end": 2},
        }
    ]
    assert (answer["segments"][0]["original"], answer["segments"][0]["confidence"]) == ("at 12", 0.25)
    assert answer["terms"] == [{"source": "Dragoman", "target": "Dragoman", "count": 2, "honoured": False}]


def test_a_translation_is_asked_for_with_form_and_terms() -> None:
    body = {
        "text": "<p>a</p>",
        "target": "fr",
        "format": "html",
        "ignore_tags": ["kbd"],
        "protect": [" Dragoman "],
        "glossary": {"talks": "pourparlers"},
        "min_confidence": 0.5,
    }
    (request,) = parse_translate(body, LIMITS).items
    assert request == TranslationRequest(
        text="<p>a</p>",
        target="fr",
        format="html",
        ignore_tags=("kbd",),
        protect=("Dragoman",),
        glossary={"talks": "pourparlers"},
        min_confidence=0.5,
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("format", "rtf"),
        ("protect", [" "]),
        ("protect", "Dragoman"),
        ("glossary", ["a"]),
        ("glossary", {"a": 1}),
        ("min_confidence", 1.1),
        ("min_confidence", "high"),
    ],
)
def test_wrong_forms_and_terms_are_named(field: str, value: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_translate({"text": "a", "target": "fr", field: value}, LIMITS)
    assert str(caught.value.field).startswith(field)
    assert "dictionary" not in caught.value.message


def test_confidence_is_a_probability() -> None:
    answer = render_detection([Detection("en", 1.00002), Detection("fr", 0.123456)])
    assert [each.confidence for each in answer.candidates] == [1.0, 0.1235]


def test_every_answer_has_a_json_schema() -> None:
    for model in (SummarizeBody, TranslateBody, SummaryAnswer, Problem):
        assert model.model_json_schema()["properties"]
    texts = SummarizeBody.model_json_schema()["properties"]["texts"]["anyOf"][0]
    assert texts["items"] == {"type": "string"}
