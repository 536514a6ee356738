"""The repositories of a model hub: which are here whole, and fetching one, going on where it was broken off.

`huggingface_hub` knows the hub and lays out the cache. It begins a file anew after a break, and believes what
arrives; so the weights are fetched here, with its own functions: in ranges, and checked by their SHA-256.
Knows no catalog.
"""

import errno
import logging
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from filelock import FileLock

from models.errors import DragomanError, ModelUnavailable
from models.packaged import digest

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

KEPT = "; what was fetched is kept, and the next try goes on there"

CONNECTS_WITHIN_S = 3.0
"""Seconds in which a hub that is there takes a connection."""
ANSWERS_S = 30.0
"""Seconds in which the hub has to say what a repository holds."""

Tell = Callable[[int, int], None]
"""Hears how many bytes are here, and how many it will be."""


class RepositoryNotFound(ModelUnavailable):
    """There is no model in its place: the hub, the cache when offline, or a folder."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a repository. `sha256` is that of a large one, kept outside git; else None."""

    name: str
    size: int
    sha256: str | None


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
        return sum(_size(file) for file in (self.home(repository) / "blobs").glob("*"))

    def fetch(
        self, repository: str, revision: str, tell: Tell = lambda *_: None, *, file: str | None = None
    ) -> Path:
        """Return the snapshot of the hub's newest commit of a revision, after fetching what is not here.

        With `file` that one alone is fetched; else the weights, and what is beside them.
        Of two processes that ask for one repository, the second waits for the first. Raises
        RepositoryNotFound, or ModelUnavailable with the reason; what was fetched stays for the next try.
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
            progress = _Progress(sum(file.size for file in files), tell)
            self._fetch_large(repository, str(info.sha), files, progress)
            folder = Path(
                hub.snapshot_download(
                    repository,
                    revision=revision,
                    cache_dir=self.folder,
                    allow_patterns=[file.name for file in files],
                )
            )
            if file is None:
                (folder / FETCHED).touch()
            progress.add(progress.total - progress.done)
            return folder

    # ------------------------------------------------------------------ inside

    def _fetch_large(
        self, repository: str, commit: str, files: Iterable[HubFile], progress: "_Progress"
    ) -> None:
        blobs = self.home(repository) / "blobs"
        blobs.mkdir(parents=True, exist_ok=True)
        left: list[HubFile] = []
        for file in files:
            if file.sha256 is not None and (blobs / file.sha256).is_file():
                progress.add(file.size)
            else:
                left.append(file)
                progress.add(min(file.size, _size(_part(blobs, file))))
        _check_room(repository, self.folder, progress.total - progress.done)
        for file in left:
            if file.sha256 is not None:
                part = _part(blobs, file)
                _fetch_blob(repository, commit, file, part, progress)
                if digest([part]) != file.sha256:
                    part.unlink()
                    raise ModelUnavailable(
                        f"{file.name} of {repository} is not the hub's (its SHA-256 differs): thrown away"
                    )
                part.replace(blobs / file.sha256)


def answers(timeout_s: float) -> str | None:
    """Ask the hub whether it is there; return its address, or None. Not asked where HF_HUB_OFFLINE is set."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session  # type: ignore[attr-defined]

    if constants.is_offline_mode():
        return None
    url = constants.ENDPOINT
    try:
        status = get_session().head(url, timeout=timeout_s).status_code
    except Exception as error:  # noqa: BLE001 - of whichever library it uses, for a network that is not there
        log.info("the model hub %s does not answer: %r", url, error)
        return None
    return url if status < 500 else None


class _Progress:
    """The bytes that are here, of all; told at the start and with every whole percent."""

    def __init__(self, total: int, tell: Tell):
        self.total = total
        self.done = 0
        self._tell = tell
        self._told = -1

    def add(self, size: int) -> None:
        self.done += size
        percent = 100 * self.done // max(1, self.total)
        if percent != self._told:
            self._told = percent
            self._tell(self.done, self.total)


class _Counted:
    """A file that counts what is written to it."""

    def __init__(self, file: BinaryIO, progress: _Progress):
        self._file = file
        self._progress = progress

    def write(self, data: bytes) -> int:
        size = self._file.write(data)
        self._file.flush()  # what a killed process had is there for the next
        self._progress.add(size)
        return size

    def truncate(self) -> int:
        self._file.flush()
        before = os.fstat(self._file.fileno()).st_size
        size = self._file.truncate()
        self._progress.add(size - before)
        return size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _fetch_blob(repository: str, commit: str, file: HubFile, part: Path, progress: _Progress) -> None:
    """Append to `part` what it lacks of the file. A break is passed over as long as each try brings more."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    url = hf_hub_url(repository, file.name, revision=commit)
    while (had := _size(part)) != file.size:
        try:
            there = get_hf_file_metadata(url, retry_on_errors=True).location
            headers = build_hf_headers()
            if urlsplit(there).netloc != urlsplit(url).netloc:  # a CDN, which is not to see the token
                headers.pop("authorization", None)
            with part.open("ab") as whole:
                target: Any = _Counted(whole, progress)
                http_get(there, target, resume_size=had, headers=headers, expected_size=file.size)
        except Exception as error:
            if _size(part) > file.size:
                progress.add(-_size(part))
                part.unlink()
                raise ModelUnavailable(
                    f"{file.name} of {repository} is longer than the hub says; it was thrown away"
                ) from error
            is_local = isinstance(error, OSError) and error.errno is not None
            if is_local or _size(part) <= had:
                raise


def _wanted(repository: str, siblings: Iterable[Any], file: str | None) -> list[HubFile]:
    """Return the files to fetch. Raises ModelUnavailable if there are no weights, or none to be read."""
    files = [
        HubFile(each.rfilename, each.size or 0, None if each.lfs is None else str(each.lfs.sha256))
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


def absent() -> str | None:
    """Return why nobody can be connected to at the hub's address, or None. A slow or failing hub is there."""
    found = ["its name was not resolved in time"]  # which takes as long as the system likes
    asking = threading.Thread(target=lambda: found.append(_unconnected()), daemon=True)
    asking.start()
    asking.join(CONNECTS_WITHIN_S + 1)
    return found[-1] or None


def _unconnected() -> str:
    from huggingface_hub import constants, get_session

    try:
        get_session().head(constants.ENDPOINT, timeout=CONNECTS_WITHIN_S)
    except Exception as error:  # noqa: BLE001 - of httpx or httpx2, as huggingface_hub has it
        kinds = {"ConnectError", "ConnectTimeout", "ProxyError", "UnsupportedProtocol", "InvalidURL"}
        return (str(error) or "no answer") if type(error).__name__ in kinds else ""
    return ""


def _part(blobs: Path, file: HubFile) -> Path:
    return blobs / f"{file.sha256}.part"


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


@contextmanager
def _explained(repository: str, revision: str, kept: str = "") -> Iterator[None]:
    """Turns whatever the library and the disk raise into one line for the user."""
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
    return f"{repository} is not in the cache, and the model hub cannot be reached or broke off"
