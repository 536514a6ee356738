"""Lines of OpenAI's batch files: `{custom_id, method, url, body}`, where `url` is a route of this service.

Each has options of its own, so a content here is the request itself. Knows no models and no answers.
"""

import json
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from models.errors import InvalidInput
from service.batch.record import Content, FieldNames, Fields, Record
from service.batch.seen import Seen
from service.work.plan import TaskName

ROUTES: dict[str, TaskName] = {"/v1/summarize": "summarize", "/v1/translate": "translate"}


class NoRequest(InvalidInput):
    """A line that is no request, so that no route could answer it. `code` is OpenAI's name for it."""

    def __init__(self, code: str, message: str, field: str | None = None):
        super().__init__(message, field=field)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFields(FieldNames):
    """The fields of a line. Its content is its route and its body, and may be asked for once only."""

    seen: Seen
    """Takes every `custom_id`, and finds repeated ones."""
    id: str = "custom_id"

    def content(self, record: Record) -> Content:
        """The request. Raises NoRequest."""
        if record.problem is not None:
            raise NoRequest("invalid_json_line", record.problem.message)
        _check(record.fields)
        content = content_of(record.fields)
        try:
            content.value.encode()
        except UnicodeEncodeError:
            raise NoRequest("invalid_body", "the body holds a lone surrogate", "body") from None
        if not self.seen.add(record.fields["custom_id"]):
            raise NoRequest("duplicate_custom_id", "an earlier line has this custom_id", "custom_id")
        return content

    def check(self, record: Record, taken: tuple[str, ...]) -> None:
        """Of the line, the output has `custom_id` alone, so its fields may be called anything."""


def content_of(fields: Fields) -> Content:
    """Return the part of a line that is worked on."""
    return Content("request", json.dumps([fields["url"], fields["body"]], ensure_ascii=False))


def request_of(content: Content) -> tuple[str, dict[str, Any]]:
    """A content's route and body."""
    url, body = json.loads(content.value)
    return url, body


def request_id(content: Content) -> str:
    """A request's name in answers and logs: equal ones are done once, and share it."""
    return f"req_{blake2b(content.value.encode(), digest_size=16).hexdigest()}"


def _check(fields: Fields) -> None:
    custom_id, url = fields.get("custom_id"), fields.get("url")
    if not isinstance(custom_id, str) or not custom_id:
        raise NoRequest("invalid_custom_id", "custom_id must be a string, and not empty", "custom_id")
    if fields.get("method") != "POST":
        raise NoRequest("invalid_method", "method must be POST", "method")
    if not isinstance(url, str) or url not in ROUTES:
        was = f"{url!r} is not served here" if isinstance(url, str) else "url must be a string"
        raise NoRequest("invalid_url", f"{was}; the urls are {' and '.join(ROUTES)}", "url")
    if not isinstance(fields.get("body"), dict):
        raise NoRequest("invalid_body", "body must be a JSON object", "body")
