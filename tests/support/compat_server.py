"""The server that other people's clients are tested with, in a process of its own."""

from pathlib import Path
from typing import Any

from server_process import ServerProcess


class CompatServer(ServerProcess):
    """`compat_runtime.py` as a program; `given` are settings, and `first_s` and `every_s` of keepalive."""

    program = "compat_runtime.py"

    def __init__(self, folder: Path, **given: Any):
        super().__init__(folder, data_dir=str(folder / "data"), **given)
        self.url = f"http://127.0.0.1:{self.port}/"
