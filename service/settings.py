"""The service's settings: environment variables that begin with DRAGOMAN_, each checked and then frozen."""

from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from models.errors import InvalidInput
from service.rate import checked_rate


def _rate(value: str) -> str:
    try:
        return checked_rate(value)
    except InvalidInput as error:
        raise ValueError(f"it should be a rate, {error.allowed}") from None


Rate = Annotated[str, AfterValidator(_rate)]


def _names(value: object) -> object:
    return [name.strip() for name in value.split(",") if name.strip()] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
"""Written with commas between them."""


class Settings(BaseSettings):
    """Every field is a setting: `request_timeout_s` is read from DRAGOMAN_REQUEST_TIMEOUT_S."""

    model_config = SettingsConfigDict(env_prefix="DRAGOMAN_", frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535, validation_alias=AliasChoices("port", "DRAGOMAN_PORT", "PORT"))

    summarize_model: str = "dragoman/extractive"
    translate_model: str = "dragoman/gemma3-270m-translate"
    entailment_model: str | None = Field(None, description="one more check of summaries")
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

    max_job_characters: int = Field(20_000_000, ge=1, description="over all texts of a job")
    max_job_texts: int = Field(10_000, ge=1)
    max_queued_jobs: int = Field(1000, ge=1, description="jobs in work or waiting; more get 429")
    job_workers: int = Field(2, ge=1, description="jobs worked on at once")
    job_batch_size: int = Field(8, ge=1, description="sentences or windows that a job asks for at a time")
    job_retention_s: float = Field(604_800.0, gt=0, description="after its end a job is kept so long")
    callback_secret: SecretStr | None = Field(
        None, min_length=16, description="signs the callbacks of jobs; without it there are none"
    )
    callback_private: bool = Field(False, description="callbacks may go to addresses that are not public")
