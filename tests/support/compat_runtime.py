"""The real tasks over models that write capitals, served for the tests of other people's clients.

Run as a program it serves itself with the real server; see compat_server.py. A text with `slow` in it takes a
while, one with ✗ fails.
"""

import json
import sys
import time

from fake_pool import LANGUAGES, FakePool
from fake_runtime import PooledRuntime, serve

from service.http import disconnect
from service.settings import Settings

SLOW_S = 1.5


def capitals(text):
    if "slow" in text:
        time.sleep(SLOW_S)
    return text.upper()


class CompatRuntime(PooledRuntime):
    def __init__(self, settings):
        super().__init__(
            settings, FakePool(LANGUAGES, capitals, max_source_tokens=100_000, max_new_tokens=100_000)
        )


def settings(**given):
    own = {"port": 0, "summarize_model": "facebook/bart-large-cnn", "max_queued_requests": 4}
    return Settings(**own | given).model_copy(update={"max_texts": 8})


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    del given["closed"]
    disconnect.FIRST_S = given.pop("first_s", disconnect.FIRST_S)
    disconnect.EVERY_S = given.pop("every_s", disconnect.EVERY_S)
    serve(settings(**given), lambda settings, on_batch: CompatRuntime(settings))
