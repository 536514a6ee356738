"""Who serves converted models needs no torch: it is imported by processes that prepare models, and end.

Nor does it need what parses files and pages, which is done in processes of its own.
"""

import json
import os
import subprocess
import sys

import pytest

from models.errors import ModelUnavailable
from models.hf_import import in_subprocess
from models.store import Store, module_folder

PROGRAM = """
import json, sys
from service.http.app import create_app
from service.runtime import Runtime
from service.settings import Settings

runtime = Runtime(Settings(), strangers=False)
runtime.warm_up()
client = create_app(runtime).test_client()
text = "The minister met his colleague on Sunday. They spoke about trade. A statement was made. " * 8
talks = {"text": "The talks failed.", "source": "en", "target": "fr"}
asked = {"translate": talks, "summarize": {"text": text}}
answers = {path: client.post(f"/v1/{path}", json=body).get_json() for path, body in asked.items()}
heavy = ("torch", "transformers", "docx", "pdfminer", "trafilatura")
print(json.dumps([answers, [name for name in heavy if name in sys.modules]]))
"""


def test_a_server_prepares_models_and_answers_without_torch(tiny_hub, tmp_path):
    variables = {
        "DRAGOMAN_CATALOG": str(tiny_hub.catalog_file("marian")),
        "DRAGOMAN_TRANSLATE_MODEL": "tiny/marian",
        "DRAGOMAN_CACHE_DIR": str(tmp_path / "cache"),
        "DRAGOMAN_DATA_DIR": str(tmp_path / "data"),
        "DRAGOMAN_OFFLINE": "true",
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    answers, imported = json.loads(done.stdout.splitlines()[-1])
    assert answers["translate"]["translation"]
    assert answers["summarize"]["summary"] in PROGRAM
    assert imported == []
    entry = tiny_hub.entry("marian")
    there, here = (
        each.ct2_folder(entry) / "model.bin"
        for each in (Store(tmp_path / "cache", offline=True), tiny_hub.store)
    )
    assert there.read_bytes() == here.read_bytes()


# ------------------------------------------------------------------ processes that prepare models


@pytest.fixture
def no_torch(monkeypatch):
    """Have this process seem not to have imported torch."""
    monkeypatch.delitem(sys.modules, "torch")


@pytest.mark.usefixtures("no_torch")
def test_work_apart_is_done_by_another_process():
    assert in_subprocess(os.getpid) != os.getpid()
    assert in_subprocess(os.write, 1, b"not among the answers") == 21


@pytest.mark.usefixtures("no_torch")
def test_errors_of_work_apart_are_raised_here():
    with pytest.raises(ModelUnavailable, match="nowhere with the bundled weights is not installed"):
        in_subprocess(module_folder, "nowhere")
    with pytest.raises(FileNotFoundError):
        in_subprocess(os.listdir, "/nowhere")
    with pytest.raises(ModelUnavailable, match=r"ended \(3\)"):
        in_subprocess(os._exit, 3)


def test_with_torch_there_is_no_other_process():
    assert in_subprocess(os.getpid) == os.getpid()
