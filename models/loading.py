"""From a catalog entry to files on disk and weights in memory.

A hub's repository, a local folder or a package's weights all end as a folder in transformers' layout.
Weights are safetensors; a repository that has only a `.bin` is read with torch's `weights_only`. A model's
own code is never run.
"""

import hashlib
import json
import logging
import pickle
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models import packaged
from models.entry import ModelEntry, Package
from models.errors import ModelUnavailable
from models.families import AUTO_CLASSES
from models.hub import HubCache, RepositoryNotFound, Tell
from models.made import Made, blob_problems

log = logging.getLogger(__name__)

CONVERSION = 2
"""Raised when models are converted differently, so that what was made before is made anew."""


def _silent(_done: int, _total: int) -> None:
    """Tell nobody."""


class Store:
    """Keeps models under `cache`. The hub is asked for those that it `may_fetch`, with `offline` for none."""

    def __init__(
        self,
        cache: Path,
        *,
        offline: bool = False,
        may_fetch: Callable[[ModelEntry], bool] = lambda _entry: True,
    ):
        self.cache = cache
        self.offline = offline
        self._may_fetch = may_fetch
        self._hub = HubCache(cache / "hub")

    # ------------------------------------------------------------------ folders

    def folder(self, entry: ModelEntry, tell: Tell = _silent) -> Path:
        """The entry's files in transformers' layout; fetched or built the first time.

        Raises ModelUnavailable, and its RepositoryNotFound, with the reason.
        """
        if entry.path is not None:
            if not entry.path.is_dir():
                raise RepositoryNotFound(f"{entry.name}: there is no such folder", folder=entry.path)
            if not (entry.path / "config.json").is_file():
                raise ModelUnavailable(f"{entry.name}: its folder holds no config.json", folder=entry.path)
            return entry.path
        if entry.package is not None:
            return self._packaged(entry)
        return self._from_hub(entry, tell=tell)

    def require(self, entry: ModelEntry) -> None:
        """Raise RepositoryNotFound if the entry is neither here nor at the hub. Fetches nothing."""
        if entry.path is not None:
            self.folder(entry)
        elif entry.package is None and self._whole(entry) is None:
            self._require_hub(entry)
            self._hub.require(entry.repository or entry.name, self.revision(entry))

    def ct2_folder(self, entry: ModelEntry) -> Path:
        """The entry converted to CTranslate2's int8; converted the first time."""
        source = self.folder(entry)
        made = self._converted(entry, source)
        with made.once(entry.name) as scratch:
            if scratch is not None:
                from models.convert import require_convertible, to_ctranslate2

                with _named(entry, "configuration", source):
                    require_convertible(source)
                log.info("%s: converting to int8, once", entry.name)
                # encoder-decoders compute their positions in the numbers that they are loaded in
                dtype = "auto" if entry.kind == "causal" else "float32"
                to_ctranslate2(self.load(entry, dtype=dtype), self.tokenizer(entry), source, scratch)
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
                    packaged.build(package, scratch, entry.languages)
        return (
            made.folder if package.folder is None else packaged.module_folder(package.module) / package.folder
        )

    def _from_hub(self, entry: ModelEntry, *, refresh: bool = False, tell: Tell = _silent) -> Path:
        """The repository's snapshot: the cached one if it is whole, or with `refresh` the hub's newest."""
        if (self.offline or not refresh) and (found := self._whole(entry)) is not None:
            return found
        self._require_hub(entry)
        revision = entry.revision if refresh else self.revision(entry)
        return self._hub.fetch(entry.repository or entry.name, revision, tell)

    def _whole(self, entry: ModelEntry) -> Path | None:
        return self._hub.whole(entry.repository or entry.name, self.revision(entry))

    def _require_hub(self, entry: ModelEntry) -> None:
        """Raise RepositoryNotFound if the hub may not be asked for it."""
        if self.offline:
            raise RepositoryNotFound(
                f"{entry.name} is not in the cache, and the hub may not be asked (offline)"
            )
        if not self._may_fetch(entry):
            raise RepositoryNotFound(f"{entry.name} is not in the cache, and it may not be fetched here")

    # ------------------------------------------------------------------ loading

    def tokenizer(self, entry: ModelEntry) -> Any:
        """Return the entry's tokenizer, without running any code of its repository."""
        from transformers import AutoTokenizer

        folder = self.folder(entry)
        with _named(entry, "tokenizer", folder):
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            names = tokenizer.vocab_files_names.values()
            if not any((folder / name).is_file() for name in names):  # transformers makes an empty one then
                raise FileNotFoundError(f"none of {', '.join(names)} is there")
        return tokenizer

    def load(self, entry: ModelEntry, *, dtype: str = "auto", device: str = "cpu") -> Any:
        """The entry's transformers model, in evaluation mode on `device`."""
        import transformers

        folder = self.folder(entry)
        cls = getattr(transformers, AUTO_CLASSES[entry.kind])
        with _named(entry, "model", folder):
            model = cls.from_pretrained(
                folder,
                dtype=dtype,
                local_files_only=True,
                trust_remote_code=False,
                weights_only=True,
                use_safetensors=any(folder.glob("*.safetensors")),
            )
        return model.to(device).eval()

    def generation_config(self, entry: ModelEntry) -> Any:
        """The entry's generation defaults; older repositories keep them in config.json."""
        from transformers import GenerationConfig

        folder = self.folder(entry)
        own = (folder / "generation_config.json").is_file()
        with _named(entry, "configuration", folder):
            return GenerationConfig.from_pretrained(
                folder, "generation_config.json" if own else "config.json", local_files_only=True
            )

    # ------------------------------------------------------------------ models pull | check

    def pull(self, entry: ModelEntry, tell: Tell = _silent) -> str:
        """Fetch or build the entry and record the revision it resolved to, which is used from then on."""
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
        try:
            if entry.package is not None:
                packaged.module_folder(entry.package.module)
            else:
                Store(self.cache, offline=True).folder(entry)
        except ModelUnavailable:
            return "not pulled"
        return "ready"

    def here(self, entry: ModelEntry) -> bool:
        """Return whether the entry can be used without the network, a pattern for one pair at least."""
        if not entry.is_pattern or entry.path is not None:
            return entry.is_pattern or self.state(entry) == "ready"
        pattern = self._hub.home(entry.repository or entry.name).name
        return any(self._hub.folder.glob(pattern))

    def pulled(self, pattern: ModelEntry) -> list[ModelEntry]:
        """Return the models that are here of those that a pattern stands for."""
        homes = self._hub.folder.glob(self._hub.home(pattern.repository or pattern.name).name)
        names = sorted(home.name.removeprefix("models--").replace("--", "/", 1) for home in homes)
        found = [entry for name in names if (entry := pattern.matches(name)) is not None]
        own = [entry for entry in found for pair in entry.pairs if pattern.for_pair(*pair).name == entry.name]
        return [entry for entry in own if self.state(entry) == "ready"]

    def check(self, entry: ModelEntry) -> list[str]:
        """Return the faults of the entry's files; empty if they are sound."""
        try:
            if entry.package is not None:
                found = packaged.problems(entry.package) + self._prepared(entry, entry.package).problems()
                source = self._prepared(entry, entry.package).folder
            else:
                source = Store(self.cache, offline=True).folder(entry)
                found = blob_problems(source) if _has_weights(source) else [f"{source} holds no weights"]
            if not (found := found + self._converted(entry, source).problems()) and source.is_dir():
                self.tokenizer(entry)
            return found
        except ModelUnavailable as error:
            return [error.placed.removeprefix(f"{entry.name}: ")]

    # ------------------------------------------------------------------ inside

    def _home(self, entry: ModelEntry) -> Path:
        return self.cache / "models" / entry.name.replace("/", "--")

    def _prepared(self, entry: ModelEntry, package: Package) -> Made:
        """A package's weights put together, or the note that its own files were verified."""
        if package.folder is None:
            return Made(self._home(entry) / "merged", self.revision(entry))
        files = [part for parts in packaged.sources(package).values() for part in parts]
        return Made(self._home(entry) / "verified", self.revision(entry), files)

    def _converted(self, entry: ModelEntry, source: Path) -> Made:
        """The conversion of these weights, which entries of one folder or repository share."""
        key = entry.repository or entry.name
        if entry.path is not None:
            key = f"local--{hashlib.sha256(bytes(source.resolve())).hexdigest()[:12]}"
        home = self.cache / "models" / key.replace("/", "--")
        return Made(home / f"ct2-int8-{CONVERSION}-{source.resolve().name}", self.revision(entry))


def _has_weights(folder: Path) -> bool:
    return any(folder.glob("*.safetensors")) or any(folder.glob("pytorch_model*.bin"))


def without_paths(words: str, *folders: Path) -> str:
    """A library's words without where these folders lie, which is no caller's affair."""
    for folder in folders:
        words = words.replace(str(folder), "its folder")
    return words


def _fingerprint(folder: Path) -> str:
    """Changes when a local folder's weights are replaced."""
    files = sorted(p for p in folder.iterdir() if p.suffix in {".safetensors", ".bin", ".json"})
    return ";".join(f"{p.name}:{p.stat().st_size}:{p.stat().st_mtime_ns}" for p in files)


@contextmanager
def _named(entry: ModelEntry, part: str, folder: Path) -> Iterator[None]:
    """Turns whatever a library raises over a model's files into ModelUnavailable with the model's name."""
    try:
        yield
    except ModelUnavailable:
        raise
    except pickle.UnpicklingError as error:
        raise ModelUnavailable(f"{entry.name}: its weights hold code, which is never run") from error
    except Exception as error:
        reason = without_paths(str(error).strip().partition("\n")[0], folder)[:300]
        log.error("%s: its %s in %s cannot be read: %s", entry.name, part, folder, error)
        raise ModelUnavailable(f"{entry.name}: its {part} cannot be read: {reason}") from error
