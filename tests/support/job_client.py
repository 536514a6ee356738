"""Hands in jobs over a test client, and waits for them."""

from typing import Any

from flask.testing import FlaskClient
from waiting import until


def put(client: FlaskClient, **body: Any) -> str:
    """The new job's address."""
    response = client.post("/v1/jobs", json=body)
    assert response.status_code == 202, response.text
    return str(response.headers["Location"])


def ended(client: FlaskClient, address: str) -> dict[str, Any]:
    """The job once it has ended."""
    until(lambda: client.get(address).json["status"] in ("done", "failed", "cancelled"))
    return dict(client.get(address).json)


def untimed(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {k: untimed(v) for k, v in answer.items() if k not in ("timings_ms", "request_id")}
    return [untimed(each) for each in answer] if isinstance(answer, list) else answer
