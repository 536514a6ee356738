"""The application factory: assembles the parts it is given. Opens and loads nothing itself.

It also turns errors into problem documents (or a compatible interface's own format) and refuses requests that
a browser sends for another site: forms from other sites, and host names that are not this server's (DNS
rebinding), which CORS does not stop.
"""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from flask import Blueprint, Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.sansio.utils import host_is_trusted

from models.errors import EngineGone, ModelLoading, Overloaded
from service.errors import CharactersSpent, CrossSite, NotReady, UntrustedHost
from service.http.auth import Auth, is_cross_site, is_local, is_nobodys
from service.http.body import BodyLimits, max_body_bytes
from service.http.compat.deepl import DeepL
from service.http.compat.family import Family
from service.http.compat.huggingface import HuggingFace
from service.http.compat.libretranslate import LibreTranslate
from service.http.compat.mcp import ToolViews, can_serve
from service.http.compat.openai import OpenAI
from service.http.documents import Documents
from service.http.fetch import FetchViews
from service.http.forms import FORM, URLENCODED, BoundedRequest
from service.http.glossaries import GlossaryViews
from service.http.idempotency import Idempotency
from service.http.jobs import Jobs
from service.http.memory import MemoryViews
from service.http.metrics import PROBES, Access, Metrics
from service.http.openapi import Docs
from service.http.page import Page
from service.http.quotas import READING, WORK_BY_GET, Quotas
from service.http.run_request import RequestRunner
from service.http.status import Readiness, Status
from service.http.v1 import V1
from service.jobs import JobService
from service.limits import job_limits
from service.problems import Problem, kind_of, problem
from service.settings import ClientFamily, Settings
from service.shared import SharedState
from service.shares import PLACE, PLACES_TIMES, Shares

if TYPE_CHECKING:
    from service.runtime import Runtime


def install_errors(app: Flask, families: Sequence[Family] = ()) -> None:
    """Answer every error of the application in the form of the address's owner, or as a problem document."""

    def respond(error: Exception) -> Response | HTTPException:
        form = next((each.error for each in families if each.owns(request.path)), _document)
        return _respond(error, form)

    app.register_error_handler(Exception, respond)


def _respond(error: Exception, form: Callable[[Problem], Response]) -> Response | HTTPException:
    if isinstance(error, HTTPException) and (error.code or 500) < 400:
        return error  # a redirect, not a problem
    response = form(problem(error, g.request_id))
    if isinstance(error, (Overloaded, NotReady, ModelLoading, EngineGone, CharactersSpent)):
        response.headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = 'Bearer realm="dragoman"'
    response.headers["Link"] = f'<{request.script_root}/problems/{kind_of(error).slug}>; rel="help"'
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(error.valid_methods)
    return response


def _document(problem: Problem) -> Response:
    return Response(problem.model_dump_json(), status=problem.status, mimetype="application/problem+json")


UNASKED = frozenset({"", "text/plain", FORM, URLENCODED})
"""Types of bodies that a page sends anywhere without asking first (the Fetch standard's simple ones)."""


def install_browser_rules(app: Flask, settings: Settings, is_open: Callable[[str], bool]) -> None:
    """Refuse what a page of another site sends, but at the paths that are open to all pages.

    Any host name is ours unless names are set. But where the server listens on this machine alone and wants
    no key, a name that somebody else could own is refused: nothing but its address guards such a server.
    """
    hosts = settings.trusted_hosts
    guarded = bool(hosts) or (is_local(settings.host) and settings.anonymous and not settings.trusted_proxies)

    def check() -> None:
        if request.path in PROBES:
            return
        known = is_nobodys(request.host) or (hosts and host_is_trusted(request.host, hosts))
        if guarded and not known:
            raise UntrustedHost(
                f"the host name is not allowed: {request.headers.get('Host', '')[:80]!r}",
                allowed="localhost, IP addresses, and the names in DRAGOMAN_TRUSTED_HOSTS",
            )
        if _comes_unasked() and is_cross_site(hosts) and not is_open(request.path):
            raise CrossSite("the request comes from another site's page")

    app.before_request(check)


def _comes_unasked() -> bool:
    if request.method in READING:
        return request.endpoint in WORK_BY_GET
    return request.method == "POST" and request.mimetype in UNASKED


JOB_BODIES = ("jobs.create", "deepl.upload_document")
"""Endpoints that take what a job may be."""
MCP_BODY = "mcp.messages"
MCP_BYTES = 1 << 20
"""Of a message: its tools take one text each, which an assistant has in its window."""
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
    capacity = PLACES_TIMES * runtime.settings.max_queued_requests
    places = Shares(PLACE, capacity, counts=shared, least=1)
    metrics.watch(runtime.pool.stats, lambda: places.held)

    app = Flask(__name__, static_folder=None)
    app.url_map.strict_slashes = False  # Hugging Face's clients post to just the address they are given
    _bound(app, runtime.settings)
    Access(metrics).install(app)
    long = job_limits(runtime.settings)
    bodies = BodyLimits(runtime.settings, dict.fromkeys(JOB_BODIES, long), {MCP_BODY: MCP_BYTES}, shared)
    quotas = Quotas(runtime.settings.limits_storage, shared, runtime.database)
    work = RequestRunner(runtime, places, bodies.bytes, readiness, quotas)
    jobs = jobs or JobService(runtime)
    idempotency = Idempotency(jobs.idempotency, runtime.settings.request_timeout_s)
    job_views = Jobs(runtime, jobs, work, idempotency, shared)
    families = _families(runtime, work, readiness, job_views)
    install_errors(app, families)
    install_browser_rules(app, runtime.settings, _open_to_pages(families))
    Auth(runtime.keys, runtime.settings, families).install(app)
    quotas.install(app)
    bodies.install(app)
    views = [each(runtime, work).blueprint() for each in (V1, GlossaryViews, MemoryViews)]
    views.append(Documents(runtime, work, idempotency).blueprint())
    views.append(FetchViews(work, shared).blueprint())
    views += [Page(runtime.settings).blueprint(), Docs(runtime.settings).blueprint(), job_views.blueprint()]
    views += [Status(runtime, readiness, metrics).blueprint(), *(each.blueprint() for each in families)]
    for routes in views + _tools(runtime, work):
        app.register_blueprint(routes)
    if hops := runtime.settings.trusted_proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops, x_prefix=hops
        )
    return app


def _families(runtime: "Runtime", work: RequestRunner, readiness: Readiness, jobs: Jobs) -> list[Family]:
    """Return other people's interfaces, those that the settings name."""
    makers: dict[ClientFamily, Callable[[], Family]] = {
        "libretranslate": lambda: LibreTranslate(runtime, work),
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


def _bound(app: Flask, settings: Settings) -> None:
    """Bound what a request may be: its length, a field of its form, the fields of a form."""
    app.request_class = BoundedRequest
    app.config["MAX_CONTENT_LENGTH"] = app.config["MAX_FORM_MEMORY_SIZE"] = max_body_bytes(settings)
    app.config["MAX_FORM_PARTS"] = OTHER_FIELDS + settings.max_texts
