"""Hands in jobs over a test client, and waits for them."""

import time
from typing import Any

from flask.testing import FlaskClient


def put(client: FlaskClient, **body: Any) -> str:
    """The new job's address."""
    response = client.post("/v1/jobs", json=body)
    assert response.status_code == 202, response.text
    return str(response.headers["Location"])


def ended(client: FlaskClient, address: str) -> dict[str, Any]:
    """The job once it has ended."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        job: dict[str, Any] = client.get(address).json
        if job["status"] in ("done", "failed", "cancelled"):
            return job
        time.sleep(0.01)
    raise AssertionError(f"it did not end: {job}")


def until(condition: Any, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)


def untimed(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {k: untimed(v) for k, v in answer.items() if k not in ("timings_ms", "request_id")}
    return [untimed(each) for each in answer] if isinstance(answer, list) else answer
