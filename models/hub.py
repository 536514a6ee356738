"""Repositories of a model hub: lists those in the cache and downloads one with `huggingface_hub`.

On top of the library, this module selects the files, checks free disk space first and SHA-256 digests after,
and turns each error into one line. Knows no catalog.
"""

import errno
import hashlib
import logging
import re
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from filelock import FileLock

from models.errors import DragomanError, ModelUnavailable

log = logging.getLogger(__name__)

PATTERNS = ("*.json", "*.model", "*.spm", "*.txt", "*.jinja")
"""Files that are fetched of a repository beside its weights."""

WEIGHTS = (
    r"model\.safetensors",
    r"model-\d+-of-\d+\.safetensors",
    r".+\.safetensors",
    r"pytorch_model\.bin",
    r"pytorch_model-\d+-of-\d+\.bin",
)
"""The forms of weights, the best first; the first that a repository has is fetched, and no other."""

FETCHED = ".dragoman-fetched"
"""Put into a repository's snapshot when all of it is there: an interrupted download leaves a part."""

KEPT = "; files that are complete are kept"

HERE_S = 3.0
"""Seconds in which a hub that is there takes a connection, or answers."""
ANSWERS_S = 30.0
"""Seconds in which the hub has to say what a repository holds."""

Tell = Callable[[int, int], None]
"""Is told how many bytes are here, and how many there will be."""


class RepositoryNotFound(ModelUnavailable):
    """There is no model in its place: the hub, the cache when offline, or a folder."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository."""

    name: str
    size: int
    blob: str
    """Its name in the cache: the SHA-256 of a large file, which is kept outside git, or git's own."""


class HubCache:
    """Repositories in a folder that is laid out as huggingface_hub's cache."""

    def __init__(self, folder: Path):
        self.folder = folder

    def home(self, repository: str) -> Path:
        """Return the folder of all that is here of a repository."""
        return self.folder / f"models--{repository.replace('/', '--')}"

    def whole(self, repository: str, revision: str, file: str | None = None) -> Path | None:
        """Return the snapshot of a revision (a branch, tag or commit) if it, or its `file`, is here whole."""
        home = self.home(repository)
        ref = home / "refs" / revision
        commit = ref.read_text("utf-8").strip() if ref.is_file() else revision
        folder = home / "snapshots" / commit
        return folder if (folder / (file or FETCHED)).is_file() else None

    def require(self, repository: str, revision: str) -> None:
        """Raise RepositoryNotFound if the hub has no such revision, or ModelUnavailable with the reason."""
        import huggingface_hub as hub

        with _explained(repository, revision):
            hub.HfApi().model_info(repository, revision=revision, timeout=ANSWERS_S)

    def here_bytes(self, repository: str) -> int:
        """Return the bytes that are here of a repository, also of files that are not here whole."""
        return sum(file_size(file) for file in (self.home(repository) / "blobs").glob("*"))

    def fetch(
        self, repository: str, revision: str, tell: Tell = lambda *_: None, *, file: str | None = None
    ) -> Path:
        """Return the snapshot of the hub's newest commit of a revision, after downloading what is not here.

        With `file` that one alone is downloaded; else the weights, and what is beside them. Of two processes
        that ask for one repository, the second waits for the first. Raises RepositoryNotFound, or
        ModelUnavailable with the reason; files that are complete stay for the next try.
        """
        import huggingface_hub as hub

        with _explained(repository, revision):
            (self.folder / ".locks").mkdir(parents=True, exist_ok=True)
            info = hub.HfApi().model_info(
                repository, revision=revision, files_metadata=True, timeout=ANSWERS_S
            )
        files = _wanted(repository, info.siblings or (), file)
        lock = self.folder / ".locks" / f"{self.home(repository).name}.fetch"
        with _explained(repository, revision, KEPT), FileLock(lock):
            blobs = self.home(repository) / "blobs"
            for left in blobs.glob("*.incomplete"):  # by a process that was killed
                left.unlink()
            lacking = [each for each in files if not (blobs / each.blob).is_file()]
            total, left_bytes = sum(each.size for each in files), sum(each.size for each in lacking)
            _check_room(repository, self.folder, left_bytes)
            tell(total - left_bytes, total)
            folder = Path(
                hub.snapshot_download(
                    repository,
                    revision=revision,
                    cache_dir=self.folder,
                    allow_patterns=[each.name for each in files],
                    tqdm_class=_progress_bar(total - left_bytes, total, tell),
                )
            )
            for each in lacking:
                if len(each.blob) == 64 and digest([blobs / each.blob]) != each.blob:
                    (blobs / each.blob).unlink()
                    raise ModelUnavailable(
                        f"{each.name} of {repository} is not the hub's (its SHA-256 differs); it was deleted"
                    )
            if file is None:
                (folder / FETCHED).touch()
            tell(total, total)
            return folder


def _progress_bar(here: int, total: int, tell: Tell) -> Any:
    """Return a class of progress bars that tells, with every whole percent, how many bytes are here.

    The library has a bar for the bytes that it receives, one for those that it writes, and one for files.
    """
    from tqdm import tqdm

    lock, received, told = threading.Lock(), dict[int, int](), -1

    class ProgressBar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, unit: str = "it", **options: Any):
            super().__init__(*args, unit=unit, **options, disable=True)
            self._counts_bytes = unit == "B"

        def update(self, n: float | None = 1) -> None:
            nonlocal told
            if not self._counts_bytes:
                return
            with lock:
                received[id(self)] = received.get(id(self), 0) + int(n or 0)
                done = min(total, here + max(received.values()))
                if (percent := 100 * done // max(1, total)) > told:
                    told = percent
                    tell(done, total)

    return ProgressBar


def _wanted(repository: str, siblings: Iterable[Any], file: str | None) -> list[HubFile]:
    """Return the files to fetch. Raises ModelUnavailable if there are no weights, or none to be read."""
    files = [
        HubFile(each.rfilename, each.size or 0, str(each.blob_id if each.lfs is None else each.lfs.sha256))
        for each in siblings
        if "/" not in each.rfilename or each.rfilename == file
    ]
    if file is not None:
        if one := [each for each in files if each.name == file]:
            return one
        others = ", ".join(each.name for each in files if each.name.endswith(".gguf"))
        raise RepositoryNotFound(f"{repository} has no {file}; its GGUF files: {others or 'none'}")
    for form in WEIGHTS:
        if weights := [file for file in files if re.fullmatch(form, file.name)]:
            beside = (file for file in files if any(fnmatch(file.name, each) for each in PATTERNS))
            return [*beside, *weights]
    raise ModelUnavailable(f"{repository} holds neither safetensors nor a pytorch_model.bin")


def _check_room(repository: str, folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise ModelUnavailable(
            f"{repository} needs {size / 1e9:,.1f} GB more; the cache's disk has {free / 1e9:,.1f} GB free"
        )


def page(repository: str) -> str:
    """Return the address of a repository's page at the hub."""
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{repository}"


def silence(*, is_slow_silent: bool = True) -> str | None:
    """Return why the hub does not answer within HERE_S, or None if it does.

    Without `is_slow_silent` one that takes the connection is there, even if it is slow or fails.
    """
    found: list[str | None] = ["its name was not resolved in time"]  # which takes as long as the system likes

    def ask() -> None:
        from huggingface_hub import constants, get_session

        try:
            status = get_session().head(constants.ENDPOINT, timeout=HERE_S).status_code
            found.append(f"it answers {status}" if status >= 500 and is_slow_silent else None)
        except Exception as error:  # noqa: BLE001 - of httpx or httpx2, as huggingface_hub has it
            kinds = {"ConnectError", "ConnectTimeout", "ProxyError", "UnsupportedProtocol", "InvalidURL"}
            is_silent = is_slow_silent or type(error).__name__ in kinds
            found.append((str(error) or "no answer") if is_silent else None)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(2 * HERE_S + 1)
    return found[-1]


def file_size(path: Path) -> int:
    """Return the bytes of a file; 0 where there is none."""
    return path.stat().st_size if path.is_file() else 0


@contextmanager
def _explained(repository: str, revision: str, kept: str = "") -> Iterator[None]:
    """Turn whatever the library and the disk raise into one line for the user."""
    from huggingface_hub import errors

    try:
        yield
    except DragomanError:
        raise
    except errors.GatedRepoError as error:
        raise ModelUnavailable(
            f"{repository} is gated: agree to its terms on {page(repository)}, and set HF_TOKEN to a token "
            "of that account"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise RepositoryNotFound(f"the hub has no {repository} at revision {revision}") from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise RepositoryNotFound(
            f"the hub has no {repository} at revision {revision}, or it asks for a login (HF_TOKEN)"
        ) from error
    except Exception as error:
        log.error("%s could not be fetched: %r", repository, error)
        raise ModelUnavailable(_told(repository, error) + kept) from error


def _told(repository: str, error: Exception) -> str:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status == 401:
        return f"{repository}: the hub refuses the token in HF_TOKEN"
    if status == 403:
        return f"{repository}: the hub does not let this account have it"
    if status == 429:
        return f"{repository}: the hub asks for fewer requests; try again in some minutes"
    if status is not None:
        return f"{repository}: the hub answers with an error ({status})"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{repository}: the cache's disk is full"
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return f"{repository}: the cache cannot be written: {error.strerror}"
    if "Consistency check failed" in str(error):
        return f"{repository}: a file does not have the size that the hub names; try again"
    return f"{repository} is not in the cache, and the model hub cannot be reached, or the connection broke"


def digest(parts: list[Path]) -> str:
    """SHA-256, in hexadecimal, of the parts one after another."""
    hasher = hashlib.sha256()
    for part in parts:
        with part.open("rb") as file:
            while block := file.read(1 << 20):
                hasher.update(block)
    return hasher.hexdigest()
