"""DeepL's list of languages, /v2/languages."""

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


class DeepLLanguages:
    """The view that lists languages."""

    def __init__(self, runtime: "Runtime"):
        self._runtime = runtime

    def add_to(self, routes: Blueprint) -> None:
        routes.route("/v2/languages", methods=["GET", "POST"])(self.languages)

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
