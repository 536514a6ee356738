"""The settings: environment variables that begin with DRAGOMAN_, checked once and then frozen.

Also checks rates, as in settings and API keys: `60/minute`, `10/second;1000/day`.
"""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, get_args

import platformdirs
from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from models.catalog import DEFAULT, load_sets
from models.errors import InvalidInput

ALLOWED = "such as 60/minute, or several: 10/second;1000/day"


def checked_rate(rate: str) -> str:
    """The rate as it is, if it can be read and lets something through. Raises InvalidInput."""
    from limits import parse_many  # takes a sixth of a second, and most commands do without

    try:
        limits = parse_many(rate)
    except ValueError:
        limits = []
    if not limits or any(limit.amount < 1 for limit in limits):
        raise InvalidInput(f"{rate[:100]!r} is not a rate", field="rate", allowed=ALLOWED)
    return rate


def _rate(value: str) -> str:
    try:
        return checked_rate(value)
    except InvalidInput as error:
        raise ValueError(f"it should be a rate, {error.allowed}") from None


Rate = Annotated[str, AfterValidator(_rate)]


PREFIX = "DRAGOMAN_"
DEBUG = f"{PREFIX}DEBUG"
"""Read elsewhere: by the command line."""

REMOVED = (
    *("HEARTBEAT_S", "JOB_BATCH_SIZE", "JOB_WORKERS", "MAX_BATCH_SIZE", "MAX_GLOSSARY_BYTES"),
    *("MAX_HTML_CHARACTERS", "MAX_JOB_BYTES", "MAX_JOB_CHARACTERS", "MAX_JOB_TEXTS", "MAX_MEMORY_BYTES"),
    *("MAX_QUEUED_JOBS", "MAX_QUEUED_JOBS_PER_CALLER", "MAX_TEXTS", "PRELOAD"),
)
"""Settings of version 0.1, whose defaults are constants now."""

_PLATFORM = re.compile(
    r"dragoman_(\w+_)?(service_(host|port(_\w+)?)|port_\d+_(tcp|udp|sctp)(_(proto|port|addr))?)"
)
_PLATFORM_PORT = re.compile(r"dragoman_(\w+_)?port")
_PLATFORM_URL = re.compile(r"(tcp|udp|sctp)://")


def _names(value: object) -> object:
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
"""Written with commas between them."""


ClientFamily = Literal["openai", "mcp", "deepl", "libretranslate", "huggingface"]
CLIENT_FAMILIES: tuple[ClientFamily, ...] = get_args(ClientFamily)
ClientFamilies = Annotated[tuple[ClientFamily, ...], NoDecode, BeforeValidator(_names)]


class Settings(BaseSettings):
    """Every field is a setting: `request_timeout_s` is read from DRAGOMAN_REQUEST_TIMEOUT_S.

    Raises InvalidInput for a variable DRAGOMAN_* that is none: misspelt, it would be ignored, and what it
    was to forbid allowed. Kubernetes and Docker put the addresses of services named `dragoman...` into
    variables that begin so, DRAGOMAN_PORT=tcp://... among them; those are passed over.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    # Not settings: the constants of a request's limits, of which `job_limits` makes a copy with a job's.
    max_html_characters: ClassVar[int] = 2_000_000
    """Of a page in `html`, most of which is no article."""
    max_texts: ClassVar[int] = 128

    host: str = Field("127.0.0.1", description="The address to listen on; 0.0.0.0 for all.")
    port: int = Field(
        8080,
        ge=0,
        le=65535,
        validation_alias=AliasChoices("port", "DRAGOMAN_PORT", "PORT"),
        description="The port to listen on; `PORT` works too. Values like `tcp://10.0.0.1:80`, which "
        "Kubernetes sets for a service named dragoman, are ignored.",
    )
    workers: int = Field(
        0,
        ge=0,
        le=64,
        description="Worker processes of the server or of a batch. From two on, they share one more process "
        "(one for each GPU), which holds the models that write. 0 chooses by cores and GPUs, up to eight, or "
        "eight for each GPU.",
    )

    models: str = Field(
        DEFAULT,
        description="The model set for requests that name no model: `auto`, `bundled`, "
        "`fast`, `good` or `instruct`; `dragoman models sets` lists what each needs. `auto` starts with the "
        "bundled models and downloads better ones in the background; `bundled` downloads nothing; the "
        "others download missing models at the first start.",
    )
    summarize_model: str = Field(
        "dragoman/extractive",
        description="The model for summaries if a request names none; overrides the set's.",
    )
    translate_model: str = Field(
        "dragoman/gemma3-270m-translate",
        description="The model for translations if a request names none; overrides the set's.",
    )
    entailment_model: str | None = Field(
        None, description="A catalog model that checks summaries, in addition to the built-in checks."
    )
    allow_models: Names | None = Field(
        None,
        description="Models that requests may name, separated by commas, or `*` for the whole catalog. The "
        "models set above are always allowed. If unset, so are the bundled models and those in the cache. "
        "If set, `auto` downloads no other models.",
    )
    catalog: Path | None = Field(None, description="A TOML file with your own models.")
    cache_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_cache_dir("dragoman")),
        description="The folder for downloaded and converted models.",
    )
    data_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("dragoman")),
        description="The folder for data: jobs, glossaries, keys, translation memories, suggestions.",
    )
    database: str | None = Field(
        None,
        pattern=r"^postgresql\+psycopg://",
        repr=False,
        description="A PostgreSQL database, version 15 or newer, for the data in place of a file in the data "
        "folder: `postgresql+psycopg://user:password@host/name` (needs the extra `postgresql`).",
    )
    results: str | None = Field(
        None,
        pattern=r"^(/|(s3|gs)://)",
        description="Where job results over 1 MiB are kept, in place of the database: a folder, `s3://...` "
        "or `gs://...` (needs the extra `remote`). All servers over one database must have the same.",
    )
    offline: bool = Field(False, description="Never contact the model hub.")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="`cpu`; `cuda`, all GPUs that `CUDA_VISIBLE_DEVICES` leaves; `cuda:1`, one of them; or "
        "`auto`: the GPUs if torch finds any.",
    )
    engine: Literal["auto", "native", "ct2", "generate"] = Field(
        "auto",
        description="`auto` uses CTranslate2 (`ct2`); on a GPU, the native engine for encoder-decoders where "
        "it is right and faster in a trial at load; and transformers' `generate` for models that CTranslate2 "
        "cannot run. `native`, `ct2` and `generate` select one engine.",
    )
    threads: int = Field(
        0, ge=0, description="CPU threads per engine; 0 uses all cores, or the container's quota."
    )
    max_loaded_models: int = Field(
        4, ge=1, description="Models to keep in memory; beyond that the least recently used is unloaded."
    )

    max_request_characters: int = Field(
        200_000, ge=1, description="Maximum characters of all texts in a request; more get 413."
    )
    max_queued_requests: int = Field(
        64,
        ge=1,
        description="Maximum requests of one caller running or waiting for an engine; more get 429. All "
        "callers together may have twice as many.",
    )
    request_timeout_s: float = Field(
        120.0, gt=0, description="Time limit for a request in seconds; then it is cancelled with 504."
    )

    clients: ClientFamilies = Field(
        CLIENT_FAMILIES,
        description="Compatible interfaces to serve, separated by commas; empty for none. The addresses of "
        "the others return 404.",
    )
    anonymous: bool = Field(True, description="Accept requests without an API key.")
    rate_limit: Rate | None = Field(
        None, description="Rate limit for keys without their own: `60/minute`, `10/second;1000/day`."
    )
    daily_characters: int | None = Field(
        None, ge=1, description="Characters per day (UTC) for keys without their own quota."
    )
    anonymous_rate_limit: Rate | None = Field(
        None, description="Rate limit per address without a key (IPv6: per /64 network)."
    )
    anonymous_daily_characters: int | None = Field(
        None, ge=1, description="Characters per day for an address without a key."
    )
    limits_storage: str | None = Field(
        None,
        pattern=r"^[a-z+]+://",
        repr=False,
        description="Where rate limits and quotas are counted. If unset, in each server's memory, or where "
        "DRAGOMAN_DATABASE is set, in that, for all its servers. `redis://...` (needs the extra `redis`) is "
        "faster.",
    )
    trusted_proxies: int = Field(
        0,
        ge=0,
        description="The number of proxies in front that add to `X-Forwarded-For`; they must also set or "
        "strip `X-Forwarded-Prefix`.",
    )
    trusted_hosts: Names = Field(
        (),
        description="Host names that the server answers to, separated by commas; `.example.org` includes "
        "subdomains. If unset, it answers to any name, except that a server on 127.0.0.1 without keys and "
        "proxies answers only to localhost and IP addresses.",
    )

    job_retention_s: float = Field(
        604_800.0, gt=0, description="Seconds to keep a finished job and its result."
    )
    callback_secret: SecretStr | None = Field(
        None,
        min_length=16,
        description="Signs job callbacks, at least 16 characters; if unset, callbacks are disabled.",
    )
    callback_private: bool = Field(
        False, description="Allow callbacks to private addresses, and to ports other than 80 and 443."
    )

    @property
    def named_models(self) -> tuple[str, ...]:
        """The models that the operator names; of those behind a server no others are asked."""
        own = (self.summarize_model, self.translate_model, self.entailment_model, *(self.allow_models or ()))
        return tuple(name for name in own if name is not None)

    @model_validator(mode="before")
    @classmethod
    def _models_of_the_set(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Put the set's models in, but for a set of the default ones: so what is pinned can be told."""
        if (chosen := load_sets().get(str(given.get("models", DEFAULT)))) is None or chosen.betters:
            return given
        chosen = chosen.here(str(given.get("device", "auto")))
        return {"summarize_model": chosen.summarize, "translate_model": chosen.translate, **given}

    @field_validator("models")
    @classmethod
    def _known_set(cls, value: str) -> str:
        if value not in (known := load_sets()):
            raise ValueError(f"it should be one of {', '.join(known)}")
        return value

    def is_pinned(self, field: Literal["summarize_model", "translate_model"]) -> bool:
        """Return whether the model of a task was set, beside the set or by it."""
        return field in self.model_fields_set

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what is given, then the environment without the variables of others."""
        assert isinstance(env_settings, EnvSettingsSource)  # noqa: S101 - it always is
        env_settings.env_vars = _own(env_settings.env_vars, list(cls.model_fields))
        return init_settings, env_settings


def _own(variables: Mapping[str, str | None], fields: list[str]) -> dict[str, Any]:
    """The variables, names in lower case, that no platform set. Raises InvalidInput for an unknown one."""
    own = {
        name: value
        for name, value in variables.items()
        if not _PLATFORM.fullmatch(name)
        and not (_PLATFORM_PORT.fullmatch(name) and _PLATFORM_URL.match(value or ""))
    }
    known = sorted([DEBUG, *(f"{PREFIX}{field.upper()}" for field in fields)])
    for name in sorted(name.upper() for name in own if name.startswith(PREFIX.lower())):
        if name.removeprefix(PREFIX) in REMOVED:
            raise InvalidInput(f"{name} is no longer a setting; unset it", field=name)
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.8)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise InvalidInput(
                f"{name} is not a setting{hint}",
                field=name,
                allowed=None if near else known,
            )
    return own
