"""Translated documents that wait to be downloaded: how long, and whose give way."""

import pytest

from models.errors import Overloaded
from service.store.document_files import DocumentFiles


def test_files_are_kept_for_a_while_and_not_without_end(database):
    files = DocumentFiles(database, max_bytes=10)
    key = files.put("somebody", "a.txt", b"12345678", "text/plain")
    kept = files.open(key)
    assert kept is not None and key.endswith(".a.txt")
    assert (kept.filename, kept.size, kept.media_type) == ("a.txt", 8, "text/plain")
    assert kept.read(5) + kept.read() == b"12345678"
    with pytest.raises(Overloaded):
        files.put("somebody else", "b.txt", b"123", "text/plain")
    assert files.open(key) is not None, "nobody loses a file to others"
    newer = files.put("somebody", "c.txt", b"123", "text/plain")
    assert files.open(key) is None, "who keeps more loses his own oldest"
    files.put("somebody else", "b.txt", b"123", "text/plain")
    assert files.open(newer) is not None
    over = DocumentFiles(database, ttl_s=0.0)
    assert over.open(over.put("a third", "a.txt", b"", "text/plain")) is None
