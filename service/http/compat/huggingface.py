"""Hugging Face's inference interface, for `huggingface_hub.InferenceClient(model=URL)`.

The client posts to exactly that URL, so each task has its own path: /pipeline/summarization,
/pipeline/translation, and /pipeline/translation_en_to_fr after the names of transformers' pipelines.
"""

import re
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request
from pydantic import Field
from werkzeug.exceptions import NotFound

from models.errors import InvalidInput
from models.summarize.summarizer import SummaryRequest
from models.text.detect import likeliest
from models.translate.translator import CANDIDATES, TranslationRequest
from service.errors import NotReady
from service.http.body import read_json
from service.http.compat.family import (
    ClientFields,
    Family,
    answer,
    checked_texts,
    directions,
    message,
    translations,
)
from service.http.run_request import RequestRunner
from service.http.status import Readiness
from service.options import LanguageCode
from service.problems import Problem
from service.validation import validated

if TYPE_CHECKING:
    from service.runtime import Runtime

PREFIX = "/pipeline"

_PAIR = re.compile(r"translation_([\w-]{1,40}?)_to_([\w-]{1,40})")
"""Bounded, since otherwise a path of many `_to_` is tried at each of them."""


class GenerateFields(ClientFields, strict=True):
    """Limits of the output, in tokens."""

    max_length: int | None = Field(None, ge=1)
    max_new_tokens: int | None = Field(None, ge=1)
    min_length: int | None = Field(None, ge=0)
    min_new_tokens: int | None = Field(None, ge=0)

    @property
    def most(self) -> int | None:
        """The narrower of the two limits."""
        return min((n for n in (self.max_length, self.max_new_tokens) if n is not None), default=None)

    @property
    def least(self) -> int | None:
        """The wider of the two."""
        return max((n for n in (self.min_length, self.min_new_tokens) if n is not None), default=None)


class Parameters(GenerateFields):
    """The client's `parameters`; `truncation` changes nothing, as nothing is ever cut."""

    generate_parameters: GenerateFields | None = None
    src_lang: LanguageCode | None = None
    tgt_lang: LanguageCode | None = None

    @property
    def generate(self) -> GenerateFields:
        """The lengths asked for, wherever they stand."""
        return self.generate_parameters or self


class PipelineBody(ClientFields, strict=True):
    """A request: one text or several."""

    inputs: Any
    parameters: Parameters = Field(default_factory=lambda: Parameters.model_validate({}))

    @property
    def texts(self) -> list[Any]:
        return self.inputs if isinstance(self.inputs, list) else [self.inputs]


class HuggingFace(Family):
    """The views of /pipeline over a runtime."""

    def __init__(self, runtime: "Runtime", work: RequestRunner, readiness: Readiness):
        self._runtime = runtime
        self._work = work
        self._readiness = readiness

    def blueprint(self) -> Blueprint:
        routes = Blueprint("huggingface", __name__, url_prefix=PREFIX)
        routes.post("/<task>")(self.run)
        routes.get("/<task>/health")(self.health)
        return routes

    def owns(self, path: str) -> bool:
        return path.startswith(f"{PREFIX}/")

    def error(self, problem: Problem) -> Response:
        return answer({"error": message(problem)}, problem.status)

    def run(self, task: str) -> Response:
        pair = _pair(task)
        with self._work.place():
            body = validated(PipelineBody, read_json(request))
            texts = checked_texts(body.texts, "inputs", self._runtime.settings)
            if body.inputs == "":
                raise InvalidInput("inputs is empty", field="inputs", allowed="a text")
            self._work.charge(texts)
            if task == "summarization":
                return answer(self._summaries(texts, body.parameters))
            return answer(self._translations(texts, body.parameters, pair))

    def health(self, task: str) -> Response:
        _pair(task)
        if reasons := self._readiness.reasons():
            raise NotReady(reasons)
        return answer({"status": "ok"})

    def _summaries(self, texts: list[str], parameters: Parameters) -> list[dict[str, str]]:
        generate = parameters.generate
        requests = [
            SummaryRequest(text=text, max_tokens=generate.most, min_tokens=generate.least) for text in texts
        ]
        done = self._work.do(requests)
        return [{"summary_text": outcome.unwrap().summary} for outcome in done.outcomes]

    def _translations(
        self, texts: list[str], parameters: Parameters, pair: tuple[str, str] | None
    ) -> list[dict[str, str]]:
        source, target = self._languages(parameters, pair)
        requests = [
            TranslationRequest(text=text, source=source, target=target or self._usual_target(text))
            for text in texts
        ]
        return [{"translation_text": text} for text, _ in translations(self._work, requests)]

    def _languages(self, parameters: Parameters, pair: tuple[str, str] | None) -> tuple[str, str | None]:
        """Source and target; no target where the request leaves both to the service."""
        given = parameters.src_lang, parameters.tgt_lang
        if given == (None, None):
            return pair or ("auto", None)
        if given[0] is None or given[1] is None:
            missing = "src_lang" if given[0] is None else "tgt_lang"
            raise InvalidInput("src_lang and tgt_lang go together", field=missing, allowed="both or neither")
        return given[0], given[1]

    def _usual_target(self, text: str) -> str:
        """Where neither the request nor the address says it: English, and for English the model's next."""
        known = directions(self._runtime)
        targets = {code for codes in known.values() for code in codes}
        candidates = self._runtime.detector.candidates(text, limit=CANDIDATES)
        detected = likeliest(text, candidates, known.__contains__)
        if detected.language != "en" and "en" in targets:
            return "en"
        order = next(iter(known.values()))
        return next((code for code in order if code != detected.language), order[0])


def _pair(task: str) -> tuple[str, str] | None:
    """The languages in a task's name. Raises NotFound for a task that is not done here."""
    if found := _PAIR.fullmatch(task):
        return found[1], found[2]
    if task not in ("summarization", "translation"):
        raise NotFound(
            f"there is no task {task[:40]!r}; there are summarization, translation, translation_XX_to_YY"
        )
    return None
