"""DeepL's lists of languages: /v2/languages, and /v3/languages with what each may be used for.

https://developers.deepl.com/docs/languages/using-the-languages-api
"""

from typing import TYPE_CHECKING

from flask import Blueprint, Response, request

from models.errors import InvalidInput
from service.http.compat.family import answer, directions

if TYPE_CHECKING:
    from service.runtime import Runtime

VARIANTS = {
    "en": {"EN-GB": "English (British)", "EN-US": "English (American)"},
    "pt": {"PT-BR": "Portuguese (Brazilian)", "PT-PT": "Portuguese (European)"},
    "zh": {"ZH": "Chinese (simplified)", "ZH-HANS": "Chinese (simplified)"},
    "zh-Hant": {"ZH-HANT": "Chinese (traditional)"},
}
"""Targets that DeepL's clients name by a variant, as they refuse EN and PT; models here know no variants."""

_OWN_CODES = {"no": "NB"}

_STABLE = {"status": "stable"}
_BOTH = {"needs_source_support": True, "needs_target_support": True}
_TRANSLATING = {
    "tag_handling": _BOTH,
    "glossary": _BOTH,
    "auto_detection": {"needs_source_support": True},
}
RESOURCES: dict[str, dict[str, dict[str, bool]]] = {
    "translate_text": _TRANSLATING,
    "translate_document": _TRANSLATING,
    "glossary": {},
}
"""DeepL's resources that are here, their features, and which language of a pair must have them."""


class DeepLLanguages:
    """The views that list languages."""

    def __init__(self, runtime: "Runtime"):
        self._runtime = runtime

    def add_to(self, routes: Blueprint) -> None:
        routes.route("/v2/languages", methods=["GET", "POST"])(self.languages)
        routes.get("/v3/languages")(self.languages_v3)
        routes.get("/v3/languages/resources")(self.resources)

    def languages(self) -> Response:
        # The client sends a form with its GET, which request.values leaves out.
        kind = request.form.get("type") or request.args.get("type") or "source"
        if kind not in ("source", "target"):
            raise InvalidInput(f"type is {kind[:40]!r}", field="type", allowed=["source", "target"])
        if kind == "source":
            return answer([{"language": code, "name": name} for code, name in self._sources().items()])
        return answer(
            [
                {"language": code, "name": name, "supports_formality": False}
                for code, name in self._targets().items()
            ]
        )

    def languages_v3(self) -> Response:
        resource = request.args.get("resource", "")
        if resource not in RESOURCES:
            raise InvalidInput(f"resource is {resource[:40]!r}", field="resource", allowed=list(RESOURCES))
        sources, targets = self._sources(), self._targets()
        return answer(
            [
                {
                    "lang": _bcp47(code),
                    "name": sources.get(code) or targets[code],
                    "usable_as_source": code in sources,
                    "usable_as_target": code in targets,
                    "status": "stable",
                    "features": {
                        feature: _STABLE
                        for feature, needs in RESOURCES[resource].items()
                        if code in sources or "needs_target_support" in needs
                    },
                }
                for code in sorted({*sources, *targets})
            ]
        )

    def resources(self) -> Response:
        return answer(
            [
                {"name": name, "features": [{"name": each, **needs} for each, needs in features.items()]}
                for name, features in RESOURCES.items()
            ]
        )

    def _sources(self) -> dict[str, str]:
        names = self._runtime.languages.names()
        return {deepl_code(code): names.get(code, code) for code in directions(self._runtime)}

    def _targets(self) -> dict[str, str]:
        names = self._runtime.languages.names()
        codes = dict.fromkeys(code for own in directions(self._runtime).values() for code in own)
        return {
            variant: name
            for code in codes
            for variant, name in VARIANTS.get(code, {deepl_code(code): names.get(code, code)}).items()
        }


def deepl_code(code: str) -> str:
    """A source language of ours as DeepL writes it: `EN`, `ZH`, `NB`."""
    base = code.split("-")[0]
    return _OWN_CODES.get(base, base.upper())


def _bcp47(code: str) -> str:
    """Return a code of DeepL's older interface as the newer one writes it: `de`, `en-US`, `zh-Hans`."""
    base, *rest = code.split("-")
    return "-".join([base.lower(), *(part.title() if len(part) == 4 else part for part in rest)])
