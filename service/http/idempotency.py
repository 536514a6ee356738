"""The header Idempotency-Key: a request that comes again with its key gets the answer that it had.

Only requests that say `once` have it: jobs and documents.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from hashlib import blake2b

from flask import Response, g, request

from models.errors import InvalidInput
from service.errors import KeyInUse, KeyReused, StoreUnavailable
from service.http.quotas import Caller
from service.store.idempotency import Begun, IdempotencyStore, KeptAnswer

HEADER = "Idempotency-Key"
DESCRIPTION = (
    "1 to 255 printable ASCII characters of your choice. For a day, the same request with the same key gets "
    "the first one's answer, and no work is done twice."
)
ERRORS = (KeyReused, KeyInUse)
FINISH_S = 60.0
"""Beyond a request's time, until its key is free if its server was killed."""

_KEY = re.compile(r'"?([!#-~ ]{1,255})"?')
"""A string as structured fields have it, or without its quotes, as many clients send it."""


class Idempotency:
    """Does requests once that come with a key."""

    def __init__(self, store: IdempotencyStore, request_timeout_s: float):
        self._store = store
        self._timeout_s = request_timeout_s + FINISH_S

    def once(self, work: Callable[[str | None], Response]) -> Response:
        """Return the answer of `work`, or the one that it had. It gets the reference of what it may make.

        Answers that are errors are not kept. Raises InvalidInput, KeyReused and KeyInUse.
        """
        if (sent := request.headers.get(HEADER)) is None:
            return work(None)
        if (key := _KEY.fullmatch(sent.strip())) is None:
            allowed = "1 to 255 printable ASCII characters"
            raise InvalidInput(f"{HEADER} is not a key", field=HEADER, allowed=allowed)
        caller: Caller = g.caller
        begun = self._store.begin(g.key_id, caller.name, key[1], _fingerprint(), self._timeout_s)
        if isinstance(begun, KeptAnswer):
            return Response(begun.body, begun.status, dict(begun.headers))
        return self._first(begun, work)

    def _first(self, begun: Begun, work: Callable[[str | None], Response]) -> Response:
        try:
            response = work(begun.reference)
        except BaseException:
            with suppress(StoreUnavailable):  # which is in the log; the error itself is to be told
                self._store.give_back(begun)
            raise
        answer = KeptAnswer(response.status_code, dict(response.headers), response.get_data())
        with suppress(StoreUnavailable):  # the work is done, and its answer is not to be lost for this
            self._store.finish(begun, g.key_id, answer)
        return response


def _fingerprint() -> bytes:
    """Tell one request from another: by its address and its body, of a form without its boundary."""
    body = request.get_data()
    if boundary := request.mimetype_params.get("boundary", ""):
        # Another each time that it is sent.
        body = body.replace(boundary.encode("latin-1", "replace"), b"")
    digest = blake2b(f"{request.full_path} {request.mimetype} ".encode(), digest_size=16)
    digest.update(body)
    return digest.digest()
