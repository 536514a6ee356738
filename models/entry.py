"""One entry of the catalog: what a model is, where its weights are, what it can do."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationInfo,
    field_validator,
    model_validator,
    with_config,
)
from typing_extensions import TypedDict

from models.families import FAMILIES, Kind, Weights

SERVER = "server:"
"""Begins the short form of a model behind a server: `server:http://127.0.0.1:11434/v1#qwen3:8b`."""

Task = Literal["summarize", "translate", "entail"]
Direction = tuple[str, str]  # a source and a target language
_SIDES = re.compile(r"[A-Za-z0-9_+-]{1,60}")  # a pair in a name becomes part of paths and addresses
_CODE = r"([a-z]{2,3}(?:-[A-Z][a-z]{3})?)"
_PAIR = re.compile(f"{_CODE}-{_CODE}")

_FILE = re.compile(r"(?:(?!\.)[\w.-]+/)*(?!\.)[\w.-]+\.gguf")

TokenIds = Annotated[tuple[NonNegativeInt, ...], Field(strict=False)]

ELSEWHERE = {
    "max_new_tokens": "it is a field of the entry itself",
    "min_new_tokens": "requests and lengths choose it",
    "num_return_sequences": "requests choose it",
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
    trained_languages: tuple[str, ...] = ()
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

    @field_validator("pairs", mode="before")
    @classmethod
    def _directions(cls, value: Any) -> Any:
        return tuple(map(_direction, value)) if isinstance(value, list) else value

    @field_validator("other_names", mode="before")
    @classmethod
    def _named_directions(cls, value: Any) -> Any:
        return (
            {name: cls._directions(pairs) for name, pairs in value.items()}
            if isinstance(value, dict)
            else value
        )

    @model_validator(mode="after")
    def _of_a_server(self) -> "ModelEntry":
        given = {"url": self.url, "model": self.model, "api_key_env": self.api_key_env}
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
    def follows_instructions(self) -> bool:
        """True for a model that does what a message asks for, as an instruct model does."""
        return FAMILIES[self.family].feed in ("chat", "messages")

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


def _direction(pair: Any) -> Direction:
    if found := _PAIR.fullmatch(str(pair)):
        return found[1], found[2]
    raise ValueError(f"{pair!r} is no pair of language codes, such as 'en-fr'")
