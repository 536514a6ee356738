"""How much of a model is on this disk, and whether it has to be put together yet. Fetches nothing."""

from pathlib import Path

from models import packaged
from models.entry import ModelEntry
from models.errors import ModelUnavailable
from models.loading import Store
from models.made import DONE


def is_prepared(store: Store, entry: ModelEntry) -> bool:
    """Whether nothing has to be fetched or put together before it can be loaded."""
    if store.state(entry) != "ready":
        return False
    built = entry.package is not None and entry.package.folder is None
    return not built or any(path for home in _homes(store, entry) for path in home.glob(f"merged*/{DONE}"))


def bytes_on_disk(store: Store, entry: ModelEntry) -> int | None:
    """Return the bytes of its files, those made of them included; None if they are not here."""
    if store.state(entry) != "ready" or entry.weights == "elsewhere":
        return None
    if entry.weights == "gguf":
        return _size(Store(store.cache, offline=True).gguf_file(entry))
    made = sum(_size(path) for home in _homes(store, entry) for path in home.rglob("*"))
    if entry.package is not None:
        parts = packaged.sources(entry.package).values()
        return made + sum(_size(part) for files in parts for part in files)
    try:
        folder = store.local(entry)
    except ModelUnavailable:
        return None
    return made + sum(map(_size, folder.rglob("*")))


def _homes(store: Store, entry: ModelEntry) -> set[Path]:
    """The folders of what was made for it, and of what entries of its repository share."""
    names = (entry.name, entry.repository or entry.name)
    return {store.cache / "models" / name.replace("/", "--") for name in names}


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
