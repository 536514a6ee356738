"""The table of languages: users' codes in all their forms, and which languages are near to one another."""

import pytest

from models.errors import UnsupportedLanguage
from models.languages import Languages

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
    ],
)
def test_targets_by_bcp_47(languages: Languages, code: str, own: str) -> None:
    assert languages.normalize(code, "target") == own


@pytest.mark.parametrize(("code", "nearest"), [("sr-Latn", "sr"), ("uz-Cyrl", "uz"), ("pa-Arab", "pa")])
def test_a_script_that_no_model_writes_is_no_target(languages: Languages, code: str, nearest: str) -> None:
    with pytest.raises(UnsupportedLanguage) as caught:
        languages.normalize(code, "target")
    assert nearest in (caught.value.allowed or ())
    assert languages.normalize(code, "source") == nearest


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
def test_the_nearest_are_languages_that_a_reader_may_know(
    languages: Languages, code: str, nearest: list[str]
) -> None:
    assert languages.nearest(code, BUNDLED)[: len(nearest)] == nearest
    assert bool(languages.nearest(code, BUNDLED)) == bool(nearest)


def test_nothing_is_nearest_to_what_is_no_code(languages: Languages) -> None:
    assert languages.nearest("not a code!", BUNDLED) == []
    assert languages.nearest("fr", ["fr"]) == []
