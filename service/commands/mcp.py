"""`dragoman mcp`: the tools translate, summarize, check and clean for a program that starts this one."""

import time
from typing import TYPE_CHECKING, Any

import click

from service.commands.machine import has
from service.commands.session import Session

if TYPE_CHECKING:
    from models.checker import CheckRequest
    from models.steps import Outcome
    from service.mcp_tools import Run
    from service.runtime import Runtime
    from service.tasks import Request


@click.command(epilog="Example: dragoman mcp")
@click.pass_obj
def mcp(session: Session) -> None:
    """Serve tools over the Model Context Protocol, on standard input and output.

    An assistant starts this: `claude mcp add dragoman -- dragoman mcp`. It needs the extra `mcp`
    (`pip install 'dragoman[mcp]'`). A running server has the same tools at /mcp.
    """
    if not has("mcp"):
        raise click.ClickException(
            "the package mcp is missing; install it with `pip install 'dragoman[mcp]'`"
        )
    from service.mcp_tools import tool_server

    with session.runtime() as runtime:
        tool_server(runtime, runner(runtime)).run("stdio")


def runner(runtime: "Runtime") -> "Run":
    """Return what runs the tools' requests."""
    from service import tasks

    def run(request: "Request | CheckRequest") -> "tuple[Outcome[Any], float]":
        start = time.perf_counter()
        (outcome,) = runtime.run_all([tasks.steps(runtime, request)], wait=True)
        return outcome, time.perf_counter() - start

    return run
