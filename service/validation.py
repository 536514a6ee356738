"""Validates bodies, forms and queries with pydantic's models, and says in plain words what is wrong."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from itertools import islice
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.errors import InvalidInput

M = TypeVar("M", bound=BaseModel)

STRICT = ConfigDict(extra="forbid", strict=True, frozen=True)
"""Of JSON bodies: no unknown fields, and no other types."""
LONGEST_ECHO = 60
"""Characters of a user's own field name that a message repeats."""
MOST_ERRORS = 100
"""Of a request that are told: each takes time and memory, and a body may have one for every three bytes."""

_JSON_TYPES = {str: "a string", bool: "a boolean", int: "a number", float: "a number", list: "an array"}
_WANTED = {
    "string_type": "a string",
    "int_type": "an integer",
    "bool_type": "true or false",
    "float_type": "a number",
    "list_type": "an array",
    "dict_type": "an object",
}


class InvalidFields(InvalidInput):
    """Several fields are wrong; `errors` has one error for each."""

    def __init__(self, errors: Sequence[InvalidInput]):
        names = ", ".join(str(error.field) for error in errors)
        super().__init__(f"{len(errors)} fields are wrong: {names}")
        self.errors = tuple(errors)


def validated(model: type[M], data: object) -> M:
    """Return the fields of a body, form or query. Raises InvalidInput, or InvalidFields for several."""
    if not isinstance(data, dict):
        raise InvalidInput(
            f"the body must be a JSON object, not {json_type(data)}", allowed=list(model.model_fields)
        )
    forbids = model.model_config.get("extra") == "forbid"
    if forbids and len(data) > len(model.model_fields) + MOST_ERRORS:  # more than pydantic should list
        unknown = islice((name for name in data if name not in model.model_fields), MOST_ERRORS)
        raise InvalidFields([_unknown_field(model, name) for name in unknown])
    try:
        return model.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False)[:MOST_ERRORS]
    errors = [_field_error(model, each) for each in details]
    raise errors[0] if len(errors) == 1 else InvalidFields(errors)


def json_type(value: object) -> str:
    """Return the kind of a JSON value, as a noun with its article."""
    return "null" if value is None else _JSON_TYPES.get(type(value), "an object")


def _field_error(model: type[BaseModel], details: Any) -> InvalidInput:
    # A form of a field has no name; a key of a user's own may be as long as a body.
    field = ".".join(_shown(str(part)) for part in details["loc"] if part != "")
    kind: str = details["type"]
    if kind == "extra_forbidden":
        return _unknown_field(model, field)
    if kind == "missing":
        return InvalidInput(f"{field} is required", field=field)
    if kind == "literal_error" and field in model.model_fields:
        allowed = [str(value) for value in get_args(model.model_fields[field].annotation)]
        return InvalidInput(f"{field} must be one of {', '.join(allowed)}", field=field, allowed=allowed)
    if kind in _WANTED:
        wanted, was = _WANTED[kind], json_type(details["input"])
        values = ["true", "false"] if kind == "bool_type" else wanted
        return InvalidInput(f"{field} must be {wanted}, not {was}", field=field, allowed=values)
    if kind in ("greater_than_equal", "less_than_equal"):
        allowed_range = _range(model, field, details["ctx"])
        return InvalidInput(f"{field} must be {allowed_range}", field=field, allowed=allowed_range)
    message = str(details["msg"]).removeprefix("Input").removeprefix("String").strip()
    return InvalidInput(f"{field} {message}", field=field, allowed=message.removeprefix("should "))


def _range(model: type[BaseModel], field: str, broken: Mapping[str, Any]) -> str:
    """Return in words what a number may be: within the field's bounds, or at least the one that is broken."""
    known = model.model_fields[field].metadata if field in model.model_fields else []
    least, most = (
        next((bound for each in known if (bound := getattr(each, end, None)) is not None), broken.get(end))
        for end in ("ge", "le")
    )
    if least is None or most is None:
        return f"at most {most}" if least is None else f"{least} or more"
    return f"{least} to {most}"


def _shown(name: str) -> str:
    return name if len(name) <= LONGEST_ECHO else name[:LONGEST_ECHO] + "…"


def _unknown_field(model: type[BaseModel], field: str) -> InvalidInput:
    known = list(model.model_fields)
    shown = _shown(field)
    near = get_close_matches(shown, known, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return InvalidInput(f"{shown!r} is not a field of this request{hint}", field=shown, allowed=known)


def absent(description: str) -> Any:
    """An optional field of an answer: its default is None, and it is left out rather than written as null."""
    return Field(
        default=None,
        description=description,
        exclude_if=lambda value: value is None,
        json_schema_extra=_without_null,
    )


def _without_null(schema: dict[str, Any]) -> None:
    schema.pop("default", None)
    forms = [form for form in schema.pop("anyOf", []) if form != {"type": "null"}]
    schema.update(forms[0] if len(forms) == 1 else {"anyOf": forms})
