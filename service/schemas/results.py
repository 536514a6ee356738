"""The answers to `texts`: one result for each, in order; what could not be done is a problem in its place."""

from pydantic import BaseModel

from service.schemas.answers import DetectionAnswer, SummaryAnswer, TranslationAnswer
from service.schemas.problem import Problem


class SummaryResults(BaseModel):
    """Summaries of `texts`, in the same order."""

    results: list[SummaryAnswer | Problem]


class TranslationResults(BaseModel):
    """Translations of `texts`, in the same order."""

    results: list[TranslationAnswer | Problem]


class DetectionResults(BaseModel):
    """The languages of `texts`, in the same order."""

    results: list[DetectionAnswer | Problem]
