"""`http_fakes.py` with several workers: a text of words with `!` before them is reversed by their one engine.

The engine is that of `engine_program.py`, in a process of its own. The argument is JSON: settings, and a file
as `hampers`. While it says `slow`, a worker that starts loads its models for 20 s; with `broken` it fails.
"""

import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import engine_program
from fake_runtime import serve
from http_fakes import FakeRuntime, Tasks, settings

from models.engine.protocol import Decoding, Engine, Generation
from models.errors import InvalidInput
from models.steps import Generate
from models.summarize.summarizer import SummaryRequest
from service.engine_process import EngineProcess
from service.engine_supervisor import ENGINES, EngineSupervisor
from service.http.server import shared_state
from service.settings import Settings
from service.store import jobs

COMMAND = (sys.executable, engine_program.__file__)


class EngineTasks(Tasks):
    """A summary of `!reverse abc` is `cba`, by the engine."""

    def __init__(self, make: Callable[[], Engine]) -> None:
        super().__init__()
        self._make = make

    def summary(self, request: SummaryRequest, recall: Any = None) -> Iterator[Any]:
        word, _, text = (request.text or "").partition(" ")
        if word == "!reverse":
            ids = tuple(ord(letter) - 32 for letter in text)
            (result,) = yield Generate(self._make(), [Generation(ids, Decoding(max_new_tokens=64))])
            text = "".join(chr(each + 32) for each in result.token_ids)
            return (yield from super().summary(SummaryRequest(text=text)))
        return (yield from super().summary(request))


def main() -> None:
    given = json.loads(sys.argv[1])
    given.pop("closed")
    hampers = Path(given.pop("hampers", os.devnull))
    jobs.LEASE_S = given.pop("LEASE_S", jobs.LEASE_S)
    wanted = settings(**given)
    shared = shared_state(wanted)
    assert shared.folder is not None
    supervisor = EngineSupervisor(wanted, shared.folder / ENGINES, command=COMMAND)
    shared.engines = [shared.folder / ENGINES]

    def build(own: Settings, on_batch: Callable[..., None]) -> FakeRuntime:
        here: Any = SimpleNamespace(device="cpu")
        process = EngineProcess(own, here, on_batch, kept=shared.engines)
        made: list[Engine] = []
        making = threading.Lock()  # as the pool makes each engine once

        def make() -> Engine:
            with making:
                if not made:
                    made.append(process.make(engine_program.Entry()))  # type: ignore[arg-type]
            return made[0]

        hampered = hampers.read_text() if hampers.exists() else ""
        if hampered == "broken":
            raise InvalidInput("the catalog is not TOML any more")
        runtime = FakeRuntime(own)
        if hampered == "slow":
            runtime.loading.clear()
        runtime.tasks = EngineTasks(make)
        runtime.summarizer.steps = runtime.tasks.summary
        return runtime

    serve(wanted, build, shared, [supervisor])


if __name__ == "__main__":
    main()
