"""Ways from language to language: by one model, or by two loaded ones that meet in a language."""

import pytest
from fake_pool import FakePool

from models.catalog import Catalog, ModelEntry
from models.errors import ModelUnavailable, UnsupportedLanguage
from models.hub import FETCHED, RepositoryNotFound
from models.store import Store
from models.translate.route import Router


def _entry(name, **fields):
    return ModelEntry(name=name, family="nllb", tasks=("translate",), **fields)


ENTRIES = [
    _entry("one", languages=("en", "fr", "de"), english_only=True),
    _entry("pairs", languages=("fr", "it", "ru"), pairs=(("fr", "it"), ("ru", "fr"))),
    _entry("many", languages=("de", "pl", "cs")),
]


def _router(languages, loaded):
    pool = FakePool(languages)
    pool.catalog = Catalog(ENTRIES)
    pool.loaded = lambda: loaded
    return Router(pool.as_pool, languages, "one")


def _ways(router, source, target, **options):
    hops = router.route(router.entry(None), source, target, **options)
    return [(hop.entry.name, hop.source, hop.target) for hop in hops]


@pytest.mark.parametrize(
    ("source", "target", "ways"),
    [
        ("fr", "de", [("one", "fr", "en"), ("one", "en", "de")]),
        ("fr", "it", [("pairs", "fr", "it")]),
        ("en", "it", [("one", "en", "fr"), ("pairs", "fr", "it")]),
        ("ru", "en", [("pairs", "ru", "fr"), ("one", "fr", "en")]),
        ("en", "pl", [("one", "en", "de"), ("many", "de", "pl")]),
        ("ru", "it", [("pairs", "ru", "fr"), ("pairs", "fr", "it")]),
    ],
)
def test_two_that_meet_in_a_language_do(languages, source, target, ways):
    router = _router(languages, ["one", "pairs", "many"])
    assert _ways(router, source, target, with_others=True) == ways
    told = router.reach()[source][target]
    assert told == (ways[0][2] if len(ways) == 2 else None), "as /v1/languages says"


def test_three_are_too_many_and_what_is_not_loaded_is_not_taken(languages):
    router = _router(languages, ["one", "pairs", "many"])
    with pytest.raises(UnsupportedLanguage):
        router.route(router.entry(None), "ru", "pl", with_others=True)
    assert "pl" not in router.reach()["ru"]
    alone = _router(languages, [])
    with pytest.raises(UnsupportedLanguage):
        alone.route(alone.entry(None), "fr", "it", with_others=True)
    assert alone.reach() == {
        "de": {"en": None, "fr": "en"},
        "en": {"de": None, "fr": None},
        "fr": {"de": "en", "en": None},
    }


def test_a_model_that_is_named_is_taken_alone(languages):
    router = _router(languages, ["one", "pairs", "many"])
    with pytest.raises(UnsupportedLanguage, match="one does not translate Italian"):
        router.route(router.entry("one"), "fr", "it")


def test_of_models_by_pair_those_that_are_here_count(languages, tmp_path):
    for name in ("opus-mt-fr-en", "opus-mt-en-de", "opus-mt-tc-big-en-it", "opus-mt-ROMANCE-en"):
        home = tmp_path / "hub" / f"models--Helsinki-NLP--{name}"
        for each in ("refs/main", f"snapshots/c0ffee/{FETCHED}"):
            (home / each).parent.mkdir(parents=True)
            (home / each).write_text("c0ffee")
    pool = FakePool(languages)
    pool.store = Store(tmp_path, offline=True)
    router = Router(pool.as_pool, languages, "Helsinki-NLP/opus-mt-*")
    reach = router.reach()
    assert (reach["fr"], reach["en"]) == ({"de": "en", "en": None}, {"de": None}), "not by another pattern's"
    assert reach["pt"] == {"de": "en", "en": None}, "by a group's model"
    assert "it" not in reach, "which has a model of its own, that is not here"


class Answering:
    """A store: `here` are the pairs in the cache, and the hub gives `answer` of every other."""

    def __init__(self, here, answer):
        self._here, self._answer = here, answer
        self.asked = []

    def here(self, entry):
        return entry.name.removeprefix("opus-mt-") in self._here

    def require(self, entry):
        if not self.here(entry):
            self.asked.append(entry.name)
            raise self._answer


@pytest.mark.parametrize("answer", [RepositoryNotFound("no such model"), ModelUnavailable("no answer")])
def test_the_hub_is_asked_once_for_a_pair_and_both_halves_do_without_it(languages, answer):
    pool = FakePool(languages)
    pool.catalog = Catalog([_entry("opus-mt-*")])
    store = Answering(["fr-en", "en-de"], answer)
    pool.store = store
    router = Router(pool.as_pool, languages, "opus-mt-*")
    for _ in range(2):
        hops = router.choose(None, "fr", "de")
        assert [hop.entry.name for hop in hops] == ["opus-mt-fr-en", "opus-mt-en-de"]
        with pytest.raises(ModelUnavailable):
            router.choose(None, "en", "it")
    assert store.asked == ["opus-mt-fr-de", "opus-mt-en-it"]
