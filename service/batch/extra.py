"""Libraries that are extras: they are imported when they are needed, and who lacks one is told its name."""

import importlib
from typing import Any

from models.errors import DragomanError


class MissingExtra(DragomanError):
    """A library that is not installed."""


def needed(module: str, *, what: str, extra: str) -> Any:
    """Import a module for `what`. Raises MissingExtra."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise MissingExtra(f"{what} needs {library}: pip install 'dragoman[{extra}]'") from error
