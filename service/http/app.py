"""The application factory: puts the parts together that it is handed. It opens and loads nothing."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from flask import Blueprint, Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from service.http import browsers, errors
from service.http.auth import Auth
from service.http.body import BodyLimits, max_body_bytes
from service.http.compat.deepl import DeepL
from service.http.compat.family import Family
from service.http.compat.huggingface import HuggingFace
from service.http.compat.libretranslate import LibreTranslate
from service.http.compat.mcp import ToolViews, can_serve
from service.http.compat.openai import OpenAI
from service.http.documents import Documents
from service.http.forms import BoundedRequest
from service.http.glossaries import GlossaryViews
from service.http.jobs import Jobs
from service.http.memory import MemoryViews
from service.http.metrics import Access, Metrics
from service.http.openapi import Docs
from service.http.page import Page
from service.http.quotas import Quotas
from service.http.run_request import RequestRunner
from service.http.shares import Gate
from service.http.status import Readiness, Status
from service.http.v1 import V1
from service.jobs import JobService
from service.limits import job_limits
from service.settings import ClientFamily
from service.shared import SharedState

if TYPE_CHECKING:
    from service.runtime import Runtime
    from service.settings import Settings

JOB_BODIES = ("jobs.create", "deepl.upload_document")
"""Endpoints that take what a job may be."""
OTHER_FIELDS = 1100
"""Fields of a form beside its texts: a thousand terms to protect, and options."""


def create_app(
    runtime: "Runtime",
    *,
    metrics: Metrics | None = None,
    readiness: Readiness | None = None,
    jobs: JobService | None = None,
    shared: SharedState | None = None,
) -> Flask:
    """A Flask application over the runtime.

    `metrics` is given by whoever also hands its `observe_batch` to the runtime, `readiness` by whoever
    starts it; without one the runtime is taken as it is. `jobs` is given by whoever starts it;
    without one jobs are taken, and wait. `shared` is what several workers of one server share.
    """
    metrics = metrics or Metrics()
    readiness = readiness or Readiness(runtime)
    shared = shared or SharedState()
    gate = Gate(runtime.settings.max_queued_requests, name="work", shared=shared)
    metrics.watch(runtime.pool.stats, lambda: gate.inside)

    app = Flask(__name__, static_folder=None)
    app.url_map.strict_slashes = False  # Hugging Face's clients post to just the address they are given
    _bound(app, runtime.settings)
    Access(metrics).install(app)
    long = job_limits(runtime.settings)
    bodies = BodyLimits(runtime.settings, dict.fromkeys(JOB_BODIES, long), shared)
    quotas = Quotas(runtime.settings.limits_storage, shared)
    work = RequestRunner(runtime, gate, readiness, quotas)
    job_views = Jobs(runtime, jobs or JobService(runtime), quotas, shared)
    families = _families(runtime, work, readiness, job_views, shared)
    errors.install(app, families)
    browsers.install(app, runtime.settings, _open_to_pages(families))
    Auth(runtime.keys, runtime.settings, gate, bodies, families).install(app)
    quotas.install(app)
    bodies.install(app)
    own = (V1, Documents, GlossaryViews, MemoryViews)
    views = [each(runtime, work).blueprint() for each in own]
    views += [Page(runtime.settings).blueprint(), Docs(runtime.settings).blueprint(), job_views.blueprint()]
    views += [Status(readiness, metrics).blueprint(), *(each.blueprint() for each in families)]
    for routes in views + _tools(runtime, work):
        app.register_blueprint(routes)
    if hops := runtime.settings.trusted_proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_prefix=hops
        )
    return app


def _families(
    runtime: "Runtime", work: RequestRunner, readiness: Readiness, jobs: Jobs, shared: SharedState
) -> list[Family]:
    """Return other people's interfaces, those that the settings name."""
    makers: dict[ClientFamily, Callable[[], Family]] = {
        "libretranslate": lambda: LibreTranslate(runtime, work, shared),
        "deepl": lambda: DeepL(runtime, work, jobs),
        "huggingface": lambda: HuggingFace(runtime, work, readiness),
        "openai": lambda: OpenAI(runtime, work),
    }
    return [make() for name, make in makers.items() if name in runtime.settings.clients]


def _tools(runtime: "Runtime", work: RequestRunner) -> list[Blueprint]:
    """Return the routes for assistants, if they are to be served and the package for it is there."""
    is_served = "mcp" in runtime.settings.clients and can_serve()
    return [ToolViews(runtime, work).blueprint()] if is_served else []


def _open_to_pages(families: Sequence[Family]) -> Callable[[str], bool]:
    """Return a function that tells if the pages of any site may send to a path what needs no asking."""
    return next((each.owns for each in families if isinstance(each, LibreTranslate)), lambda _: False)


def _bound(app: Flask, settings: "Settings") -> None:
    """Bound what a request may be: its length, a field of its form, the fields of a form."""
    app.request_class = BoundedRequest
    app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_FORM_MEMORY_SIZE"] = max_body_bytes(settings)
    app.config["MAX_FORM_PARTS"] = OTHER_FIELDS + settings.max_texts
