"""Archives and XML made to exhaust whoever reads them: refused at once, in little memory."""

import random
import resource
import struct
import time
from collections.abc import Callable
from io import BytesIO
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from made_documents import PROSE, damaged, sound

from models.errors import InvalidInput
from service.documents.formats import FORMATS
from service.documents.reading import read_document

MOST_S, MOST_BYTES = 1.0, 200 << 20
ENTITIES = b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">%s]>' % b"".join(
    b'<!ENTITY %c "%s">' % (ord("b") + i, b"&%c;" % (ord("a") + i) * 10) for i in range(20)
)


def _with(suffix: str, change: Callable[[bytes], bytes]) -> bytes:
    """A sound file whose prose is changed."""
    out = BytesIO()
    with ZipFile(BytesIO(sound(suffix))) as old, ZipFile(out, "w", ZIP_DEFLATED) as new:
        for name in old.namelist():
            part = old.read(name)
            new.writestr(name, change(part) if name == PROSE[suffix] else part)
    return out.getvalue()


def _bomb(suffix: str) -> bytes:
    return _with(suffix, lambda part: part + b" " * (50 << 20))


def _deep(suffix: str) -> bytes:
    return _with(suffix, lambda part: b"<a>" * 200_000 + part)


def _entities(suffix: str) -> bytes:
    return _with(suffix, lambda _: ENTITIES + b"<a>&t;</a>")


def _cut(suffix: str) -> bytes:
    return sound(suffix)[:-30]


def _garbled(suffix: str) -> bytes:
    return _with(suffix, lambda part: part[: len(part) // 2])


def _locked(suffix: str) -> bytes:
    """All parts say that they are encrypted."""
    data = bytearray(sound(suffix))
    for head, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(head)
        while at >= 0:
            struct.pack_into("<H", data, at + flags, 1)
            at = data.find(head, at + 4)
    return bytes(data)


def _tags(suffix: str) -> bytes:
    """More elements than there is memory for, which pack no better than honest ones."""
    more = "".join(f"<{name}/>" for name in random.Random(0).choices("abcdefgh", k=50_000)).encode() * 41
    return _with(suffix, lambda part: part[: part.rindex(b"</")] + more + part[part.rindex(b"</") :])


def _old_office(_: str) -> bytes:
    return b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(4096)


ALL = (_bomb, _tags, _deep, _cut, _garbled, _locked, _old_office)


@pytest.mark.parametrize("suffix", PROSE)
@pytest.mark.parametrize("made", [*ALL, _entities], ids=lambda made: made.__name__)
def test_each_is_refused_at_once(suffix: str, made: Callable[[str], bytes]) -> None:
    if suffix == ".epub" and made in (_deep, _garbled, _entities, _tags):
        pytest.skip("chapters are read by code whose work grows with their length")
    data = made(suffix)
    before, start = _memory(), time.process_time()
    with pytest.raises(InvalidInput) as refused:
        read_document(f"a{suffix}", data)
    assert refused.value.field == "file"
    assert time.process_time() - start < MOST_S
    assert _memory() - before < MOST_BYTES


def test_tags_of_xliff_are_counted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.documents.packed.MAX_TAGS", 5)
    with pytest.raises(InvalidInput, match="over 5 tags"):
        read_document("a.xliff", sound(".xliff"))


def test_entities_of_a_book_stay_where_they_are() -> None:
    data = _with(".epub", lambda part: ENTITIES + part.replace(b"Vienna", b"&t;"))
    read = read_document("a.epub", data)
    text = read.to_translate().text
    assert "&t;" in text and len(text) < 1000


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_is_damaged_is_read_or_refused(suffix: str) -> None:
    rng = random.Random(suffix)
    for _ in range(15):
        data = damaged(rng, suffix)
        try:
            read = read_document(f"a{suffix}", data)
            read.translated(read.to_translate().text, "fr")
        except InvalidInput as refused:
            assert refused.field == "file"


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_empty_file_says_so(suffix: str) -> None:
    with pytest.raises(InvalidInput, match="empty"):
        read_document(f"a{suffix}", b" ")


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
