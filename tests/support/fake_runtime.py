"""A runtime without models, and the program with it: `python -m fake_runtime summarize FILE`."""

import hashlib
import sys
from pathlib import Path

from models.better import BetterModels, Betters
from models.catalog import Catalog
from models.driver import run_all
from models.errors import ModelUnavailable
from models.languages import Languages
from models.steps import Usage
from models.summarize.summarizer import Summary, SummarySentence, SummarySource
from models.text.detect import Detection, LanguageDetector
from models.text.span import Span
from models.translate.translator import Segment, Translation
from service.cli.main import cli
from service.cli.session import Session

POISON = "poison"
"""A text with this word meets a bug."""

HUB_ONLY = "facebook/bart-large-cnn"


class FakeStore:
    offline = True
    cache = Path("/nowhere")

    def __init__(self):
        self.revisions = {}
        self.problems = {}

    def pull(self, entry, tell=None):
        if entry.name == HUB_ONLY:
            raise ModelUnavailable(f"{entry.name} is not in the cache and the model hub cannot be reached")
        return self.revisions.get(entry.name, "r1")

    def state(self, entry):
        return "ready" if entry.bundled else "not pulled"

    def here(self, entry):
        return entry.bundled

    def bytes_on_disk(self, entry):
        return 10**8 if entry.bundled else None

    def is_prepared(self, entry):
        return entry.bundled

    def how_to_get(self, entry):
        return f"`dragoman models pull {entry.name}` gets it"

    def revision(self, entry):
        return self.revisions.get(entry.name, "r1")

    def found(self, entry):
        return None

    def pulled(self, pattern):
        return []

    def check(self, entry):
        return self.problems.get(entry.name, [])


class FakePool:
    def __init__(self, catalog, store):
        self.catalog, self.store = catalog, store

    def load(self, name):
        pass


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


class FakeRuntime:
    def __init__(self, settings):
        self.settings = settings
        self.languages = Languages.load()
        self.catalog = Catalog.load(self.languages, settings.catalog)
        self.detector = LanguageDetector()
        self.store = FakeStore()
        self.pool = FakePool(self.catalog, self.store)
        self.summarizer = FakeTask(self, _summary)
        self.translator = FakeTask(self, _translation)
        self.better = BetterModels(Betters(), self.pool, self.store, in_background=False)
        self.closed = False
        self.device = "cpu"

    def run_all(self, tasks, *, timeout_s=None, wait=False, stop=None):
        assert wait, "the command line and batches wait for a full queue"
        return run_all(tasks)

    def company(self, request):
        """Something that differs where requests do."""
        return hashlib.sha256(repr(request).encode()).hexdigest()[:8]

    def close(self):
        self.closed = True


if __name__ == "__main__":
    cli(sys.argv[1:], obj=Session(FakeRuntime))
