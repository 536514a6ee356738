"""Batch input and output in object stores and on the web.

A batch with a remote IN or OUT works in a local folder: IN is downloaded there, OUT is written there and
uploaded when complete. The folder's name depends on OUT alone, so the same command resumes an interrupted
run. Messages never show passwords or signatures of an address.

The command line imports this module at its start, so readers and writers are imported only in a run.
"""

import errno
import hashlib
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from models.errors import DragomanError, InvalidInput
from service.documents.formats import SUFFIXES
from service.errors import import_extra
from service.outbound import is_public, resolve

LIBRARIES = {"s3": "s3fs", "gs": "gcsfs", "hf": "huggingface_hub", "https": "aiohttp", "http": "aiohttp"}
"""What fsspec needs for each kind of address that is read."""

WRITTEN = ("s3", "gs", "hf")

CREDENTIALS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; FSSPEC_S3_ANON=true asks without",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default login`",
    "hf": "set HF_TOKEN, or run `hf auth login`",
}

VERSIONS = (
    *("ETag", "etag", "generation", "blob_id", "xet_hash", "Content-MD5", "Digest"),
    *("LastModified", "Last-Modified", "mtime", "updated"),
)
"""Facts that tell one version of a file from another, whichever a store has."""

NO_CREDENTIALS = ("Credentials", "TokenRetrieval", "SSOToken", "UnauthorizedSSO", "LocalTokenNotFound")
"""In names of errors, beside their causes."""

SILENCE_S = 60.0
CONNECT_S = 20.0
LEAST_FREE_BYTES = 1 << 30
"""Of the disk, beside a download whose size nobody tells."""

SHOWN = 200
"""Characters of a library's own words."""


class RemoteFailed(DragomanError):
    """An address cannot be read or written; `passing` if another try may succeed."""

    def __init__(self, message: str, *, passing: bool = False):
        super().__init__(message)
        self.passing = passing


def scheme_of(place: str) -> str | None:
    """Return the scheme of an address, in small letters; None for a path."""
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]*+)://", place)
    return found[1].lower() if found else None


def shown(place: str) -> str:
    """Return a place as it may be read by anyone: an address without a user, a password and a query."""
    head, separator, rest = place.partition("://")
    if not separator:
        return place
    rest, *secret = re.split(r"[?#]", rest, maxsplit=1)
    host, slash, path = rest.partition("/")
    is_hub = head.lower().endswith("hf")  # there an @ stands before a revision
    if "@" in host and (":" in host or not is_hub):
        host = host.rpartition("@")[2]
    return f"{head}://{host}{slash}{path}" + ("?..." if secret else "")


def without_secrets(text: str) -> str:
    """Return a text with each address in it as `shown`."""
    return re.sub(r"(?<!\w)\w++://[^\s'\"<>]++", lambda found: shown(found[0]), text)


class Remote:
    """A file or a folder at an address. Raises MissingExtra; RemoteFailed or InvalidInput where it fails."""

    def __init__(self, url: str):
        self.shown = shown(url)
        self.scheme = scheme_of(url) or ""
        url = self.scheme + url[len(self.scheme) :]
        path = url.partition("?")[0] if self.is_web else url
        self.name = PurePosixPath(path.partition("://")[2]).name or "input"
        system = import_extra("fsspec", what=f"{self.scheme}://", extra="remote")
        library = import_extra(LIBRARIES[self.scheme], what=f"{self.scheme}://", extra="remote")
        with self.failing("read"):
            self.system = system.filesystem(self.scheme, **self._options(library))
            self.path = self.system._strip_protocol(url)  # its `url_to_fs` would follow `::` to other systems

    @property
    def is_web(self) -> bool:
        """Tell whether it is a file of some web server."""
        return self.scheme in ("http", "https")

    def info(self) -> Mapping[str, Any]:
        """Return what is known of it now."""
        with self.failing("read"):
            self.system.invalidate_cache()
            found: Mapping[str, Any] = self.system.info(self.path)
            if self.scheme == "hf" and found["type"] == "file":  # of a repository it would tell all commits
                found = self.system.info(self.path, expand_info=True)
            return found

    def exists(self) -> bool | None:
        """Tell whether it is there; None if that is not for us to know."""
        try:
            self.info()
        except InvalidInput:
            return False
        except RemoteFailed as error:
            if "denied" in error.message:
                return None
            raise
        return True

    def require_writable(self) -> None:
        """Begin to write it and stop: nobody sees it, and a missing permission shows now."""
        with self.failing("written"):
            if self.scheme == "hf":
                self._hub().whoami()  # whether it may write this very place, only writing tells
                self._hub_place()
                return
            begun = self.system.open(self.path, "wb", autocommit=False)
            begun.close()
            with suppress(Exception):  # it goes away by itself, in time
                begun.discard()

    def put(self, file: Path) -> None:
        """Write all of a file; nobody sees it before it is complete."""
        with self.failing("written"):
            if self.scheme == "hf":  # fsspec's own way would write what is there when it is interrupted
                self._hub().upload_file(path_or_fileobj=str(file), **self._hub_place())
            else:
                self.system.put_file(str(file), self.path)

    @contextmanager
    def failing(self, done: str) -> Iterator[None]:
        """Raise what any library raises as an error of ours; `done` is `read` or `written`."""
        try:
            yield
        except DragomanError:
            raise
        except Exception as error:  # noqa: BLE001 - each library has its own
            raise _failure(error, self, done) from None  # theirs have addresses in them, with signatures

    def _hub(self) -> Any:
        return import_extra("huggingface_hub", what="hf://", extra="remote").HfApi()

    def _hub_place(self) -> dict[str, Any]:
        at = self.system.resolve_path(self.path)
        if not getattr(at, "path_in_repo", ""):
            raise InvalidInput(
                f"{self.shown} is not a file in a repository", allowed="hf://datasets/USER/NAME/FILE"
            )
        return {name: getattr(at, name) for name in ("repo_id", "repo_type", "revision", "path_in_repo")}

    def _options(self, library: Any) -> dict[str, Any]:
        if not self.is_web:
            return {"use_listings_cache": False}
        timeout = library.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENCE_S)
        traced = library.TraceConfig()
        traced.on_request_redirect.append(self._check_redirect)
        client = {"timeout": timeout, "trust_env": True, "auto_decompress": False, "trace_configs": [traced]}
        return {"client_kwargs": client}

    async def _check_redirect(self, _: object, __: object, redirect: Any) -> None:
        """Raise RemoteFailed where a public host leads on to an address that is not public."""
        to = redirect.url.join(type(redirect.url)(redirect.response.headers.get("Location", "")))
        is_private = [_is_private(each.host or "") for each in (redirect.url, to)]
        if is_private == [False, True]:
            raise RemoteFailed(f"{self.shown} cannot be read: it leads to {to.host}, which is not public")


def _is_private(host: str) -> bool:
    """Tell whether a host has an address that is not public; one that only a proxy knows has none."""
    try:
        return not all(map(is_public, resolve(host, 0)))
    except (OSError, UnicodeError):
        return False


def _failure(error: Exception, remote: Remote, done: str) -> DragomanError:
    chain = list(_chain(error))
    if (ours := next((each for each in chain if isinstance(each, DragomanError)), None)) is not None:
        return ours  # that a library took for one of its own
    names = [type(each).__name__ for each in chain]
    status = next(filter(None, map(_status, chain)), None)
    begin = f"{remote.shown} cannot be {done}:"
    if any(word in name for name in names for word in NO_CREDENTIALS):
        return RemoteFailed(f"{begin} no credentials were found; {CREDENTIALS.get(remote.scheme, '')}")
    if status in (401, 403) or any(isinstance(each, PermissionError) for each in chain):
        return RemoteFailed(f"{begin} access is denied" + (f" ({status})" if status else ""))
    if any(isinstance(each, OSError) and each.errno == errno.ENOSPC for each in chain):
        return RemoteFailed(f"{begin} no space is left on this machine")
    if status is not None and status != 404 and status >= 400:
        why = next(filter(None, map(_code, chain)), "")
        told = f"the server answers {status}{why and f' ({why})'}"
        return RemoteFailed(f"{begin} {told}", passing=status >= 500 or status == 429)
    if "FileExpired" in names:
        return RemoteFailed(f"{begin} it changed meanwhile")
    if any("Redirect" in name for name in names):
        return RemoteFailed(f"{begin} it redirects without end, or to no address of the web")
    if any("Timeout" in name for name in names):
        return RemoteFailed(f"{begin} the server does not answer", passing=True)
    if any("Certificate" in name for name in names):
        return RemoteFailed(f"{begin} its certificate is not trusted")
    if any("Connect" in name and name != "ConnectionResetError" for name in names):
        return RemoteFailed(f"{begin} the server cannot be reached", passing=True)
    if isinstance(error, FileNotFoundError) or status == 404:
        no_bucket = any("bucket does not exist" in str(each).lower() for each in chain)
        return InvalidInput(f"{begin} " + ("the bucket does not exist" if no_bucket else "it does not exist"))
    told = " ".join(without_secrets(str(error)).split())[:SHOWN]
    is_ours = isinstance(error, ValueError | TypeError | LookupError | AttributeError | NotImplementedError)
    return RemoteFailed(f"{begin} {names[0]}: {told}", passing=not is_ours)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(10):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _code(error: BaseException) -> str:
    """Return the word that an object store has for an error."""
    answer = getattr(error, "response", None)
    return str(answer.get("Error", {}).get("Code", "")) if isinstance(answer, Mapping) else ""


def _status(error: BaseException) -> int | None:
    """Return the HTTP status that an error of any of the libraries tells of."""
    answer = getattr(error, "response", None)
    if isinstance(answer, Mapping):  # botocore's
        found = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
    else:
        found = getattr(error, "status", None) or getattr(answer, "status_code", None)  # aiohttp's, the hub's
        if found is None and type(error).__module__.startswith("gcsfs"):
            found = getattr(error, "code", None)
    return int(found) if isinstance(found, int | str) and str(found).isdecimal() else None


# ---------------------------------------------------------------------- fetching

# A file lies at VERSION/NAME: one that is there is whole and of that version. Until then it is NAME.part.

PIECE_BYTES = 8 * 2**20
"""Read at once; where a server is asked for ranges, a request each."""

FILES_AT_ONCE = 8

TRIES = 6
"""In a row, without a byte."""

WAIT_S = 0.5
"""Before the second try; each time twice as long."""

Progress = Callable[[int, int], None]
"""Is told how many bytes are here, and of how many."""


@dataclass(frozen=True, slots=True)
class _RemoteFile:
    """A file at an address."""

    path: str
    """As its file system has it."""
    name: PurePosixPath
    """Inside the folder that is fetched, or its own."""
    size: int | None
    version: str | None
    """None if nothing tells."""


def fetch(remote: Remote, folder: Path, progress: Progress) -> Path:
    """Return the file or folder that has what is at the address now, inside `folder`, which has nothing else.

    Of a folder's files those that are no articles are empty here. Raises RemoteFailed and InvalidInput.
    """
    files, is_folder = _listed(remote)
    version = _version(files)
    for other in folder.iterdir() if folder.exists() else ():
        if version is None or other.name != version:
            shutil.rmtree(other)
    root = folder / (version or "unknown")
    place = root / remote.name
    (place if is_folder else root).mkdir(parents=True, exist_ok=True)
    wanted = [(each, place / each.name if is_folder else place) for each in files]
    if is_folder:
        for each, target in wanted:
            target.parent.mkdir(parents=True, exist_ok=True)
            if each.name.suffix.lower() not in SUFFIXES:
                target.touch()
    todo = [(each, target) for each, target in wanted if not target.is_file()]
    _Download(remote, folder, todo, progress).run()
    if todo and version is not None and _version(_listed(remote)[0]) != version:
        raise RemoteFailed(f"{remote.shown} changed during the download; the same command downloads it again")
    return place


def _listed(remote: Remote) -> tuple[list[_RemoteFile], bool]:
    """Return the files at the address, and whether it is a folder."""
    info = remote.info()
    if info["type"] != "directory":
        return [_file(remote.path, PurePosixPath(remote.name), info)], False
    with remote.failing("read"):
        found = remote.system.find(remote.path, detail=True)
    files = []
    for path, each in sorted(found.items()):
        if each["type"] != "file" or path.endswith("/"):  # some tools make an empty file for a folder
            continue
        inner = path.removeprefix(remote.path).removeprefix("/")
        if any(part in ("", ".", "..") for part in inner.split("/")) or "\0" in inner:
            raise InvalidInput(f"{remote.shown} has a file {inner!r}, which no folder here can have")
        files.append(_file(path, PurePosixPath(inner), each))
    return files, True


def _file(path: str, name: PurePosixPath, info: Mapping[str, Any]) -> _RemoteFile:
    facts = [f"{fact}={info[fact]}" for fact in VERSIONS if info.get(fact)]
    return _RemoteFile(path, name, info.get("size"), " ".join(facts) or None)


def _version(files: Sequence[_RemoteFile]) -> str | None:
    """Return a name that is equal for equal files; None if nobody can tell."""
    if any(each.version is None for each in files):
        return None
    return hashlib.sha256(
        repr([(each.path, each.size, each.version) for each in files]).encode()
    ).hexdigest()[:16]


class _Download:
    """Files on their way."""

    def __init__(
        self, remote: Remote, folder: Path, todo: Sequence[tuple[_RemoteFile, Path]], progress: Progress
    ):
        self._remote = remote
        self._todo = todo
        self._progress = progress
        self._folder = folder
        self._lock = threading.Lock()
        self._is_stopped = False
        self._here = sum(_length(_part(target)) for _, target in todo)
        self._all = sum(each.size or 0 for each, _ in todo)
        free = shutil.disk_usage(folder).free
        if self._all - self._here > free:
            raise RemoteFailed(
                f"{remote.shown} has {self._all:,} bytes, and {free:,} bytes are free in the cache; "
                "set DRAGOMAN_CACHE_DIR to another folder"
            )

    def run(self) -> None:
        """Fetch them."""
        self._progress(self._here, self._all)
        with ThreadPoolExecutor(FILES_AT_ONCE, thread_name_prefix="fetch") as threads:
            futures = [threads.submit(self._fetch, each, target) for each, target in self._todo]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                self._is_stopped = True
                threads.shutdown(cancel_futures=True)
                raise

    def _fetch(self, file: _RemoteFile, target: Path) -> None:
        part = _part(target)
        failed = 0
        while not self._is_stopped:
            before = _length(part)
            try:
                with self._remote.failing("read"):
                    self._read_on(file, part)
                break
            except RemoteFailed as error:
                failed = 1 if _length(part) > before else failed + 1
                if not error.passing or failed == TRIES:
                    raise
                time.sleep(WAIT_S * 2 ** (failed - 1))
        if self._is_stopped:
            return
        if file.size is not None and _length(part) != file.size:
            part.unlink()
            raise RemoteFailed(
                f"{self._remote.shown} changed during the download; the same command downloads it again"
            )
        part.replace(target)

    def _read_on(self, file: _RemoteFile, part: Path) -> None:
        start = _length(part) if file.size is not None and file.version is not None else 0
        with part.open("ab") as here:
            here.truncate(start)
            if start == file.size:
                return
            with _opened(self._remote, file, start) as stream:
                here.truncate(start := stream.tell())
                while not self._is_stopped and (piece := stream.read(PIECE_BYTES)):
                    start += len(piece)
                    self._require_end(file, here, start)
                    here.write(piece)
                    self._heard(len(piece))

    def _require_end(self, file: _RemoteFile, here: BinaryIO, length: int) -> None:
        """Raise RemoteFailed, and forget what is here, where a body does not end when it should."""
        told = f"{self._remote.shown} cannot be read:"
        if file.size is not None and length > file.size:
            here.truncate(0)
            raise RemoteFailed(f"{told} it sends more than the {file.size:,} bytes that it has")
        if file.size is None and (free := shutil.disk_usage(self._folder).free) <= LEAST_FREE_BYTES:
            here.truncate(0)
            raise RemoteFailed(f"{told} it does not end, and {free:,} bytes are free in the cache")

    def _heard(self, byte_count: int) -> None:
        with self._lock:
            self._here += byte_count
            self._progress(self._here, self._all)


@contextmanager
def _opened(remote: Remote, file: _RemoteFile, start: int) -> Iterator[BinaryIO]:
    """Open a file at `start`, or at its begin if the other side knows no ranges."""
    if not remote.is_web:
        with remote.system.open(file.path, "rb", cache_type="none") as stream:
            stream.seek(start)
            yield stream
        return
    from service.batch.readers import COMPRESSED

    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with remote.system.open(file.path, "rb", block_size=0, size=file.size, headers=headers) as stream:
        packed = stream.r.headers.get("Content-Encoding", "identity") != "identity"
        if packed and file.name.suffix.lower() not in COMPRESSED:
            raise InvalidInput(f"{remote.shown} sent an unrequested compressed response")
        stream.loc = start if stream.r.status == 206 else 0
        yield stream


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def _length(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


# ---------------------------------------------------------------------- the folder of a run

LONGEST_NAME_BYTES = 200
"""Of a file, so that there is room for .cache-journal and the like."""


class Staging:
    """The folder while a run has it; nobody else may."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._written: list[tuple[Path, Remote]] = []
        self._shown: dict[str, str] = {}

    def fetched(self, url: str, progress: Progress) -> Path:
        """Return the file or folder here that has what is at the address. Raises as `fetch` does."""
        remote = _remote(url)
        place = fetch(remote, self._made("in"), progress)
        self._shown[str(place)] = remote.shown
        return place

    def written(self, role: str, url: str, *, overwrite: bool, check: bool = True) -> Path:
        """Return the file to be written here, which `put` puts at the address, after those named later.

        With `check` what may not be written is told now. Raises RemoteFailed, InvalidInput.
        """
        remote = _remote(url)
        place = self._made(role) / remote.name
        place.unlink(missing_ok=True)  # whole, and perhaps not put there; it is made again of its cache
        if check:
            remote.require_writable()
            if not overwrite and (there := remote.exists()) is not False:
                was = "exists" if there else "may exist (this machine cannot tell)"
                raise InvalidInput(f"{remote.shown} {was}; --overwrite replaces it")
        self._written.append((place, remote))
        self._shown[str(place)] = remote.shown
        return place

    def put(self) -> None:
        """Put what there is at its addresses, OUT last. Raises RemoteFailed, InvalidInput."""
        for place, remote in reversed(self._written):
            if not place.exists():
                continue
            try:
                remote.put(place)
            except (RemoteFailed, InvalidInput) as error:
                raise RemoteFailed(
                    f"{error.message}; results are stored, and the same command uploads them"
                ) from None

    def clear(self) -> None:
        """Remove all that the next run does not need: everything but OUT's cache."""
        for place, _ in self._written:
            place.unlink(missing_ok=True)
        shutil.rmtree(self._folder / "in", ignore_errors=True)

    def leave(self) -> None:
        """Remove folders with nothing in them, and the whole one if that is all it has."""
        folders = [each for each in self._folder.iterdir() if each.is_dir()]
        empty = [each for each in folders if not any(file.is_file() for file in each.rglob("*"))]
        for each in (self._folder,) if empty == folders else empty:
            shutil.rmtree(each)

    @contextmanager
    def told(self) -> Iterator[None]:
        """Have errors name the address where they name the file here."""
        try:
            yield
        except Exception as error:
            if isinstance(message := getattr(error, "message", None), str):
                for place, address in self._shown.items():
                    message = message.replace(place, address)
                error.message = message  # type: ignore[attr-defined]
            raise

    def _made(self, name: str) -> Path:
        (self._folder / name).mkdir(exist_ok=True)
        return self._folder / name


@contextmanager
def staged(batches: Path, infile: str, out: str) -> Iterator[Staging]:
    """Have the folder of a run from `infile` to `out`, inside `batches`.

    Raises InvalidInput if another run has it.
    """
    from service.batch.writers import lock

    if scheme_of(out) is None and out != "-":
        out = str(Path(out).resolve())
    name = out if out != "-" else f"- {shown(infile)}"
    folder = batches / hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("ab") as file:
        where = shown(out) if out != "-" else f"standard output from {shown(infile)}"
        lock(file, folder / "lock", f"another run is writing {where}")
        staging = Staging(folder)
        try:
            with staging.told():
                yield staging
        finally:
            staging.leave()


def _remote(url: str) -> Remote:
    remote = Remote(url)
    if len(remote.name.encode("utf-8", "surrogateescape")) > LONGEST_NAME_BYTES:
        raise InvalidInput(f"{remote.shown} has too long a name for a file here")
    return remote
