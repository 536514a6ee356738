"""The store: from a catalog entry to its files on disk and its weights in memory.

Weights come from a hub repository, a local folder or a Python package; all end as a folder in transformers'
layout, checked by SHA-256. Derived folders (merged, converted) are made once in their own process and rebuilt
when their files change. Weights are safetensors, or a `.bin` read with torch's `weights_only`.
"""

import hashlib
import json
import logging
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from filelock import FileLock

from models import hf_import
from models.catalog import ModelEntry, Package
from models.errors import ModelUnavailable
from models.hf_import import in_subprocess
from models.hub import HubCache, RepositoryNotFound, Tell, digest, file_size, page
from models.tokenizer import VERSION as TOKENIZERS
from models.tokenizer import read_back
from models.vocabulary import cut_model, cut_tokenizer, needed, rule

log = logging.getLogger(__name__)

RECIPE = 2
"""Raised when weights are put together differently, so that what was made before is made anew."""
CONVERSION = 2
"""Raised when models are converted differently, so that what was made before is made anew."""
DONE = "complete.json"
"""The record, which is written last, so that a half-made folder is never used."""


def how_to_get(module: str) -> str:
    """Return the command that installs a package that is not here."""
    return f"`pip install {module.replace('_', '-')}` gets it"


def module_folder(module: str) -> Path:
    """Where an installed package lies. Raises ModelUnavailable if it is not installed."""
    try:
        return Path(str(files(module)))
    except ModuleNotFoundError as error:
        raise ModelUnavailable(
            f"the package {module} with the bundled weights is not installed: {how_to_get(module)}"
        ) from error


def problems(package: Package) -> list[str]:
    """What is wrong with the package's files by their digests; empty if nothing is."""
    found = []
    for name, parts in sources(package).items():
        missing = [part for part in parts if not part.is_file()]
        if missing:
            found.append(f"{missing[0].name} is missing")
        elif digest(parts) != package.sha256[name]:
            found.append(f"{name} is not the file that the catalog names (its SHA-256 differs)")
    return found


def sources(package: Package) -> dict[str, list[Path]]:
    """The files behind each name that has a digest, each as the parts it is put together from."""
    root = module_folder(package.module)
    adapter = Path(str(files("models"))) / (package.adapter or "")
    return {
        name: [root.parent / part for part in package.parts] if name == package.gguf else [adapter / name]
        for name in package.sha256
    }


def build(package: Package, folder: Path, languages: Sequence[str]) -> None:
    """Write the package's GGUF model into `folder` in transformers' layout, in bfloat16.

    Its adapter is merged in; of its vocabulary is left what the languages need (see `models.vocabulary`).
    """
    from models.gguf import Gguf

    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        path = Path(scratch) / package.gguf
        with path.open("wb") as whole:
            for source in sources(package)[package.gguf]:
                with source.open("rb") as part:
                    shutil.copyfileobj(part, whole)
        file = Gguf(path)
        kept = _write_tokenizer(path, file.config().model_type, folder, rule(languages))
        adapter = None if package.adapter is None else Path(str(files("models"))) / package.adapter
        _write_model(file, folder, kept, {} if adapter is None else _lora(adapter))


def _write_tokenizer(path: Path, model_type: str, folder: Path, expression: str | None) -> list[int] | None:
    """Write the file's tokenizer into `folder`; return the ids of its tokens that are left, None for all.

    Those that match `expression` are left, and special ones. Raises ModelUnavailable for a tokenizer that
    cuts words into letters, as transformers 5.17 reads it, or begins with no special token, as 5.19 does
    unless it is told to.
    """
    from transformers import AutoTokenizer

    # without the type it would read the model's configuration first, in 12 s and 1 GB
    tokenizer = AutoTokenizer.from_pretrained(
        path.parent, gguf_file=path.name, tokenizer_type=model_type, add_bos_token=True
    )
    text = "Le président russe a rencontré dimanche"
    read = tokenizer(text).input_ids
    if len(read) > len(text) / 2 or read[0] != tokenizer.bos_token_id:
        raise ModelUnavailable("this version of transformers reads the bundled tokenizer wrongly; update it")
    tokenizer.save_pretrained(folder)
    if expression is None:
        return None
    written = folder / "tokenizer.json"
    spec = json.loads(written.read_text("utf-8"))
    kept = needed(spec, expression, tokenizer.all_special_tokens)
    if kept is not None:
        log.info("%d of %d tokens are kept", len(kept), len(spec["model"]["vocab"]))
        cut_tokenizer(spec, kept)
        written.write_text(json.dumps(spec, ensure_ascii=False), "utf-8")
    return kept


def _lora(adapter: Path) -> dict[str, tuple[Any, Any, float]]:
    """Return what a LoRA adapter in PEFT's layout adds to each weight: B, A and s of W + B A * s."""
    from safetensors.torch import load_file

    config = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
    lora = load_file(adapter / "adapter_model.safetensors")
    return {
        key.removeprefix("base_model.model.").replace(".lora_A.", "."): (
            lora[key.replace(".lora_A.", ".lora_B.")].float(),
            lora[key].float(),
            config["lora_alpha"] / config["r"],
        )
        for key in lora
        if ".lora_A." in key
    }


def _write_model(
    file: Any, folder: Path, kept: Sequence[int] | None, lora: Mapping[str, tuple[Any, Any, float]]
) -> None:
    """Write the file's model in bfloat16: each tensor is read, changed and rounded before the next is."""
    import torch
    from transformers import AutoModelForCausalLM

    from models.gguf import EMBEDDING

    with torch.device("meta"):  # the sizes alone
        model = AutoModelForCausalLM.from_config(file.config(), dtype=torch.bfloat16)
    if kept is not None:
        cut_model(model, kept)
    tensors = {}
    for name, _ in model.named_parameters():  # one that is tied to another comes once
        if name in lora:
            up, down, scale = lora[name]
            tensors[name] = file.read(name, torch.float32).add_(up @ down, alpha=scale).to(torch.bfloat16)
        else:
            tensors[name] = file.read(name, torch.bfloat16, kept if name == EMBEDDING else None)
    model.load_state_dict(tensors, strict=False, assign=True)
    model.tie_weights()
    model.save_pretrained(folder)


@dataclass(frozen=True, slots=True)
class PreparedFolder:
    """A folder with a record of its files, made from the weights that `revision` names.

    The record covers every file in the folder.
    """

    folder: Path
    revision: str

    @contextmanager
    def once(self, name: str) -> Iterator[Path | None]:
        """Yield a scratch folder that becomes this one, or None if this one exists and is intact.

        Safe between processes. A folder made from other weights, or changed since, is rebuilt; `name` is for
        the log. A file with the recorded size and time counts as intact; others are hashed.
        """
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.folder}.lock"):
            if (record := self._record()) is not None:
                wrong, moved = self._compare(record, whole=False)
                if not wrong:
                    if moved:  # a copy of the cache, say: not to be read whole each time
                        self._write(self.folder)
                    yield None
                    return
                log.warning("%s: rebuilding, because %s", name, "; ".join(wrong))
            scratch = self.folder.with_name(self.folder.name + ".making")
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            yield scratch
            self._write(scratch)
            shutil.rmtree(self.folder, ignore_errors=True)
            scratch.rename(self.folder)

    @property
    def is_made(self) -> bool:
        """True if it was made of these weights; its files may have been changed since."""
        return self._record() is not None

    def problems(self) -> list[str]:
        """Which files are not those that were made, by their digests; empty if none, or nothing, was made."""
        record = self._record()
        return [] if record is None else self._compare(record, whole=True)[0]

    # ------------------------------------------------------------------ inside

    def _record(self) -> Mapping[str, Any] | None:
        """The files' facts; None where nothing was made of these weights, or nothing is known of it."""
        try:
            record = json.loads((self.folder / DONE).read_text("utf-8"))
            files: Mapping[str, Any] = record["files"]
            return files if record["revision"] == self.revision else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _write(self, folder: Path) -> None:
        own = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != DONE]
        facts = {
            str(path.relative_to(folder)): [(stat := path.stat()).st_size, stat.st_mtime_ns, digest([path])]
            for path in own
        }
        part = folder / f"{DONE}.part"
        part.write_text(json.dumps({"revision": self.revision, "files": facts}), "utf-8")
        part.replace(folder / DONE)

    def _compare(self, record: Mapping[str, Any], *, whole: bool) -> tuple[list[str], bool]:
        """What is wrong, and whether a file has another time but is what it was."""
        wrong, moved = [], False
        for name, (size, time_ns, sha256) in record.items():
            file = self.folder / name
            if not file.is_file():
                wrong.append(f"{file.name} is missing")
                continue
            stat = file.stat()
            if not whole and (stat.st_size, stat.st_mtime_ns) == (size, time_ns):
                continue
            if stat.st_size != size or digest([file]) != sha256:
                wrong.append(f"{file.name} is not the file that was made")
            else:
                moved = True
        return wrong, moved


def blob_problems(files: Iterable[Path]) -> list[str]:
    """Which files of a hub's snapshot are not those that the hub has: it names each by its digest."""
    wrong = []
    for file in sorted(path for path in files if path.is_symlink()):
        blob = file.resolve()
        if not blob.is_file():
            wrong.append(f"{file.name} is missing")
        elif len(blob.name) == 64 and digest([blob]) != blob.name:
            wrong.append(f"{file.name} is not the file that the hub has (its SHA-256 differs)")
    return wrong


class Store:
    """Keeps models under `cache`. The hub is asked for those that it `may_fetch`, with `offline` for none.

    `may_use` says which models the operator's list leaves in, where there is one.
    """

    def __init__(
        self,
        cache: Path,
        *,
        offline: bool = False,
        may_fetch: Callable[[ModelEntry], bool] = lambda _entry: True,
        may_use: Callable[[ModelEntry], bool] = lambda _entry: True,
    ):
        self.cache = cache
        self.offline = offline
        self._may_fetch = may_fetch
        self._may_use = may_use
        self._hub = HubCache(cache / "hub")

    # ------------------------------------------------------------------ what is missing

    @property
    def offline_by(self) -> str | None:
        """The setting that keeps the hub from being asked, if there is one."""
        if self.offline:
            return "DRAGOMAN_OFFLINE"
        from huggingface_hub import constants

        return "HF_HUB_OFFLINE" if constants.HF_HUB_OFFLINE else None

    def missing(self, entry: ModelEntry) -> str:
        """Return the whole sentence about a model that is not here or may not be used."""
        why = "is not here" if self._may_use(entry) else "is not allowed on this server"
        return f"{entry.name} {why}: {self.how_to_get(entry)}"

    def how_to_get(self, entry: ModelEntry) -> str:
        """Return what gets a model that is not here: one command, after what must be done for it to work.

        Every message that names such a model has its end from here.
        """
        if not self._may_use(entry):
            return "DRAGOMAN_ALLOW_MODELS has to name it"
        if entry.path is not None:
            return "its files go into the folder that the catalog's `path` names"
        if entry.package is not None:
            return how_to_get(entry.package.module)
        first = []
        if (setting := self.offline_by) is not None:
            first.append(f"unset {setting}")
        if entry.gated:
            first.append(f"agree to its terms on {page(entry.repository or entry.name)}")
            first.append("set HF_TOKEN to a token of that account")
        return f"{', '.join(first)}; then {_pull(entry)}" if first else _pull(entry)

    # ------------------------------------------------------------------ folders

    def folder(self, entry: ModelEntry, tell: Tell = lambda *_: None) -> Path:
        """The entry's files in transformers' layout; fetched or built the first time.

        Raises ModelUnavailable, and its RepositoryNotFound, with the reason.
        """
        if entry.weights == "gguf" and entry.path is not None:
            if not entry.path.is_file():
                raise RepositoryNotFound(f"{entry.name}: there is no such file", folder=entry.path)
            return entry.path.parent
        if entry.path is not None:
            if not entry.path.is_dir():
                raise RepositoryNotFound(f"{entry.name}: there is no such folder", folder=entry.path)
            if not (entry.path / "config.json").is_file():
                raise ModelUnavailable(f"{entry.name}: its folder has no config.json", folder=entry.path)
            return entry.path
        if entry.package is not None:
            return self._packaged(entry, entry.package)
        return self._from_hub(entry, tell=tell)

    def local(self, entry: ModelEntry) -> Path:
        """The entry's files as `folder` has them, but for what would be fetched: ModelUnavailable then."""
        if entry.path is None and entry.package is None and self._whole(entry) is None:
            raise RepositoryNotFound(self.missing(entry))
        return self.folder(entry)

    def gguf_file(self, entry: ModelEntry) -> Path:
        """The entry's GGUF file; fetched the first time. Raises ModelUnavailable, as `folder` does."""
        folder = self.folder(entry)
        return entry.path or folder / str(entry.file)

    def require(self, entry: ModelEntry) -> None:
        """Raise RepositoryNotFound if the entry is neither here nor at the hub. Fetches nothing."""
        if entry.path is not None:
            self.folder(entry)
        elif entry.package is None and entry.has_files and self._whole(entry) is None:
            self._require_hub(entry)
            with _once_settled(entry):
                self._hub.require(entry.repository or entry.name, self.revision(entry))

    def ct2_folder(self, entry: ModelEntry, numbers: str = "int8") -> Path:
        """The entry as CTranslate2 reads it, converted the first time. Raises NotConvertible.

        `numbers` are those that the weights are kept in, if they are not a CPU's: a GPU's have 16 bits.
        """
        source = self.folder(entry)
        with (made := self._converted(entry, source, numbers)).once(entry.name) as scratch:
            if scratch is not None:
                log.info("%s: converting to %s, once", entry.name, numbers)
                with self._written(entry, source).once(entry.name) as beside:
                    in_subprocess(hf_import.convert, entry, source, scratch, numbers, beside)
        return made.folder

    def _packaged(self, entry: ModelEntry, package: Package) -> Path:
        made = self._prepared(entry)
        with made.once(entry.name) as scratch:
            if scratch is not None:
                if found := problems(package):
                    raise ModelUnavailable("; ".join(found))
                log.info("%s: assembling the bundled weights, once", entry.name)
                in_subprocess(build, package, scratch, entry.languages)
        return made.folder

    def _from_hub(self, entry: ModelEntry, *, refresh: bool = False, tell: Tell) -> Path:
        """The repository's snapshot: the cached one if it is whole, or with `refresh` the hub's newest."""
        if (not refresh or self.offline_by) and (found := self._whole(entry)) is not None:
            return found
        self._require_hub(entry)
        revision = entry.revision if refresh else self.revision(entry)
        with _once_settled(entry):
            return self._hub.fetch(entry.repository or entry.name, revision, tell, file=entry.file)

    def _whole(self, entry: ModelEntry) -> Path | None:
        return self._hub.whole(entry.repository or entry.name, self.revision(entry), file=entry.file)

    def _require_hub(self, entry: ModelEntry) -> None:
        """Raise RepositoryNotFound if the hub may not be asked for it."""
        if self.offline_by or not self._may_fetch(entry):
            raise RepositoryNotFound(self.missing(entry))

    # ------------------------------------------------------------------ loading

    def tokenizer(self, entry: ModelEntry) -> Any:
        """The entry's transformers tokenizer."""
        return hf_import.load_tokenizer(entry, self.folder(entry))

    def plain_tokenizer(self, entry: ModelEntry) -> Any:
        """Return what does the tokenizer's work without torch; it is written down the first time.

        Where that is not known to be the same, it is transformers' own.
        """
        source = self.folder(entry)
        with (made := self._written(entry, source)).once(entry.name) as scratch:
            if scratch is not None:
                in_subprocess(hf_import.write_tokenizer, entry, source, scratch)
        with hf_import.named(entry, "tokenizer", made.folder):
            return read_back(made.folder) or hf_import.load_tokenizer(entry, source)

    def load(self, entry: ModelEntry, *, dtype: str = "auto", device: str = "cpu") -> Any:
        """The entry's transformers model, in evaluation mode on `device`."""
        return hf_import.load_model(entry, self.folder(entry), dtype=dtype, device=device)

    def generation_config(self, entry: ModelEntry) -> Any:
        """The entry's generation defaults, by their names; older repositories keep them in config.json.

        With `prefix` and `task_specific_params`, which are in config.json alone.
        """
        folder = self.folder(entry)
        own = folder / "generation_config.json"
        with hf_import.named(entry, "configuration", folder):
            config = json.loads((folder / "config.json").read_text("utf-8"))
            if config.get("force_bos_token_to_be_generated") and config.get("forced_bos_token_id") is None:
                config["forced_bos_token_id"] = config.get("bos_token_id")  # as it was called until 2021
            base = json.loads(own.read_text("utf-8")) if own.is_file() else config
            return SimpleNamespace(**base | {n: config.get(n) for n in ("prefix", "task_specific_params")})

    # ------------------------------------------------------------------ models pull | check

    def pull(self, entry: ModelEntry, tell: Tell = lambda *_: None) -> str:
        """Fetch or build the entry and record the revision it resolved to, which is used from then on."""
        if not entry.has_files:
            return self.revision(entry)
        if entry.path is not None or entry.package is not None:
            self.folder(entry)
            return self.revision(entry)
        folder = self._from_hub(entry, refresh=True, tell=tell)
        home = self._home(entry)
        home.mkdir(parents=True, exist_ok=True)
        record = {"repository": entry.repository or entry.name, "revision": folder.name}
        part = home / f"pulled.{uuid.uuid4().hex}.part"
        part.write_text(json.dumps(record), "utf-8")
        part.replace(home / "pulled.json")  # another process may read it at any moment
        return folder.name

    def revision(self, entry: ModelEntry) -> str:
        """Return which version of the weights is used: a commit, a digest, or the entry's own word for it."""
        if entry.weights == "none":
            return "1"
        if entry.weights == "elsewhere":
            return f"{entry.url}#{entry.model}"
        if entry.package is not None:
            joined = ",".join(f"{name}={value}" for name, value in sorted(entry.package.sha256.items()))
            joined += f",{RECIPE}={rule(entry.languages)}"
            return "sha256:" + hashlib.sha256(joined.encode()).hexdigest()[:16]
        if entry.path is not None:
            return "local:" + hashlib.sha256(_fingerprint(entry.path).encode()).hexdigest()[:12]
        record = self._home(entry) / "pulled.json"
        return str(json.loads(record.read_text("utf-8"))["revision"]) if record.is_file() else entry.revision

    def state(self, entry: ModelEntry) -> str:
        """`ready` if using the entry needs no network, else `not pulled`."""
        if entry.is_pattern:
            return "by pair"
        if not entry.has_files:
            return "ready"
        try:
            if entry.package is not None:
                module_folder(entry.package.module)
            else:
                self.local(entry)
        except ModelUnavailable:
            return "not pulled"
        return "ready"

    def is_converted(self, entry: ModelEntry) -> bool:
        """Return whether the entry is here as CTranslate2 reads it."""
        try:
            source = self.local(entry)
        except ModelUnavailable:
            return False
        return self._converted(entry, source).folder.is_dir()

    def here_bytes(self, entry: ModelEntry) -> int:
        """Return the bytes that are here of an entry's repository, whole or not."""
        return self._hub.here_bytes(entry.repository or entry.name)

    def here(self, entry: ModelEntry) -> bool:
        """Return whether the entry can be used without the network, a pattern for one pair at least."""
        if entry.is_pattern:
            return entry.path is not None or bool(self.pulled(entry))
        return self.state(entry) == "ready"

    def is_prepared(self, entry: ModelEntry) -> bool:
        """Return whether nothing has to be fetched or put together before it can be loaded."""
        if entry.package is not None:
            return self.state(entry) == "ready" and self._prepared(entry).is_made
        return self.state(entry) == "ready"

    def bytes_on_disk(self, entry: ModelEntry) -> int | None:
        """Return the bytes of its files, those made of them included; None if they are not here."""
        if self.state(entry) != "ready" or not entry.has_files:
            return None
        if entry.weights == "gguf":
            return file_size(self.gguf_file(entry))
        if (package := entry.package) is not None:
            source = self._prepared(entry).folder
            own = [part for parts in sources(package).values() for part in parts]
        else:
            source = self.local(entry)
            own = list(source.rglob("*"))
        homes = {self._home(entry), self._written(entry, source).folder.parent}
        return sum(map(file_size, [*own, *(file for home in homes for file in home.rglob("*"))]))

    def pulled(self, pattern: ModelEntry) -> list[ModelEntry]:
        """Return the models that are here of those that a pattern stands for."""
        return [entry for entry in self.begun(pattern) if self.state(entry) == "ready"]

    def begun(self, pattern: ModelEntry) -> list[ModelEntry]:
        """Return the models of which something is here, of those that a pattern stands for."""
        homes = self._hub.folder.glob(self._hub.home(pattern.repository or pattern.name).name)
        names = sorted(home.name.removeprefix("models--").replace("--", "/", 1) for home in homes)
        found = [entry for name in names if (entry := pattern.matches(name)) is not None]
        own = [entry for entry in found for pair in entry.pairs if pattern.for_pair(*pair).name == entry.name]
        pairs = [pair for others in pattern.other_names.values() for pair in others]
        return own + [
            entry for pair in pairs if (entry := pattern.for_pair(*pair)).name in names and entry not in own
        ]

    def found(self, entry: ModelEntry) -> Path | None:
        """The folder of an entry that is here; None if a package has yet to be put together.

        Raises ModelUnavailable. Fetches and makes nothing.
        """
        if entry.package is None:
            return self.local(entry)
        source = self._prepared(entry).folder
        return source if (source / "config.json").is_file() else None

    def check(self, entry: ModelEntry) -> list[str]:
        """Return the faults of the entry's files; empty if they are sound."""
        if not entry.has_files:
            return []
        try:
            if entry.weights == "gguf":
                from models.gguf import metadata

                self.local(entry)
                metadata(file := self.gguf_file(entry))
                return blob_problems([file])
            if (package := entry.package) is not None:
                prepared = self._prepared(entry)
                found = problems(package) + prepared.problems()
                source, is_there = prepared.folder, prepared.folder.is_dir()
            else:
                source, is_there = self.local(entry), True
                has_weights = any(source.glob("*.safetensors")) or any(source.glob("pytorch_model*.bin"))
                found = blob_problems(source.iterdir()) if has_weights else [f"{source} holds no weights"]
            for made in (self._converted(entry, source), self._written(entry, source)):
                found = found + made.problems()
            if not found and is_there:
                self.tokenizer(entry)
            return found
        except ModelUnavailable as error:
            return [error.placed.removeprefix(entry.name).lstrip(": ")]

    # ------------------------------------------------------------------ inside

    def _home(self, entry: ModelEntry) -> Path:
        return self.cache / "models" / entry.name.replace("/", "--")

    def _prepared(self, entry: ModelEntry) -> PreparedFolder:
        """A package's weights, put together in transformers' layout."""
        return PreparedFolder(self._home(entry) / "merged", self.revision(entry))

    def _converted(self, entry: ModelEntry, source: Path, numbers: str = "int8") -> PreparedFolder:
        """The conversion of these weights."""
        return self._beside(entry, source, f"ct2-{numbers}-{CONVERSION}")

    def _written(self, entry: ModelEntry, source: Path) -> PreparedFolder:
        """The tokenizer of these files, written down."""
        return self._beside(entry, source, f"tokenizer-{TOKENIZERS}")

    def _beside(self, entry: ModelEntry, source: Path, kind: str) -> PreparedFolder:
        """What is made of these files, which entries of one folder or repository share."""
        key = entry.repository or entry.name
        if entry.path is not None:
            key = f"local--{hashlib.sha256(bytes(source.resolve())).hexdigest()[:12]}"
        home = self.cache / "models" / key.replace("/", "--")
        return PreparedFolder(home / f"{kind}-{source.resolve().name}", self.revision(entry))


@contextmanager
def _once_settled(entry: ModelEntry) -> Iterator[None]:
    """Adds the command that gets the model to an error of the hub or the disk, but where the hub has none."""
    try:
        yield
    except RepositoryNotFound:
        raise
    except ModelUnavailable as error:
        raise ModelUnavailable(f"{error.message}; once that is settled, {_pull(entry)}") from error


def _pull(entry: ModelEntry) -> str:
    """Return the command that gets a model, of a pattern that of one pair."""
    if entry.is_pattern:
        return f"`dragoman models pull {entry.name.replace('*', 'en-fr')}` gets the one for English to French"
    return f"`dragoman models pull {entry.name}` gets it"


def _fingerprint(path: Path) -> str:
    """Changes when a local folder's weights, or a file, are replaced."""
    suffixes = {".safetensors", ".bin", ".json"}
    files = sorted(p for p in path.iterdir() if p.suffix in suffixes) if path.is_dir() else [path]
    return ";".join(f"{p.name}:{p.stat().st_size}:{p.stat().st_mtime_ns}" for p in files)
