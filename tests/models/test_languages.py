"""The table of languages: users' codes in all their forms, and which languages are near to one another."""

import pytest

from models.errors import UnsupportedLanguage

BUNDLED = ["en", "fr", "es", "de", "it", "pt", "ru", "zh"]


@pytest.mark.parametrize(
    ("code", "own"),
    [
        ("zh", "zh"),
        ("zh-CN", "zh"),
        ("zh-Hant", "zh-Hant"),
        ("zh-TW", "zh-Hant"),
        ("zh-Hant-HK", "zh-Hant"),
        ("zh_Hans_CN", "zh"),
        ("pt-BR", "pt"),
        ("pt-PT", "pt"),
        ("en-GB", "en"),
        ("es-419", "es"),
        ("fr_CA", "fr"),
        ("sr-Cyrl", "sr"),
        ("nb-NO", "no"),
        ("EN", "en"),
        ("sr-Latn", "sr-Latn"),
        ("uz_Cyrl", "uz-Cyrl"),
    ],
)
def test_targets_by_bcp_47(languages, code, own):
    assert languages.normalize(code, "target") == own


@pytest.mark.parametrize(("code", "nearest"), [("az-Cyrl", "az"), ("pa-Arab", "pa")])
def test_a_script_that_no_model_writes_is_no_target(languages, code, nearest):
    with pytest.raises(UnsupportedLanguage) as caught:
        languages.normalize(code, "target")
    assert nearest in (caught.value.allowed or ())
    assert languages.normalize(code, "source") == nearest


def test_a_source_in_another_script_is_the_language(languages):
    assert languages.normalize("sr-Latn", "source") == "sr"
    assert languages.normalize("uz-Cyrl", "source") == "uz"


@pytest.mark.parametrize(
    ("code", "region"),
    [
        ("pt-BR", "BR"),
        ("pt_br", "BR"),
        ("es-419", "419"),
        ("zh-Hant-HK", "HK"),
        ("pt", None),
        ("fr_XX", None),
        ("eng_Latn", None),
        ("sr-Latn", None),
        ("French", None),
    ],
)
def test_the_region_of_a_code(languages, code, region):
    assert languages.region(code) == region


@pytest.mark.parametrize(
    ("code", "region", "labels"),
    [
        ("fr", None, "fra_Latn fra fr"),
        ("ar", None, "arb_Arab ara_Arab arb ara ar"),
        ("az", None, "azj_Latn aze_Latn azj aze az"),
        ("ckb", None, "ckb_Arab kur_Arab ckb kur"),
        ("arz", None, "arz_Arab arz"),
        ("sr-Latn", None, "srp_Latn"),
        ("uz-Cyrl", None, "uzn_Cyrl uzb_Cyrl"),
        ("br", None, "bre br"),
        ("zh", None, "cmn_Hans zh zh_cn cmn"),
        ("zh-Hant", "HK", "zh_HK cmn_Hant zh_tw"),
        ("pt", "BR", "pob pt_BR pt_br por pt"),
        ("es", "MX", "es_MX spa es"),
    ],
)
def test_labels_are_tried_in_this_order(languages, code, region, labels):
    regional, own = languages.labels(code, region)
    tried = [label for label in (*regional, *own) if label in labels.split()]
    assert list(dict.fromkeys(tried)) == labels.split()


def test_every_language_of_opus_mt_has_its_macrolanguages_label(languages):
    pairs = "ar ara lv lav sq sqi az aze uz uzb mn mon ps pus or ori yi yid mg mlg ku kur ckb kur sw swa"
    codes = f"{pairs} fa fas ne nep".split()
    for code, label in zip(codes[::2], codes[1::2], strict=True):
        assert label in languages.labels(code)[1]


@pytest.mark.parametrize(
    ("code", "nearest"),
    [
        ("gl", ["es", "pt"]),
        ("ca", ["es", "pt", "fr"]),
        ("uk", ["ru"]),
        ("be", ["ru"]),
        ("zh-Hant", ["zh"]),
        ("yue", []),
        ("ja", []),
        ("ko", []),
    ],
)
def test_the_nearest_are_languages_that_a_reader_may_know(languages, code, nearest):
    assert languages.nearest(code, BUNDLED)[: len(nearest)] == nearest
    assert bool(languages.nearest(code, BUNDLED)) == bool(nearest)


def test_nothing_is_nearest_to_what_is_no_code(languages):
    assert languages.nearest("not a code!", BUNDLED) == []
    assert languages.nearest("fr", ["fr"]) == []
