"""The command-line options of both tasks, the same for one article and for a batch.

Built from the fields in `service.options`; this module holds only what the command line names differently or
reads from files.
"""

from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from models.choices import TEXT_FORMATS

if TYPE_CHECKING:
    from service.options import Options
    from service.store.results import TaskName
    from service.store.tmx import TmxPair

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T", bound="Options")


def read_glossary(_context: click.Context, parameter: click.Parameter, file: str | None) -> dict[str, str]:
    """Return the entries of a TSV file, or of a CSV file by its name; a parameter's callback."""
    from models.errors import InvalidInput
    from service.store.glossary_files import read_entries

    if file is None:
        return {}
    try:
        text = Path(file).read_text("utf-8-sig")
        return read_entries(text, "csv" if file.lower().endswith(".csv") else "tsv")
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"{file} is not UTF-8 text (byte {error.start + 1})") from error
    except InvalidInput as error:
        raise click.BadParameter(f"{file}: {error.message}") from error


def read_memory(_context: click.Context, _parameter: click.Parameter, file: str | None) -> "list[TmxPair]":
    """Return the sentences of a TMX file; a parameter's callback."""
    from models.errors import InvalidInput
    from service.store.tmx import read_tmx

    if file is None:
        return []
    try:
        return read_tmx(Path(file).read_bytes())
    except InvalidInput as error:
        raise click.BadParameter(f"{file}: {error.message}") from error


def _model(context: click.Context, _parameter: click.Parameter, name: str | None) -> str | None:
    """The session hears of a model behind a server: text goes only to those that the user has named."""
    if name is not None:
        context.obj.named_models.append(name)
    return name


_NAMES = {"target": "--to", "source": "--from", "clean": "--clean/--all-text"}
_METAVARS = {"target": "LANG", "source": "LANG", "model": "NAME", "protect": "TERM", "ignore_tags": "TAG"}
_HELP = {
    "model": "A model of the catalog (`dragoman models list`), or one that a server has: server:URL#MODEL, "
    "as in server:http://127.0.0.1:11434/v1#qwen3:8b.",
    "clean": "Look for the article in what was pasted (the default), or read all of it.",
    "min_confidence": "Leave sentences untranslated whose confidence is lower than this; see docs/trust.md.",
}
_FILE = click.Path(exists=True, dir_okay=False)
_TRANSLATION = (
    click.Option(
        ["--glossary"],
        metavar="FILE",
        type=_FILE,
        callback=read_glossary,
        help="Glossary file: source term and its translation, one pair per line (TSV, or CSV by its name).",
    ),
    click.Option(
        ["--memory", "remembered"],
        metavar="FILE",
        type=_FILE,
        callback=read_memory,
        help="Translation memory file (TMX): its sentences are taken as they are translated there.",
    ),
    click.Option(
        ["--format"],
        type=click.Choice(TEXT_FORMATS),
        help="What is translated: markup is kept. If not given, the file's name tells; else it is text.",
    ),
    click.Option(
        ["--article"], is_flag=True, help="Of an HTML page, translate only the article found in it, as text."
    ),
)
_NOT_MADE = frozenset({"glossary", "memory", "partial"})
"""Fields that are files here; and `partial`, for there is no deadline."""


class TaskCommand(click.Command):
    """A command with its task's options, which are made when they are first asked for.

    So the program's own `--help` does without pydantic.
    """

    def __init__(self, *arguments: Any, task: "TaskName", **attributes: Any):
        super().__init__(*arguments, **attributes)
        self._task: TaskName | None = task

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        if self._task is not None:
            first = sum(isinstance(each, click.Argument) for each in self.params)
            self.params[first:first] = task_parameters(self._task)
            self._task = None
        return super().get_params(ctx)


def task_parameters(task: "TaskName") -> list[click.Parameter]:
    """Return the task's options, as commands take them."""
    from service.options import OPTIONS

    schema = OPTIONS[task].model_json_schema()
    required = schema.get("required", ())
    made = [
        _option(name, form, name in required)
        for name, form in schema["properties"].items()
        if name not in _NOT_MADE
    ]
    return [*made, *(_TRANSLATION if task == "translate" else ())]


def _option(name: str, form: Mapping[str, Any], required: bool) -> click.Option:
    """Return the option of a field, by the JSON schema of the field."""
    flag, default = _NAMES.get(name, f"--{name.replace('_', '-')}"), form.get("default")
    own = form.get("anyOf", [form])[0]  # the other one is null
    attributes: dict[str, Any] = {"show_default": True} if isinstance(default, str) else {}
    if default is not None:  # for click a default of None is one
        attributes["default"] = default
    if "enum" in own:
        attributes["type"] = click.Choice(own["enum"])
    elif own["type"] == "boolean":
        attributes["is_flag"] = True
        flag += "" if "/" in flag or not default else f"/--no-{name.replace('_', '-')}"
    elif own["type"] in ("integer", "number"):
        kind = click.IntRange if own["type"] == "integer" else click.FloatRange
        attributes["type"] = kind(own.get("minimum"), own.get("maximum"))
    elif own["type"] == "array":
        attributes["multiple"] = True
    said = _HELP.get(name, form["description"].partition("; /v1/")[0])
    return click.Option(
        [flag, name],
        required=required,
        metavar=_METAVARS.get(name),
        help=f"{said.removesuffix('.')}; may be repeated." if "multiple" in attributes else said,
        callback=_model if name == "model" else None,
        **attributes,
    )


def task_options(model: type[T], given: Mapping[str, Any]) -> T:
    """Return the options of a task that a command's values are. Raises InvalidInput."""
    from service.validation import validated

    own = {name: given[name] for name in model.model_fields if given.get(name) is not None}
    glossary = own.pop("glossary", None)  # a file of this machine, for which the limits of HTTP are not meant
    own = {name: list(value) if isinstance(value, tuple) else value for name, value in own.items()}
    options: T = validated(model, own)
    return cast(T, options if glossary is None else options.model_copy(update={"glossary": glossary}))


def added(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Return a decorator that adds all of these to a command, in order."""
    return lambda command: reduce(lambda made, option: option(made), reversed(options), command)
