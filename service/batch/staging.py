"""The folder of this machine in which a batch works whose IN or OUT is at an address.

IN is fetched into it, OUT is written in it, as if both were files here, and put at its address when it is
whole. The folder's name depends on OUT alone, so the same command goes on where it was broken off.
"""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.errors import InvalidInput
from service.batch.fetching import Hears, fetch
from service.batch.output import lock
from service.batch.remote import Remote, RemoteFailed, scheme_of, shown

GOES_ON = "what is done is kept, and the same command puts it there"

LONGEST_NAME_BYTES = 200
"""Of a file, so that there is room for .cache-journal and the like."""


class Staging:
    """The folder while a run has it; nobody else may."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._written: list[tuple[Path, Remote]] = []
        self._shown: dict[str, str] = {}

    def fetched(self, url: str, hears: Hears) -> Path:
        """Return the file or folder here that has what is at the address. Raises as `fetch` does."""
        remote = _remote(url)
        place = fetch(remote, self._made("in"), hears)
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
                was = "exists" if there else "may exist, which cannot be seen from here"
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
                raise RemoteFailed(f"{error.message}; {GOES_ON}") from None

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
        raise InvalidInput(f"{remote.shown} has a longer name than a file may have here")
    return remote
