"""Fixtures that several test files use: tiny models on disk, made once a run."""

import gc
import os
import shutil
from pathlib import Path

# Before torch is imported: tiny models gain nothing by threads, and beside other work on the same cores
# their waiting for each other doubles the time that tests take.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Programs that tests start, over a hundred, find compiled modules: 0.2 s less for each server.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# As many processes on every machine, but where a test says how many.
os.environ.setdefault("DRAGOMAN_WORKERS", "1")
# Nothing asks a model hub by itself, but where a test says so.
os.environ.setdefault("DRAGOMAN_MODELS", "bundled")
# Triton's own folder: else whichever Runtime is the first would name one in its cache.
os.environ.setdefault("TRITON_CACHE_DIR", str(Path.home() / ".triton" / "cache"))

from collections.abc import Iterator
from typing import Any

import pytest
from compat_server import CompatServer
from databases import PostgreSQL, Redis, program
from hub import Hub, point_here
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from server_process import ServerProcess

from models.catalog import Catalog, ModelEntry
from models.languages import Languages
from models.store import Store
from service.store.database import Database

# A machine may be busy, and the fixtures that go with examples are the same for each of them.
hypothesis_settings.register_profile(
    "tests", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
hypothesis_settings.load_profile("tests")

gc.disable()  # until all tests are imported, of which nothing is garbage
LONGEST = ("slow", "batch", "http", "engine", "models")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Folders with long files go first, so that processes that share the files end together."""
    items.sort(key=lambda item: (*LONGEST, item.path.parent.name).index(item.path.parent.name))


def pytest_collection_finish() -> None:
    gc.enable()


@pytest.fixture(scope="module", autouse=True)
def _frozen() -> None:
    """Full collections need not walk what is imported: 0.6 s for each engine that is closed."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish() -> None:
    gc.unfreeze()  # or libraries tell, at the very end, that what was never collected leaked


@pytest.fixture(scope="session")
def languages() -> Languages:
    return Languages.load()


class TinyStore(Store):
    """Freezes anew what a conversion unfroze at its end; see `_frozen`."""

    def ct2_folder(self, *given: Any, **named: Any) -> Path:
        folder = super().ct2_folder(*given, **named)
        if gc.get_freeze_count() == 0:
            gc.freeze()
        return folder


class TinyHub:
    """Makes tiny models when they are asked for, and keeps them for the session."""

    def __init__(self, folder: Path, languages: Languages):
        self.folder = folder
        self.store = TinyStore(folder / "cache", offline=True)
        self._languages = languages
        self._made: dict[str, dict[str, Any]] = {}

    def raw(self, kind: str, **changes: Any) -> dict[str, Any]:
        """The fields of a catalog entry `tiny/KIND`; the model itself is on disk after this."""
        import tiny_models  # here, for torch and transformers take seconds to import

        if kind not in self._made:
            self._made[kind] = tiny_models.make(kind, self.folder / kind)
        return {**self._made[kind], **changes}

    def entry(self, kind: str, **changes: Any) -> ModelEntry:
        return self.catalog(kind, **changes).get(f"tiny/{kind}")

    def catalog_file(self, *kinds: str, **changes: Any) -> Path:
        """A user's catalog with these models."""
        from tiny_models import catalog_toml

        file = self.folder / f"{'-'.join(kinds)}{abs(hash(str(changes)))}.toml"
        entries = {f"tiny/{kind}": self.raw(kind, **changes) for kind in kinds}
        file.write_text(catalog_toml(entries), "utf-8")
        return file

    def converted(self, cache: Path, *kinds: str) -> Path:
        """A cache that has these models converted, for servers: each would start a process that does it."""
        for kind in kinds:
            self.store.ct2_folder(self.entry(kind))
        shutil.copytree(self.store.cache / "models", cache / "models", symlinks=True)
        return cache

    def catalog(self, *kinds: str, **changes: Any) -> Catalog:
        return Catalog.load(self._languages, self.catalog_file(*kinds, **changes))


@pytest.fixture(scope="session")
def tiny_hub(tmp_path_factory: pytest.TempPathFactory, languages: Languages) -> TinyHub:
    return TinyHub(tmp_path_factory.mktemp("tiny"), languages)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A model hub on this machine, which this process asks; see `hub.py`."""
    hub = Hub()
    point_here(hub, monkeypatch)
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    yield hub
    hub.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server over fake tasks, for tests that leave it as it was; most files have one of their own."""
    server = ServerProcess(tmp_path_factory.mktemp("server"))
    yield server
    server.kill()


@pytest.fixture(scope="session")
def compat_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CompatServer]:
    """A server for other people's clients: the real tasks over models that write capitals."""
    folder = tmp_path_factory.mktemp("compat")
    server = CompatServer(folder, max_request_characters=30_000, first_s=0.5, every_s=0.3)
    yield server
    server.kill()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    if program("initdb") is None:
        pytest.skip("PostgreSQL is not installed (Debian's package `postgresql`)")
    server = PostgreSQL()
    yield server
    server.close()


@pytest.fixture
def redis_url() -> Iterator[str]:
    """An empty Redis, as DRAGOMAN_LIMITS_STORAGE names it."""
    if shutil.which("redis-server") is None:
        pytest.skip("Redis is not installed (Debian's package `redis-server`)")
    server = Redis()
    yield server.url
    server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str | None:
    """What DRAGOMAN_DATABASE is: nothing, for a file in the data folder, or a new PostgreSQL database."""
    if request.param == "sqlite":
        return None
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return server.new_database()


@pytest.fixture
def each_database(database_url: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What settings do not say otherwise is kept in a database of both kinds in turn."""
    if database_url is not None:
        monkeypatch.setenv("DRAGOMAN_DATABASE", database_url)


@pytest.fixture
def database(tmp_path: Path, database_url: str | None) -> Iterator[Database]:
    """An empty database, of both kinds in turn."""
    database = Database(tmp_path, database_url)
    yield database
    database.close()
