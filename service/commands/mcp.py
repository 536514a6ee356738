"""`dragoman mcp`: the tools translate, summarize, check and clean for a program that starts this one."""

from typing import TYPE_CHECKING, Any

import click

from service.commands.machine import has
from service.commands.session import Session

if TYPE_CHECKING:
    from pydantic import BaseModel

    from service.runtime import Runtime
    from service.work.tools import Do, ToolName


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
    from service.work.tools import tool_server

    with session.runtime() as runtime:
        tool_server(tools(runtime)).run("stdio")


def tools(runtime: "Runtime") -> "Do":
    """Return what does the tools' work."""
    from models.text.article.html_article import read_html
    from models.text.article.paste import read_pasted
    from service.schemas.checking import parse_check, parse_clean, render_check, render_clean
    from service.work import plan

    def do(name: "ToolName", body: dict[str, Any]) -> "BaseModel":
        if name == "check":
            check = parse_check(body, runtime.settings)
            (checked,) = runtime.run_all([runtime.checker.steps(check)], wait=True)
            return render_check(checked.unwrap(), check.output)
        if name == "clean":
            field, content = parse_clean(body, runtime.settings)
            return render_clean((read_html if field == "html" else read_pasted)(content))
        asked = plan.asked(name, body, limits=runtime.settings, terms=plan.terms_of(runtime, None))
        (outcome,) = runtime.run_all([plan.steps(runtime, asked.good[0])], wait=True)
        answer: BaseModel = plan.answer(outcome, outcome.timings.text_s + outcome.timings.model_s)
        return answer

    return do
