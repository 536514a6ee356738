"""The words that every text of a language has, from the lists of stopwords-iso: some sixty languages."""

from functools import cache

from stopwordsiso import has_lang, stopwords

_CONTRACTED = frozenset(
    [
        "s",
        "t",
        "d",
        "m",
        "ll",
        "re",
        "ve",
        "don",
        "doesn",
        "didn",
        "isn",
        "wasn",
        "weren",
        "won",
        "couldn",
        "wouldn",
        "hasn",
        "haven",
        "hadn",
    ]
)
_NAMES = frozenset({"microsoft", "netscape", "herse", "downing", "novel", "computer", "nc", "uk", "us"})


@cache
def common_words(language: str) -> frozenset[str]:
    """In small letters; empty for a language without a list. `language` is an ISO 639-1 code, or `und`."""
    code = {"und": "en", "nb": "no", "nn": "no"}.get(language, language)
    if not has_lang(code):
        return frozenset()
    listed = frozenset(word.replace("’", "'").lower() for word in stopwords(code))
    return listed | _CONTRACTED if code != "en" else (listed | _CONTRACTED) - _NAMES
