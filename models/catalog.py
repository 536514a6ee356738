"""The models by name: what each is, where its weights are, what it can do. Loads nothing itself."""

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from models.engine.protocol import Decoding
from models.errors import InvalidInput, UnknownModel
from models.families import FAMILIES, Kind
from models.languages import Languages

Task = Literal["summarize", "translate", "entail"]
Direction = tuple[str, str]  # a source and a target language
_SIDES = re.compile(r"[A-Za-z0-9_+-]{1,60}")  # a pair in a name becomes part of paths and addresses
_CODE = r"([a-z]{2,3}(?:-[A-Z][a-z]{3})?)"
_PAIR = re.compile(f"{_CODE}-{_CODE}")
_DECODING = TypeAdapter(Decoding)

BY_REQUEST = {
    "max_new_tokens": "it is a field of the entry itself",
    "min_new_tokens": "requests and lengths choose it",
}
"""Fields of Decoding that an entry's `decoding` cannot have."""


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Package(_Frozen):
    """Weights that a Python package ships.

    Either `folder` (inside the package, in transformers' layout) or `gguf`: a file in `parts`, with a
    LoRA `adapter` folder beside this module merged into it. `sha256` maps file names to digests, checked
    before use.
    """

    module: str
    folder: str | None = None
    gguf: str | None = None
    parts: tuple[str, ...] = ()
    adapter: str | None = None
    sha256: Mapping[str, str]

    @model_validator(mode="after")
    def _one_form(self) -> "Package":
        if (self.folder is None) == (self.gguf is None):
            raise ValueError("a package has either `folder` or `gguf`")
        return self


class ModelEntry(_Frozen):
    """One model of the catalog; the head of catalog.toml says what each field means."""

    name: str
    family: str
    tasks: tuple[Task, ...] = Field(min_length=1)
    licence: str = "see its repository"
    description: str = ""
    caution: str = ""
    repository: str | None = None
    revision: str = "main"
    path: Path | None = None
    package: Package | None = None
    languages: tuple[str, ...] = ()
    pairs: tuple[Direction, ...] = ()
    """The only directions that it translates. A pattern's model has that of its name, as it spells it."""
    codes: str | None = None
    english_only: bool = False
    max_source_tokens: int = Field(512, ge=8)
    max_new_tokens: int = Field(256, ge=1)
    free_length: bool = False
    """True for a model whose summaries have a length of their own, whatever is asked."""
    segment: Literal["sentence", "paragraph"] = "sentence"
    decoding: Mapping[str, Any] = {}
    prompt: Mapping[Task, str] = {}
    stop: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _family_defaults(cls, given: dict[str, Any]) -> dict[str, Any]:
        family = FAMILIES.get(str(given.get("family")))
        if family is None:
            return given
        return {"free_length": family.free_length, "prompt": family.prompts or {}, **given}

    @field_validator("family")
    @classmethod
    def _known_family(cls, value: str) -> str:
        if value not in FAMILIES:
            raise ValueError(f"{value!r} is none of {', '.join(FAMILIES)}")
        return value

    @field_validator("tasks")
    @classmethod
    def _tasks_of_family(cls, value: tuple[Task, ...], info: ValidationInfo) -> tuple[Task, ...]:
        able = FAMILIES[info.data["family"]].tasks if "family" in info.data else value
        if wrong := [task for task in value if task not in able]:
            raise ValueError(f"a model of this family does not {wrong[0]}, only {', '.join(able)}")
        return value

    @field_validator("pairs", mode="before")
    @classmethod
    def _directions(cls, value: Any) -> Any:
        return tuple(map(_direction, value)) if isinstance(value, list) else value

    @field_validator("decoding")
    @classmethod
    def _known_decoding(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        known = {field.name for field in fields(Decoding)} - set(BY_REQUEST)
        if unknown := sorted(set(value) - known):
            why = BY_REQUEST.get(unknown[0], f"it is none of {', '.join(sorted(known))}")
            raise ValueError(f"{unknown[0]!r} cannot stand here: {why}")
        try:
            _DECODING.validate_json(json.dumps({"max_new_tokens": 1, **value}, default=str), strict=True)
        except ValidationError as error:
            raise ValueError(": ".join(_told(error))) from error
        return {name: tuple(each) if isinstance(each, list) else each for name, each in value.items()}

    @model_validator(mode="after")
    def _usable_prompts(self) -> "ModelEntry":
        for task, prompt in self.prompt.items():
            if "{text}" not in prompt:
                raise ValueError(f"the prompt to {task} has no {{text}}")
        if self.kind == "causal" and (missing := set(self.tasks) - set(self.prompt)):
            raise ValueError(f"a model of this family needs a prompt to {sorted(missing)[0]}")
        return self

    @property
    def kind(self) -> Kind:
        """How the model is run."""
        return FAMILIES[self.family].kind

    @property
    def bundled(self) -> bool:
        """True if its weights come with the installation."""
        return self.package is not None

    @property
    def is_pattern(self) -> bool:
        """True if the entry stands for one model a language pair."""
        return "*" in self.name

    def for_pair(self, source: str, target: str) -> "ModelEntry":
        """The one model of a pattern that translates this pair; its repository need not exist."""
        return self._filled(f"{source}-{target}")

    def _filled(self, pair: str) -> "ModelEntry":
        repository = (self.repository or self.name).replace("*", pair)
        path = None if self.path is None else Path(str(self.path).replace("*", pair))
        sides = pair.split("-")[-2:]  # `tc-big-en-fr` is a pair too
        update = {
            "name": self.name.replace("*", pair),
            "repository": repository,
            "path": path,
            "pairs": ((sides[0], sides[1]),) if len(sides) == 2 else (),
        }
        return self.model_copy(update=update)

    def matches(self, name: str) -> "ModelEntry | None":
        """The entry for `name`, if this is it or is a pattern that has it."""
        if name == self.name:
            return self
        before, star, after = self.name.partition("*")
        if not star or not (name.startswith(before) and name.endswith(after)):
            return None
        pair = name[len(before) : len(name) - len(after)]
        return self._filled(pair) if _SIDES.fullmatch(pair) else None


class Catalog:
    """All entries: the shipped ones and the user's; or of them those that are `allowed`."""

    def __init__(self, entries: Iterable[ModelEntry], allowed: Callable[[ModelEntry], bool] | None = None):
        self._entries = {entry.name: entry for entry in entries}
        self._allowed = allowed

    @classmethod
    def load(cls, languages: Languages, own: Path | None = None) -> "Catalog":
        """Read the shipped catalog, then the user's file, whose entries replace those of the same name.

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
        return cls(entries)

    def only(self, allowed: Callable[[ModelEntry], bool]) -> "Catalog":
        """The same entries, of which only these are shown and can be had; it is asked each time."""
        return Catalog(self._entries.values(), allowed)

    @property
    def entries(self) -> tuple[ModelEntry, ...]:
        return tuple(e for e in self._entries.values() if self._may(e))

    def get(self, name: str, task: Task | None = None) -> ModelEntry:
        """The entry of this name. Raises UnknownModel, also for a model that does not do `task`."""
        patterns = (hit for entry in self._entries.values() if (hit := entry.matches(name)))
        found = self._entries.get(name) or next(patterns, None)
        if found is not None and (task is None or task in found.tasks) and self._may(found):
            return found
        able = [entry.name for entry in self.entries if task is None or task in entry.tasks]
        if found is None:
            near = difflib.get_close_matches(name, able, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UnknownModel(
                f"there is no model {name!r} in the catalog{hint}", field="model", allowed=able
            )
        if task is not None and task not in found.tasks:
            raise UnknownModel(f"{name} does not {task}", field="model", allowed=able)
        raise UnknownModel(f"{name} may not be used here", field="model", allowed=able)

    def _may(self, entry: ModelEntry) -> bool:
        return self._allowed is None or self._allowed(entry)


def _parse(text: str, file: str, base: Path, languages: Languages) -> list[ModelEntry]:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"the catalog {file} is not TOML: {error}") from error
    unknown = set(data) - {"model"}
    if unknown or not isinstance(data.get("model", []), list):
        raise InvalidInput(f"the catalog {file} may hold [[model]] tables only, not {sorted(unknown)}")
    return [_entry(raw, file, base, languages) for raw in data.get("model", [])]


def _entry(raw: dict[str, Any], file: str, base: Path, languages: Languages) -> ModelEntry:
    try:
        entry = ModelEntry.model_validate(raw)
        return entry.model_copy(update=_resolved(entry, base, languages))
    except ValidationError as error:
        field, reason = _told(error)
    except InvalidInput as error:
        field, reason = error.field or "", error.message
    name = raw.get("name", "?")
    raise InvalidInput(f"the catalog {file}, model {name!r}: {field or 'entry'}: {reason}", field=field)


def _told(error: ValidationError) -> tuple[str, str]:
    """Return the first wrong field, and what is wrong with it, in pydantic's words or ours."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    own = first.get("ctx", {}).get("error")
    return place, str(own) if isinstance(own, ValueError) else f"{first['msg']}, not {first['input']!r}"


def _resolved(entry: ModelEntry, base: Path, languages: Languages) -> dict[str, Any]:
    """Return what else follows from an entry's fields. InvalidInput for a language that is not known."""
    sides = tuple(dict.fromkeys(code for pair in entry.pairs for code in pair))
    known = languages.names()
    for field, codes in (("languages", entry.languages), ("pairs", sides)):
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


def _direction(pair: Any) -> Direction:
    if found := _PAIR.fullmatch(str(pair)):
        return found[1], found[2]
    raise ValueError(f"{pair!r} is no pair of language codes, such as 'en-fr'")
