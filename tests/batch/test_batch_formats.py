"""What batches read and write: records in every format, one row out for each."""

import datetime
import decimal
import gzip
import io
import json
import os
import sys
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from fake_runtime import FakeRuntime
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import InvalidInput
from models.summarize.summarizer import SummaryRequest
from service.batch import readers
from service.batch.readers import ParquetReader, csv_records, json_records, open_reader
from service.batch.record import Content, FieldNames, Record, Row
from service.batch.task import BatchWork
from service.batch.windows import UNIT_SIZES, WINDOW_SIZES, Size, windows
from service.batch.writers import COLUMNS, JsonlWriter, open_writer
from service.errors import MissingExtra
from service.settings import Settings

NAMES = FieldNames()


def read(path, names=NAMES, format_=None):
    with open_reader(str(path), names, format_) as found:
        return list(found.records())


def lines_of(data):
    return list(json_records(io.BytesIO(data)))


# ------------------------------------------------------------------ JSON lines

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=8,
)
own_names = st.sampled_from(["id", "text", "html", "error", "record", "line", "url"]) | st.text()
own_fields = st.dictionaries(own_names, json_values, max_size=5)
good = own_fields.map(json.dumps).map(str.encode)
junk = st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b" "))


@settings(max_examples=100)
@given(st.lists(good | junk, max_size=40), st.booleans())
def test_every_line_is_a_record_in_order(lines, ends_with_newline):
    data = b"\n".join(lines) + (b"\n" if lines and ends_with_newline else b"")
    expected = data.split(b"\n")
    if expected[-1] == b"":
        expected.pop()
    found = lines_of(data)
    assert [record.line for record in found] == list(range(1, len(expected) + 1))
    for raw, record in zip(expected, found, strict=True):
        try:
            own = json.loads(raw.decode("utf-8-sig" if record.line == 1 else "utf-8"))
        except (ValueError, RecursionError):
            own = None
        if isinstance(own, dict):
            assert (record.fields, record.problem) == (own, None)
        else:
            assert record.problem is not None


@settings(max_examples=100)
@given(own_fields, st.booleans())
def test_a_row_keeps_its_fields(fields, failed):
    out = io.BytesIO()
    row = (
        Row(fields, "id", "my result", error={"type": "x"})
        if failed
        else Row(fields, "id", "my result", result='{"summary": "é"}')
    )
    JsonlWriter(out).write([row])
    (line,) = out.getvalue().splitlines()
    done = json.loads(line)
    if failed and "error" in fields:
        assert done["record"] == fields
        assert done.get("id") == fields.get("id")
        assert done["error"] == {"type": "x"}
    elif failed:
        assert done == {**fields, "error": {"type": "x"}}
    else:
        assert done == {**fields, "my result": {"summary": "é"}}


def test_lone_surrogates_in_own_fields_are_kept():
    (record,) = lines_of(b'{"text": "a", "own": "\\udc00"}')
    out = io.BytesIO()
    JsonlWriter(out).write([Row(record.fields, "id", "result", '"é"')])
    assert json.loads(out.getvalue()) == {"text": "a", "own": "\udc00", "result": "é"}


@pytest.mark.parametrize(
    ("line", "field", "said"),
    [
        (b"\n", None, "empty"),
        (b"{\n", None, "not JSON"),
        (b"[1]\n", None, "not an object"),
        (b'{"text": NaN}\n', None, "NaN"),
        (b'{"n": 1e999, "text": "a"}\n', None, "too large"),
        (b'{"n": %s, "text": "a"}\n' % (b"9" * 5000), None, "can be kept"),
        (b"\xff\n", None, "not UTF-8 (byte 1)"),
        (b'{"text": "a", "deep": %s%s}\n' % (b"[" * 200, b"]" * 200), None, "nested"),
        (b'{"deep": %s}\n' % (b"[" * 100_000), None, "can be kept"),
        (b'{"id": 1}\n', "text", "neither"),
        (b'{"text": "a", "html": "b"}\n', "text", "both"),
        (b'{"text": 5}\n', "text", "not a string"),
        (b'{"text": " "}\n', "text", "empty"),
        (b'{"text": "\\ud800"}\n', "text", "surrogate"),
        (b'{"text": "a", "result": 1}\n', "result", "of its own"),
    ],
)
def test_a_bad_record_says_what_is_wrong(line, field, said):
    (record,) = lines_of(line)
    with pytest.raises(InvalidInput) as wrong:
        NAMES.content(record)
    assert said in wrong.value.message
    assert wrong.value.field == field


def test_an_endless_line_is_not_read_into_memory(monkeypatch):
    monkeypatch.setattr(readers, "MAX_LINE_BYTES", 100)
    first, second = lines_of(b'{"text": "%s"}\n{"text": "b"}\n' % (b"a" * 1000))
    assert "longer than" in first.problem.message
    assert second.fields == {"text": "b"}


def test_the_fields_names_can_be_told():
    names = FieldNames(text="body", html=None, id="url")
    assert names.content(Record(1, {"body": "a", "html": "<p>"})) == Content("text", "a")
    with pytest.raises(InvalidInput, match="needs a field 'body' and has none"):
        names.content(Record(1, {"text": "a"}))


# ------------------------------------------------------------------ compression


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
@pytest.mark.parametrize("format_", ["jsonl", "csv"])
def test_compressed_input(tmp_path, suffix, format_):
    plain = b'{"text": "a"}\n{"text": "b"}\n' if format_ == "jsonl" else b"text\na\nb\n"
    packed = {"": lambda data: data, ".gz": gzip.compress, ".zst": zstandard.compress}[suffix]
    path = tmp_path / f"in.{format_}{suffix}"
    path.write_bytes(packed(plain[:15]) + packed(plain[15:]))  # in two parts, as programs append them
    if format_ == "csv":
        path.write_bytes(packed(plain))
    with open_reader(str(path), NAMES) as found:
        assert [record.fields["text"] for record in found.records()] == ["a", "b"]
        assert found.position() == found.size == path.stat().st_size


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_cut_off_input_is_an_error(tmp_path, suffix):
    packed = {".gz": gzip.compress, ".zst": zstandard.compress}[suffix](os.urandom(5000).hex().encode())
    path = tmp_path / f"in.jsonl{suffix}"
    path.write_bytes(packed[:-400])
    with pytest.raises(InvalidInput, match="damaged or cut off"):
        read(path)


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_compressed_output_is_the_same_each_time(tmp_path, suffix):
    out = tmp_path / f"out.jsonl{suffix}"
    contents = []
    for _ in range(2):
        with open_writer(out) as file:
            file.write([Row({"id": i}, "id", "result", "1") for i in range(50)])
            assert not out.exists() or contents
        contents.append(out.read_bytes())
    assert contents[0] == contents[1]
    assert [record.fields["id"] for record in read(out)] == list(range(50))
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_an_output_is_written_by_one_run_at_a_time(tmp_path):
    out = tmp_path / "out.jsonl"
    with open_writer(out) as file:
        file.write([Row({"id": 1}, "id", "result", "1")])
        with pytest.raises(InvalidInput, match="another run"), open_writer(out):
            pass
    assert out.read_text() == '{"id": 1, "result": 1}\n'


# ------------------------------------------------------------------ CSV


def test_csv_rows(tmp_path):
    path = tmp_path / "in.csv"
    path.write_bytes(
        b'\xef\xbb\xbfid,text\r\n1,"a, ""b""\nand c"\n2\n3,d\xff\n4,"x"y\n5,' + "é".encode() + b"\n"
    )
    first, short, undecoded, quoted, last = read(path)
    assert first.fields == {"id": "1", "text": 'a, "b"\nand c'}
    assert "1 fields for 2 columns" in short.problem.message
    assert "not UTF-8" in undecoded.problem.message
    assert "not CSV" in quoted.problem.message
    assert (last.line, last.fields) == (5, {"id": "5", "text": "é"})


def test_tsv_and_long_fields(tmp_path):
    path = tmp_path / "in.tsv"
    path.write_text("id\ttext\n1\t" + "word " * 100_000 + "\n")
    (record,) = read(path)
    assert len(record.fields["text"]) == 500_000


def test_a_table_with_equal_names_is_refused():
    with pytest.raises(InvalidInput, match="two columns"):
        list(csv_records(io.BytesIO(b"a,a\n1,2\n")))


# ------------------------------------------------------------------ Parquet


def test_parquet_in(tmp_path):
    rows = [
        {
            "id": i,
            "text": f"text {i}",
            "when": datetime.datetime(2026, 1, 2, 3),
            "price": decimal.Decimal("1.50"),
            "raw": b"\x00\xff",
            "share": float("nan"),
            "tags": ["a"],
        }
        for i in range(1000)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "in.parquet", row_group_size=100)
    with open_reader(str(tmp_path / "in.parquet"), NAMES) as found:
        records = list(found.records())
        assert (found.size, found.position()) == (1000, 1000)
    assert records[7].fields == {
        "id": 7,
        "text": "text 7",
        "when": "2026-01-02T03:00:00",
        "price": "1.50",
        "raw": "AP8=",
        "share": None,
        "tags": ["a"],
    }


def test_parquet_out(tmp_path):
    out = tmp_path / "out.parquet"
    with open_writer(out) as file:
        file.write([Row({"id": 5, "own": "é"}, "id", "result", '{"summary": "Short."}')] * 1500)
        file.write([Row({"id": "x"}, "id", "result", error={"type": "t", "line": 2})])
    table = pq.read_table(out)
    assert tuple(table.column_names) == COLUMNS
    first, last = table.slice(0, 1).to_pylist()[0], table.slice(1500).to_pylist()[0]
    assert (first["id"], first["text"], json.loads(first["result"])) == ("5", "Short.", {"summary": "Short."})
    assert json.loads(first["record"]) == {"id": 5, "own": "é"}
    assert (last["id"], json.loads(last["error"]), last["result"]) == ("x", {"type": "t", "line": 2}, None)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"pip install 'dragoman\[parquet\]'"):
        ParquetReader(tmp_path / "in.parquet")


def test_what_is_no_parquet_is_refused(tmp_path):
    (tmp_path / "in.parquet").write_text("text")
    with pytest.raises(InvalidInput, match="is not a Parquet file"):
        read(tmp_path / "in.parquet")


# ------------------------------------------------------------------ folders


def test_a_folder(tmp_path):
    (tmp_path / "b" / "deep").mkdir(parents=True)
    (tmp_path / "b" / "deep" / "x.html").write_text("<p>x</p>")
    (tmp_path / "b" / "y.MD").write_text("# y")
    (tmp_path / "b.txt").write_bytes(b"\xef\xbb\xbfb")
    (tmp_path / "a.txt").write_bytes(b"\xff")
    (tmp_path / "c.png").write_text("no")
    (tmp_path / "loop").symlink_to(tmp_path)
    bad, *records = read(tmp_path)
    assert (bad.fields, "not UTF-8" in bad.problem.message) == ({"id": "a.txt"}, True)
    assert [(record.fields["id"], NAMES.content(record)) for record in records] == [
        ("b/deep/x.html", Content("html", "<p>x</p>")),
        ("b/y.MD", Content("markdown", "# y")),
        ("b.txt", Content("text", "b")),
    ]
    assert [record.line for record in (bad, *records)] == [1, 2, 3, 4]


# ------------------------------------------------------------------ windows


class Generated:
    """An input of any size that nobody keeps."""

    size = None

    def __init__(self, count):
        self._count = count

    def position(self):
        return 0

    def records(self):
        for i in range(self._count):
            yield Record(i + 1, {"text": f"{i} " + "x" * (i % 500)})


KEY = BatchWork(FakeRuntime(Settings()), SummaryRequest(), {}).keys({"task": "t"})
SIZE = WINDOW_SIZES["cpu"]


def test_windows_take_no_more_memory_for_more_records():
    def peak(count):
        tracemalloc.start()
        records = sum(len(w.records) for w in windows(Generated(count), NAMES, KEY, SIZE))
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert records == count
        return most

    assert peak(SIZE.records * 8) < 1.3 * peak(SIZE.records * 2)


def test_windows_end_with_the_characters_of_all_fields():
    """Memory stays flat however much records have beside their texts."""
    fields = {"text": "One.", "own": {"notes": ["a" * 100, "b" * 300]}}
    records = _Listed([Record(i + 1, fields) for i in range(9)])
    found = windows(records, NAMES, KEY, Size(1024, 1000))
    assert [len(each.records) for each in found] == [3, 3, 3]


@settings(max_examples=60)
@given(st.lists(st.integers(1, 60_000), max_size=150), st.sets(st.integers(0, 149)))
def test_units_hold_what_is_not_known_once_in_order_of_length(lengths, known):
    texts = [str(i % 40) * length for i, length in enumerate(lengths)]
    (window,) = [
        *windows(_Listed([Record(i + 1, {"text": text}) for i, text in enumerate(texts)]), NAMES, KEY, SIZE)
    ] or [None]
    if window is None:
        return
    known_keys = {window.keys[i] for i in known if i < len(texts)}
    units = window.units(known_keys, UNIT_SIZES["cpu"])
    done = [texts[place] for unit in units for place in unit]
    assert sorted(done) == sorted(set(texts) - {texts[i] for i in known if i < len(texts)})
    assert [len(text) for text in done] == sorted(map(len, done))
    for unit in units:
        assert 1 <= len(unit) <= 64
        assert len(unit) == 1 or sum(len(texts[place]) for place in unit) <= 100_000


class _Listed:
    size = None

    def __init__(self, records):
        self._records = records

    def position(self):
        return 0

    def records(self):
        return iter(self._records)
