"""The way from one language to another: by one model, or by two."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.entry import ModelEntry
from models.errors import InvalidInput, UnsupportedLanguage
from models.hub import RepositoryNotFound
from models.languages import Languages
from models.pool import ModelPool


@dataclass(frozen=True, slots=True)
class Hop:
    """One model's part of the way from the source language to the target."""

    entry: ModelEntry
    source: str
    target: str


def cautions(hops: Sequence[Hop]) -> tuple[str, ...]:
    """Return what the catalog has readers told of these models, each once."""
    return tuple(dict.fromkeys(hop.entry.caution for hop in hops if hop.entry.caution))


class Router:
    """Finds the way with the catalog's models; `default_model` where a request names none."""

    def __init__(self, pool: ModelPool, languages: Languages, default_model: str):
        self._pool = pool
        self._languages = languages
        self._default_model = default_model

    def entry(self, model: str | None) -> ModelEntry:
        """The catalog's entry. Raises UnknownModel."""
        return self._pool.catalog.get(model or self._default_model, "translate")

    def reads(self, entry: ModelEntry, language: str) -> bool:
        """Return True if the model takes texts in this language, as far as the catalog says."""
        return not entry.languages or language in entry.languages or language.split("-")[0] in entry.languages

    def route(self, entry: ModelEntry, source: str, target: str) -> list[Hop]:
        """The models to use, one after another. Raises UnsupportedLanguage where none would."""
        base = source.split("-")[0]  # one that reads `zh` makes something of `zh-Hant`; it cannot write it
        readable = base if source not in entry.languages and base in entry.languages else source
        source = self._supported(entry, readable, "source")
        target = self._supported(entry, target, "target")
        if source == target:
            raise UnsupportedLanguage(
                f"{entry.name} does not tell {source} from other kinds of it", field="target"
            )
        self._check_pair(entry, source, target)
        if entry.is_pattern:
            return self._pair_route(entry, source, target)
        if entry.english_only and "en" not in (source, target):
            return [Hop(entry, source, "en"), Hop(entry, "en", target)]
        return [Hop(entry, source, target)]

    def _pair_route(self, entry: ModelEntry, source: str, target: str) -> list[Hop]:
        """One model for the pair, or where there is none, two that meet in English."""
        direct = Hop(entry.for_pair(source, target), source, target)
        try:
            self._pool.store.require(direct.entry)
        except RepositoryNotFound:
            if "en" in (source, target):
                raise
            pairs = ((source, "en"), ("en", target))
            return [Hop(entry.for_pair(*pair), *pair) for pair in pairs]
        return [direct]

    def _check_pair(self, entry: ModelEntry, source: str, target: str) -> None:
        """Raise UnsupportedLanguage if the model has pairs and this is none of them.

        The name of a pattern's model may have a group of languages for a side, such as ROMANCE: any will do.
        """
        pairs = [tuple(map(self._own, pair)) for pair in entry.pairs]
        starts = [pair for pair in pairs if pair[0] in (source, None)]
        if not pairs or any(pair[1] in (target, None) for pair in starts):
            return
        field, language = ("target", target) if starts else ("source", source)
        raise UnsupportedLanguage(
            f"{entry.name} does not translate {self._languages.name(language)} ({language})",
            field=field,
            allowed=[side for pair in (starts or pairs) if (side := pair[bool(starts)])],
        )

    def _own(self, side: str) -> str | None:
        """The code of a language in a model's name; None for what is not one."""
        try:
            return self._languages.normalize(side)
        except UnsupportedLanguage:
            return None

    def _supported(self, entry: ModelEntry, language: str, field: str) -> str:
        """The language, if this model has it."""
        if language in entry.languages or not entry.languages:
            return language
        near = self._languages.nearest(language, entry.languages)
        others = [
            e.name for e in self._pool.catalog.entries if language in e.languages and "translate" in e.tasks
        ]
        hint = f"; the nearest it has: {', '.join(map(self._languages.name, near))}" if near else ""
        hint += f"; {', '.join(others[:3])} would" if others else ""
        raise UnsupportedLanguage(
            f"{entry.name} does not translate {self._languages.name(language)} ({language}){hint}",
            field=field,
            allowed=[*near, *(code for code in entry.languages if code not in near)],
        )


def check_recognized(language: str) -> None:
    """Raises InvalidInput for `und`."""
    if language == "und":
        raise InvalidInput(
            "the language of the text was not recognized; say which it is",
            field="source",
            allowed="a language code",
        )
