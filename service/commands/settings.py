"""`dragoman settings`: every setting, its default and its meaning. docs/settings.md is made by it."""

import json
from typing import TYPE_CHECKING, Any

import click

from service.commands.session import Session, write

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_INTRODUCTION = """\
# Settings

Settings are environment variables. Each is checked at the start, and an unknown name that begins with
`DRAGOMAN_` ends it. This page is what `dragoman settings --markdown` prints.

| variable | default | |
|---|---|---|"""


@click.command(epilog="Example: dragoman settings")
@click.option("--markdown", is_flag=True, help="As the page docs/settings.md.")
@click.pass_obj
def settings(session: Session, markdown: bool) -> None:
    """Show every setting with its default; where the environment sets another value, that too."""
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
