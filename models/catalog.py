"""The models by name: what each is, where its weights are, what it can do. Loads nothing itself."""

import difflib
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
    field_validator,
    model_validator,
)

from models.engine.protocol import Decoding
from models.errors import InvalidInput, UnknownModel
from models.languages import Languages

Task = Literal["summarize", "translate", "entail"]
Family = Literal[
    "extractive",
    "bart",
    "pegasus",
    "t5",
    "marian",
    "m2m100",
    "nllb",
    "mbart50",
    "completion",
    "instruct",
    "entailment",
]


_PAIR = re.compile(r"[A-Za-z0-9_+-]{1,60}")  # it becomes part of paths and addresses


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
    family: Family
    tasks: tuple[Task, ...] = Field(min_length=1)
    licence: str = "see its repository"
    description: str = ""
    caution: str = ""
    repository: str | None = None
    revision: str = "main"
    path: Path | None = None
    package: Package | None = None
    languages: tuple[str, ...] = ()
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
    pair: tuple[str, str] | None = None
    """The source and target in the name of a pattern's model, in its own spelling; never set in a file."""

    @field_validator("decoding")
    @classmethod
    def _known_decoding(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        known = {field.name for field in fields(Decoding)}
        if unknown := sorted(set(value) - known):
            raise ValueError(f"{unknown[0]!r} is none of {', '.join(sorted(known))}")
        TypeAdapter(Decoding).validate_python({"max_new_tokens": 1, **value})
        return value

    @model_validator(mode="after")
    def _usable_prompts(self) -> "ModelEntry":
        for task, prompt in self.prompt.items():
            if "{text}" not in prompt:
                raise ValueError(f"the prompt to {task} has no {{text}}")
        if self.family in ("completion", "instruct") and (missing := set(self.tasks) - set(self.prompt)):
            raise ValueError(f"a model of this family needs a prompt to {sorted(missing)[0]}")
        return self

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
            "pair": tuple(sides) if len(sides) == 2 else None,
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
        return self._filled(pair) if _PAIR.fullmatch(pair) else None


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
        entries = _parse(shipped, "catalog.toml", Path(), languages)
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
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "entry"
        raise InvalidInput(
            f"the catalog {file}, model {raw.get('name', '?')!r}: {field}: {first['msg']}", field=field
        ) from error
    update: dict[str, Any] = {}
    unknown = sorted(set(entry.languages) - set(languages.names()))
    if unknown or (entry.codes is not None and not languages.column(entry.codes)):
        field = "languages" if unknown else "codes"
        wrong = unknown[0] if unknown else entry.codes
        raise InvalidInput(
            f"the catalog {file}, model {entry.name!r}: {field}: unknown {wrong!r}", field=field
        )
    if entry.codes is not None and not entry.languages:
        update["languages"] = tuple(languages.column(entry.codes))
    if entry.path is not None:
        update["path"] = base / entry.path
    return entry.model_copy(update=update) if update else entry
