"""Runtimes without models: the real one over a fake pool, and the same with tasks that answer at once.

`python -m fake_runtime summarize FILE` is `dragoman summarize FILE` over the latter.
"""

import hashlib
import logging
import sys

from fake_pool import LANGUAGES, FakePool

from models.better import BetterModels, Betters
from models.catalog import Catalog
from models.steps import Usage
from models.summarize.summarizer import Summary, SummarySentence, SummarySource
from models.text.detect import Detection, LanguageDetector
from models.text.span import Span
from models.translate.translator import Segment, Translation
from service.children import Children
from service.http.server import Server
from service.log import configure_log
from service.runtime import Runtime
from service.shares import TextTurns
from service.store.database import Database
from service.store.suggestions import Suggestions

DETECTOR, CHILDREN = LanguageDetector(), Children()

POISON = "poison"
"""A text with this word meets a bug."""


class PooledRuntime(Runtime):
    """All of the runtime but the models, which are the pool's. What takes time to make is shared."""

    device = "cpu"

    def __init__(self, settings, pool):
        self.settings, self.pool, self.store = settings, pool, pool.store
        self.languages, self.detector, self.children = LANGUAGES, DETECTOR, CHILDREN
        self.texts = TextTurns()
        self.catalog = self._whole = pool.catalog
        self.database = Database(settings.data_dir, settings.database)
        self.suggestions = Suggestions(settings.data_dir / "suggestions.jsonl")
        self.better = BetterModels(Betters(), pool, self.store, in_background=False)
        self._build_tasks(strangers=False)

    def warm_up(self):
        pass

    def fallbacks(self):
        return []

    def cards(self):
        return []

    def close(self):
        pass


def serve(settings, build, *options):
    """Be a server over the runtimes that `build` makes of settings."""
    logging.getLogger().addHandler(logging.NullHandler())  # as the command line does, to be quiet
    configure_log()
    Server(settings, build, *options).run()


class FakeTask:
    """Both tasks: the steps of a request, which yield nothing."""

    def __init__(self, runtime, done):
        self._runtime = runtime
        self._done = done

    def steps(self, request, recall=None):
        if POISON in (request.text or ""):
            raise ZeroDivisionError("secret inside")
        return self._done(request, self._runtime.company(request))
        yield  # never reached: it makes this a generator, as tasks are


def _summary(request, company):
    text = request.text or request.html
    first = text.split(".")[0]
    return Summary(
        summary=f"{request.length}: {first} {company}",
        sentences=(SummarySentence(first, Span(0, len(first))),),
        language=request.target or "en",
        model=request.model or "dragoman/extractive",
        translation_model=None,
        detected=Detection("en", 0.5),
        source=SummarySource(len(text), 1, None, (), 1, 1.0, text if request.html else None),
        usage=Usage(1, 2),
        notes=("a note",),
    )


def _translation(request, company):
    return Translation(
        translation=f"{request.target}: {request.text} {company}",
        segments=(
            Segment(
                Span(0, len(request.text)),
                request.text,
                True,
                alternatives=("one", "two", "three")[: request.alternatives] or None,
            ),
        ),
        source="en",
        target=request.target,
        detected=Detection("en", 0.5) if request.source == "auto" else None,
        model=request.model or "dragoman/gemma3-270m-translate",
        via=None,
        usage=Usage(1, 2),
        notes=(),
    )


class FakeRuntime(PooledRuntime):
    """For the command line and batches."""

    def __init__(self, settings):
        pool = FakePool()
        pool.catalog = Catalog.load(LANGUAGES, settings.catalog)
        super().__init__(settings, pool)
        self.summarizer = FakeTask(self, _summary)
        self.translator = FakeTask(self, _translation)
        self.closed = False

    def run_all(self, tasks, *, wait=False, **how):
        assert wait, "the command line and batches wait for a full queue"
        return super().run_all(tasks, wait=wait, **how)

    def company(self, request):
        """Something that differs where requests do."""
        return hashlib.sha256(repr(request).encode()).hexdigest()[:8]

    def close(self):
        self.closed = True


if __name__ == "__main__":
    from service.cli.main import cli
    from service.cli.session import Session

    cli(sys.argv[1:], obj=Session(FakeRuntime))
