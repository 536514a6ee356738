"""WebVTT: cues are translated by sentence, and all else comes back to the character."""

from io import StringIO

import pytest
import webvtt
from hypothesis import given
from hypothesis import strategies as st
from shouted import shout

from models.errors import InvalidInput
from service.documents import read_document

VTT = (
    "WEBVTT - A film\nKind: captions\n\nSTYLE\n::cue { color: red }\n\nNOTE\nNot --- this.\n\n"
    "first\n00:01.000 --> 00:03.000 align:start position:10%\n<v Fred>The <c.loud>ministers</c> met\n\n"
    "00:00:03.500 --> 00:00:05.000\nin <i>Vienna</i> &amp; Rome\non Sunday.\n\n\n"
    "00:06.000 --> 00:07.000\n<v Ann>Nobody <00:06.500>spoke.</v>"
)


def translated(text):
    read = read_document("a.vtt", text.encode())
    return read.translated(shout(read.to_translate().text), "fr").data.decode()


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_cues_are_translated_and_nothing_else_changes(line_end):
    text = VTT.replace("\n", line_end)
    back = translated(text)
    expected = (
        text.replace("The <c.loud>ministers</c> met", "THE <c.loud>MINISTERS</c> MET")
        .replace("in <i>Vienna</i> &amp; Rome", "IN <i>VIENNA</i> &amp;")
        .replace("on Sunday.", "ROME ON SUNDAY.")
        .replace("Nobody <00:06.500>spoke.", "NOBODY <00:06.500>SPOKE.")
    )
    assert back == expected
    cues = list(webvtt.from_buffer(StringIO(back)))
    assert [cue.start for cue in cues] == ["00:00:01.000", "00:00:03.500", "00:00:06.000"]
    assert cues[1].text == "IN VIENNA &amp;\nROME ON SUNDAY."


def test_a_sentence_over_two_cues_is_one():
    read = read_document("a.vtt", VTT.encode())
    assert read.article().text == "The ministers met in Vienna & Rome on Sunday. Nobody spoke."
    assert read.to_translate().text.count("<p>") == 2


@given(st.lists(st.text(alphabet="ab. -?&é<i>/", min_size=1, max_size=30).filter(str.strip), max_size=8))
def test_what_is_not_translated_comes_back(contents):
    cues = [f"00:0{i}.000 --> 00:0{i}.500\n{content}\n\n" for i, content in enumerate(contents)]
    text = "WEBVTT\n\n00:00.000 --> 00:09.000\nhello\n\n" + "".join(cues)
    read = read_document("a.vtt", text.encode())
    back = read.translated(read.to_translate().text, "fr").data.decode()
    assert back.count("-->") == text.count("-->")
    assert read_document("a.vtt", back.encode()).article().text.split() == read.article().text.split()


@pytest.mark.parametrize("data", [b"1\n00:00:01,000 --> 00:00:02,000\nNo\n", b"WEBVTT\n\nNOTE only\n"])
def test_what_has_no_cues_is_told(data):
    with pytest.raises(InvalidInput, match=r"WebVTT|no subtitles"):
        read_document("a.vtt", data)
