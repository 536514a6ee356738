"""The road from a model hub to loaded models, by a hub on this machine: whole, broken off, refused."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from hub import BLOCK
from safetensors.torch import load_file
from tiny_models import MAKERS

from models.catalog import ModelEntry
from models.errors import ModelUnavailable
from models.hub import RepositoryNotFound
from models.store import Store

NAME = "Helsinki-NLP/opus-mt-en-fr"
ENTRY = ModelEntry(name=NAME, family="marian", tasks=("translate",))


@pytest.fixture
def files(tiny_hub, tmp_path):
    """A repository's folder, to be changed."""
    folder = tmp_path / "files"
    shutil.copytree(tiny_hub.entry("marian").path, folder)
    return folder


@pytest.fixture
def repository(hub, files):
    return hub.add(NAME, files, revisions=("main", "v1"))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache")


def _weights(repository):
    return repository.files["model.safetensors"]


def _downloads(hub):
    return [asked.partition(" ")[2] for asked in hub.asked if asked.startswith("CDN")]


# ---------------------------------------------------------------------------------------- whole


def test_a_model_is_pulled_loaded_and_used_offline_afterwards(hub, repository, store, tmp_path):
    heard = []
    assert store.state(ENTRY) == "not pulled"
    assert store.pull(ENTRY, lambda *told: heard.append(told)) == repository.commit
    assert store.revision(ENTRY) == repository.commit
    assert store.state(ENTRY) == "ready"
    assert heard == sorted(heard)
    assert heard[-1][0] == heard[-1][1] >= len(_weights(repository))
    assert len(heard) > 10
    hub.close()
    offline = Store(tmp_path / "cache", offline=True)
    assert offline.load(ENTRY).config.model_type == "marian"
    assert offline.tokenizer(ENTRY)("Talks.")
    assert offline.check(ENTRY) == []


@pytest.mark.parametrize("kind", sorted(MAKERS))
def test_each_family_is_had(hub, tiny_hub, store, kind):
    hub.add(f"tiny/{kind}", tiny_hub.entry(kind).path)
    entry = tiny_hub.entry(kind).model_copy(update={"path": None})
    assert store.check(entry)
    store.pull(entry)
    assert store.check(entry) == [], "its files are the hub's, and its tokenizer can be read"


def test_what_is_here_is_not_fetched_again(hub, repository, store):
    store.pull(ENTRY)
    hub.asked.clear()
    store.folder(ENTRY)
    assert hub.asked == []
    store.pull(ENTRY)
    assert _downloads(hub) == []
    assert any("/revision/main" in asked for asked in hub.asked), "pull asks for the newest"


def test_a_pinned_revision_stays_when_the_branch_moves(hub, repository, store):
    first = store.pull(ENTRY)
    repository.files["config.json"] += b"\n"
    assert repository.commit != first
    assert store.folder(ENTRY).name == first
    pinned = ENTRY.model_copy(update={"name": "pinned", "repository": NAME, "revision": "v1"})
    assert store.pull(pinned) == repository.commit, "v1 is where the repository is now"
    assert store.folder(ENTRY).name == first
    assert store.pull(ENTRY) == repository.commit


def test_weights_in_shards_are_had(hub, tiny_hub, files, store):
    model = tiny_hub.store.load(tiny_hub.entry("marian"))
    (files / "model.safetensors").unlink()
    model.save_pretrained(files, max_shard_size="40KB")
    assert len(list(files.glob("model-*-of-*.safetensors"))) > 1
    hub.add(NAME, files)
    store.pull(ENTRY)
    loaded = store.load(ENTRY).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in model.state_dict().items())


def test_a_bin_is_fetched_only_where_there_are_no_safetensors(hub, repository, files, store, tmp_path):
    torch.save(load_file(files / "model.safetensors"), files / "pytorch_model.bin")
    hub.add(NAME, files)
    assert not (store.folder(ENTRY) / "pytorch_model.bin").exists()
    (files / "model.safetensors").unlink()
    hub.add(NAME, files)
    other = Store(tmp_path / "other")
    assert (other.folder(ENTRY) / "pytorch_model.bin").is_file()
    other.load(ENTRY)


def test_other_forms_of_the_weights_and_code_are_left(hub, files, store):
    for name in ("model.fp16.safetensors", "onnx/model.safetensors", "tf_model.h5", "evil.py"):
        (files / name).parent.mkdir(exist_ok=True)
        (files / name).write_bytes(b"x" * 10)
    (files / "evil.py").write_text(f"open({str(files / 'ran')!r}, 'w')")
    config = json.loads((files / "config.json").read_text("utf-8"))
    config["auto_map"] = {"AutoConfig": "evil.Config", "AutoModelForSeq2SeqLM": "evil.Model"}
    (files / "config.json").write_text(json.dumps(config), "utf-8")
    hub.add(NAME, files)
    folder = store.folder(ENTRY)
    store.load(ENTRY)
    here = {str(path.relative_to(folder)) for path in folder.rglob("*")}
    assert here.isdisjoint({"model.fp16.safetensors", "onnx", "tf_model.h5", "evil.py"})
    assert not (files / "ran").exists()


# ---------------------------------------------------------------------------------------- broken off


def test_a_break_is_passed_over_where_it_was(hub, repository, store):
    hub.breaks = [3 * BLOCK, 2 * BLOCK]
    store.pull(ENTRY)
    starts = [asked.partition("bytes=")[2] for asked in _downloads(hub)]
    assert starts == ["", f"{3 * BLOCK}-", f"{5 * BLOCK}-"]
    assert store.check(ENTRY) == []


def test_a_hub_that_dies_leaves_what_it_gave(hub, repository, store, monkeypatch, tmp_path):
    hub.breaks = [3 * BLOCK] + [0] * 50
    with pytest.raises(
        ModelUnavailable, match="the connection broke; files that are complete are kept"
    ) as wrong:
        store.pull(ENTRY)
    assert "\n" not in wrong.value.message
    assert str(tmp_path) not in wrong.value.message
    assert store.state(ENTRY) == "not pulled"
    assert not list((tmp_path / "cache").rglob("*.incomplete"))
    hub.breaks = []
    hub.asked.clear()
    store.pull(ENTRY)
    assert len(_downloads(hub)) == 1
    assert not any("config.json" in asked for asked in hub.asked if asked.startswith("GET"))


def test_a_hub_out_of_reach_leaves_what_was_whole(hub, repository, store, monkeypatch):
    store.pull(ENTRY)
    hub.close()
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        store.pull(ENTRY)
    assert store.check(ENTRY) == []
    assert store.state(ENTRY) == "ready"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda data: data + b"more", "does not have the size"),
        (lambda data: data[:-100], "does not have the size"),
        (lambda data: data[:-1] + b"!", "SHA-256 differs"),
    ],
)
def test_weights_that_are_not_the_hubs_are_thrown_away(hub, repository, store, change, match):
    hub.change = change
    with pytest.raises(ModelUnavailable, match=match):
        store.pull(ENTRY)
    assert store.state(ENTRY) == "not pulled"
    hub.change = lambda data: data
    store.pull(ENTRY)
    assert store.check(ENTRY) == []


@pytest.mark.parametrize(
    ("full_at_once", "match"),
    [(True, "needs .* GB more; the cache's disk has 0.0 GB"), (False, "disk is full")],
)
def test_a_full_disk_is_told(repository, store, monkeypatch, full_at_once, match, hub):
    with monkeypatch.context() as patch:
        if full_at_once:
            usage = shutil.disk_usage("/")._replace(free=1000)
            patch.setattr("models.hub.shutil.disk_usage", lambda _: usage)
        else:

            def full(*_, **__):
                raise OSError(errno.ENOSPC, "No space left on device")

            patch.setattr("huggingface_hub.file_download.http_get", full)
        with pytest.raises(ModelUnavailable, match=match):
            store.pull(ENTRY)
        assert _downloads(hub) == [], "the room is looked at before anything is downloaded"
    store.pull(ENTRY)
    assert store.check(ENTRY) == []


# ---------------------------------------------------------------------------------------- refused


def test_what_the_hub_does_not_have_is_told(hub, repository, store):
    with pytest.raises(RepositoryNotFound, match="has no none/such at revision main, or it asks for a login"):
        store.pull(ENTRY.model_copy(update={"repository": "none/such"}))
    with pytest.raises(RepositoryNotFound, match=f"has no {NAME} at revision v9"):
        store.pull(ENTRY.model_copy(update={"revision": "v9"}))
    del repository.files["model.safetensors"]
    with pytest.raises(ModelUnavailable, match="neither safetensors nor"):
        store.pull(ENTRY)


@pytest.mark.parametrize("status", [401, 403])
def test_a_gated_model_needs_its_terms_agreed_to(hub, files, store, status, monkeypatch):
    hub.add(NAME, files, gated=status)
    with pytest.raises(ModelUnavailable, match="is gated: agree to its terms") as wrong:
        store.pull(ENTRY)
    assert not isinstance(wrong.value, RepositoryNotFound), "two models by way of English are no answer"
    monkeypatch.setenv("HF_TOKEN", "hf_bad")
    with pytest.raises(ModelUnavailable, match="refuses the token"):
        store.pull(ENTRY)
    monkeypatch.setenv("HF_TOKEN", hub.good_token)
    store.pull(ENTRY)
    assert hub.cdn_tokens == []


@pytest.mark.parametrize(
    ("status", "match"), [(429, "fewer requests"), (500, "error .500."), (403, "account")]
)
def test_a_hub_that_refuses_is_told(hub, repository, store, status, match):
    hub.status = status
    with pytest.raises(ModelUnavailable, match=match) as wrong:
        store.pull(ENTRY)
    assert "\n" not in wrong.value.message


# ---------------------------------------------------------------------------------------- processes

PROGRAM = f"""
import huggingface_hub.constants
huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE = {BLOCK}
from service.__main__ import main
main()
"""


def _pulling(hub, tmp_path):
    env = os.environ | {
        "HF_ENDPOINT": hub.url,
        "DRAGOMAN_CACHE_DIR": str(tmp_path / "cache"),
        "DRAGOMAN_DATA_DIR": str(tmp_path / "data"),
    }
    command = [sys.executable, "-c", PROGRAM, "models", "pull", NAME]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_after_a_pull_that_was_killed_two_at_once_download_once_and_leave_nothing_behind(
    hub, repository, store, tmp_path
):
    hub.go_on.clear()
    killed = _pulling(hub, tmp_path)
    while not any(part.stat().st_size for part in (tmp_path / "cache").rglob("*.incomplete")):
        assert killed.poll() is None
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    hub.go_on.set()
    two = [_pulling(hub, tmp_path) for _ in range(2)]
    for process in two:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out.decode()) == (0, f"{NAME} {repository.commit}\n"), err
    assert len(_downloads(hub)) <= 2, hub.asked
    assert not list((tmp_path / "cache").rglob("*.incomplete"))
    assert store.check(ENTRY) == []
