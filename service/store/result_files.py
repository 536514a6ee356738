"""Large results as files, in a folder or an object store, by fsspec: DRAGOMAN_RESULTS. Knows no job."""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from service.errors import StoreUnavailable, import_extra
from service.store.database import private

LARGE_BYTES = 1 << 20
"""Smaller results are in the database."""
_LIBRARIES = {"s3": "s3fs", "gs": "gcsfs"}


class ResultFiles:
    """Files at a place: a folder's path, or an address; with `None` nothing is large. Threads may share it.

    Raises MissingExtra at once, and later StoreUnavailable where the library raises.
    """

    def __init__(self, place: str | None):
        self._place = place
        if place is not None:
            scheme, address, _ = place.partition("://")
            libraries = ["fsspec", *([_LIBRARIES[scheme]] if address else [])]
            fsspec, *_ = [import_extra(each, what="DRAGOMAN_RESULTS", extra="remote") for each in libraries]
            self._is_folder = not address
            with _failing():
                self._system, self._path = fsspec.url_to_fs(place)

    def add(self, values: Mapping[int, bytes]) -> dict[int, str]:
        """Keep those that are large; return their names."""
        large = (
            {} if self._place is None else {i: data for i, data in values.items() if len(data) > LARGE_BYTES}
        )
        names = {i: secrets.token_hex(16) for i in large}
        try:
            for i, data in large.items():
                with _failing():
                    if self._is_folder:
                        private(Path(self._path) / names[i])
                    self._system.pipe_file(f"{self._path}/{names[i]}", data)
        except StoreUnavailable:
            self.remove(names.values())
            raise
        return names

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        """Return the bytes of a file, or some of them; b"" if it is not there any more."""
        with _failing():
            try:
                return bytes(self._system.cat_file(f"{self._path}/{name}", start=start, end=end))
            except FileNotFoundError:
                return b""

    def remove(self, names: Iterable[str]) -> None:
        """Remove files; one that is not there is passed over."""
        for name in names:
            with _failing(), suppress(FileNotFoundError):
                self._system.rm_file(f"{self._path}/{name}")


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # each library has its own
        raise StoreUnavailable("DRAGOMAN_RESULTS", None, error) from error
