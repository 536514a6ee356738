"""From a catalog entry to files on disk and weights in memory.

A hub's repository, a local folder or a package's weights all end as a folder in transformers' layout.
Weights are safetensors; a repository that has only a `.bin` is read with torch's `weights_only`. What is made
of them once is made by a process of its own, so that who uses it needs no torch.
"""

import hashlib
import json
import logging
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from models import hf_import, packaged
from models.apart import apart
from models.entry import ModelEntry, Package
from models.errors import ModelUnavailable
from models.hub import HubCache, RepositoryNotFound, Tell, page
from models.made import Made, blob_problems
from models.tokenizer import VERSION as TOKENIZERS
from models.tokenizer import read_back

log = logging.getLogger(__name__)

CONVERSION = 2
"""Raised when models are converted differently, so that what was made before is made anew."""


def _silent(_done: int, _total: int) -> None:
    """Tell nobody."""


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
        why = "is not here" if self._may_use(entry) else "may not be used here"
        return f"{entry.name} {why}: {self.how_to_get(entry)}"

    def lacking(self, entries: Iterable[ModelEntry]) -> list[ModelEntry]:
        """Return those that would have to be fetched; a pattern while there is a model of no pair."""
        return [each for each in entries if self.state(each) == "not pulled" or not self._has_pair(each)]

    def how_to_get(self, entry: ModelEntry) -> str:
        """Return what gets a model that is not here: one command, after what must be done for it to work.

        Every message that names such a model has its end from here.
        """
        if not self._may_use(entry):
            return "DRAGOMAN_ALLOW_MODELS has to name it"
        if entry.path is not None:
            return "its files go into the folder that the catalog's `path` names"
        if entry.package is not None:
            return packaged.how_to_get(entry.package.module)
        first = []
        if (setting := self.offline_by) is not None:
            first.append(f"unset {setting}")
        if entry.gated:
            first.append(f"agree to its terms on {page(entry.repository or entry.name)}")
            first.append("set HF_TOKEN to a token of that account")
        return f"{', '.join(first)}; then {_pull(entry)}" if first else _pull(entry)

    # ------------------------------------------------------------------ folders

    def folder(self, entry: ModelEntry, tell: Tell = _silent) -> Path:
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
                raise ModelUnavailable(f"{entry.name}: its folder holds no config.json", folder=entry.path)
            return entry.path
        if entry.package is not None:
            return self._packaged(entry)
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
        elif entry.package is None and entry.weights != "elsewhere" and self._whole(entry) is None:
            self._require_hub(entry)
            with _once_settled(entry):
                self._hub.require(entry.repository or entry.name, self.revision(entry))

    def ct2_folder(self, entry: ModelEntry, numbers: str | None = None) -> Path:
        """The entry as CTranslate2 reads it, converted the first time. Raises NotConvertible.

        `numbers` are those that the weights are kept in, if they are not a CPU's: a GPU's have 16 bits.
        """
        source, numbers = self.folder(entry), numbers or _numbers(entry)
        with (made := self._converted(entry, source, numbers)).once(entry.name) as scratch:
            if scratch is not None:
                log.info("%s: converting to %s, once", entry.name, numbers)
                with self._written(entry, source).once(entry.name) as beside:
                    apart(hf_import.convert, entry, source, scratch, numbers, beside)
        return made.folder

    def _packaged(self, entry: ModelEntry) -> Path:
        package = entry.package
        assert package is not None  # noqa: S101 - the caller looked
        made = self._prepared(entry, package)
        with made.once(entry.name) as scratch:
            if scratch is not None:
                packaged.verify(package)
                if package.folder is None:
                    log.info("%s: putting the bundled weights together, once", entry.name)
                    apart(packaged.build, package, scratch, entry.languages)
        return self._source(package, made)

    def _from_hub(self, entry: ModelEntry, *, refresh: bool = False, tell: Tell = _silent) -> Path:
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
                apart(hf_import.write_tokenizer, entry, source, scratch)
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

    def pull(self, entry: ModelEntry, tell: Tell = _silent) -> str:
        """Fetch or build the entry and record the revision it resolved to, which is used from then on."""
        if entry.weights == "elsewhere":
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
        if entry.weights == "elsewhere":
            return f"{entry.url}#{entry.model}"
        if entry.package is not None:
            return "sha256:" + packaged.combined(entry.package, entry.languages)
        if entry.path is not None:
            return "local:" + hashlib.sha256(_fingerprint(entry.path).encode()).hexdigest()[:12]
        record = self._home(entry) / "pulled.json"
        return str(json.loads(record.read_text("utf-8"))["revision"]) if record.is_file() else entry.revision

    def state(self, entry: ModelEntry) -> str:
        """`ready` if using the entry needs no network, else `not pulled`."""
        if entry.is_pattern:
            return "by pair"
        if entry.weights == "elsewhere":
            return "ready"
        try:
            if entry.package is not None:
                packaged.module_folder(entry.package.module)
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
        if not entry.is_pattern or entry.path is not None:
            return entry.is_pattern or self.state(entry) == "ready"
        pattern = self._hub.home(entry.repository or entry.name).name
        return any(self._hub.folder.glob(pattern))

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

    def _has_pair(self, entry: ModelEntry) -> bool:
        return not entry.is_pattern or entry.path is not None or bool(self.pulled(entry))

    def found(self, entry: ModelEntry) -> Path | None:
        """The folder of an entry that is here; None if a package has yet to be put together.

        Raises ModelUnavailable. Fetches and makes nothing.
        """
        if (package := entry.package) is None:
            return self.local(entry)
        source = self._source(package, self._prepared(entry, package))
        return source if (source / "config.json").is_file() else None

    def check(self, entry: ModelEntry) -> list[str]:
        """Return the faults of the entry's files; empty if they are sound."""
        if entry.weights == "elsewhere":
            return []
        try:
            if entry.weights == "gguf":
                from models.gguf import metadata

                file = entry.path or self.local(entry) / str(entry.file)
                metadata(file)
                return blob_problems([file])
            if (package := entry.package) is not None:
                prepared = self._prepared(entry, package)
                found = packaged.problems(package) + prepared.problems()
                source, is_there = self._source(package, prepared), prepared.folder.is_dir()
            else:
                source, is_there = self.local(entry), True
                found = [f"{source} holds no weights"]
                if _has_weights(source):
                    found = blob_problems(source.iterdir())
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

    def _prepared(self, entry: ModelEntry, package: Package) -> Made:
        """A package's weights put together, or the note that its own files were verified."""
        if package.folder is None:
            return Made(self._home(entry) / "merged", self.revision(entry))
        files = [part for parts in packaged.sources(package).values() for part in parts]
        return Made(self._home(entry) / "verified", self.revision(entry), files)

    def _source(self, package: Package, prepared: Made) -> Path:
        """The folder in transformers' layout that a package has, or that was put together of its parts."""
        if package.folder is None:
            return prepared.folder
        return packaged.module_folder(package.module) / package.folder

    def _converted(self, entry: ModelEntry, source: Path, numbers: str | None = None) -> Made:
        """The conversion of these weights."""
        return self._beside(entry, source, f"ct2-{numbers or _numbers(entry)}-{CONVERSION}")

    def _written(self, entry: ModelEntry, source: Path) -> Made:
        """The tokenizer of these files, written down."""
        return self._beside(entry, source, f"tokenizer-{TOKENIZERS}")

    def _beside(self, entry: ModelEntry, source: Path, kind: str) -> Made:
        """What is made of these files, which entries of one folder or repository share."""
        key = entry.repository or entry.name
        if entry.path is not None:
            key = f"local--{hashlib.sha256(bytes(source.resolve())).hexdigest()[:12]}"
        home = self.cache / "models" / key.replace("/", "--")
        return Made(home / f"{kind}-{source.resolve().name}", self.revision(entry))


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


def _numbers(entry: ModelEntry) -> str:
    """Return the numbers that CTranslate2 keeps weights in: whole ones for vectors."""
    return "float32" if entry.kind == "extractive" else "int8"


def _has_weights(folder: Path) -> bool:
    return any(folder.glob("*.safetensors")) or any(folder.glob("pytorch_model*.bin"))


def _fingerprint(path: Path) -> str:
    """Changes when a local folder's weights, or a file, are replaced."""
    suffixes = {".safetensors", ".bin", ".json"}
    files = sorted(p for p in path.iterdir() if p.suffix in suffixes) if path.is_dir() else [path]
    return ";".join(f"{p.name}:{p.stat().st_size}:{p.stat().st_mtime_ns}" for p in files)
