"""Telling a URL that a job has ended: where that may lead, the signature, and the one request."""

import hashlib
import hmac
import ssl
from collections.abc import Mapping
from functools import partial

from service import outbound
from service.outbound import Destination, PinnedConnection, Resolve, resolve

WHOLE_S = 15.0
"""From the connection to the answer's head; a receiver that drips is cut off then."""

__all__ = ["Destination", "Resolve", "checked_url", "destination", "post", "resolve", "sign"]

checked_url = partial(outbound.checked_url, field="callback")
destination = partial(outbound.destination, field="callback")


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """The header `Dragoman-Signature`: HMAC-SHA256 of `TIMESTAMP.BODY`, in hexadecimal."""
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={timestamp},v1={digest}"


def post(to: Destination, body: bytes, headers: Mapping[str, str], tls: ssl.SSLContext | None = None) -> int:
    """POST the body; returns the answer's status. Raises OSError and http.client's exceptions."""
    connection = PinnedConnection(to, tls)
    try:
        with connection.cut_off_after(WHOLE_S):
            connection.request("POST", to.path, body, dict(headers))
            return connection.getresponse().status
    finally:
        connection.close()
