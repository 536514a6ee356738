"""The models by name: the shipped ones and the user's. Loads nothing itself."""

import difflib
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from models.entry import ELSEWHERE, SERVER, ModelEntry, Task, server_entry
from models.errors import InvalidInput, UnknownModel
from models.families import FAMILIES
from models.languages import Languages


class Catalog:
    """All entries: the shipped ones and the user's; or of them those that are `allowed`.

    `missing` says why another one is not, and what gets it.
    """

    def __init__(
        self,
        entries: Iterable[ModelEntry],
        allowed: Callable[[ModelEntry], bool] = lambda _entry: True,
        missing: Callable[[ModelEntry], str] = lambda entry: f"{entry.name} may not be used here",
    ):
        self._entries = {entry.name: entry for entry in entries}
        self.has = allowed
        """Whether an entry is one of those that can be had; asked each time."""
        self._missing = missing

    @classmethod
    def load(cls, languages: Languages, own: Path | None = None, named: Iterable[str] = ()) -> "Catalog":
        """Read the shipped catalog, then the user's file, whose entries replace those of the same name.

        Of the models that the operator has `named`, those behind a server (`server:URL#MODEL`) are added:
        text goes to no other servers than these and the file's.

        Raises InvalidInput, naming the file, the entry and the field, for a file that is wrong.
        """
        shipped = files("models").joinpath("catalog.toml").read_text("utf-8")
        entries = [_with_beams(entry) for entry in _parse(shipped, "catalog.toml", Path(), languages)]
        if own is not None:
            try:
                text = own.read_text("utf-8")
            except OSError as error:
                raise InvalidInput(f"the catalog {own} cannot be read: {error.strerror}") from error
            entries += _parse(text, str(own), own.parent, languages)
        servers = dict.fromkeys(name for name in named if name.startswith(SERVER))
        entries += [_entry(server_entry(name), "", Path(), languages) for name in servers]
        return cls(entries)

    def only(self, allowed: Callable[[ModelEntry], bool], missing: Callable[[ModelEntry], str]) -> "Catalog":
        """The same entries, of which only these are shown and can be had; it is asked each time."""
        return Catalog(self._entries.values(), allowed, missing)

    @property
    def entries(self) -> tuple[ModelEntry, ...]:
        return tuple(e for e in self._entries.values() if self.has(e))

    def get(self, name: str, task: Task | None = None) -> ModelEntry:
        """The entry of this name. Raises UnknownModel, also for a model that does not do `task`."""
        found = self.find(name)
        if found is not None and (task is None or task in found.tasks) and self.has(found):
            return found
        able = [entry.name for entry in self.entries if task is None or task in entry.tasks]
        if found is None:
            raise UnknownModel(
                f"there is no model {name!r} in the catalog{self._hint(name, task)}",
                field="model",
                allowed=able,
            )
        if task is not None and task not in found.tasks:
            raise UnknownModel(f"{name} does not {task}", field="model", allowed=able)
        raise UnknownModel(self._missing(found), field="model", allowed=able)

    def find(self, name: str) -> ModelEntry | None:
        """The entry of this name, whether it can be had or not; None if there is none."""
        patterns = (hit for entry in self._entries.values() if (hit := entry.matches(name)))
        return self._entries.get(name) or next(patterns, None)

    def others(self, task: Task) -> list[ModelEntry]:
        """The entries that do the task, but cannot be had as things are."""
        return [entry for entry in self._entries.values() if task in entry.tasks and not self.has(entry)]

    def _hint(self, name: str, task: Task | None) -> str:
        """Return the nearest name there is, and what gets that model if it cannot be had as things are."""
        names = [entry.name for entry in self._entries.values() if task is None or task in entry.tasks]
        near = [self._entries[each] for each in difflib.get_close_matches(name, names, n=1)]
        if near and not self.has(near[0]):
            return f"; {self._missing(near[0])}"
        return f"; did you mean {near[0].name}?" if near else ""


def _parse(text: str, file: str, base: Path, languages: Languages) -> list[ModelEntry]:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"the catalog {file} is not TOML: {error}") from error
    found = data.get("model", [])
    if (
        data.keys() - {"model"}
        or not isinstance(found, list)
        or not all(isinstance(raw, dict) for raw in found)
    ):
        raise InvalidInput(f"the catalog {file} may hold [[model]] tables only, not {', '.join(data)}")
    entries = [_entry(raw, file, base, languages) for raw in found]
    if twice := [name for name, count in Counter(entry.name for entry in entries).items() if count > 1]:
        raise InvalidInput(f"the catalog {file} has {twice[0]!r} twice", field="name")
    return entries


def _entry(raw: dict[str, Any], file: str, base: Path, languages: Languages) -> ModelEntry:
    try:
        entry = ModelEntry.model_validate(raw)
        return entry.model_copy(update=_resolved(entry, base, languages))
    except ValidationError as error:
        field, reason = _told(error)
    except InvalidInput as error:
        field, reason = error.field or "", error.message
    name = raw.get("name", "?")
    if not file:
        raise InvalidInput(f"{name}: {reason}", field="model", allowed=f"{SERVER}URL#MODEL")
    raise InvalidInput(f"the catalog {file}, model {name!r}: {field or 'entry'}: {reason}", field=field)


def _told(error: ValidationError) -> tuple[str, str]:
    """Return the first wrong field, and what is wrong with it, in pydantic's words or ours."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        why = ELSEWHERE.get(place.removeprefix("decoding."))
        return place, f"it cannot stand here: {why}" if why else "there is no such field"
    own = first.get("ctx", {}).get("error")
    if isinstance(own, ValueError) or first["type"] == "missing":
        return place, str(own or "it is missing")
    return place, f"{first['msg']}, not {first['input']!r}"


def _resolved(entry: ModelEntry, base: Path, languages: Languages) -> dict[str, Any]:
    """Return what else follows from an entry's fields. InvalidInput for a language that is not known."""
    sides = tuple(dict.fromkeys(code for pair in entry.pairs for code in pair))
    known = languages.names()
    for field, codes in (
        ("languages", entry.languages),
        ("trained_languages", entry.trained_languages),
        ("pairs", sides),
    ):
        if unknown := [code for code in codes if code not in known]:
            raise InvalidInput(f"unknown {unknown[0]!r}", field=field)
    if entry.codes is not None and not languages.column(entry.codes):
        raise InvalidInput(f"unknown {entry.codes!r}", field="codes")
    update: dict[str, Any] = {}
    if not entry.languages:
        update["languages"] = sides or tuple(languages.column(entry.codes or ""))
    if entry.path is not None:
        try:
            update["path"] = base / entry.path.expanduser()
        except RuntimeError as error:
            raise InvalidInput(f"{entry.path.parts[0]} is no user's home here", field="path") from error
    return update


def _with_beams(entry: ModelEntry) -> ModelEntry:
    beams = FAMILIES[entry.family].num_beams
    search = entry.decoding if beams is None else {"num_beams": beams, **entry.decoding}
    return entry.model_copy(update={"decoding": search})
