"""A runtime without models: its tasks answer at once, wait, or fail, as the text tells them to.

Run as a program it serves itself with the real server, for the tests that need sockets.
"""

import json
import signal
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fake_pool import LANGUAGES, FakePool
from fake_runtime import PooledRuntime, serve

from models.checker import Checker
from models.checks.evidence import Evidence
from models.checks.flag import Flag
from models.engine.protocol import Decoding, EngineStats, Generation, Output
from models.errors import (
    DeadlineExceeded,
    EngineFailed,
    EngineGone,
    InvalidInput,
    ModelUnavailable,
    Overloaded,
    ServerFailed,
    UnknownModel,
    UnsupportedLanguage,
)
from models.steps import Generate, Outcome, Usage, Words
from models.summarize.summarizer import Summary, SummaryRequest, SummarySentence, SummarySource
from models.text.article import Dropped
from models.text.detect import Detection
from models.text.span import Span
from models.translate.translator import MemoryLookup, Segment, SegmentReady, Translation, TranslationRequest
from service.http import server
from service.settings import Settings

ERRORS: dict[str, Callable[[], Exception]] = {
    "!bug": lambda: RuntimeError("a secret of the implementation"),
    "!late": lambda: DeadlineExceeded("the request passed its deadline and was cancelled"),
    "!full": lambda: Overloaded("the queue is full", retry_after_s=2.5),
    "!engine": lambda: EngineFailed("the model failed on this text"),
    "!gone": lambda: EngineGone("the models' process ended", retry_after_s=0.01),
    "!server": lambda: ServerFailed("m: its server answers 404: no such model"),
    "!weights": lambda: ModelUnavailable("its weights cannot be had here"),
    "!wrong": lambda: InvalidInput("the text holds no sentence", field="text"),
}
PAUSES_S = {"!sleep": 2.5, "!nap": 1.0}


def settings(*, max_html_characters: int = 1000, max_texts: int = 4, **given: Any) -> Settings:
    """Settings with small limits, of which some are constants otherwise."""
    made = Settings(
        **{
            "max_request_characters": 1000,
            "max_queued_requests": 2,
            "data_dir": Path(tempfile.gettempdir()) / f"dragoman-{uuid.uuid4()}",  # made if something is kept
            "port": 0,
        }
        | given
    )
    return made.model_copy(update={"max_html_characters": max_html_characters, "max_texts": max_texts})


@dataclass(frozen=True)
class Entry:
    name: str
    tasks: tuple[str, ...]
    languages: tuple[str, ...] = ()
    pairs: tuple[tuple[str, str], ...] = ()
    family: str = "extractive"
    licence: str = "Apache-2.0"
    max_source_tokens: int = 512
    description: str = "A model."
    bundled: bool = True


class DeafEngine:
    """Takes generations and never does them."""

    def __init__(self) -> None:
        self.futures: list[Future[Output]] = []

    def submit(self, generations: Sequence[Generation], *, wait: bool = False) -> list[Future[Output]]:
        new: list[Future[Output]] = [Future() for _ in generations]
        self.futures += new
        return new

    def stats(self) -> EngineStats:
        return EngineStats(queued=len(self.futures))

    def close(self) -> None:
        pass


class Tasks:
    """Both tasks; a text that is a key of ERRORS fails so, `!wait` waits for `gate`.

    One of PAUSES_S takes a while, and `!never` is given to an engine that never answers.
    """

    def __init__(self) -> None:
        self.engine = DeafEngine()
        self.gate = threading.Event()
        self.waiting = threading.Event()

    def _behave(self, text: str, model: str | None, target: str | None) -> None:
        if model == "nobody/nothing":
            raise UnknownModel("there is no such model", field="model", allowed=["fake/translate"])
        if target == "xx":
            raise UnsupportedLanguage("there is no such language", field="target", allowed="ISO codes")
        if text in ERRORS:
            raise ERRORS[text]()
        time.sleep(PAUSES_S.get(text, 0.0))
        if text == "!wait":
            self.waiting.set()
            if not self.gate.wait(20):
                raise AssertionError("nobody opened the gate")

    def summary(self, request: SummaryRequest, recall: MemoryLookup | None = None) -> Iterator[Any]:
        text = request.text or request.html or ""
        if text.startswith("!tell"):
            for word in text.split()[1:]:
                yield Words(word + " ")
            text = text.split()[-1]
        if text == "!never":
            yield Generate(self.engine, [Generation((1,), Decoding(max_new_tokens=1))])
        self._behave(text, request.model, request.target)
        whole = Span(0, len(text))
        at = text.find("[sic]")  # what the fake checks find
        flags = (Flag("number", Span(at, at + 5), "the source has no such thing"),) if at >= 0 else ()
        sentence = SummarySentence(text, whole, evidence=(Evidence(whole, 1.0),), flags=flags)
        return Summary(
            summary=text,
            sentences=(sentence,),
            language=request.target or "en",
            model=request.model or "fake/summarize",
            translation_model="fake/translate" if request.target else None,
            detected=Detection("en", 0.9),
            source=SummarySource(
                len(text), 1, None, (Dropped("Leave a reply", "form"),), 1, 1.0, request.html
            ),
            usage=Usage(7, 3),
            notes=(),
        )

    def translation(self, request: TranslationRequest, recall: MemoryLookup | None = None) -> Iterator[Any]:
        yield from ()
        self._behave(request.text, request.model, request.target)
        segment = Segment(Span(0, len(request.text)), request.text.upper(), True)
        yield SegmentReady(0, 1, segment)
        auto = request.source == "auto"
        return Translation(
            translation=request.text.upper(),
            segments=(segment,),
            source="en" if auto else request.source,
            target=request.target,
            detected=Detection("en", 0.9) if auto else None,
            model=request.model or "fake/translate",
            via=None,
            usage=Usage(5, 4),
            notes=(),
        )


@dataclass
class Task:
    steps: Callable[[Any], Iterator[Any]]

    @property
    def router(self) -> "Task":
        return self

    def reach(self) -> dict[str, dict[str, str | None]]:
        return {}


@dataclass
class Catalog:
    entries: tuple[Entry, ...] = (
        Entry("fake/summarize", ("summarize",)),
        Entry("fake/translate", ("translate",), ("en", "fr")),
    )

    def get(self, name: str, task: str | None = None) -> Entry:
        for entry in self.entries:
            if entry.name == name and task in (None, *entry.tasks):
                return entry
        raise UnknownModel("there is no such model", field="model", allowed=["fake/translate"])


class Pool(FakePool):
    def stats(self) -> dict[str, EngineStats]:
        one = EngineStats(queued=3, running=2, source_tokens=10, output_tokens=8)
        return {"fake/translate": one, "fake/spread": EngineStats(queued=7, cards={"0": one, "1": one})}

    def loaded(self) -> list[str]:
        return ["fake/translate"]

    def state(self, entry: Any) -> str:
        return "ready" if entry.name in self.loaded() else "on disk"


class Languages:
    """The real ones, of which three have names."""

    def names(self) -> dict[str, str]:
        return {"en": "English", "fr": "French", "de": "German"}

    def __getattr__(self, name: str) -> Any:
        return getattr(LANGUAGES, name)


class Detector:
    def detect(self, text: str) -> Detection:
        return self.candidates(text)[0]

    def candidates(self, text: str, limit: int = 3) -> list[Detection]:
        return [Detection("en", 0.8), Detection("fr", 0.1)][:limit]


class FakeRuntime(PooledRuntime):
    """`closed` is a file that `close` writes."""

    def __init__(
        self,
        given: Settings | None = None,
        *,
        reasons: Sequence[str] = (),
        warm_up_error: Exception | None = None,
        closed: Path | None = None,
    ) -> None:
        super().__init__(given or settings(), Pool())
        self.reasons, self.warm_up_error, self.closed = list(reasons), warm_up_error, closed
        self.tasks = Tasks()
        self.summarizer, self.translator = Task(self.tasks.summary), Task(self.tasks.translation)
        self.catalog, self.languages, self.detector = Catalog(), Languages(), Detector()
        self.checker = Checker(self.pool, LANGUAGES, self.detector)
        self.timeouts_s: list[float | None] = []
        self.loading = threading.Event()
        self.loading.set()

    def warm_up(self) -> None:
        self.loading.wait(20)
        if self.warm_up_error:
            raise self.warm_up_error

    def models(self) -> list[tuple[Entry, str]]:
        return [(entry, self.pool.state(entry)) for entry in self.catalog.entries]

    def unready(self) -> list[str]:
        return self.reasons

    def run_all(
        self, tasks: Sequence[Any], *, timeout_s: float | None = None, **how: Any
    ) -> list[Outcome[Any]]:
        self.timeouts_s.append(timeout_s)
        return super().run_all(tasks, timeout_s=timeout_s, **how)

    def close(self) -> None:
        if self.closed:
            self.closed.write_text("closed")


def main() -> None:
    """Serve; the argument is JSON: settings, the server's constants, `closed`, `loads`, `builds`."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored where the tests run under nohup
    given = json.loads(sys.argv[1])
    for name in ("IDLE_S", "CONNECTIONS", "LEAST_BYTES_PER_S", "ANSWER_BYTES"):
        setattr(server, name, given.pop(name, getattr(server, name)))
    closed, loads, builds = Path(given.pop("closed")), given.pop("loads", True), given.pop("builds", True)

    def build(settings: Settings, on_batch: Callable[..., None]) -> FakeRuntime:
        if not builds:
            if closed.exists():  # a second worker fails when the first has
                time.sleep(1.0)
            closed.touch()
            raise InvalidInput("the catalog own.toml is not TOML")
        runtime = FakeRuntime(settings, closed=closed)
        if not loads:
            runtime.loading.clear()
        return runtime

    serve(settings(**given), build)


if __name__ == "__main__":
    main()
