"""Results become answers: what is left out, where spans count, what is rounded."""

from dataclasses import replace
from typing import Any

import pytest

from models.checks.evidence import Evidence
from models.checks.flag import Flag
from models.steps import Usage
from models.summarize.summarizer import Summary, SummarySentence, SummarySource
from models.text.article import Dropped
from models.text.detect import Detection
from models.text.span import Span
from models.translate.translator import Segment, Term, Translation
from service.answers import render, render_detection

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


def test_summary_is_rendered_without_absent_fields() -> None:
    answer = render(SUMMARY, text_s=0.00123, model_s=0.5, total_s=0.6).model_dump(mode="json")
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
    answer = render(translated).model_dump(mode="json")
    assert answer["translation_model"] == "t"
    (part,) = answer["sentences"]
    assert (part["text"], part["original"], part["start"], part["end"]) == ("B.", "A.", 2, 4)
    assert part["flags"] == [
        {"kind": "name", "start": 2, "end": 4, "reason": "not there", "severity": "error"}
    ]
    doubt = Flag("doubtful", Span(0, 2), "unsure", "warning", weakest=(Span(0, 1),))
    unsure = replace(sentence, flags=(doubt,), confidence=0.25, from_memory=True)
    (part,) = render(replace(translated, sentences=(unsure,))).model_dump(mode="json")["sentences"]
    assert part["flags"][0]["weakest"] == [{"start": 2, "end": 3}]
    assert (part["confidence"], part["from_memory"]) == (0.25, True)


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
    answer = render(translation).model_dump(mode="json")
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
    flag = Flag("number", Span(2, 4), "the source has 12", source=Span(0, 2), weakest=(Span(2, 4),))
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
    answer = render(translation).model_dump(mode="json")
    assert answer["segments"][0]["flags"] == [
        {
            "kind": "number",
            "start": 2,
            "end": 4,
            "reason": "the source has 12",
            "severity": "error",
            "source": {"start": 0, "end": 2},
            "weakest": [{"start": 2, "end": 4}],
        }
    ]
    assert (answer["segments"][0]["original"], answer["segments"][0]["confidence"]) == ("at 12", 0.25)
    assert answer["terms"] == [{"source": "Dragoman", "target": "Dragoman", "count": 2, "honoured": False}]


def test_confidence_is_a_probability() -> None:
    answer = render_detection([Detection("en", 1.00002), Detection("fr", 0.123456)])
    assert [each.confidence for each in answer.candidates] == [1.0, 0.1235]
