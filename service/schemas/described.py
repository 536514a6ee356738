"""Makes the bodies' JSON Schema say what the bodies do: which of them are refused, and which are not."""

from typing import Any

from pydantic import BeforeValidator

from service.settings import Settings

INPUTS = ("text", "html", "texts")
"""The fields of which a body has exactly one."""


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


whole = BeforeValidator(_whole)
"""Takes for an integer what JSON Schema calls one, such as 3.0. To stand last in a field's `Annotated`."""


def one_input(schema: dict[str, Any]) -> None:
    """A body's `json_schema_extra`: one of its inputs is given, and the others are absent or null."""
    inputs = [name for name in INPUTS if name in schema["properties"]]
    forms = schema["oneOf"] = [
        {
            "title": f"with {given}",
            "required": [given],
            "properties": {name: {"type": _kind(name) if name == given else "null"} for name in inputs},
        }
        for given in inputs
    ]
    if "stream" in schema["properties"]:  # one text only
        forms[inputs.index("texts")]["properties"]["stream"] = {"const": False}
    for own in schema["properties"].values():
        for form in (own, *own.get("anyOf", ()), *own.get("oneOf", ())):
            if "patternProperties" in form:  # what does not match is refused, not passed over
                form["additionalProperties"] = False


def write_limits(schema: dict[str, Any], settings: Settings) -> None:
    """Write the settings' limits into a body's schema, in place."""
    most = {"text": settings.max_request_characters, "html": settings.max_html_characters}
    for name, own in schema.get("properties", {}).items():
        for form in own.get("anyOf", [own]):
            if name in most and form.get("type") == "string":
                form |= {"maxLength": most[name], "pattern": r"\S"}
            if name == "texts" and form.get("type") == "array":
                form["maxItems"] = settings.max_texts


def _kind(name: str) -> str:
    return "array" if name == "texts" else "string"
