"""The catalog: model entries, the shipped ones and the user's, and the sets that one word selects.

An entry says what a model is, where its weights are and what it can do; a set says what it needs and which
machine it suits. Loads no model.
"""

import difflib
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
    with_config,
)
from typing_extensions import TypedDict

from models import cpu
from models.engine.gpu import has_cuda
from models.errors import InvalidInput, UnknownModel
from models.families import FAMILIES, Kind, Weights
from models.languages import Languages

DEFAULT = "auto"
"""The set that is taken where none is named."""
SPARE_BYTES = 1_000_000_000
"""Memory of the process itself, with its libraries."""
INT8_BYTES = 1.2
"""A parameter's bytes in CTranslate2's int8, with scales and buffers."""
CONVERSION_BYTES = 2.0
"""A parameter's bytes while a model is converted to int8, beside its file's pages, which can be read again. A
model with the sizes of BART large (406 million parameters) took 1.75 from a file in float32."""
GPU_BYTES = 3.0
"""A parameter's bytes on a GPU: bfloat16, and half as much again for caches."""

SERVER = "server:"
"""Begins the short form of a model behind a server: `server:http://127.0.0.1:11434/v1#qwen3:8b`."""

Task = Literal["summarize", "translate", "entail"]
_SIDES = re.compile(r"[A-Za-z0-9_+-]{1,60}")  # a pair in a name becomes part of paths and addresses
_CODE = r"([a-z]{2,3}(?:-[A-Z][a-z]{3})?)"
_PAIR = re.compile(f"{_CODE}-{_CODE}")


def _direction(pair: object) -> object:
    if isinstance(pair, str):
        if found := _PAIR.fullmatch(pair):
            return found.groups()
        raise ValueError(f"{pair!r} is not a pair of language codes such as 'en-fr'")
    return pair


Direction = Annotated[tuple[str, str], BeforeValidator(_direction)]
"""A source and a target language."""

_FILE = re.compile(r"(?:(?!\.)[\w.-]+/)*(?!\.)[\w.-]+\.gguf")

TokenIds = Annotated[tuple[NonNegativeInt, ...], Field(strict=False)]

ELSEWHERE = {
    "max_new_tokens": "it is a field of the entry itself",
    "min_new_tokens": "requests and lengths choose it",
    "num_return_sequences": "requests choose it",
    "ends_loops": "the translator chooses it",
    "only_scores": "then nothing is searched",
}
"""Fields of Decoding that an entry's `decoding` does not have, and why."""


@with_config(ConfigDict(extra="forbid", strict=True))
class EntryDecoding(TypedDict, total=False):
    """An entry's own way to search: fields of Decoding, over those of the model's own files."""

    num_beams: PositiveInt
    length_penalty: float
    early_stopping: bool | Literal["never"]
    no_repeat_ngram_size: NonNegativeInt
    repetition_penalty: PositiveFloat
    forced_bos_token_id: NonNegativeInt
    forced_eos_token_id: NonNegativeInt
    suppressed_token_ids: TokenIds
    renormalize_logits: bool
    stop_token_ids: TokenIds


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Package(_Frozen):
    """Weights that a Python package ships.

    `gguf` is a file in `parts`; a LoRA `adapter` folder beside this module is merged into it. `sha256` maps
    file names to digests, checked before use.
    """

    module: str
    gguf: str
    parts: tuple[str, ...]
    adapter: str | None = None
    sha256: Mapping[str, str]


class ModelEntry(_Frozen):
    """One model of the catalog; the head of catalog.toml says what each field means."""

    name: str
    family: str
    tasks: tuple[Task, ...] = Field(min_length=1)
    licence: str = "see its repository"
    description: str = ""
    caution: str = ""
    better: str | None = None
    gated: bool = False
    parameters_m: int = Field(0, ge=0)
    download_mb: int = Field(0, ge=0)
    repository: str | None = None
    revision: str = "main"
    path: Path | None = None
    package: Package | None = None
    file: str | None = None
    """The GGUF file of a repository that holds several."""
    chat_template: str | None = None
    """One of llama.cpp's own templates, by its name, in place of a GGUF file's."""
    url: str | None = None
    """The address of a server that has the model, such as `http://127.0.0.1:11434/v1`."""
    model: str | None = None
    """The model's name at that server."""
    api_key_env: str | None = None
    """The environment variable with the server's API key."""
    concurrency: int = Field(4, ge=1, le=1024)
    """The most requests to that server, or to llama.cpp, at a time."""
    languages: tuple[str, ...] = ()
    pairs: tuple[Direction, ...] = ()
    """The only directions that it translates. A pattern's model has that of its name, as it spells it."""
    other_names: Mapping[str, tuple[Direction, ...]] = {}
    """Of a pattern: what stands for its `*` in a model that is not named by its pair, and the pairs."""
    codes: str | None = None
    english_only: bool = False
    max_source_tokens: int = Field(512, ge=8)
    max_new_tokens: int = Field(256, ge=1)
    free_length: bool = False
    """True for a model whose summaries have a length of their own, whatever is asked."""
    segment: Literal["sentence", "paragraph"] = "sentence"
    decoding: EntryDecoding = {}
    prompt: Mapping[Task, str] = {}
    prompt_in: Mapping[str, str] = {}
    """Prompts to translate from or into a language, in that language."""
    stop: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _family_defaults(cls, given: dict[str, Any]) -> dict[str, Any]:
        family = FAMILIES.get(str(given.get("family")))
        if family is None:
            return given
        own = {"free_length": family.free_length, "prompt": family.prompts or {}}
        return {**own, **family.entry_defaults, **given}

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

    @model_validator(mode="after")
    def _of_a_server(self) -> "ModelEntry":
        given = {"url": self.url, "model": self.model, "api_key_env": self.api_key_env}
        if self.weights == "none" and (self.path or self.repository):
            raise ValueError("a model of this family has no files: leave `path` and `repository` out")
        if self.weights != "elsewhere":
            if wrong := [name for name, value in given.items() if value is not None]:
                raise ValueError(f"`{wrong[0]}` is of the family `server` alone")
            return self
        if missing := [name for name in ("url", "model") if not given[name]]:
            raise ValueError(f"a model of the family `server` needs a `{missing[0]}`")
        parts = urlsplit(self.url or "")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("`url` is an address such as 'http://127.0.0.1:11434/v1'")
        if parts.username or parts.password:
            raise ValueError("`url` holds a password; name the variable that has the key in `api_key_env`")
        return self

    @model_validator(mode="after")
    def _of_a_gguf_file(self) -> "ModelEntry":
        if self.weights != "gguf":
            given = {"file": self.file, "chat_template": self.chat_template}
            if wrong := [name for name, value in given.items() if value is not None]:
                raise ValueError(f"`{wrong[0]}` is of the family `gguf` alone")
        elif (self.path is None) == (self.file is None):
            raise ValueError("a model of the family `gguf` has a `path`, or a `repository` and its `file`")
        elif self.file is not None and not _FILE.fullmatch(self.file):
            raise ValueError("`file` is the name of a repository's file, such as 'model-Q4_K_M.gguf'")
        return self

    @model_validator(mode="after")
    def _usable_prompts(self) -> "ModelEntry":
        for what, prompt in [*(("to " + t, p) for t, p in self.prompt.items()), *self.prompt_in.items()]:
            if "{text}" not in prompt:
                raise ValueError(f"the prompt {what} has no {{text}}")
        if self.kind in ("causal", "server") and (missing := set(self.tasks) - set(self.prompt)):
            raise ValueError(f"a model of this family needs a prompt to {sorted(missing)[0]}")
        return self

    @property
    def kind(self) -> Kind:
        """Return how the model is run."""
        return FAMILIES[self.family].kind

    @property
    def weights(self) -> Weights:
        """Return where its weights are."""
        return FAMILIES[self.family].weights

    @property
    def has_files(self) -> bool:
        """True if it is run from files here."""
        return self.weights in ("folder", "gguf")

    @property
    def follows_instructions(self) -> bool:
        """True for a model that does what a message asks for, as an instruct model does."""
        return FAMILIES[self.family].input_format in ("chat", "messages")

    @property
    def bundled(self) -> bool:
        """True if all that it needs comes with the installation."""
        return self.package is not None or self.weights == "none"

    @property
    def is_pattern(self) -> bool:
        """True if the entry stands for one model a language pair."""
        return "*" in self.name

    def for_pair(self, source: str, target: str) -> "ModelEntry":
        """The one model of a pattern that translates this pair; its repository need not exist."""
        pair = source, target
        name = next((name for name, pairs in self.other_names.items() if pair in pairs), f"{source}-{target}")
        return self._filled(name).model_copy(update={"pairs": (pair,)})

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
        if (found := _PAIR.fullmatch(pair)) and any(
            found.groups() in pairs for pairs in self.other_names.values()
        ):
            return self.for_pair(found[1], found[2])
        return self._filled(pair) if _SIDES.fullmatch(pair) else None


def server_entry(name: str) -> dict[str, Any]:
    """Return the fields of an entry for a short form, `server:URL#MODEL`. A key is sent to OpenAI alone."""
    url, _, model = name.removeprefix(SERVER).partition("#")
    key = {"api_key_env": "OPENAI_API_KEY"} if urlsplit(url).hostname == "api.openai.com" else {}
    tasks = ["summarize", "translate"]
    return {"name": name, "family": "server", "tasks": tasks, "url": url, "model": model, **key}


class Catalog:
    """All entries: the shipped ones and the user's; or of them those that are `allowed`.

    `missing` says why another one is not, and what gets it.
    """

    def __init__(
        self,
        entries: Iterable[ModelEntry],
        allowed: Callable[[ModelEntry], bool] = lambda _entry: True,
        missing: Callable[[ModelEntry], str] = lambda entry: f"{entry.name} is not allowed on this server",
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
        entries = _parse(shipped, "catalog.toml", Path(), languages)
        for i, entry in enumerate(entries):
            if (beams := FAMILIES[entry.family].num_beams) is not None:
                search = {"num_beams": beams, **entry.decoding}
                entries[i] = entry.model_copy(update={"decoding": search})
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
                f"the catalog has no model {name!r}{self._hint(name, task)}",
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
        return place, f"it is not allowed here: {why}" if why else "no such field"
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
            raise InvalidInput(
                f"{entry.path.parts[0]} is not a user's home directory", field="path"
            ) from error
    return update


class ModelSet(_Frozen):
    """A set. `pairs` are those that are fetched of a model that stands for one a pair."""

    name: str
    summarize: str
    translate: str
    device: Literal["any", "cuda"]
    good_at: str
    pairs: tuple[str, ...] = ()
    cpu_cores: int = 1
    """Processors with fewer of which it is too slow on a CPU."""
    better_summarize: tuple[str, ...] = ()
    better_translate: tuple[str, ...] = ()
    """Names of models that are taken where one suits, the best first, once they are here."""
    on_cpu: tuple[Mapping[str, Any], ...] = ()
    """Its models on a CPU, where they are others, with the `memory_gb` that they take; the best first."""

    def on(self, device: str, memory_bytes: int | None = None) -> "ModelSet":
        """Return the set with its models for a device: on a CPU the best that have so much memory."""
        if device == "cuda" or not self.on_cpu:
            return self
        fits = (
            each for each in self.on_cpu if memory_bytes is None or each["memory_gb"] * 1e9 <= memory_bytes
        )
        chosen = next(fits, self.on_cpu[-1])
        models = {"summarize": chosen["summarize"], "translate": chosen["translate"], "on_cpu": (chosen,)}
        return self.model_copy(update=models)

    def here(self, device: str) -> "ModelSet":
        """Return the set with its models for this machine; `device` is the setting: auto, cpu or cuda."""
        if not self.on_cpu:
            return self
        memory = cpu.memory()
        on_gpu = device == "cuda" or (device == "auto" and has_cuda())
        return self.on("cuda" if on_gpu else "cpu", memory and memory[0])

    @property
    def betters(self) -> tuple[str, ...]:
        """Return the names of all models that it takes once they are here."""
        return self.better_summarize + self.better_translate

    def entries(self, catalog: Catalog, pairs: Iterable[str] = ()) -> list[ModelEntry]:
        """Return its models, each once, a pattern as the models of these pairs (or of its own)."""
        found: dict[str, ModelEntry] = {}
        for name in (self.summarize, self.translate):
            names = (
                [name.replace("*", pair) for pair in (tuple(pairs) or self.pairs)] if "*" in name else [name]
            )
            found |= {each: catalog.get(each) for each in names}
        return list(found.values())

    def download_bytes(self, catalog: Catalog) -> int:
        """Return about how much a pull of it fetches."""
        return sum(entry.download_mb for entry in self.entries(catalog)) * 1_000_000

    def memory_bytes(self, catalog: Catalog, device: str) -> int:
        """Return about how much memory of the device it takes, the first start's conversion included.

        Of a pattern's models two are counted: both ways between two languages.
        """
        if device != "cuda" and self.on_cpu:
            return int(1e9 * self.on_cpu[-1]["memory_gb"])
        sizes = [
            entry.parameters_m * 1_000_000
            for name in dict.fromkeys((self.summarize, self.translate))
            for entry in (catalog.get(name),) * (2 if "*" in name else 1)
        ]
        if device == "cuda":
            return int(GPU_BYTES * sum(sizes))
        return int(SPARE_BYTES + INT8_BYTES * sum(sizes) + CONVERSION_BYTES * max(sizes))


def load_sets() -> Mapping[str, ModelSet]:
    """Read the sets that are shipped, by name, from the least to the most that a machine needs."""
    data = tomllib.loads(files("models").joinpath("sets.toml").read_text("utf-8"))
    return {name: ModelSet(name=name, **raw) for name, raw in data.items()}


def fitting(catalog: Catalog, memory_bytes: int | None, gpu_bytes: int | None, cores: float = 1) -> ModelSet:
    """Return the largest set that a machine has the memory and the processors for, else the default."""
    sets = load_sets()
    best = sets[DEFAULT]
    for each in sets.values():
        on_gpu = gpu_bytes is not None and each.memory_bytes(catalog, "cuda") <= gpu_bytes
        on_cpu = (
            each.device == "any"
            and each.cpu_cores <= cores
            and memory_bytes is not None
            and each.memory_bytes(catalog, "cpu") <= memory_bytes
        )
        if on_gpu or on_cpu:
            best = each.on("cuda" if on_gpu else "cpu", memory_bytes)
    return best
