"""/v1/check and /v1/clean: what of any output its source supports, and what there is to read in a page."""

from typing import TYPE_CHECKING

from flask import Blueprint, Response, request

from models.errors import DeadlineExceeded, Overloaded, UnsupportedLanguage
from models.text.article.html_article import read_page
from models.text.article.paste import read_pasted
from service.errors import TooLong
from service.http.body import read_json
from service.http.openapi import Example, Operation, add
from service.http.work import RequestRunner
from service.schemas import examples
from service.schemas.checking import (
    CheckAnswer,
    CheckBody,
    CleanAnswer,
    CleanBody,
    parse_check,
    parse_clean,
    render_check,
    render_clean,
)

if TYPE_CHECKING:
    from service.runtime import Runtime

CHECK = Operation(
    method="POST",
    path="/check",
    tag="trust",
    summary="Say what in a summary or translation its source does not support",
    description="Whoever wrote it. Offsets count characters of `output`, those of evidence of `source`.",
    body=CheckBody,
    answers=(CheckAnswer,),
    errors=(TooLong, UnsupportedLanguage, Overloaded, DeadlineExceeded),
    examples={"a wrong number": Example(examples.CHECK, examples.CHECKED)},
)
CLEAN = Operation(
    method="POST",
    path="/clean",
    tag="trust",
    summary="Give the article alone, without what the web page put around it",
    body=CleanBody,
    answers=(CleanAnswer,),
    errors=(TooLong, Overloaded),
    examples={"a pasted article": Example(examples.CLEAN, examples.CLEANED)},
)


class TrustViews:
    """The views that write nothing."""

    def __init__(self, runtime: "Runtime", work: RequestRunner):
        self._runtime = runtime
        self._work = work

    def blueprint(self) -> Blueprint:
        routes = Blueprint("trust", __name__, url_prefix="/v1")
        add(routes, CHECK, self.check)
        add(routes, CLEAN, self.clean)
        return routes

    def check(self) -> Response:
        with self._work.place():
            asked = parse_check(read_json(request), self._runtime.settings)
            self._work.charge([asked.source, asked.output])
            (outcome,) = self._work.check([asked]).outcomes
            answer = render_check(outcome.unwrap(), asked.output)
        return Response(answer.model_dump_json(), mimetype="application/json")

    def clean(self) -> Response:
        with self._work.place():
            field, content = parse_clean(read_json(request), self._runtime.settings)
            self._work.charge([content])
            if field == "html":
                article = self._work.apart(read_page, content, True, field=field)
            else:
                article = self._work.apart(read_pasted, content, field=field)
        return Response(render_clean(article).model_dump_json(), mimetype="application/json")
