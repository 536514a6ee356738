"""The catalog and the table of languages."""

from dataclasses import fields

import pytest

from models.catalog import ELSEWHERE, Catalog, EntryDecoding
from models.engine.protocol import Decoding
from models.errors import InvalidInput, UnknownModel, UnsupportedLanguage
from models.families import FAMILIES

NAMED_IN_THE_ISSUE = [
    "facebook/bart-large-cnn",
    "sshleifer/distilbart-cnn-12-6",
    "google/pegasus-cnn_dailymail",
    "google/flan-t5-base",
    "csebuetnlp/mT5_multilingual_XLSum",
    "Helsinki-NLP/opus-mt-en-fr",
    "facebook/m2m100_418M",
    "facebook/nllb-200-distilled-600M",
    "facebook/mbart-large-50-many-to-many-mmt",
    "Qwen/Qwen2.5-1.5B-Instruct",
]


@pytest.fixture(scope="module")
def catalog(languages):
    return Catalog.load(languages)


@pytest.fixture
def load(languages, tmp_path):
    """Loads the catalog with a user's file."""

    def load(text):
        (tmp_path / "own.toml").write_text(text, "utf-8")
        return Catalog.load(languages, tmp_path / "own.toml")

    return load


@pytest.mark.parametrize("name", NAMED_IN_THE_ISSUE)
def test_well_known_models_are_there(catalog, name):
    assert catalog.get(name).name == name


def test_every_entry_holds_together(catalog, languages):
    for entry in catalog.entries:
        assert entry.licence
        assert set(entry.languages) <= set(languages.names())
        if entry.kind == "causal":
            assert set(entry.prompt) == set(entry.tasks)
            assert all("{text}" in prompt for prompt in entry.prompt.values())


def test_a_pattern_stands_for_every_pair(catalog):
    entry = catalog.get("Helsinki-NLP/opus-mt-*")
    assert entry.is_pattern
    assert entry.for_pair("de", "en").repository == "Helsinki-NLP/opus-mt-de-en"
    assert not catalog.get("Helsinki-NLP/opus-mt-de-en").is_pattern


def test_unknown_models_are_told_with_the_nearest(catalog):
    with pytest.raises(UnknownModel, match="did you mean facebook/bart-large-cnn") as caught:
        catalog.get("facebook/bart-large-cn", "summarize")
    assert caught.value.field == "model"
    assert "dragoman/extractive" in (caught.value.allowed or ())
    with pytest.raises(UnknownModel, match="does not translate"):
        catalog.get("facebook/bart-large-cnn", "translate")


BART = '[[model]]\nname = "x"\nfamily = "bart"\ntasks = ["summarize"]\n'

OWN = """
[[model]]
name = "ours/news"
family = "bart"
tasks = ["summarize"]
path = "news"
languages = ["en"]

[[model]]
name = "facebook/bart-large-cnn"
family = "bart"
tasks = ["summarize"]
max_source_tokens = 512
"""


def test_a_users_file_adds_and_replaces(load, tmp_path):
    catalog = load(OWN)
    assert catalog.get("ours/news").path == tmp_path / "news"
    assert catalog.get("facebook/bart-large-cnn").max_source_tokens == 512
    assert catalog.get("google/flan-t5-base")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[model]\n", "not TOML"),
        ("[models]\n", "may hold"),
        ('[[model]]\nname = "x"\nfamily = "bert"\ntasks = ["summarize"]\n', "family"),
        ('[[model]]\nname = "x"\nfamily = "bart"\ntasks = []\n', "tasks"),
        ('[[model]]\nname = "x"\nfamily = "bart"\ntasks = ["summarize"]\nspeed = 3\n', "speed"),
        ("model = [3]\n", "may hold"),
        (BART.replace('name = "x"', ""), "name: it is missing"),
        (BART + BART, "has 'x' twice"),
        (BART + "decoding = { num_beam = 4 }\n", "num_beam"),
        (BART + 'decoding = { num_beams = "four" }\n', "num_beams"),
        (BART + 'decoding = { num_beams = "4" }\n', "decoding.num_beams: .*valid integer, not '4'"),
        (BART + "decoding = { num_beams = 0 }\n", "num_beams: .*greater than 0, not 0"),
        (BART + "decoding = { suppressed_token_ids = [1, -2] }\n", "suppressed_token_ids.1"),
        (BART + "decoding = { max_new_tokens = 9 }\n", "max_new_tokens: .* a field of the entry itself"),
        (BART + "decoding = { min_new_tokens = 9 }\n", "min_new_tokens: it is not allowed here"),
        (BART + 'path = "~nobody-of-this-name/m"\n', "path: ~nobody-of-this-name is not a user's home"),
        (BART + 'pairs = ["en>fr"]\n', "'en>fr' is not a pair of language codes"),
        (BART + 'pairs = ["en-qq"]\n', "pairs: unknown 'qq'"),
        (BART.replace("summarize", "entail"), "does not entail, only summarize, translate"),
        (BART + 'prompt = { summarize = "Summarize!" }\n', "no {text}"),
        (BART + 'codes = "nosuch"\n', "nosuch"),
        (BART + 'languages = ["en", "qq"]\n', "qq"),
        (BART.replace("bart", "completion"), "needs a prompt"),
    ],
)
def test_a_wrong_file_is_told(load, text, said):
    with pytest.raises(InvalidInput, match=said):
        load(text)


@pytest.mark.parametrize(
    ("pair", "repository"),
    [
        (("en", "pt"), "opus-mt-tc-big-en-pt"),
        (("pt", "en"), "opus-mt-ROMANCE-en"),
        (("en", "ja"), "opus-mt-en-jap"),
        (("ja", "en"), "opus-mt-ja-en"),
        (("en", "zh-Hant"), "opus-mt-en-zh"),
        (("hr", "en"), "opus-mt-zls-en"),
    ],
)
def test_a_pair_whose_repository_has_another_name(catalog, pair, repository):
    pattern = catalog.get("Helsinki-NLP/opus-mt-*")
    entry = pattern.for_pair(*pair)
    assert (entry.name, entry.repository) == (f"Helsinki-NLP/{repository}",) * 2
    assert entry.pairs == (pair,)
    assert catalog.get(f"Helsinki-NLP/opus-mt-{'-'.join(pair)}").repository == entry.repository


def test_other_names_are_of_known_languages(catalog, languages):
    pattern = catalog.get("Helsinki-NLP/opus-mt-*")
    pairs = [pair for pairs in pattern.other_names.values() for pair in pairs]
    assert len(set(pairs)) == len(pairs)
    assert {code for pair in pairs for code in pair} <= languages.names().keys()


def test_an_exact_name_goes_before_a_pattern(load, tmp_path):
    catalog = load(OWN.replace("ours/news", "Helsinki-NLP/opus-mt-en-fr"))
    assert catalog.get("Helsinki-NLP/opus-mt-en-fr").path == tmp_path / "news"


@pytest.mark.parametrize("pair", ["", "../x", "en fr", "x" * 150])
def test_a_pair_cannot_be_anything(catalog, pair):
    with pytest.raises(UnknownModel):
        catalog.get(f"Helsinki-NLP/opus-mt-{pair}")


def test_a_missing_file_is_told(languages, tmp_path):
    with pytest.raises(InvalidInput, match="cannot be read"):
        Catalog.load(languages, tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("fr", "fr"),
        ("FR", "fr"),
        (" fr-CA ", "fr"),
        ("fra_Latn", "fr"),
        ("fr_XX", "fr"),
        ("French", "fr"),
        ("pt-BR", "pt"),
        ("zh-TW", "zh-Hant"),
        ("zh_CN", "zh"),
        ("zho_Hant", "zh-Hant"),
        ("nb", "no"),
        ("iw", "he"),
    ],
)
def test_languages_by_any_code(languages, given, code):
    assert languages.normalize(given) == code


@pytest.mark.parametrize("given", ["", "xx", "klingon", "francophone", "e n"])
def test_unknown_languages_are_refused(languages, given):
    with pytest.raises(UnsupportedLanguage) as caught:
        languages.normalize(given, "target")
    assert caught.value.field == "target"


def test_every_code_normalizes_to_itself(languages):
    assert all(languages.normalize(code) == code for code in languages.names())


def test_what_an_entry_leaves_out_comes_from_its_family(load):
    catalog = load(BART.replace("bart", "instruct") + BART.replace('"x"', '"y"'))
    assert "{text}" in catalog.get("x").prompt["summarize"]
    assert catalog.get("x").free_length
    assert "num_beams" not in catalog.get("y").decoding, "a model of one's own searches as its files say"


@pytest.mark.parametrize("family", [name for name, row in FAMILIES.items() if row.num_beams])
def test_the_shipped_models_take_their_family_s_beams(catalog, family):
    entries = [entry for entry in catalog.entries if entry.family == family]
    assert entries
    assert all(entry.decoding["num_beams"] == FAMILIES[family].num_beams for entry in entries)


def test_a_home_folder_is_found(load, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load(BART + 'path = "~/models/x"\n').get("x").path == tmp_path / "models" / "x"


def test_a_model_for_some_pairs_has_their_languages(load, languages):
    entry = load(BART + 'pairs = ["en-fr", "zh-Hant-en"]\n').get("x")
    assert entry.pairs == (("en", "fr"), ("zh-Hant", "en"))
    assert entry.languages == ("en", "fr", "zh-Hant")


def test_an_entry_may_choose_all_of_the_search_but_its_limits():
    assert set(EntryDecoding.__annotations__) | set(ELSEWHERE) == {field.name for field in fields(Decoding)}
