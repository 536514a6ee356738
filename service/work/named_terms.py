"""Looks up a stored glossary's terms for the texts of a request."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from models.errors import UnsupportedLanguage

if TYPE_CHECKING:
    from service.runtime import Runtime


def named_terms(
    runtime: "Runtime", named: str, source: str, target: str, *, owner: str | None
) -> Callable[[str], Mapping[str, str]]:
    """Return a function from a text to its terms, by the owner's glossary with this id or name.

    With source `auto` each text takes the terms of the language that it is in, and none where the glossary
    has none for it. Raises UnknownGlossary where it could help no text, and UnsupportedLanguage.
    """
    glossaries = runtime.glossaries.of(owner)
    if source != "auto":
        terms = glossaries.entries(named, source, target)
        return lambda _: terms
    by_source = glossaries.targets(named, target)

    def of(text: str) -> Mapping[str, str]:
        (detected,) = runtime.detector.candidates(text, limit=1)
        try:
            return by_source.get(runtime.languages.normalize(detected.language), {})
        except UnsupportedLanguage:  # `und`, or a language that no model here has
            return {}

    return of
