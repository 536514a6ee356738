"""Files of translators: .po and XLIFF get translations where they have none, and are else as they were."""

import polib
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from shouted import shout

from models.errors import InvalidInput
from service.documents import read_document

PO = r"""# A comment.
msgid ""
msgstr ""
"Content-Type: text/plain; charset=UTF-8\n"

#: a.c:1
#, c-format
msgid "Copied %d of %(all)s to <a href=\"%s\">\"here\"</a>.\n"
msgstr ""

msgctxt "menu"
msgid ""
"First line\n"
"  second line"
msgstr ""
#~ msgid "old"
#~ msgstr ""

msgid "One file"
msgid_plural "{count} files"
msgstr[0] ""
msgstr[1] ""

msgid "Done"
msgstr "Fait"
"""


COPIED = r"COPIED %d OF %(all)s TO <a href=\"%s\">\"HERE\"</a>.\n"


def translated(name, data):
    read = read_document(name, data.encode())
    return read.translated(shout_all(read.to_translate().text), "fr").data.decode()


def shout_all(text):
    """Capitals, but in code, which a translator keeps."""
    parts = shout(text).replace("<CODE>", "<code>").split("<code>")
    return "<code>".join([parts[0], *(_kept(part) for part in parts[1:])])


def _kept(part):
    code, _, rest = part.partition("</code>")
    return f"{code.lower()}</code>{rest}"


def test_messages_get_translations_and_keep_their_lines(tmp_path):
    back = translated("a.po", PO)
    assert back == (
        PO.replace('</a>.\\n"\nmsgstr ""', f'</a>.\\n"\nmsgstr "{COPIED}"')
        .replace('second line"\nmsgstr ""', 'second line"\nmsgstr ""\n"FIRST LINE\\n"\n"  SECOND LINE"')
        .replace('msgstr[0] ""', 'msgstr[0] "ONE FILE"')
        .replace('msgstr[1] ""', 'msgstr[1] "{count} FILES"')
    )
    (tmp_path / "a.po").write_text(back)
    catalog = polib.pofile(str(tmp_path / "a.po"))
    assert catalog.find("First line\n  second line").msgstr == "FIRST LINE\n  SECOND LINE"
    assert catalog.percent_translated() == 100


def test_an_encoding_without_the_letters_becomes_utf_8():
    po = 'msgid ""\nmsgstr "charset=ISO-8859-1\\n"\n\nmsgid "caf\u00e9"\nmsgstr ""\n'
    read = read_document("a.po", po.encode("latin-1"))
    assert "café" in read.to_translate().text
    assert b'msgstr "th\xe9"' in read.translated("<p>th\u00e9</p>", "fr").data
    assert b"charset=UTF-8\\n" in read.translated("<p>чай</p>", "ru").data


@given(st.text(alphabet='ab"\\\n\t<i>/ %s{}é&', min_size=1, max_size=30).filter(str.strip))
def test_any_message_is_read_as_polib_reads_it(text):
    entry = polib.POEntry(msgid=text, msgstr="")
    try:
        read = read_document("a.po", f"{entry}\n".encode())
    except InvalidInput:
        assert not text.strip()
        return
    assert read.article().text == text
    back = read.translated(read.to_translate().text, "fr").data.decode()
    assert " ".join(polib.pofile(back)[0].msgstr.split()) == " ".join(text.split())


OLD = """<?xml version="1.0" encoding="utf-8"?>
<xliff xmlns="urn:oasis:names:tc:xliff:document:1.2" version="1.2">
<file original="a" source-language="en"><body>
<trans-unit id="1"><source>Read <g id="1">the <x id="2"/>docs</g>, %s.</source></trans-unit>
<trans-unit id="2"><source>Done</source><target state="final">Fait</target></trans-unit>
<trans-unit id="3" translate="no"><source>Name</source></trans-unit>
<trans-unit id="4"><source>Copy</source><target state="needs-translation">Copy</target>
<note>N</note></trans-unit>
</body></file></xliff>"""
NEW = """<xliff xmlns="urn:oasis:names:tc:xliff:document:2.0" version="2.1" srcLang="en">
<file id="f"><unit id="u">
<segment><source>Read <pc id="1">the <ph id="2"/>docs</pc>.</source></segment>
<segment state="initial"><source>Go</source><target>Go</target></segment></unit></file></xliff>"""


def test_units_of_old_xliff():
    back = translated("a.xliff", OLD)
    assert back == (
        OLD.replace('source-language="en"', 'source-language="en" target-language="fr"')
        .replace('version="1.0" encoding="utf-8"', "version='1.0' encoding='utf-8'")
        .replace("%s.</source>", '%s.</source><target>READ <g id="1">THE <x id="2"/>DOCS</g>, %s.</target>')
        .replace('"needs-translation">Copy', '"translated">COPY')
    )


def test_units_of_new_xliff():
    root = etree.fromstring(translated("a.xlf", NEW).encode())
    assert root.get("trgLang") == "fr"
    first, second = root.iter("{*}target")
    assert etree.tostring(first, encoding="unicode").endswith(
        '>READ <pc id="1">THE <ph id="2"/>DOCS</pc>.</target>'
    )
    assert (second.text, second.getparent().get("state")) == ("GO", "translated")


BOMB = '<!DOCTYPE a [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><xliff>&b;</xliff>'


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.po", "nothing", "no messages"),
        ("a.xliff", "nothing", "not XLIFF"),
        ("a.xliff", "<xliff/>", "no units"),
        ("a.xliff", BOMB, "entities"),
    ],
)
def test_what_cannot_be_read_is_told(name, data, said):
    with pytest.raises(InvalidInput, match=said):
        read_document(name, data.encode())


@pytest.mark.parametrize(("name", "data"), [("a.po", PO), ("a.xliff", OLD)])
def test_what_is_translated_already_says_so(name, data):
    with pytest.raises(InvalidInput, match="has a translation"):
        read_document(name, translated(name, data).encode()).to_translate()
