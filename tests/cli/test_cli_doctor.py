"""`dragoman doctor` and the sizes of `dragoman models list`: what is told, and what is a problem."""

import json
import socket
import subprocess
import sys

import huggingface_hub
import pytest
from click.testing import CliRunner
from fake_pool import HUB_ONLY
from fake_runtime import FakeRuntime

from models import hub
from models.catalog import Catalog
from models.hub import FETCHED
from models.languages import Languages
from models.store import DONE, Store
from service.cli import machine
from service.cli.main import cli
from service.cli.session import Session

GB = 10**9
GPU_FACTS = {
    "compiler": "cc",
    "lack_of_triton": "",
    "load_cublas": True,
    "cuda_versions": ((12, 8), (12, 8)),
}
SERVED, GGUF = "server:http://127.0.0.1:9/v1#m", "unsloth/Qwen3-4B-Instruct-2507-GGUF"


@pytest.fixture
def doctor(monkeypatch, tmp_path):
    """Runs it on a sound machine, of which `facts` are otherwise; returns the exit code and the findings."""
    with socket.create_server(("127.0.0.1", 0)) as once:
        port = once.getsockname()[1]

    def run(environment=None, silence=None, **facts):
        sound = {"processors": (2, "2"), "memory": (8 * GB, 6 * GB), "gpus": [], "torch_finds_a_gpu": False}
        sound["visible_cards"] = ()
        for name, value in {**sound, **GPU_FACTS, **facts}.items():
            monkeypatch.setattr(machine, name, lambda *_, value=value: value)
        monkeypatch.setattr(hub, "silence", lambda: silence)
        given = {"DRAGOMAN_CACHE_DIR": str(tmp_path), "DRAGOMAN_DATA_DIR": str(tmp_path)}
        given |= {"DRAGOMAN_PORT": str(port), **(environment or {})}
        done = CliRunner().invoke(cli, ["doctor", "--json"], obj=Session(FakeRuntime), env=given)
        told = json.loads(done.stdout)
        assert (done.exit_code == 1) == (told["problems"] > 0) and done.stderr == ""
        return done.exit_code, {each["name"]: (each["state"], each["told"]) for each in told["findings"]}

    return run


def test_a_sound_machine(doctor):
    code, found = doctor()
    assert code == 0 and {state for state, _ in found.values()} == {"ok"}
    assert "CTranslate2 in int8" in found["translations"][1]
    assert "put together at the first start" in found["translations"][1]
    assert "needs no files" in found["summaries"][1]


@pytest.mark.parametrize(
    ("facts", "environment", "name", "state", "said"),
    [
        ({"memory": (4 * GB, GB // 2)}, {}, "memory", "problem", "0.5 GB free"),
        ({"memory": (4 * GB, GB)}, {}, "memory", "warning", "1.9 GB"),
        ({"memory": None}, {}, "memory", "warning", "cannot be told"),
        ({}, {"DRAGOMAN_DEVICE": "cuda"}, "GPU", "problem", "no CUDA device"),
        ({"gpus": ["H100"]}, {}, "GPU", "warning", "may be a CPU build"),
        ({"gpus": ["H100"], "cuda_versions": ((12, 2), (13, 0))}, {}, "CUDA", "warning", "for CUDA 12"),
        ({"gpus": ["H100"], "cuda_versions": ((13, 0), None)}, {}, "CUDA", "warning", "built for none"),
        ({"gpus": ["H100"]}, {"DRAGOMAN_DEVICE": "cpu"}, "GPU", "ok", "not used"),
        ({"unwritable": "read-only"}, {}, "cache", "problem", "cannot be written: read-only"),
        ({"free_bytes": 10**7}, {}, "data", "problem", "0.0 GB free"),
        ({"free_bytes": GB}, {}, "cache", "warning", "1.0 GB free"),
        ({"silence": "no route"}, {}, "hub", "warning", "bundled models do without"),
        ({"silence": "no route"}, {"DRAGOMAN_SUMMARIZE_MODEL": HUB_ONLY}, "hub", "problem", "no route"),
        (
            {},
            {"DRAGOMAN_OFFLINE": "1", "DRAGOMAN_SUMMARIZE_MODEL": HUB_ONLY},
            "summaries",
            "problem",
            f"not here; unset DRAGOMAN_OFFLINE; then `dragoman models pull {HUB_ONLY}` gets it",
        ),
        ({}, {"DRAGOMAN_SUMMARIZE_MODEL": HUB_ONLY}, "summaries", "ok", "fetched at the first start"),
        ({}, {"DRAGOMAN_TRANSLATE_MODEL": "nope"}, "translations", "problem", "no model 'nope'"),
        ({}, {"DRAGOMAN_TRANSLATE_MODEL": SERVED}, "translations", "problem", "cannot be reached"),
        ({}, {"DRAGOMAN_TRANSLATE_MODEL": GGUF}, "translations", "ok", "fetched at the first start; run by"),
        ({"has": False}, {}, "packages", "problem", "torch"),
    ],
)
def test_what_is_told(doctor, facts, environment, name, state, said):
    code, found = doctor(environment, **facts)
    assert found[name][0] == state and said in found[name][1]
    assert code == (state == "problem")


def test_a_gpu_and_what_it_runs(doctor):
    model = {"DRAGOMAN_TRANSLATE_MODEL": "facebook/m2m100_418M"}
    _, found = doctor(model, gpus=["H100, 80 GB"], torch_finds_a_gpu=True, has=True)
    assert found["GPU"] == ("ok", "H100, 80 GB") and found["compiler"] == ("ok", "cc, with triton")
    assert "native engine on the GPU" in found["translations"][1]
    assert found["cuBLAS"][0] == found["CUDA"][0] == "ok"
    visible = {"DRAGOMAN_DEVICE": "cuda", "CUDA_VISIBLE_DEVICES": "0,2"}
    cards = {"gpus": ["H100", "H100", "H100"], "visible_cards": ("0", "2")}
    _, found = doctor(visible, torch_finds_a_gpu=True, has=True, **cards)
    assert "run on 2 of them, each in a process of its own" in found["GPU"][1]
    assert "CUDA_VISIBLE_DEVICES is 0,2" in found["GPU"][1]
    lacking = {"lack_of_triton": "no Python.h", "load_cublas": False, "cuda_versions": ((12, 4), (12, 6))}
    _, found = doctor(gpus=["H100"], torch_finds_a_gpu=True, has=True, **lacking)
    assert found["compiler"][0] == "warning" and found["compiler"][1].startswith("no Python.h:")
    assert found["cuBLAS"][0] == "warning" and "dragoman[gpu]" in found["cuBLAS"][1]
    assert found["CUDA"][0] == "warning" and "CTranslate2 needs 12.8" in found["CUDA"][1]
    assert "CTranslate2 in 16 bits, on the GPU" in found["translations"][1]


def test_a_model_that_the_gpu_is_not_fit_for(doctor, monkeypatch):
    why = "it needs 9.0 GB of H100's memory, and 2.0 GB are free"
    monkeypatch.setattr("models.store.Store.is_prepared", lambda *_: True)
    monkeypatch.setattr("models.engine_choice.EngineMaker.device_for", lambda *_: ("cpu", why))
    _, found = doctor(gpus=["H100"], torch_finds_a_gpu=True, has=True)
    state, told = found["translations"]
    assert state == "warning" and f"in int8 on the CPU, as {why}" in told


def test_a_port_in_use_is_no_problem(doctor):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, found = doctor({"DRAGOMAN_PORT": str(taken.getsockname()[1])})
    assert (code, found["port"][0]) == (0, "warning") and "in use" in found["port"][1]


def test_it_is_lines_for_people(tmp_path):
    environment = {"DRAGOMAN_CACHE_DIR": str(tmp_path), "DRAGOMAN_OFFLINE": "1", "DRAGOMAN_DEVICE": "cpu"}
    done = CliRunner().invoke(cli, ["doctor"], obj=Session(FakeRuntime), env=environment)
    assert all(line.startswith(("      ", "note  ", "WRONG ")) for line in done.stdout.splitlines())


def test_it_imports_no_torch_without_a_gpu():
    code = """
import sys
from models import hub
from service.cli import machine
machine.gpus, hub.silence = lambda: [], lambda: None
from service.cli.main import cli
cli(["doctor"], standalone_mode=False)
print(*{"torch", "transformers", "flask", "gguf"} & set(sys.modules), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr.splitlines()[-1] == "", done.stderr


# ------------------------------------------------------------------ the machine


def test_a_containers_limits_are_seen(tmp_path):
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert machine.processors(tmp_path)[0] == 0.5
    (tmp_path / "cpu.max").write_text("max 100000\n")
    unlimited = machine.processors(tmp_path)
    assert unlimited == machine.processors(tmp_path / "nowhere") and unlimited[0] >= 1
    facts = tmp_path / "meminfo"
    facts.write_text("MemTotal: 8000000 kB\nMemAvailable: 6000000 kB\nHugePages_Total: 0\n")
    assert machine.memory(tmp_path, facts) == (8000000 << 10, 6000000 << 10)
    (tmp_path / "memory.max").write_text("2000000000\n")
    (tmp_path / "memory.current").write_text("500000000\n")
    assert machine.memory(tmp_path, facts) == (2000000000, 1500000000)
    assert machine.memory(tmp_path, tmp_path / "nowhere") is None


def test_a_hub_that_does_not_answer_is_told(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as once:
        url = f"http://127.0.0.1:{once.getsockname()[1]}"
    for endpoint, why in ((url, "Connection refused"), ("no address", "protocol")):
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", endpoint)
        assert why in (hub.silence() or "") and why in (hub.silence(is_slow_silent=False) or "")


def test_a_folder_yet_to_be_made_is_looked_at_where_it_would_be(tmp_path):
    assert machine.unwritable(tmp_path / "a" / "b") is None
    assert not (tmp_path / "a").exists() and machine.free_bytes(tmp_path / "a") > 0
    (tmp_path / "file").write_text("")
    assert machine.unwritable(tmp_path / "file" / "b") is not None


# ------------------------------------------------------------------ models list


def test_sizes_are_of_what_is_here(tmp_path):
    catalog, store = Catalog.load(Languages.load()), Store(tmp_path, offline=True)
    fetched = catalog.get(HUB_ONLY)
    assert (store.bytes_on_disk(fetched), store.is_prepared(fetched)) == (None, False)
    hub = tmp_path / "hub" / f"models--{HUB_ONLY.replace('/', '--')}"
    snapshot = hub / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    (hub / "refs").mkdir()
    (hub / "refs" / "main").write_text("a" * 40)
    (snapshot / "model.safetensors").write_bytes(b"x" * 1000)
    (snapshot / FETCHED).touch()
    assert (store.bytes_on_disk(fetched), store.is_prepared(fetched)) == (1000, True)
    bundled = catalog.get("dragoman/gemma3-270m-translate")
    assert (store.bytes_on_disk(bundled) or 0) > 10**8 and not store.is_prepared(bundled)
    merged = tmp_path / "models" / bundled.name.replace("/", "--") / "merged"
    merged.mkdir(parents=True)
    for revision, is_prepared in (("of an older version", False), (store.revision(bundled), True)):
        (merged / DONE).write_text(json.dumps({"revision": revision, "files": {}}))
        assert store.is_prepared(bundled) is is_prepared


def test_the_list_says_what_has_to_be_fetched():
    done = CliRunner().invoke(cli, ["models", "list"], obj=Session(FakeRuntime))
    assert "not pulled: it is fetched by `dragoman models pull NAME`" in done.stderr
    rows = CliRunner().invoke(cli, ["models", "list", "--json"], obj=Session(FakeRuntime)).stdout
    by_name = {row["name"]: row for row in json.loads(rows)}
    assert by_name["dragoman/extractive"]["default_for"] == ["summarize"]
    assert (by_name[HUB_ONLY]["needs_download"], by_name[HUB_ONLY]["size_bytes"]) == (True, None)
