"""Finds the route from one language to another: through one model, or two."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from models.better import BetterModels
from models.catalog import ModelEntry
from models.errors import InvalidInput, ModelLoading, ModelUnavailable, UnsupportedLanguage
from models.hub import RepositoryNotFound
from models.languages import Languages
from models.pool import ModelPool
from models.translate.confidence import coefficients

ASK_AGAIN_S = 60.0
"""The hub is asked again so much later for a model that it did not have, or was not there to give."""


@dataclass(frozen=True, slots=True)
class Hop:
    """One model's part of the way from the source language to the target."""

    entry: ModelEntry
    source: str
    target: str
    region: str | None = None
    """The region whose form of the target is wanted."""
    note: str = ""
    """What the reader should know of the choice of this model."""


def cautions(pool: ModelPool, entries: Sequence[ModelEntry], *, with_better: bool = True) -> tuple[str, ...]:
    """Return what readers should be told of these models, each once: the catalog's words, what is unknown."""
    told = [_caution(pool, entry, with_better) for entry in entries if entry.caution]
    names = [entry.name for entry in entries if "translate" in entry.tasks]
    if len(names) > 1 or any(coefficients(name) is None for name in names):
        by = " + ".join(dict.fromkeys(names))
        told.append(f"not calibrated: how often translations by {by} are right is not known")
    return tuple(dict.fromkeys(told))


def _caution(pool: ModelPool, entry: ModelEntry, with_better: bool) -> str:
    better = None if entry.better is None or not with_better else pool.catalog.find(entry.better)
    if better is None:
        return entry.caution
    is_usable = pool.catalog.has(better) and pool.store.here(better)
    how = "" if is_usable else f": {pool.store.how_to_get(better)}"
    return f"{entry.caution}; {better.name}, named as `model`, is better{how}"


def _joined(entries: Sequence[ModelEntry], source: str, target: str) -> list[Hop]:
    """Return the hops by which these models get there: one if one does, else two, over English if may be.

    None of them stands for many; empty if they don't.
    """
    for entry in entries:
        if _translates(entry, source, target):
            return [Hop(entry, source, target)]
    firsts = [entry for entry in entries if source in _languages(entry)]
    seconds = [entry for entry in entries if target in _languages(entry)]
    for middle in dict.fromkeys(["en", *(code for entry in firsts for code in _languages(entry))]):
        first = next((each for each in firsts if _translates(each, source, middle)), None)
        second = next((each for each in seconds if _translates(each, middle, target)), None)
        if first is not None and second is not None:
            return [Hop(first, source, middle), Hop(second, middle, target)]
    return []


def _translates(entry: ModelEntry, source: str, target: str) -> bool:
    """Return True if the catalog says that the model itself translates this pair."""
    if source == target or entry.is_pattern:
        return False
    if entry.languages and not (source in entry.languages and target in entry.languages):
        return False
    if entry.pairs or not entry.languages:
        return (source, target) in entry.pairs
    return not entry.english_only or "en" in (source, target)


def _languages(entry: ModelEntry) -> dict[str, None]:
    """Return the languages that the catalog says a model has, in order; none where it says nothing."""
    return dict.fromkeys(entry.languages or (code for pair in entry.pairs for code in pair))


class Router:
    """Finds the way with the catalog's models.

    Where a request names none it is `default_model`, or one of the `better` ones.
    """

    def __init__(
        self,
        pool: ModelPool,
        languages: Languages,
        default_model: str,
        better: BetterModels | None = None,
    ):
        self._pool = pool
        self._languages = languages
        self._default_model = default_model
        self._better = better
        self._refusals: dict[str, tuple[float, ModelUnavailable]] = {}
        """By a model's name: until when the hub is not asked for it again, and what it said."""

    def entry(self, model: str | None) -> ModelEntry:
        """The catalog's entry. Raises UnknownModel."""
        return self._pool.catalog.get(model or self._default_model, "translate")

    def reads(self, model: str | None, language: str) -> bool:
        """Return True if the model takes texts in this language, as far as the catalog says.

        With None it is the one that would be taken. Raises UnknownModel.
        """
        entry = self.entry(model)
        if not entry.languages or language in entry.languages or language.split("-")[0] in entry.languages:
            return True
        return model is None and self._better is not None and self._better.reads(language)

    def choose(self, model: str | None, source: str, target: str) -> list[Hop]:
        """The models to use for a request that names this one or none, one after another.

        Raises UnsupportedLanguage where none would do, and ModelLoading where one that would is on its way.
        """
        entry = self.entry(model)
        if model is not None or self._better is None:
            return self.route(entry, source, target, with_others=model is None)
        choice = self._better.translator(source, target)
        if choice.entry is not None:
            hops = self._own_route(choice.entry, source, target)
        else:
            try:
                hops = self.route(entry, source, target, with_others=True)
            except UnsupportedLanguage as error:
                if not choice.note:
                    raise
                pair = " to ".join(f"{self._languages.name(code)} ({code})" for code in (source, target))
                raise ModelLoading(
                    f"{entry.name} does not translate {pair}; {choice.note}",
                    retry_after_s=choice.retry_after_s,
                ) from error
        return [replace(hops[0], note=choice.note), *hops[1:]]

    def route(self, entry: ModelEntry, source: str, target: str, *, with_others: bool = False) -> list[Hop]:
        """The models to use, one after another. Raises UnsupportedLanguage where none would.

        `with_others`, what the model does not translate goes by other loaded models, or by two of all these
        that meet in a language.
        """
        try:
            return self._own_route(entry, source, target)
        except UnsupportedLanguage:
            if with_others and (hops := _joined([entry, *self._loaded(entry)], source, target)):
                return hops
            raise

    def give_up(self, hops: Sequence[Hop], error: ModelUnavailable) -> bool:
        """Return whether one of these was a better model, which is not chosen again before it is due."""
        return self._better is not None and any(self._better.give_up(hop.entry, error) for hop in hops)

    def reach(self) -> dict[str, dict[str, str | None]]:
        """For each language those that it is translated into if no model is named, and over which language.

        Of a model that stands for one a pair, those that are here count.
        """
        default = self.entry(None)
        entries = self._pool.store.pulled(default) if default.is_pattern else [default]
        entries = [*entries, *self._loaded(default)]
        if self._better is not None:
            entries += [each for each in self._better.reach() if each not in entries]
        had = {code for entry in entries for code in _languages(entry)}
        readable = [code for code in self._languages.names() if code in had]
        ways = {
            source: {
                target: hops[0].target if len(hops) > 1 else None
                for target in readable
                if source != target and (hops := _joined(entries, source, target))
            }
            for source in readable
        }
        return {source: found for source, found in ways.items() if found}

    def _loaded(self, entry: ModelEntry) -> list[ModelEntry]:
        """The translators in memory beside this one."""
        names = [name for name in self._pool.loaded() if name != entry.name]
        return [each for name in names if "translate" in (each := self._pool.catalog.get(name)).tasks]

    def _own_route(self, entry: ModelEntry, source: str, target: str) -> list[Hop]:
        """One model, or twice the same kind that meet in English. Raises UnsupportedLanguage."""
        base = source.split("-")[0]  # one that reads `zh` makes something of `zh-Hant`; it cannot write it
        readable = base if source not in entry.languages and base in entry.languages else source
        source = self._supported(entry, readable, "source")
        target = self._supported(entry, target, "target")
        if source == target:
            raise UnsupportedLanguage(
                f"{entry.name} does not tell {source} from other kinds of it", field="target"
            )
        self._check_pair(entry, source, target)
        through_english = [(source, "en"), ("en", target)]
        if not entry.is_pattern:
            meets = entry.english_only and "en" not in (source, target)
            return [Hop(entry, *pair) for pair in (through_english if meets else [(source, target)])]
        direct = entry.for_pair(source, target)
        try:
            self._require(direct)
        except ModelUnavailable as error:
            halves = [Hop(entry.for_pair(*pair), *pair) for pair in through_english]
            is_lost = not isinstance(error, RepositoryNotFound)  # the hub does not say whether it has one
            if "en" in (source, target) or (
                is_lost and not all(self._pool.store.here(half.entry) for half in halves)
            ):
                raise
            return halves
        return [Hop(direct, source, target)]

    def _require(self, entry: ModelEntry) -> None:
        """Raise ModelUnavailable unless the entry is here or at the hub, which is asked now and then."""
        due, error = self._refusals.get(entry.name, (0.0, None))
        if error is not None and time.monotonic() < due and not self._pool.store.here(entry):
            raise error.with_traceback(None)
        try:
            self._pool.store.require(entry)
        except ModelUnavailable as error:
            self._refusals[entry.name] = time.monotonic() + ASK_AGAIN_S, error
            raise

    def _check_pair(self, entry: ModelEntry, source: str, target: str) -> None:
        """Raise UnsupportedLanguage if the model has pairs and this is none of them.

        The name of a pattern's model may have a group of languages for a side, such as ROMANCE: any will do.
        """

        def own(side: str) -> str | None:
            try:
                return self._languages.normalize(side)
            except UnsupportedLanguage:
                return None  # no language

        pairs = [tuple(map(own, pair)) for pair in entry.pairs]
        starts = [pair for pair in pairs if pair[0] in (source, None)]
        if not pairs or any(pair[1] in (target, None) for pair in starts):
            return
        field, language = ("target", target) if starts else ("source", source)
        raise UnsupportedLanguage(
            f"{entry.name} does not translate {self._languages.name(language)} ({language})",
            field=field,
            allowed=[side for pair in (starts or pairs) if (side := pair[bool(starts)])],
        )

    def _supported(self, entry: ModelEntry, language: str, field: str) -> str:
        """The language, if this model has it."""
        if language in entry.languages or not entry.languages:
            return language
        near = self._languages.nearest(language, entry.languages)
        hint = f"; the nearest it has: {', '.join(map(self._languages.name, near))}" if near else ""
        hint += self._others(language)
        raise UnsupportedLanguage(
            f"{entry.name} does not translate {self._languages.name(language)} ({language}){hint}",
            field=field,
            allowed=[*near, *(code for code in entry.languages if code not in near)],
        )

    def _others(self, language: str) -> str:
        """Return which models here translate the language, else the first that does and what gets it."""
        catalog, store = self._pool.catalog, self._pool.store
        able = [e for e in catalog.entries if language in e.languages and "translate" in e.tasks]
        if here := [each.name for each in able if store.here(each)]:
            return f"; {', '.join(here[:3])} would"
        able += [each for each in catalog.others("translate") if language in each.languages]
        return f"; {able[0].name} would: {store.how_to_get(able[0])}" if able else ""


def check_recognized(language: str) -> None:
    """Raises InvalidInput for `und`."""
    if language == "und":
        raise InvalidInput(
            "the text's language was not recognized; specify it",
            field="source",
            allowed="a language code",
        )
