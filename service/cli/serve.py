"""`dragoman serve`, `mcp` and `settings`: an HTTP server, an MCP server, and their settings."""

import json
import time
from typing import TYPE_CHECKING, Any

import click

from models.errors import ModelUnavailable
from service.cli import machine
from service.cli.session import Session, note, write

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from models.catalog import Catalog
    from models.checker import CheckRequest
    from models.steps import Outcome
    from service.mcp_tools import Run
    from service.runtime import Runtime
    from service.settings import Settings
    from service.tasks import Request


@click.command(epilog="Example: dragoman serve --port 9000")
@click.option("--host", help="Address to listen on; else DRAGOMAN_HOST, else 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; else DRAGOMAN_PORT or PORT, else 8080.")
@click.option("--models", metavar="SET", help="Set of models; else DRAGOMAN_MODELS, else auto.")
@click.pass_obj
def serve(session: Session, host: str | None, port: int | None, models: str | None) -> None:
    """Serve over HTTP until stopped."""
    settings = session.settings(host=host, port=port, models=models)
    from models.catalog import Catalog
    from models.languages import Languages
    from service.http.server import serve as serve_http
    from service.listening import listen

    listen(settings.host, settings.port).close()
    catalog = Catalog.load(Languages.load(), settings.catalog, settings.named_models)
    _require_models(catalog, settings)
    wants_gpu = settings.device == "cuda" or (settings.device == "auto" and bool(machine.gpus()))
    note("models: " + machine.advice(catalog, settings, "cuda" if wants_gpu else "cpu")[1])
    serve_http(settings)


def _require_models(catalog: "Catalog", settings: "Settings") -> None:
    """Raise ModelUnavailable if a server would fetch its models at its start, and there is no hub to ask.

    A hub that is slow, or breaks off, is asked again by the server itself.
    """
    from models import hub
    from models.catalog import load_sets
    from models.store import Store

    chosen = load_sets()[settings.models].here(settings.device)
    names = dict.fromkeys((settings.summarize_model, settings.translate_model))
    far = [each for each in map(catalog.get, names) if each.path is None and each.package is None]
    if not far:
        return
    store = Store(settings.cache_dir, offline=settings.offline)
    if not (lacking := [each for each in far if not store.here(each)]):
        return
    if (setting := store.offline_by) is not None:
        why, first = f"{setting} forbids asking the model hub", f"unset {setting}"
    elif (reason := hub.silence(is_slow_silent=False)) is not None:
        why, first = f"the model hub cannot be reached ({reason})", "set HF_ENDPOINT to a mirror of it"
    else:
        return
    wanted = [each.name for each in lacking]
    if set(wanted) <= {chosen.summarize, chosen.translate}:
        pull, other = chosen.name, "start with `--models bundled`"
    else:
        pull = " ".join(name.replace("*", "en-fr") for name in wanted)
        other = "set DRAGOMAN_SUMMARIZE_MODEL and DRAGOMAN_TRANSLATE_MODEL to models that are here"
    raise ModelUnavailable(
        f"not here: {', '.join(wanted)}; and {why}. Either {first}; or run `dragoman models pull {pull}` on "
        f"a machine that reaches it and copy its DRAGOMAN_CACHE_DIR to {settings.cache_dir}; or {other}"
    )


@click.command(epilog="Example: dragoman mcp")
@click.pass_obj
def mcp(session: Session) -> None:
    """Serve tools over the Model Context Protocol, on standard input and output.

    An assistant starts this: `claude mcp add dragoman -- dragoman mcp`. It needs the extra `mcp`
    (`pip install 'dragoman[mcp]'`). A running server offers the same tools at /mcp.
    """
    from service.errors import import_extra

    import_extra("mcp", what="dragoman mcp", extra="mcp")
    from service.mcp_tools import make_tools, tool_server

    with session.runtime() as runtime:
        tool_server(make_tools(runtime, runner(runtime))).run("stdio")


def runner(runtime: "Runtime") -> "Run":
    """Return what runs the tools' requests."""
    from service import tasks

    def run(request: "Request | CheckRequest") -> "tuple[Outcome[Any], float]":
        start = time.perf_counter()
        (outcome,) = runtime.run_all([tasks.steps(runtime, request)], wait=True)
        return outcome, time.perf_counter() - start

    return run


_INTRODUCTION = """\
# Settings

Settings are environment variables. Each is checked at the start, and an unknown name that begins with
`DRAGOMAN_` is an error. This page is the output of `dragoman settings --markdown`.

| variable | default | |
|---|---|---|"""


@click.command(epilog="Example: dragoman settings")
@click.option("--markdown", is_flag=True, help="Print docs/settings.md.")
@click.pass_obj
def settings(session: Session, markdown: bool) -> None:
    """List every setting with its default, and its value where the environment sets another."""
    from service.settings import Settings

    fields = Settings.model_fields
    if markdown:
        write(_INTRODUCTION)
        for name, field in fields.items():
            write(f"| `{_variable(name)}` | {_default(field)} | {field.description} |")
        return
    now = session.settings()
    for name, field in fields.items():
        value = getattr(now, name)
        changed = f", now {_shown(value)}" if name in now.model_fields_set else ""
        write(f"{_variable(name)} ({_default(field)}{changed})\n    {field.description}")


def _variable(name: str) -> str:
    return f"DRAGOMAN_{name.upper()}"


def _default(field: "FieldInfo") -> str:
    if field.default_factory is not None:
        return "the user's folder"  # a path of this machine is no one else's
    return _shown(field.default)


def _shown(value: Any) -> str:
    """Return the value as it is written into the environment; a secret is shown as stars."""
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple):
        return ",".join(value)
    return value if isinstance(value, str) else json.dumps(value, default=str)
