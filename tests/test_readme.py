"""The README's tree names every file, and only files that there are."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_tree_is_true():
    tree = (ROOT / "README.md").read_text("utf-8").split("## How it is built")[1].split("```")[1]
    told = re.findall(r"^ +(\w+\.py) ", tree, re.MULTILINE)
    there = [
        file.name
        for folder in ("models", "service", "bench")
        for file in (ROOT / folder).rglob("*.py")
        if file.name != "__init__.py"
    ]
    assert sorted(told) == sorted(there)
