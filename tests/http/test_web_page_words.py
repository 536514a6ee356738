"""The page's words: the same in all of its languages, all there, and none left over."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from models.catalog import Catalog
from models.languages import Languages

WEB = Path(__file__).parents[2] / "service" / "http" / "web"
LANGUAGES = sorted(each.name.split(".")[1] for each in WEB.glob("words.*.json"))
PLURALS = {"ru": {"one", "few", "many", "other"}, "zh": {"other"}}
"""The forms that whole numbers take (CLDR); in all others here it is `one` and `other`."""
MADE = (
    "status.",
    "file.",
    "model.",
    "kind.",
    "failure.",
    "length.",
    "rewrite.",
    "translation.",
    "trust",
    "task.",
)
"""Beginnings of keys that the code puts together."""


@cache
def _words(language: str) -> dict[str, Any]:
    return json.loads((WEB / f"words.{language}.json").read_text("utf-8"))


def _forms(text: str | dict[str, str]) -> list[str]:
    return [text] if isinstance(text, str) else list(text.values())


def _places(text: str) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", text))


def test_they_are_the_bundled_models() -> None:
    bundled = Catalog.load(Languages.load()).get("dragoman/gemma3-270m-translate")
    assert sorted(bundled.languages) == LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_the_same_words_with_the_same_places(language: str) -> None:
    own, english = _words(language), _words("en")
    assert list(own) == list(english)
    for key, text in own.items():
        assert isinstance(text, str) == isinstance(english[key], str), key
        for form in _forms(text):
            assert form.strip() and _places(form) == _places(_forms(english[key])[-1]), key
        if isinstance(text, dict):
            assert set(text) == PLURALS.get(language, {"one", "other"}), key


def test_the_page_uses_them_all_and_no_others() -> None:
    page = "".join(each.read_text("utf-8") for each in (*WEB.glob("*.js"), WEB / "index.html"))
    used = set(re.findall(r'\bt\(\s*"([\w.-]+)"|data-t[\w-]*="([\w.-]+)"', page))
    named = {key for pair in used for key in pair if key}
    named |= set(re.findall(r'"([a-z]+\.[\w.-]+|trust|old|site)"', page)) & set(_words("en"))
    assert named <= set(_words("en")), named - set(_words("en"))
    assert not [key for key in _words("en") if key not in named and not key.startswith(MADE)]
