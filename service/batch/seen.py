"""Strings that were seen, by their digests, in a temporary file: memory stays flat however many there are."""

import sqlite3
from hashlib import blake2b


class Seen:
    """A set that can only grow; a context manager, to be used from one thread."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)  # a file of SQLite's own, gone at the end
        self._database.execute("CREATE TABLE seen (digest BLOB PRIMARY KEY) WITHOUT ROWID")
        self._database.execute("BEGIN")

    def __enter__(self) -> "Seen":
        return self

    def __exit__(self, *exception: object) -> None:
        self._database.close()

    def add(self, text: str) -> bool:
        """False if it was there already."""
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        return self._database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (digest,)).rowcount == 1
