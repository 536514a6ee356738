"""`dragoman`: its commands, exit codes and error messages.

An error is one line on stderr that names the field and the allowed values; --debug adds the traceback.
"""

import logging
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click

from models.errors import DragomanError, InvalidInput, ModelUnavailable
from service.cli.batch import batch
from service.cli.check import check, clean
from service.cli.doctor import doctor
from service.cli.keys import keys
from service.cli.models import models
from service.cli.serve import mcp, serve, settings
from service.cli.session import INTERRUPTED, Session, note, prepare_process
from service.cli.stored import glossary, jobs, memory
from service.cli.text import detect, summarize, translate

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
            message, code = _error_line(error)
            note("error: " + " ".join(message.split()))
        if standalone_mode:
            sys.exit(code or 0)
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
                1    failed, for instance because a model is unavailable
                2    wrong usage or wrong input
                3    a batch was completed, but some records failed;
                     a check found an error
                4    a batch stopped because too many records failed
                130  interrupted
    """
    session.debug = debug
    if debug:
        logging.basicConfig(level=logging.WARNING, force=True)
        logging.getLogger("service").setLevel(logging.DEBUG)


COMMANDS = (
    serve,
    summarize,
    translate,
    detect,
    check,
    clean,
    batch,
    models,
    glossary,
    memory,
    jobs,
    keys,
    settings,
    doctor,
    mcp,
)
for command in COMMANDS:
    cli.add_command(command)


def main() -> None:
    """Run the program."""
    prepare_process()
    cli()


def _error_line(error: Exception) -> tuple[str, int]:
    """Return an error in words, and its exit code."""
    from service.errors import StoreUnavailable, with_allowed

    if isinstance(error, click.UsageError):
        path = error.ctx.command_path if error.ctx else "dragoman"
        return f"{error.format_message()} (see `{path} --help`)", WRONG_USAGE
    if isinstance(error, click.ClickException):
        return error.format_message(), FAILED
    if isinstance(error, StoreUnavailable):
        return f"{error.message} ({error.where})", FAILED
    if isinstance(error, DragomanError):
        said = error.placed if isinstance(error, ModelUnavailable) else error.message
        if error.field is not None and error.field not in said:
            said = f"{error.field}: {said}"
        code = WRONG_USAGE if isinstance(error, InvalidInput) else FAILED
        return with_allowed(said, error.allowed, SHOWN_ALLOWED), code
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror, FAILED
    return f"a bug in dragoman, {type(error).__name__}: {error}; --debug shows where", FAILED
