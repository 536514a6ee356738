"""Documents translated into capitals, and what that changed."""

from io import BytesIO
from zipfile import ZipFile

import lxml.html


def shout(html: str) -> str:
    """What a translator does to HTML: other words, the same elements."""
    tree = lxml.html.fromstring(f"<div>{html}</div>")
    for element in tree.iter():
        element.text = element.text and element.text.upper()
        element.tail = element.tail and element.tail.upper()
    return "".join(lxml.html.tostring(child, encoding="unicode") for child in tree)


def changed_parts(before: bytes, after: bytes) -> list[str]:
    """The names of parts that are not byte for byte as before; all are there, in their order."""
    with ZipFile(BytesIO(before)) as old, ZipFile(BytesIO(after)) as new:
        assert new.testzip() is None
        assert new.namelist() == old.namelist()
        assert [each.compress_type for each in new.infolist()] == [
            each.compress_type for each in old.infolist()
        ]
        return [name for name in old.namelist() if old.read(name) != new.read(name)]
