"""A set of strings in a temporary file, by their digests: memory stays flat however many there are."""

from hashlib import blake2b

from service.database import scratch


class Seen:
    """A set that only grows; a context manager, for one thread."""

    def __init__(self) -> None:
        self._database = scratch("CREATE TABLE seen (digest BLOB PRIMARY KEY) WITHOUT ROWID")

    def __enter__(self) -> "Seen":
        return self

    def __exit__(self, *exception: object) -> None:
        self._database.close()

    def add(self, text: str) -> bool:
        """Add a string; return False if it was there already."""
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        return self._database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (digest,)).rowcount == 1
