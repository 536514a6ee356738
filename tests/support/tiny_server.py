"""`dragoman serve` over a hub on this machine, asked in small blocks.

The argument is JSON: settings and `hub`, its URL.
"""

import json
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from hub import point_here

from service.http.server import serve
from service.settings import Settings


def main() -> None:
    given = json.loads(sys.argv[1])
    del given["closed"]
    there: Any = SimpleNamespace(url=given.pop("hub"))
    point_here(there, pytest.MonkeyPatch())
    serve(Settings(port=0, **given))


if __name__ == "__main__":
    main()
