"""From catalog entries to files: local folders, packages, a hub's cache, and what is refused."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import models.hub
import models.store
from models.catalog import Catalog, ModelEntry, Package
from models.codec import base_decoding
from models.errors import ModelUnavailable
from models.store import Store


def _copy(tiny_hub, kind, folder):
    entry = tiny_hub.entry(kind)
    shutil.copytree(entry.path, folder)
    return entry.model_copy(update={"path": folder})


def _to_bin(folder):
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def test_a_repository_with_a_bin_alone_is_read(tiny_hub, tmp_path):
    entry = _copy(tiny_hub, "marian", tmp_path / "m")
    expected = tiny_hub.store.load(entry).state_dict()
    _to_bin(tmp_path / "m")
    loaded = Store(tmp_path).load(entry).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in expected.items())


class _Evil:
    def __reduce__(self):
        return Path.touch, (Path("/nonexistent/run"),)


def test_a_bin_that_would_run_code_is_refused(tiny_hub, tmp_path):
    entry = _copy(tiny_hub, "marian", tmp_path / "m")
    (tmp_path / "m" / "model.safetensors").unlink()
    torch.save({"weight": _Evil()}, tmp_path / "m" / "pytorch_model.bin")
    with pytest.raises(ModelUnavailable, match="tiny/marian: its weights hold code"):
        Store(tmp_path).load(entry)


def test_a_repositorys_own_code_is_never_run(tiny_hub, tmp_path):
    entry = _copy(tiny_hub, "bart", tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text("utf-8"))
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config"}}
    (tmp_path / "m" / "config.json").write_text(json.dumps(config), "utf-8")
    (tmp_path / "m" / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')", "utf-8")
    with pytest.raises(ModelUnavailable):
        Store(tmp_path).load(entry)
    assert not (tmp_path / "ran").exists()


def test_a_folder_without_a_model_is_told(tmp_path):
    entry = ModelEntry(name="x", family="bart", tasks=("summarize",), path=tmp_path)
    with pytest.raises(ModelUnavailable, match=r"no config\.json") as caught:
        Store(tmp_path).folder(entry)
    assert caught.value.placed.endswith(f"({tmp_path})")
    missing = entry.model_copy(update={"path": tmp_path / "none"})
    with pytest.raises(ModelUnavailable, match=r"^x: there is no such folder$") as caught:
        Store(tmp_path).folder(missing)
    assert caught.value.placed == f"x: there is no such folder ({tmp_path / 'none'})"
    assert Store(tmp_path).check(missing) == [f"there is no such folder ({tmp_path / 'none'})"]


def test_replaced_weights_are_converted_anew(tiny_hub, tmp_path):
    entry = _copy(tiny_hub, "marian", tmp_path / "m")
    store = Store(tmp_path / "cache")
    before = (store.ct2_folder(entry) / "model.bin").read_bytes()
    weights = load_file(tmp_path / "m" / "model.safetensors")
    save_file({n: -w for n, w in weights.items()}, tmp_path / "m" / "model.safetensors", {"format": "pt"})
    assert (store.ct2_folder(entry) / "model.bin").read_bytes() != before


def test_entries_of_one_folder_share_its_conversion(tiny_hub, tmp_path):
    entry = _copy(tiny_hub, "marian", tmp_path / "m")
    (tmp_path / "link").symlink_to(tmp_path / "m")
    other = entry.model_copy(update={"name": "tiny/other", "path": tmp_path / "link"})
    store = Store(tmp_path / "cache")
    made = (store.ct2_folder(entry) / "model.bin").stat().st_ino
    converted = store.ct2_folder(other) / "model.bin"
    assert converted.stat().st_ino == made
    sizes = [file.stat().st_size for file in (*entry.path.iterdir(), converted)]
    assert (store.bytes_on_disk(entry) or 0) > sum(sizes)  # with the tokenizer that was written down


def test_a_folder_without_its_tokenizer_is_not_sound(tiny_hub, tmp_path):
    entry = _copy(tiny_hub, "bart", tmp_path / "m")
    store = Store(tmp_path / "cache")
    assert store.check(entry) == []
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt"):
        (tmp_path / "m" / name).unlink(missing_ok=True)
    [problem] = store.check(entry)
    assert problem.startswith("its tokenizer cannot be read"), "the name comes from the command"


def test_a_half_made_conversion_is_not_used(tiny_hub, tmp_path):
    entry = _copy(tiny_hub, "marian", tmp_path / "m")
    store = Store(tmp_path / "cache")
    folder = store.ct2_folder(entry)
    (folder / "complete.json").unlink()
    (folder / "model.bin").write_bytes(b"half")
    assert (store.ct2_folder(entry) / "model.bin").stat().st_size > 100


@pytest.mark.parametrize("damage", ["another", "cut", "removed", "record"])
def test_a_conversion_that_was_changed_is_told_and_made_anew(tiny_hub, tmp_path, damage, caplog):
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
    assert ("rebuilding, because model.bin" in caplog.text) == (damage != "record")


def test_a_fetched_file_that_was_changed_is_told(tiny_hub, tmp_path):
    entry = _copy(tiny_hub, "marian", tmp_path / "m")
    weights = tmp_path / "m" / "model.safetensors"
    blob = tmp_path / models.hub.digest([weights])  # as the hub's cache has it
    weights.rename(blob)
    weights.symlink_to(blob)
    assert Store(tmp_path / "cache").check(entry) == []
    blob.write_bytes(blob.read_bytes()[:-1])
    [problem] = Store(tmp_path / "cache").check(entry)
    assert problem.startswith("model.safetensors is not the file that the hub has")


def test_a_copied_cache_is_used_as_it_is(tiny_hub, tmp_path, monkeypatch):
    entry = _copy(tiny_hub, "marian", tmp_path / "m")
    made = Store(tmp_path / "cache").ct2_folder(entry)
    shutil.copytree(tmp_path / "cache", tmp_path / "copy", copy_function=shutil.copyfile)
    read = []
    monkeypatch.setattr("models.store.digest", lambda parts: read.extend(parts) or models.hub.digest(parts))
    Store(tmp_path / "copy").ct2_folder(entry)
    copied = Store(tmp_path / "copy").ct2_folder(entry)
    assert (copied / "model.bin").read_bytes() == (made / "model.bin").read_bytes()
    often = [file.name for file in read].count("model.bin")
    assert often == 2, "looked through once, and once for the new record; the second use believes that"


def test_errors_tell_callers_no_paths(tiny_hub, tmp_path):
    entry = _copy(tiny_hub, "marian", tmp_path / "m")
    (tmp_path / "m" / "model.safetensors").write_bytes(b"no weights")
    for broken in (entry, entry.model_copy(update={"path": tmp_path})):
        with pytest.raises(ModelUnavailable) as wrong:
            Store(tmp_path / "cache").load(broken)
        assert str(tmp_path) not in wrong.value.message


# ---------------------------------------------------------------------------------------- generation


def test_generation_defaults_of_old_repositories(tiny_hub, tmp_path):
    """Those keep them in config.json, as distilbart does."""
    entry = _copy(tiny_hub, "bart", tmp_path / "m")
    (tmp_path / "m" / "generation_config.json").unlink()
    config = json.loads((tmp_path / "m" / "config.json").read_text("utf-8"))
    config |= {"num_beams": 4, "no_repeat_ngram_size": 3, "forced_bos_token_id": 0, "length_penalty": 2.0}
    (tmp_path / "m" / "config.json").write_text(json.dumps(config), "utf-8")
    found = Store(tmp_path).generation_config(entry)
    assert (found.num_beams, found.no_repeat_ngram_size, found.forced_bos_token_id) == (4, 3, 0)


@pytest.mark.parametrize("is_forced", [True, False])
def test_the_first_token_that_older_configurations_force(tiny_hub, tmp_path, is_forced):
    """As distilbart's: transformers called it so until 2021."""
    entry = _copy(tiny_hub, "bart", tmp_path / "m")
    (tmp_path / "m" / "generation_config.json").unlink()
    config = json.loads((tmp_path / "m" / "config.json").read_text("utf-8"))
    config.pop("forced_bos_token_id", None)
    config |= {"force_bos_token_to_be_generated": is_forced, "bos_token_id": 5}
    (tmp_path / "m" / "config.json").write_text(json.dumps(config), "utf-8")
    found = base_decoding(entry, Store(tmp_path).generation_config(entry))
    assert found.get("forced_bos_token_id") == (5 if is_forced else None)


# ---------------------------------------------------------------------------------------- packages


def test_the_bundled_packages_are_sound(languages, tmp_path):
    bundled = [entry for entry in Catalog.load(languages).entries if entry.bundled]
    assert {task for entry in bundled for task in entry.tasks} == {"summarize", "translate"}
    for entry in bundled:
        assert Store(tmp_path).check(entry) == []


def test_a_changed_package_is_refused(tmp_path):
    package = Package(
        module="models",
        gguf="settings",
        parts=("models/catalog.toml",),
        sha256={"settings": "0" * 64, "none.bin": "0" * 64},
    )
    entry = ModelEntry(name="x", family="marian", tasks=("translate",), package=package)
    assert [problem.split()[0] for problem in models.store.problems(package)] == ["settings", "none.bin"]
    with pytest.raises(ModelUnavailable, match="SHA-256"):
        Store(tmp_path).folder(entry)


def test_a_missing_package_is_told(tmp_path):
    package = Package(module="no_such_weights", gguf="x.gguf", parts=(), sha256={"x.gguf": ""})
    entry = ModelEntry(name="x", family="marian", tasks=("translate",), package=package)
    with pytest.raises(ModelUnavailable, match="not installed"):
        Store(tmp_path).folder(entry)


def test_weights_are_put_together_anew_by_another_recipe(tmp_path, monkeypatch):
    part = "models/catalog.toml"
    digest = models.hub.digest([models.store.module_folder("models").parent / part])
    package = Package(module="models", gguf="x.gguf", parts=(part,), sha256={"x.gguf": digest})
    entry = ModelEntry(
        name="x", family="marian", tasks=("translate",), package=package, languages=("en", "fr")
    )
    built = []

    def build(package, folder, languages):
        built.append(languages)
        (folder / "config.json").touch()

    monkeypatch.setattr(models.store, "build", build)
    for languages in (("en", "fr"), ("fr", "en"), ("en", "ru")):
        Store(tmp_path).folder(entry.model_copy(update={"languages": languages}))
    assert built == [("en", "fr"), ("en", "ru")]
    monkeypatch.setattr(models.store, "RECIPE", models.store.RECIPE + 1)
    Store(tmp_path).folder(entry.model_copy(update={"languages": ("en", "ru")}))
    assert len(built) == 3
