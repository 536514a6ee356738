"""Fetching models over HTTP, for those whose key may: it goes on in the background."""

from typing import TYPE_CHECKING

from flask import Blueprint, Response, g, request
from pydantic import BaseModel, ConfigDict, Field

from models.errors import ModelUnavailable, UnknownModel
from service.errors import AdminRequired
from service.http.body import read_json
from service.http.openapi import Example, Operation, add
from service.http.responses import json_response
from service.http.run_request import RequestRunner
from service.validation import validated

if TYPE_CHECKING:
    from service.runtime import Runtime


class PullBody(BaseModel):
    """The model to fetch."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200, description="A model of the whole catalog.")


class PullAnswer(BaseModel):
    """How far it is; `GET /v1/models` says it from then on."""

    name: str
    state: str


PULL = Operation(
    method="POST",
    path="/models",
    tag="models",
    summary="Fetch and load a model in the background",
    description="With a key made by `dragoman keys create --admin` only.",
    bodies=(PullBody,),
    status=202,
    answers=(PullAnswer,),
    errors=(AdminRequired, UnknownModel, ModelUnavailable),
    examples={
        "one": Example(
            {"name": "facebook/m2m100_418M"}, {"name": "facebook/m2m100_418M", "state": "downloading 41%"}
        )
    },
)


class Pulls:
    """The view that fetches models."""

    def __init__(self, runtime: "Runtime", work: RequestRunner):
        self._runtime = runtime
        self._work = work

    def blueprint(self) -> Blueprint:
        routes = Blueprint("pulls", __name__, url_prefix="/v1")
        add(routes, PULL, self.pull)
        return routes

    def pull(self) -> Response:
        if not g.is_admin:
            raise AdminRequired("models are fetched for keys made with --admin only")
        with self._work.place():
            entry = self._runtime.pull(validated(PullBody, read_json(request)).name)
        answer = PullAnswer(name=entry.name, state=self._runtime.pool.state(entry))
        return json_response(answer, 202)
