"""The service's settings: environment variables that begin with DRAGOMAN_, each checked and then frozen."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from models.errors import InvalidInput
from service.rate import checked_rate


def _rate(value: str) -> str:
    try:
        return checked_rate(value)
    except InvalidInput as error:
        raise ValueError(f"it should be a rate, {error.allowed}") from None


Rate = Annotated[str, AfterValidator(_rate)]

ANONYMOUS_SHARES = 8
"""Each key has a share of what is kept, and each address without one; but addresses are many, and anybody's.
So all without a key have together no more than this many shares, and take none of a key's."""

PREFIX = "DRAGOMAN_"
OTHERS = ("DEBUG",)
"""Read elsewhere: by the command line."""

_PLATFORM = re.compile(
    r"dragoman_(\w+_)?(service_(host|port(_\w+)?)|port_\d+_(tcp|udp|sctp)(_(proto|port|addr))?)"
)
_PLATFORM_PORT = re.compile(r"dragoman_(\w+_)?port")
_PLATFORM_URL = re.compile(r"(tcp|udp|sctp)://")


def _names(value: object) -> object:
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
"""Written with commas between them."""


class Settings(BaseSettings):
    """Every field is a setting: `request_timeout_s` is read from DRAGOMAN_REQUEST_TIMEOUT_S.

    Raises InvalidInput for a variable DRAGOMAN_* that is none: misspelt, it would be ignored, and what it
    was to forbid allowed. Kubernetes and Docker put the addresses of services named `dragoman...` into
    variables that begin so, DRAGOMAN_PORT=tcp://... among them; those are passed over.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(
        8080,
        ge=0,
        le=65535,
        validation_alias=AliasChoices("port", "DRAGOMAN_PORT", "PORT"),
        description="DRAGOMAN_PORT, or PORT; passed over is a DRAGOMAN_PORT like tcp://10.0.0.1:80, which "
        "Kubernetes sets for a service named dragoman",
    )

    summarize_model: str = "dragoman/extractive"
    translate_model: str = "dragoman/gemma3-270m-translate"
    entailment_model: str | None = Field(None, description="one more check of summaries")
    allow_models: str | None = Field(
        None,
        description="names of the catalog, commas between, that requests may ask for beside the models set "
        "here, * for all; without it they may ask for the bundled ones and those in the cache",
    )
    catalog: Path | None = Field(None, description="a TOML file with models of your own")
    cache_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_cache_dir("dragoman")))
    data_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("dragoman")),
        description="what is kept for users, such as glossaries",
    )
    offline: bool = Field(False, description="never ask the model hub")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    engine: Literal["auto", "native", "generate"] = Field(
        "auto",
        description="auto: CTranslate2 on a CPU; on a GPU the native engine for encoder-decoders that pass "
        "its trial when they are loaded, transformers' generate for the others",
    )
    threads: int = Field(0, ge=0, description="CPU threads of an engine; 0 means all cores")
    throughput: bool = Field(False, description="several batches at a time on a CPU")
    max_loaded_models: int = Field(4, ge=1)
    max_batch_size: int = Field(32, ge=1, description="generations in one batch")
    preload: bool = Field(True, description="load the two default models at start")

    max_request_characters: int = Field(200_000, ge=1, description="over all texts of a request")
    max_html_characters: int = Field(2_000_000, ge=1, description="of a page, most of which is no article")
    max_texts: int = Field(128, ge=1)
    max_queued_requests: int = Field(64, ge=1, description="requests in work or waiting; more get 429")
    request_timeout_s: float = Field(120.0, gt=0)
    heartbeat_s: float = Field(2.0, gt=0, description="of silence in a stream, before a comment is sent")

    anonymous: bool = Field(True, description="whether requests without an API key are let in")
    rate_limit: Rate | None = Field(None, description="of a key that has no rate of its own")
    daily_characters: int | None = Field(None, ge=1, description="of a key that has no number of its own")
    anonymous_rate_limit: Rate | None = Field(None, description="of an address without a key")
    anonymous_daily_characters: int | None = Field(None, ge=1, description="of an address without a key")
    limits_storage: str = Field(
        "memory://", pattern=r"^[a-z+]+://", repr=False, description="where use is counted; or redis://..."
    )
    trusted_proxies: int = Field(0, ge=0, description="proxies before this that add to X-Forwarded-For")
    trusted_hosts: Names = Field(
        (), description="host names that this server answers to, .example.org for all below it; any if none"
    )

    max_glossary_bytes: int = Field(
        64 << 20, ge=1, description="of the glossaries of a key, or of an address without one"
    )
    max_job_characters: int = Field(20_000_000, ge=1, description="over all texts of a job")
    max_job_texts: int = Field(10_000, ge=1)
    max_queued_jobs: int = Field(
        1000, ge=1, description="jobs in work or waiting; more get 429, but for a key that has none there"
    )
    max_queued_jobs_per_caller: int = Field(
        100, ge=1, description="of them, of a key or of an address without one"
    )
    max_job_bytes: int = Field(
        1 << 30, ge=1, description="that a key's jobs, or an address's without one, keep until they expire"
    )
    job_workers: int = Field(2, ge=1, description="jobs worked on at once")
    job_batch_size: int = Field(8, ge=1, description="sentences or windows that a job asks for at a time")
    job_retention_s: float = Field(604_800.0, gt=0, description="after its end a job is kept so long")
    callback_secret: SecretStr | None = Field(
        None, min_length=16, description="signs the callbacks of jobs; without it there are none"
    )
    callback_private: bool = Field(False, description="callbacks may go to addresses that are not public")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is given, then the environment without the variables of others."""
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
    known = sorted([f"{PREFIX}{field.upper()}" for field in fields] + [PREFIX + name for name in OTHERS])
    for name in sorted(name.upper() for name in own if name.startswith(PREFIX.lower())):
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.8)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise InvalidInput(
                f"the environment has {name}, which is no setting{hint}",
                field=name,
                allowed=None if near else known,
            )
    return own
