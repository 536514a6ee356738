"""A field that is left out of the JSON where it has no value, rather than written as null."""

from typing import Any

from pydantic import Field


def _is_none(value: object) -> bool:
    return value is None


def _without_null(schema: dict[str, Any]) -> None:
    schema.pop("default", None)
    forms = [form for form in schema.pop("anyOf", []) if form != {"type": "null"}]
    schema.update(forms[0] if len(forms) == 1 else {"anyOf": forms})


def absent(description: str) -> Any:
    """An optional field of an answer; its default is None, and None is not written."""
    return Field(default=None, description=description, exclude_if=_is_none, json_schema_extra=_without_null)
