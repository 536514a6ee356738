"""Stop words of some sixty languages, from the lists of stopwords-iso."""

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
    """Return the stop words of `language` (ISO 639-1 or `und`) in lower case; none if it has no list."""
    code = {"und": "en", "nb": "no", "nn": "no"}.get(language, language)
    if not has_lang(code):
        return frozenset()
    listed = frozenset(word.replace("’", "'").lower() for word in stopwords(code))
    return listed | _CONTRACTED if code != "en" else (listed | _CONTRACTED) - _NAMES
