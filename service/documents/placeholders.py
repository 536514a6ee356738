"""Placeholders in the messages of programs, which stay as they are: `%s`, `%(name)d`, `{0}`, `${name}`."""

import re
from html import escape

_HELD = re.compile(
    r"%(?:\(\w++\)|\d++\$)?[-+0#]?(?:\d++|\*)?(?:\.\d++)?(?:hh|h|ll|l|z)?[diouxXeEfgGcrsp@]\b"
    r"|%\d++|\$?\{[\w.:!\[\]-]*+\}|\{\{[^{}]*+\}\}"
)


def held(text: str) -> str:
    """Return the text as HTML in which the placeholders are code."""
    parts, end = list[str](), 0
    for found in _HELD.finditer(text):
        parts += [escape(text[end : found.start()]), f"<code>{escape(found[0])}</code>"]
        end = found.end()
    return "".join([*parts, escape(text[end:])])
