"""Verdicts of trials (see `trial`), kept in a file, so that a model is not tried at each load.

A verdict holds for what it is about: the model and its revision, the card, and the versions of all that
computes. Whatever of that changes, there is a new trial. Knows nothing of engines.
"""

import datetime
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

COMPUTING = ("torch", "triton", "transformers", "dragoman")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of a trial."""

    about: Mapping[str, str]
    """With `model` and `card`; see `subject`."""
    failure: str
    """The reason; empty if all was right."""
    date: str

    @property
    def told(self) -> str:
        """The reason for a log; empty if all was right."""
        return f"{self.failure} (on {self.date}; that verdict is kept)" if self.failure else ""


class Verdicts:
    """A file in the cache. One that cannot be read or written keeps nothing: then each load has a trial."""

    def __init__(self, cache: Path):
        self._file = cache / "trials.json"

    def all(self) -> list[Verdict]:
        """Return those that are kept: one for each model on each card."""
        try:
            return [Verdict(**each) for each in json.loads(self._file.read_text("utf-8"))]
        except (OSError, ValueError, TypeError):
            return []

    def of(self, about: Mapping[str, str]) -> Verdict | None:
        """Return the verdict about just this."""
        return next((each for each in self.all() if each.about == about), None)

    def keep(self, about: Mapping[str, str], failure: str) -> None:
        """Keep a verdict in the place of the model's last one on that card."""
        others = [each for each in self.all() if _place(each.about) != _place(about)]
        date = datetime.datetime.now(datetime.UTC).date().isoformat()
        self._write([*others, Verdict(about, failure, date)])

    def forget(self) -> None:
        """Forget all of them."""
        self._file.unlink(missing_ok=True)

    def _write(self, verdicts: list[Verdict]) -> None:
        fresh = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        try:
            fresh.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(json.dumps([asdict(each) for each in verdicts], indent=1) + "\n", "utf-8")
            fresh.replace(self._file)
        except OSError:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)


def subject(model: str, revision: str, card: str, **more: str) -> dict[str, str]:
    """Return what a verdict is about."""
    return {
        "model": model,
        "revision": revision,
        "card": card,
        **more,
        **{name: _version(name) for name in COMPUTING},
    }


def _place(about: Mapping[str, str]) -> tuple[str | None, str | None]:
    return about.get("model"), about.get("card")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
