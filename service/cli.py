"""`dragoman`: the program's start, its exit codes, and how errors are told.

An error is one line on stderr that names the field and what is allowed; a trace is shown only if asked for.
"""

import logging
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from models.errors import DragomanError, InvalidInput, ModelUnavailable
from service.commands.batch import batch
from service.commands.check import check, clean
from service.commands.doctor import doctor
from service.commands.keys import keys
from service.commands.mcp import mcp
from service.commands.models import models
from service.commands.session import INTERRUPTED, Session, note, prepare_process
from service.commands.settings import settings
from service.commands.text import detect, summarize, translate

if TYPE_CHECKING:
    from service.settings import Settings

DONE = 0
FAILED = 1
WRONG_USAGE = 2

SHOWN_ALLOWED = 20
"""Of more allowed values than this the rest is counted."""


class Program(click.Group):
    """The commands' parent. A command returns its exit code, if not 0; what it raises becomes one line."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        session = extra.setdefault("obj", Session())
        try:
            code = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            code = WRONG_USAGE
        except click.Abort:
            note("interrupted")
            code = INTERRUPTED
        except Exception as error:  # noqa: BLE001 - the last place where it can be told
            if session.debug:
                traceback.print_exception(error)
            message, code = _told(error)
            note("error: " + " ".join(message.split()))
        if standalone_mode:
            sys.exit(code or DONE)
        return code


@click.group(cls=Program)
@click.option("--debug", is_flag=True, envvar="DRAGOMAN_DEBUG", help="Show traces. Also DRAGOMAN_DEBUG=1.")
@click.version_option(package_name="dragoman", prog_name="dragoman", message="%(prog)s %(version)s")
@click.pass_obj
def cli(session: Session, debug: bool) -> None:
    """Summarize and translate articles.

    Settings are environment variables that begin with DRAGOMAN_; `dragoman settings` shows them. Results go
    to standard output, everything else to standard error.

    \b
    Exit codes: 0    done
                1    failed, for instance because a model cannot be had
                2    wrong usage or wrong input
                3    a batch came to its end, and some of its records are errors;
                     a check found an error
                4    a batch stopped, as too many of its records are errors
                130  interrupted
    """
    session.debug = debug
    if debug:
        logging.basicConfig(level=logging.WARNING, force=True)
        logging.getLogger("service").setLevel(logging.DEBUG)


@cli.command(epilog="Example: dragoman serve --port 9000")
@click.option("--host", help="The address to listen on; else DRAGOMAN_HOST, else 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), help="Else DRAGOMAN_PORT or PORT, else 8080.")
@click.option("--models", metavar="SET", help="The set of models; else DRAGOMAN_MODELS, else auto.")
@click.pass_obj
def serve(session: Session, host: str | None, port: int | None, models: str | None) -> None:
    """Serve over HTTP until stopped."""
    settings = session.settings(host=host, port=port, models=models)
    from service.commands.sets import require_models
    from service.http.server import serve as serve_http
    from service.listening import listen

    listen(settings.host, settings.port).close()
    require_models(settings)
    if (told := _advice(settings)) is not None:
        note(f"models: {told}")
    serve_http(settings)


def _advice(settings: "Settings") -> str | None:
    """The chosen set of models, and the one that suits this machine; None if the start will fail anyway."""
    from models.catalog import Catalog
    from models.languages import Languages
    from service.commands import machine
    from service.commands.sets import advice

    wants_gpu = settings.device == "cuda" or (settings.device == "auto" and bool(machine.gpus()))
    try:
        catalog = Catalog.load(Languages.load(), settings.catalog, settings.named_models)
    except DragomanError:
        return None
    return advice(catalog, settings, "cuda" if wants_gpu else "cpu")[1]


for command in (summarize, translate, detect, check, clean, batch, models, keys, settings, doctor, mcp):
    cli.add_command(command)


def main() -> None:
    """The program."""
    prepare_process()
    cli()


def _told(error: Exception) -> tuple[str, int]:
    """An error in words, and its exit code."""
    from service.errors import StoreUnavailable

    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else "dragoman"
        return f"{error.format_message()} (`{path} --help` tells more)", WRONG_USAGE
    if isinstance(error, click.ClickException):
        return error.format_message(), FAILED
    if isinstance(error, StoreUnavailable):
        return f"{error.message} (in {error.file.parent})", FAILED
    if isinstance(error, DragomanError):
        return _with_field(error), WRONG_USAGE if isinstance(error, InvalidInput) else FAILED
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror, FAILED
    return f"a bug in dragoman, {type(error).__name__}: {error}; --debug shows where", FAILED


def _with_field(error: DragomanError) -> str:
    from service.errors import with_allowed

    said = error.placed if isinstance(error, ModelUnavailable) else error.message
    if error.field is not None and error.field not in said:
        said = f"{error.field}: {said}"
    return with_allowed(said, error.allowed, SHOWN_ALLOWED)


if __name__ == "__main__":
    main()
