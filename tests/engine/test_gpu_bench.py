"""`make gpu` keeps what it has measured, whatever fails after."""

import importlib
import json
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest


def test_each_case_is_kept_though_others_crash_or_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "bench")
    gpu = importlib.import_module("gpu")
    out, kept = tmp_path / "results" / "gpu.json", []
    rate = {"system": "engine", "model": "marian", "case": "all at once", "num_beams": 4, "per_s": 5.25}

    def run(command: list[str], **_: object) -> SimpleNamespace:
        kept.append(len(json.loads(out.read_text())["cases"]) if out.exists() else 0)
        match command[command.index("--case") + 1]:
            case "fast":
                return SimpleNamespace(
                    stdout=f"{json.dumps(rate)}\n{{torn".encode(), stderr=b"", returncode=0
                )
            case "crash":
                return SimpleNamespace(stdout=b"", stderr=b"illegal memory access", returncode=-6)
            case _:
                raise subprocess.TimeoutExpired(command, 1.0, output=b"", stderr=b"")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(gpu, "cases", lambda tiny: {"fast": 9.0, "crash": 9.0, "hang": 9.0, "late": 9.0})
    monkeypatch.setattr("sys.argv", ["gpu.py", "--tiny", "--out", str(out)])
    assert gpu.main() == 1
    found = json.loads(out.read_text())["cases"]
    assert found[0] == rate
    assert [(each["case"], each["code"]) for each in found[1:]] == [("crash", -6), ("hang", 1), ("late", 1)]
    assert found[1]["told"] == ["illegal memory access"]
    assert kept == [0, 1, 2, 3]
    assert "marian           4 all at once                  5.2" in capsys.readouterr().out
