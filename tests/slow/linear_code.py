"""What there is to walk: the public callables and compiled patterns of some packages, found by machine."""

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass
from functools import cache, cached_property
from types import ModuleType
from typing import Any

from pydantic import BaseModel

PACKAGES = (
    "models.text",
    "models.checks",
    "service.documents",
    "service.schemas",
    "service.http.compat.openai_prompts",
)
SEARCHES = frozenset({"search", "findall", "finditer", "sub", "subn", "split"})


@dataclass(frozen=True)
class Subject:
    """A callable by its full name; a method's or property's `owner` is its class."""

    name: str
    call: Callable[..., Any]
    owner: type | None = None


@dataclass(frozen=True)
class Expression:
    """A compiled pattern, and whether its package ever searches a text for it, or only matches at a place."""

    name: str
    pattern: re.Pattern[str]
    is_searched: bool


@cache
def modules() -> tuple[ModuleType, ...]:
    """The packages and all that is in them, and single modules."""
    found = []
    for name in PACKAGES:
        package = importlib.import_module(name)
        found.append(package)
        if folder := getattr(package, "__path__", None):
            found += [importlib.import_module(e.name) for e in pkgutil.walk_packages(folder, f"{name}.")]
    return tuple(found)


def subjects() -> Iterator[Subject]:
    """Functions, constructors, methods and properties whose names do not begin with `_`."""
    for module in modules():
        for name, each in vars(module).items():
            if name.startswith("_") or getattr(each, "__module__", None) != module.__name__:
                continue
            full = f"{module.__name__}.{name}"
            if inspect.isclass(each):
                yield from _of_class(full, each)
            elif callable(each):
                yield Subject(full, inspect.unwrap(each))


def _of_class(name: str, own: type) -> Iterator[Subject]:
    if getattr(own, "_is_protocol", False):
        return
    yield Subject(name, own.model_validate if issubclass(own, BaseModel) else own)
    for key, value in vars(own).items():
        if key.startswith("_") or (is_dataclass(own) and key in own.__dataclass_fields__):
            continue
        if isinstance(value, classmethod | staticmethod):
            yield Subject(f"{name}.{key}", getattr(own, key))
        elif isinstance(value, property | cached_property):
            yield Subject(f"{name}.{key}", lambda self, key=key: getattr(self, key), own)
        elif inspect.isfunction(value):
            yield Subject(f"{name}.{key}", value, own)


def expressions() -> Iterator[Expression]:
    """Patterns of modules and classes, those in tables too; each once."""
    seen: set[int] = set()
    for module in modules():
        for name, each in vars(module).items():
            for path, pattern in _patterns(each, name):
                if id(pattern) not in seen:
                    seen.add(id(pattern))
                    yield Expression(f"{module.__name__}.{path}", pattern, _is_searched(module, name, path))


def _patterns(value: Any, path: str) -> Iterator[tuple[str, re.Pattern[str]]]:
    if isinstance(value, re.Pattern):
        if isinstance(value.pattern, str):
            yield path, value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _patterns(each, f"{path}[{key!r}]")
    elif isinstance(value, list | tuple | set | frozenset):
        for i, each in enumerate(value):
            yield from _patterns(each, f"{path}[{i}]")
    elif inspect.isclass(value) and value.__module__.startswith(PACKAGES):
        for key, each in vars(value).items():
            if isinstance(each, re.Pattern | dict | list | tuple) and not key.startswith("__"):
                yield from _patterns(each, f"{path}.{key}")


def _is_searched(module: ModuleType, name: str, path: str) -> bool:
    """Whether its name is ever used to search with; True where that cannot be told."""
    if path != name:
        return True
    readers = modules() if not name.startswith("_") else (module,)
    uses = set().union(*(_uses(reader).get(name, set()) for reader in readers))
    return not uses or not uses.isdisjoint(SEARCHES)


@cache
def _uses(module: ModuleType) -> dict[str, set[str]]:
    """The methods that are asked of each name."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Attribute):
            owner = node.value
            name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
            found.setdefault(name, set()).add(node.attr)
    return found
