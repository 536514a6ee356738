"""Addresses of object stores and of the web, and what fsspec has at them. Knows no batch.

What is said of an address, in errors too, has no password and no signature in it.
"""

import errno
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from models.errors import DragomanError, InvalidInput
from service.batch.extra import needed

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

SHOWN = 200
"""Characters of a library's own words."""


class RemoteFailed(DragomanError):
    """What is at an address cannot be had, or not written; `passing` if another try may go well."""

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
        system = needed("fsspec", what=f"{self.scheme}://", extra="remote")
        library = needed(LIBRARIES[self.scheme], what=f"{self.scheme}://", extra="remote")
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
        """Begin to write it, and leave that: nobody sees it, and what may not be written shows now."""
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
        """Write all of a file; nobody sees it before it is whole."""
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
        return needed("huggingface_hub", what="hf://", extra="remote").HfApi()

    def _hub_place(self) -> dict[str, Any]:
        at = self.system.resolve_path(self.path)
        if not getattr(at, "path_in_repo", ""):
            raise InvalidInput(
                f"{self.shown} is no file of a repository", allowed="hf://datasets/USER/NAME/FILE"
            )
        return {name: getattr(at, name) for name in ("repo_id", "repo_type", "revision", "path_in_repo")}

    def _options(self, library: Any) -> dict[str, Any]:
        if not self.is_web:
            return {"use_listings_cache": False}
        timeout = library.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=SILENCE_S)
        return {"client_kwargs": {"timeout": timeout, "trust_env": True, "auto_decompress": False}}


def _failure(error: Exception, remote: Remote, done: str) -> DragomanError:
    chain = list(_chain(error))
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
        told = f"the other side answers {status}{why and f' ({why})'}"
        return RemoteFailed(f"{begin} {told}", passing=status >= 500 or status == 429)
    if "FileExpired" in names:
        return RemoteFailed(f"{begin} it changed meanwhile")
    if any("Timeout" in name for name in names):
        return RemoteFailed(f"{begin} the other side does not answer", passing=True)
    if any("Certificate" in name for name in names):
        return RemoteFailed(f"{begin} its certificate is not one that is trusted here")
    if any("Connect" in name and name != "ConnectionResetError" for name in names):
        return RemoteFailed(f"{begin} the other side cannot be reached", passing=True)
    if isinstance(error, FileNotFoundError) or status == 404:
        no_bucket = any("bucket does not exist" in str(each).lower() for each in chain)
        return InvalidInput(f"{begin} " + ("there is no such bucket" if no_bucket else "it is not there"))
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
