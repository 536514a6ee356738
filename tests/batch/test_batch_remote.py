"""Batches from and to addresses: the real program, an object store and a web server on this machine."""

import csv
import gzip
import io
import json
import os
import shutil
import signal
import sys
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from batch_program import Program, articles, until, written
from places import DataSet, ObjectStore, WebServer

from models.errors import InvalidInput
from service.batch import remote
from service.batch.remote import Remote, RemoteFailed, fetch, shown, staged, without_secrets
from service.errors import MissingExtra

ARTICLES = articles(60)
GOOD = [json.loads(line) for line in ARTICLES if line != "nonsense"]
FAILED = 3
NUMBERS = count()


class RemoteProgram(Program):
    """The program; OUT may be an address."""

    def __init__(self, folder):
        super().__init__(folder, "remote_runtime")
        self.batches = folder / "batches"
        self._heard = 0

    def log(self, out):
        return self.folder / f"{Path(str(out)).name}.log"

    def said(self):
        """What was said since this was last asked for."""
        everything = self.errors()
        heard, self._heard = everything[self._heard :], len(everything)
        return heard


@pytest.fixture(scope="module")
def store():
    store = ObjectStore()
    yield store
    store.close()


@pytest.fixture(scope="module")
def data_set():
    data_set = DataSet()
    yield data_set
    data_set.close()


@pytest.fixture(scope="module")
def program(tmp_path_factory, store, data_set):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", data_set.url)
        patch.setenv("HF_TOKEN", "hf_token")
        patch.setenv("HF_HUB_DISABLE_XET", "1")
        patch.setenv("AWS_ENDPOINT_URL", store.url)
        patch.setenv("AWS_ACCESS_KEY_ID", "someone")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        program = RemoteProgram(tmp_path_factory.mktemp("remote"))
    yield program
    program.close()


@pytest.fixture
def web():
    web = WebServer()
    yield web
    web.close()


@pytest.fixture
def bucket(store):
    """A bucket of the test's own."""
    store.reset()
    name = f"bucket-{next(NUMBERS)}"
    store.bucket(name)
    return name


def lines(records):
    return "".join(json.dumps(each) + "\n" for each in records).encode()


def table(records):
    text = io.StringIO()
    csv.writer(text).writerows([("id", "text"), *((each["id"], each["text"]) for each in records)])
    return text.getvalue().encode()


def parquet(records):
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(records), file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "out"),
    [
        ("in.jsonl", lines(GOOD), "out.jsonl"),
        ("in.csv.gz", gzip.compress(table(GOOD)), "out.jsonl.zst"),
        ("in.parquet", parquet(GOOD), "out.parquet"),
    ],
    ids=["jsonl", "csv", "parquet"],
)
def test_the_output_is_that_of_files_here(program, store, bucket, tmp_path, name, data, out):
    (tmp_path / name).write_bytes(data)
    store.put(bucket, name, data)
    here = tmp_path / out
    assert program.run(tmp_path / name, here) == FAILED
    address = f"s3://{bucket}/deep/{out}"
    report = f"s3://{bucket}/deep/report.html"
    assert program.run(f"s3://{bucket}/{name}", address, "--report", report) == FAILED
    assert store.get(bucket, f"deep/{out}") == here.read_bytes()
    assert store.keys(bucket) == sorted([f"deep/{out}", "deep/report.html", name])
    assert f"{address}: " in program.said()


def test_a_folder_of_articles(program, store, bucket, tmp_path):
    files = {
        "a.txt": b"One article.",
        "b/c.md": b"# Another\n\nIt is here.",
        "b/.hidden.txt": b"x",
        "d.mp4": b"film",
    }
    for name, data in files.items():
        store.put(bucket, f"press/{name}", data)
        (tmp_path / "press" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "press" / name).write_bytes(data)
    store.put(bucket, "press/b/", b"")
    assert program.run(tmp_path / "press", tmp_path / "here.jsonl", "--summary", str(tmp_path / "run")) == 0
    assert program.run(f"s3://{bucket}/press/", tmp_path / "there.jsonl") == 0
    assert (tmp_path / "there.jsonl").read_bytes() == (tmp_path / "here.jsonl").read_bytes() != b""
    assert "files skipped: 1 .mp4" in program.said()
    assert not any("d.mp4" in each for each in store.asked)
    store.put(bucket, "press/../../up.txt", b"Outside.")
    assert program.run(f"s3://{bucket}/press", tmp_path / "there.jsonl", "--overwrite") == 2
    assert not list(tmp_path.rglob("up.txt"))


def test_killed_at_work_and_while_it_is_put_there(program, store, bucket, tmp_path):
    """Nothing half is ever at the address; the end is that of an unbroken run, and little is done twice."""
    source = written(tmp_path / "in.jsonl", ARTICLES)
    store.put(bucket, "in.jsonl", source.read_bytes())
    program.run(source, whole := tmp_path / "whole.jsonl")
    program.said()
    place, out = f"s3://{bucket}/in.jsonl", f"s3://{bucket}/killed.jsonl"
    assert program.cut_off(place, out, sentences=20, delay_s=0.05) == -9
    assert store.keys(bucket) == ["in.jsonl"]
    store.asked.clear()

    store.held = lambda request: "PUT" in request and "partNumber=2" in request
    process = program.start(place, out)
    until(lambda: store.parts(bucket) and any("partNumber=2" in each for each in store.asked))
    assert not any(each == f"GET /{bucket}/in.jsonl" for each in store.asked), (
        "it is here, and not fetched again"
    )
    os.kill(process, signal.SIGKILL)
    assert program.end() == -9
    store.reset()
    store.go_on.set()
    assert store.get(bucket, "killed.jsonl") is None

    assert program.run(place, out) == FAILED
    assert store.get(bucket, "killed.jsonl") == whole.read_bytes()
    twice = sum(times - 1 for times in program.done(out).values())
    assert twice <= 8 * 5 + sum(times - 1 for times in program.done(whole).values())
    [own] = [each for each in program.batches.iterdir() if (each / "out" / "killed.jsonl.cache").exists()]
    assert {each.name for each in own.rglob("*") if each.is_file()} == {"killed.jsonl.cache", "lock"}


def test_what_may_not_be_written_shows_at_once_or_is_kept(program, store, bucket, tmp_path):
    source, out = written(tmp_path / "in.jsonl", ARTICLES[:10]), f"s3://{bucket}/denied.jsonl"
    store.denied = lambda request: request.endswith("uploads")
    assert program.run(source, out) == 1
    assert f"error: {out} cannot be written: access is denied (403)\n" in program.said()
    assert not program.done(out), "it shows before anything is done"

    store.denied = lambda request: request.startswith("PUT") and "partNumber" not in request
    assert program.run(source, out) == 1
    assert "the same command uploads them" in program.said()
    assert store.keys(bucket) == []
    program.forget(out)
    store.reset()
    assert program.run(source, out) == FAILED
    assert not program.done(out)
    assert store.keys(bucket) == ["denied.jsonl"]


def test_out_is_put_there_last_and_the_same_command_goes_on(program, store, bucket, tmp_path):
    source = written(tmp_path / "in.jsonl", ARTICLES[:10])
    given = (source, f"s3://{bucket}/last.jsonl", "--report", f"s3://{bucket}/report.html")
    store.denied = lambda request: request.startswith("PUT") and "report.html" not in request
    assert program.run(*given) == 1
    assert store.keys(bucket) == ["report.html"]
    store.reset()
    assert program.run(*given) == FAILED
    assert store.keys(bucket) == ["last.jsonl", "report.html"]
    assert program.run(*given) == 2


def test_an_output_that_is_there_is_replaced_only_if_told(program, store, bucket, tmp_path):
    store.put(bucket, "in.jsonl", lines(GOOD[:20]))
    place, out = f"s3://{bucket}/in.jsonl", f"s3://{bucket}/again.jsonl"
    assert program.run(place, out) == FAILED
    first = store.get(bucket, "again.jsonl")
    assert program.run(place, out) == 2
    assert f"error: {out} exists; --overwrite replaces it" in program.said()
    program.forget(out)
    assert program.run(place, out, "--retry-failed") == FAILED
    assert set(program.done(out)) <= {"This sentence ✗ is poison.", "And more."}
    assert store.get(bucket, "again.jsonl") == first
    program.forget(out)
    store.put(bucket, "in.jsonl", lines([{"text": "It is new."}, *GOOD[:20]]))
    assert program.run(place, out, "--overwrite") == FAILED
    assert set(program.done(out)) == {"It is new."}
    store.denied = lambda request: request == f"HEAD /{bucket}/again.jsonl"
    assert program.run(place, out) == 2
    assert "may exist (this machine cannot tell); --overwrite replaces it" in program.said()
    assert program.run(place, out, "--overwrite", "--forget") == FAILED
    assert not any("again.jsonl" in each.name for each in program.batches.rglob("*"))


def test_an_address_of_the_web(program, web, tmp_path):
    """A broken answer is gone on with, and no password or signature is shown or kept."""
    source = written(tmp_path / "in.jsonl", ARTICLES)
    program.run(source, whole := tmp_path / "whole.jsonl")
    program.said()
    web.files["/press/in.jsonl"] = data = source.read_bytes()
    web.breaks = [3000, 2000]
    out, log = tmp_path / "web.jsonl", tmp_path / "log"
    address = f"http://reader:pa55word@{web.host}/press/in.jsonl?X-Signature=51gnature"
    kept = (
        "--log",
        str(log),
        "--summary",
        str(tmp_path / "run.json"),
        "--report",
        str(tmp_path / "run.html"),
    )
    assert program.run(address, out, *kept) == FAILED
    assert out.read_bytes() == whole.read_bytes()
    assert [each[2] for each in web.asked if each[0] == "GET"] == ["", "bytes=3000-", "bytes=5000-"]
    assert all("X-Signature=51gnature" in each[1] and each[3].startswith("Basic ") for each in web.asked)
    assert len(data) > 5000
    texts = [
        each.read_bytes() for each in (*tmp_path.glob("*"), *program.folder.rglob("*")) if each.is_file()
    ]
    names = [str(each) for each in (*tmp_path.rglob("*"), *program.folder.rglob("*"))]
    assert f"http://{web.host}/press/in.jsonl?..." in log.read_text()
    for secret in ("pa55word", "51gnature"):
        assert not any(secret.encode() in each for each in texts)
        assert not any(secret in each for each in names)
    assert not list(program.batches.glob("*/in")), "IN is removed at the end"


def test_a_web_server_that_can_do_little(program, web, tmp_path):
    """Without ranges it is read from its begin again; without a version, it is fetched each time."""
    web.knows_ranges = web.tells_versions = web.answers_head = False
    web.files["/in.jsonl"] = lines(GOOD[:20])
    web.breaks = [10**6, 500]  # the first GET asks for what is known of it
    assert program.run(f"http://{web.host}/in.jsonl", tmp_path / "out.jsonl", "--max-errors", "0") == 4
    assert program.run(f"http://{web.host}/in.jsonl", tmp_path / "out.jsonl") == FAILED
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 20
    assert [each[0] for each in web.asked] == [*("HEAD", "GET", "GET", "GET"), *("HEAD", "GET", "GET")]


@pytest.mark.parametrize(
    ("lies", "said"),
    [
        (
            {"redirects": {"/in.jsonl": "http://127.0.0.2:9/in.jsonl"}},
            "127.0.0.2, which is not public",
        ),
        ({"redirects": {"/in.jsonl": "/in.jsonl"}}, "it redirects without end"),
        ({"redirects": {"/in.jsonl": "file:///etc/hostname"}}, "to no address of the web"),
        ({"told_bytes": 100}, "it sends more than the 100 bytes that it has"),
        ({"told_bytes": 100_000}, "changed during the download"),
        ({"told_bytes": 1 << 60}, "bytes are free in the cache"),
        ({"answers_head": False, "told_bytes": 1}, "it does not end, and 1,073,741,824 bytes are free"),
    ],
)
def test_a_web_server_that_lies(web, monkeypatch, tmp_path, lies, said):
    monkeypatch.setattr(remote, "is_public", lambda address: address == "127.0.0.1")
    usage = shutil.disk_usage(tmp_path)._replace(free=remote.LEAST_FREE_BYTES)
    monkeypatch.setattr(remote.shutil, "disk_usage", lambda _: usage)
    web.files["/in.jsonl"] = b"{}\n" * 1000
    for name, value in lies.items():
        setattr(web, name, value)
    with pytest.raises(RemoteFailed, match=said):
        fetch(Remote(f"http://{web.host}/in.jsonl"), tmp_path, lambda *_: None)
    assert not any(each.stat().st_size for each in tmp_path.rglob("*.part"))
    assert not any("127.0.0.2" in str(each) for each in web.asked)


def test_a_data_set_of_the_hub(program, data_set, tmp_path):
    """Its output comes there as one commit."""
    source = written(tmp_path / "in.jsonl", ARTICLES)
    program.run(source, whole := tmp_path / "whole.jsonl")
    data_set.files["in.jsonl"] = source.read_bytes()
    out = "hf://datasets/me/set/french/out.jsonl"
    assert program.run("hf://datasets/me/set/in.jsonl", out) == FAILED
    assert data_set.files["french/out.jsonl"] == whole.read_bytes()
    data_set.files = {"press/a.txt": b"One article.", "b.bin": b"None."}
    assert program.run("hf://datasets/me/set", "hf://datasets/me/set/folder.jsonl") == 0
    assert json.loads(data_set.files["folder.jsonl"])["id"] == "press/a.txt"
    program.said()
    assert program.run(source, "hf://datasets/me/none/out.jsonl") == 2
    assert "error: hf://datasets/me/none/out.jsonl cannot be written: it does not exist" in program.said()
    assert program.run(source, "hf://datasets/me/set") == 2
    assert "hf://datasets/me/set is not a file in a repository" in program.said()


ERRORS = [
    ("s3://no-such-bucket/in.jsonl", "out.jsonl", 2, "cannot be read: the bucket does not exist"),
    ("s3://{bucket}/none.jsonl", "out.jsonl", 2, "cannot be read: it does not exist"),
    ("s3://{bucket}/denied.jsonl", "out.jsonl", 1, "cannot be read: access is denied (403)"),
    ("in.jsonl", "s3://no-such-bucket/o.jsonl", 2, "cannot be written: the bucket does not exist"),
    ("in.jsonl", "s3://{bucket}/o.csv", 2, "call it o.jsonl or o.parquet"),
    ("in.jsonl", "s3://{bucket}", 2, "s3://{bucket} does not name a file"),
    ("in.jsonl", "s3://{bucket}/folder/", 2, "s3://{bucket}/folder/ does not name a file"),
    ("s3://me:pw@{bucket}/in.jsonl", "o.jsonl", 2, "s3:// takes no credentials in the address; set AWS_ACC"),
    (
        "in.jsonl",
        "https://x/o?sig=1",
        2,
        "https://x/o?... cannot be used here; it may be a file, or at s3:// or",
    ),
    ("az://x/in.jsonl", "o.jsonl", 2, "az://x/in.jsonl cannot be used here; it may be a file, or at s3://"),
    ("s3://{bucket}/i.jsonl", "s3://{bucket}/i.jsonl", 2, "i.jsonl is named twice"),
    ("http://{web}/none.jsonl?sig=1", "out.jsonl", 2, "none.jsonl?... cannot be read: it does not exist"),
    ("http://127.0.0.1:9/in.jsonl", "out.jsonl", 1, "cannot be read: the server cannot be reached"),
]


def test_errors_are_one_line(program, store, web, bucket, tmp_path):
    written(tmp_path / "in.jsonl", ARTICLES[:3])
    store.put(bucket, "denied.jsonl", b"{}")
    store.denied = lambda request: "denied.jsonl" in request
    for place, out, code, said in ERRORS:
        filled = [each.format(bucket=bucket, web=web.host) for each in (place, out)]
        program.said()
        assert program.run(*(each if "://" in each else str(tmp_path / each) for each in filled)) == code
        [told] = [line for line in program.said().splitlines() if not line.startswith("fetching ")]
        assert said.format(bucket=bucket) in told
        assert "sig=1" not in told
        assert ":pw" not in told


def test_no_credentials_and_no_library(store, bucket, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in [each for each in os.environ if each.startswith("AWS_") and "METADATA" not in each]:
        monkeypatch.delenv(name)
    with pytest.raises(RemoteFailed, match="no credentials were found; set AWS_ACCESS_KEY_ID and"):
        Remote(f"s3://{bucket}/in.jsonl").info()
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingExtra, match=r"s3:// needs s3fs: pip install 'dragoman\[remote\]'"):
        Remote(f"s3://{bucket}/in.jsonl")


@pytest.mark.parametrize("option", ["--log", "--cache"])
def test_what_grows_is_a_file_here(program, tmp_path, option):
    source = written(tmp_path / "in.jsonl", ARTICLES[:3])
    assert program.run(source, tmp_path / "out.jsonl", option, "s3://bucket/log") == 2
    assert "s3://bucket/log cannot be used here; it may be a file of this machine" in program.said()


def test_one_run_at_a_time_has_an_output(tmp_path):
    with staged(tmp_path, "s3://a/in.jsonl", "s3://b/out.jsonl"):
        with staged(tmp_path, "s3://a/in.jsonl", "s3://b/other.jsonl"):
            assert len(list(tmp_path.iterdir())) == 2
        taken = pytest.raises(InvalidInput, match="another run is writing s3://b/out")
        with taken, staged(tmp_path, "in.jsonl", "s3://b/out.jsonl"):
            pass
    assert not list(tmp_path.iterdir())


def test_an_address_as_it_is_shown():
    assert shown("s3://bucket/a/b.jsonl") == "s3://bucket/a/b.jsonl"
    assert shown("https://me:pw@host:1/a?X-Sig=1&b=/c@d") == "https://host:1/a?..."
    assert shown("https://host?sig=a@b") == "https://host?..."
    assert shown("https://host/a#b") == "https://host/a?..."
    assert shown("hf://datasets/me/set@v1/a.jsonl") == "hf://datasets/me/set@v1/a.jsonl"
    assert shown("hf://me/set@v1/a.jsonl") == "hf://me/set@v1/a.jsonl"
    assert shown("--report=https://me:pw@host/a?b") == "--report=https://host/a?..."
    assert shown("a/file.jsonl?x") == "a/file.jsonl?x"
    told = without_secrets("400, message='Bad', url='https://me:pw@host/a?sig=1' and gs://b/c?d")
    assert told == "400, message='Bad', url='https://host/a?...' and gs://b/c?..."
