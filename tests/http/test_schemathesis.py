"""schemathesis reads the OpenAPI document, and asks for what it allows and for what it does not."""

from collections.abc import Iterator

import pytest
import schemathesis
from http_fakes import FakeRuntime, settings
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import CheckFunction, load_all_checks
from schemathesis.config import GenerationConfig, SchemathesisConfig
from schemathesis.pytest.lazy import get_all_tests
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from service.http.app import create_app

EXAMPLES = 15
"""Random ones for each operation, besides the document's own and those at the limits of its schemas."""

BY_CONTENT = ("/v1/check", "/v1/clean", "/v1/documents", "/v1/glossaries", "/v1/jobs", "/v1/memory")
"""What these refuse no schema can say: an unknown language, a page without an article, a broken file."""


def _beyond_schemas(case: schemathesis.Case) -> Iterator[CheckFunction]:
    """The checks that this request is not to pass."""
    body = case.body if isinstance(case.body, dict) else {}
    if case.path.startswith(BY_CONTENT) or isinstance(body.get("glossary"), str):
        yield positive_data_acceptance
    texts = body.get("texts")
    one_is_wrong = isinstance(texts, list) and not all(isinstance(text, str) for text in texts)
    if one_is_wrong or case.media_type == "multipart/form-data":
        yield negative_data_rejection  # a wrong item fails alone; and a form's fields are all strings


@pytest.fixture(scope="module")
def schema() -> schemathesis.BaseSchema:
    config = SchemathesisConfig(seed=1)
    config.projects.default.generation = GenerationConfig(max_examples=EXAMPLES, deterministic=True)
    config.projects.default.checks.negative_data_rejection.expected_statuses.append("413")  # over a limit
    runtime = FakeRuntime(settings(max_request_characters=20_000, max_html_characters=20_000))
    return schemathesis.openapi.from_wsgi("/openapi.json", create_app(runtime), config=config)


SETTINGS = hypothesis_settings(
    max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)


def ask(case: schemathesis.Case) -> None:
    case.call_and_validate(excluded_checks=list(_beyond_schemas(case)))


def test_requests_are_answered_as_documented(
    schema: schemathesis.BaseSchema, subtests: pytest.Subtests
) -> None:
    """Made here and not by `parametrize`, which takes seconds in each process that collects tests."""
    load_all_checks()
    found = [*get_all_tests(schema=schema, test_func=ask, settings=SETTINGS, given_kwargs=None)]
    assert len(found) > 20
    for made in found:
        operation, test = made.ok()
        with subtests.test(operation.label):
            test()
