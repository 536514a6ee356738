"""/v1/fetch: an article or a document by its address, which the page then reads like a file that was opened.

A server that fetches what strangers name could be made to knock at other doors. So only callers with a key
may ask, and those on the server's own machine; and nothing leads to a private address or an unusual port.
"""

from pathlib import PurePath

from flask import Blueprint, Response, request
from pydantic import BaseModel, Field

from models.errors import InvalidInput, Overloaded
from service.documents.plain import decode
from service.errors import PageUnavailable
from service.fetch import FORMATS, WHOLE_S, fetch
from service.http.body import read_json
from service.http.openapi import Example, Operation, add
from service.http.quotas import require_known
from service.http.responses import file_response
from service.http.run_request import RequestRunner
from service.outbound import PORTS
from service.shared import SharedState
from service.shares import CALLER, FETCH, FETCHES, Shares, idle
from service.validation import STRICT, validated

LONGEST_URL = 2000


class FetchBody(BaseModel):
    """What to fetch."""

    model_config = STRICT

    url: str = Field(min_length=1, max_length=LONGEST_URL, description="`http://` or `https://`, public.")


OPERATION = Operation(
    method="POST",
    path="/fetch",
    tag="documents",
    summary="Download an article or a document from its address",
    description="As a file whose name tells its format; text is in UTF-8. At most 20 MB, 30 s and 5 "
    "redirects. Not without an API key, except for callers on the server's own machine. Private addresses "
    "are refused.",
    bodies=(FetchBody,),
    answer_type="*/*",
    errors=(InvalidInput, Overloaded, PageUnavailable),
    examples={"a page": Example({"url": "https://news.example/article.html"})},
)


class FetchViews:
    """The view of /v1/fetch."""

    def __init__(self, work: RequestRunner, shared: SharedState):
        self._work = work
        self._fetching = Shares(FETCH, FETCHES, counts=shared)

    def blueprint(self) -> Blueprint:
        routes = Blueprint("fetch", __name__, url_prefix="/v1")
        add(routes, OPERATION, self.fetch)
        return routes

    def fetch(self) -> Response:
        require_known("no address is fetched")
        with self._work.place(), self._fetching.hold(CALLER.get()):
            url = validated(FetchBody, read_json(request)).url
            within_s = min(WHOLE_S, self._work.left_s())
            with idle():
                name, data = fetch(url, "url", ports=tuple(PORTS.values()), within_s=within_s)
            if PurePath(name).suffix in FORMATS:
                data = self._work.in_child(decode, data, field="url").encode()
        return file_response(data, "application/octet-stream", name)
