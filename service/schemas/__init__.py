"""The JSON of requests and answers, as pydantic models: what a field means is written there and nowhere else.

Knows no HTTP: any way in that reads or writes such JSON may use it.
"""

from service.schemas.answers import (
    DetectionAnswer,
    SummaryAnswer,
    TranslationAnswer,
    render_detection,
    render_summary,
    render_translation,
)
from service.schemas.fields import InvalidFields
from service.schemas.languages import LanguageList
from service.schemas.models import ModelList
from service.schemas.problem import FieldProblem, Problem
from service.schemas.requests import (
    Asked,
    DetectBody,
    SummarizeBody,
    TranslateBody,
    parse_detect,
    parse_summarize,
    parse_translate,
)

__all__ = [
    "Asked",
    "DetectBody",
    "DetectionAnswer",
    "FieldProblem",
    "InvalidFields",
    "LanguageList",
    "ModelList",
    "Problem",
    "SummarizeBody",
    "SummaryAnswer",
    "TranslateBody",
    "TranslationAnswer",
    "parse_detect",
    "parse_summarize",
    "parse_translate",
    "render_detection",
    "render_summary",
    "render_translation",
]
