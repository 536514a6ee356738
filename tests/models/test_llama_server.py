"""GGUF models by llama.cpp: a tiny one that answers one sentence, and all that can be wrong with a file.

The model has no attention to speak of: each token says which is next. What it is asked ends with `>`, or with
`~` where it is to go on for ever; Gemma's template ends it with a new line.
"""

import json
import os
import shutil
import signal
import threading
import time
from itertools import pairwise
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest
from click.testing import CliRunner
from gguf import GGUFWriter
from pydantic import ValidationError

from models import llama_server
from models.catalog import Catalog, ModelEntry, load_sets
from models.codec import Purpose
from models.engine.protocol import Decoding, Generation
from models.engine_choice import EngineMaker
from models.errors import DeadlineExceeded, EngineGone, ModelUnavailable
from models.gguf import metadata
from models.hub import RepositoryNotFound
from models.inspection import inspect
from models.languages import Languages
from models.llama_server import LlamaServer, cache_bytes
from models.pool import ModelPool
from models.server_model import ServerCodec, in_characters
from models.store import Store
from service.cli.main import cli

pytest.importorskip("xllamacpp")

WIDTH, LAYERS = 64, 1
SPECIAL = ["<unk>", "<s>", "</s>"]
TOKENS = [*SPECIAL, *(f"<0x{i:02X}>" for i in range(256)), "▁Le", "▁chat", "▁dort", ".", ">", "~"]
CHAIN = [">", "▁Le", "▁chat", "▁dort", ".", "</s>"]
TEMPLATE = "{% set asked = messages[-1].content %}{{ asked }}{{ '~' if 'FOREVER' in asked else '>' }}"
SENTENCE = "Le chat dort."
REPOSITORY, FILE = "someone/tiny-GGUF", "tiny.gguf"


def _write(path, *, architecture="llama", template=TEMPLATE):
    rng = np.random.default_rng(0)
    embedding = rng.standard_normal((len(TOKENS), WIDTH)).astype(np.float32)
    output = np.zeros_like(embedding)
    for before, after in [*pairwise(CHAIN), ("<0x0A>", CHAIN[1]), ("~", "~")]:
        output[TOKENS.index(after)] += embedding[TOKENS.index(before)]
    writer = GGUFWriter(path, architecture)
    writer.add_context_length(1 << 17)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(WIDTH)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(WIDTH // 2)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(TOKENS)
    writer.add_token_scores([0.0] * len(TOKENS))
    writer.add_token_types([2, 3, 3] + [6] * 256 + [1] * (len(TOKENS) - 259))
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_space_prefix(False)
    if template is not None:
        writer.add_chat_template(template)
    zeros = np.zeros((WIDTH, WIDTH), np.float32)
    tensors = {"token_embd": embedding, "output": output, "output_norm": np.ones(WIDTH, np.float32)}
    for name in ("attn_norm", "ffn_norm"):
        tensors[f"blk.0.{name}"] = np.ones(WIDTH, np.float32)
    for name in ("attn_q", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        tensors[f"blk.0.{name}"] = zeros
    for name in ("attn_k", "attn_v"):
        tensors[f"blk.0.{name}"] = zeros[: WIDTH // 2]
    for name, tensor in tensors.items():
        writer.add_tensor(f"{name}.weight", tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _entry(**fields):
    given = {
        "name": "mine/tiny",
        "family": "gguf",
        "tasks": ("summarize", "translate"),
        "languages": ("en", "fr"),
        "max_source_tokens": 512,
        "max_new_tokens": 60_000,
    }
    return ModelEntry(**given | fields)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return _write(tmp_path_factory.mktemp("gguf") / FILE)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache")


@pytest.fixture
def servers(monkeypatch):
    """Those that are started."""
    started = []
    first = LlamaServer.__init__

    def init(self, *arguments, **options):
        started.append(self)
        first(self, *arguments, **options)

    monkeypatch.setattr(LlamaServer, "__init__", init)
    return started


@pytest.fixture
def engine(file, store, servers):
    made = EngineMaker(store, device="cpu", threads=1).make(_entry(path=file, concurrency=2))
    yield made
    made.close()


def _generation(text, **options):
    codec = ServerCodec(in_characters(_entry(path="tiny.gguf")), Languages.load())
    ids = codec.encode(text, Purpose("translate", "en", "fr"))
    return Generation(ids, Decoding(max_new_tokens=100_000), **options)


def _text(output):
    return "".join(map(chr, output.token_ids))


# --------------------------------------------------------------------------------------------- used


def test_it_answers_many_at_once_with_their_probabilities_and_streams(engine):
    told = []
    futures = engine.submit([_generation("The cat sleeps.", on_token=told.append) for _ in range(5)])
    outputs = [future.result() for future in futures]
    assert {_text(output) for output in outputs} == {SENTENCE}
    assert all(output.score is not None and -1 < output.score <= 0 for output in outputs)
    assert all(output.finish == "stop" for output in outputs)
    assert outputs[0].usage is not None and outputs[0].usage[1] >= len(CHAIN) - 1
    assert engine.stats().ready


def test_the_command_line_summarizes_and_translates_with_a_file_of_ones_own(file, tmp_path, capfd):
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(
        '[[model]]\nname = "mine/tiny"\nfamily = "gguf"\ntasks = ["summarize", "translate"]\n'
        f'path = "{file}"\nlanguages = ["en", "fr"]\nmax_source_tokens = 1024\n'
    )
    environment = {f"DRAGOMAN_{name}_DIR": str(tmp_path / name) for name in ("CACHE", "DATA")}
    environment |= {"DRAGOMAN_CATALOG": str(catalog), "DRAGOMAN_DEVICE": "cpu", "DRAGOMAN_THREADS": "1"}
    article = " ".join(
        f"On day {day} the cat slept on the mat of the house number {day}." for day in range(9)
    )
    for command, text in (
        (["translate", "--from", "en", "--to", "fr"], "The cat sleeps."),
        (["summarize"], article),
    ):
        named = [*command, "--model", "mine/tiny", "-"]
        done = CliRunner().invoke(cli, named, input=text, env=environment)
        assert done.exit_code == 0, done.stderr
        assert done.stdout.strip() == SENTENCE
    told = capfd.readouterr()
    assert "llama" not in told.out + told.err, "nothing of llama.cpp's own is shown"
    listed = CliRunner().invoke(cli, ["models", "check", "mine/tiny"], env=environment)
    assert listed.exit_code == 0, listed.stdout


def test_a_generation_that_is_cancelled_gives_its_place_back(file, store, servers):
    engine = EngineMaker(store, device="cpu", threads=1).make(_entry(path=file, concurrency=1))
    begun = threading.Event()
    (future,) = engine.submit([_generation("FOREVER", on_token=lambda _: begun.set())])
    assert begun.wait(60)
    future.cancel()
    assert _text(engine.submit([_generation("The cat sleeps.")])[0].result()) == SENTENCE
    late = _generation("FOREVER", deadline=time.monotonic() + 0.2)
    with pytest.raises(DeadlineExceeded):
        engine.submit([late])[0].result()
    pid = servers[0].pid
    engine.close()
    assert pid is not None and not Path(f"/proc/{pid}").exists()


def test_a_server_that_died_is_told_and_started_again(engine, servers):
    begun = threading.Event()
    (future,) = engine.submit([_generation("FOREVER", on_token=lambda _: begun.set())])
    assert begun.wait(60)
    first = servers[0].pid
    os.kill(first or 0, signal.SIGKILL)
    with pytest.raises(EngineGone, match="mine/tiny: its server"):  # ended, or by now cannot be reached
        future.result()
    assert _text(engine.submit([_generation("The cat sleeps.")])[0].result()) == SENTENCE
    assert engine.stats().ready and servers[0].pid != first


def test_it_listens_with_a_key_and_takes_a_template_of_llama_cpps_own(file, store):
    server = LlamaServer("tiny", file, places=1, tokens=512, threads=1, chat_template="gemma")
    try:
        messages = {"messages": [{"role": "user", "content": "Translate:\n\n\nThe cat."}]}
        asked = Request(server.url().removesuffix("/v1") + "/apply-template", json.dumps(messages).encode())
        with pytest.raises(HTTPError, match="401") as refused:
            urlopen(asked)
        refused.value.close()
        asked.add_header("Authorization", f"Bearer {server.key}")
        with urlopen(asked) as answer:
            prompt = json.load(answer)["prompt"]
        gemma = "<start_of_turn>user\nTranslate:\n\n\nThe cat.<end_of_turn>\n<start_of_turn>model\n"
        assert prompt == gemma
    finally:
        server.close()
    engine = EngineMaker(store, device="cpu", threads=1).make(_entry(path=file, chat_template="gemma"))
    try:
        assert _text(engine.submit([_generation("The cat sleeps.")])[0].result()) == SENTENCE
    finally:
        engine.close()


def test_translategemma_is_asked_as_its_own_template_asks(languages):
    entry = Catalog.load(languages).get("mradermacher/translategemma-4b-it-GGUF")
    codec = ServerCodec(in_characters(entry), languages)
    asked = "".join(map(chr, codec.encode("Hello.", Purpose("translate", "en", "de"))))
    assert (
        "You are a professional English (en) to German (de) translator. Your goal is to accurately convey "
        "the meaning and nuances of the original English text while adhering to German grammar, vocabulary, "
        "and cultural sensitivities.\\nProduce only the German translation, without any additional "
        "explanations or commentary. Please translate the following English text into German:\\n\\n\\nHello."
    ) in asked


# ------------------------------------------------------------------------------------------- errors


def _refused(store, path, **fields):
    with pytest.raises(ModelUnavailable) as failed:
        EngineMaker(store, device="cpu", threads=1).make(_entry(path=path, **fields))
    return failed.value.message


def test_a_missing_package_is_told_with_the_command_that_installs_it(hub, file, store, monkeypatch):
    monkeypatch.setattr(llama_server, "find_spec", lambda _: None)
    told = "mine/tiny: llama.cpp is not installed; `pip install 'dragoman[llama]'` installs it"
    assert _refused(store, file) == told
    pool = ModelPool(Catalog([_entry(file=FILE)]), store, Languages.load(), EngineMaker(store, device="cpu"))
    with pytest.raises(ModelUnavailable, match="pip install"):
        pool.load("mine/tiny")
    assert hub.asked == [], "it is told before anything is fetched"


def test_files_that_are_no_models_are_told_with_the_reason(file, store, tmp_path):
    page = tmp_path / "page.gguf"
    page.write_text("<html>" * 100)
    assert "page.gguf is not a GGUF file" in _refused(store, page)
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    assert "cut.gguf is incomplete" in _refused(store, cut)
    assert "there is no such file" in _refused(store, tmp_path / "none.gguf")
    base = _write(tmp_path / "base.gguf", template=None)
    assert "its file has no chat template" in _refused(store, base)
    strange = _write(tmp_path / "strange.gguf", architecture="strange")
    told = "mine/tiny: llama.cpp cannot load its file: unknown model architecture: 'strange'"
    assert _refused(store, strange) == told


def test_one_too_large_for_the_memory_is_not_begun(file, store):
    told = _refused(store, file, max_source_tokens=10**11)
    assert "it needs about 25,600.5 GB of memory, and" in told


def test_a_process_that_is_killed_while_it_loads_is_told(file, store, monkeypatch):
    program = "import os, signal; os.kill(os.getpid(), signal.SIGABRT)"
    monkeypatch.setattr(llama_server, "PROGRAM", program)
    assert "llama.cpp ended by signal 6 while it loaded the file" in _refused(store, file)


def test_caches_are_counted_as_llama_cpp_makes_them(file):
    assert cache_bytes(metadata(file), places=2, tokens=100) == 2 * 100 * 2 * WIDTH
    gemma = {
        "general.architecture": "gemma3",
        "gemma3.block_count": 34,
        "gemma3.attention.head_count": 8,
        "gemma3.attention.head_count_kv": 4,
        "gemma3.attention.key_length": 256,
        "gemma3.attention.value_length": 256,
        "gemma3.attention.sliding_window": 1024,
    }
    assert cache_bytes(gemma, places=1, tokens=4096) == (6 * 4096 + 28 * 1536) * 4096


# ----------------------------------------------------------------------------------- from a repository


def test_one_file_of_a_repository_is_fetched_and_no_other(hub, file, store, tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    for name in (FILE, "tiny-Q8_0.gguf", "README.md"):
        shutil.copy(file, folder / name)
    hub.add(REPOSITORY, folder)
    entry = _entry(repository=REPOSITORY, file=FILE)
    store.require(entry)
    assert store.state(entry) == "not pulled" and store.bytes_on_disk(entry) is None
    told = []
    revision = store.pull(entry, lambda done, total: told.append((done, total)))
    assert told[-1] == (file.stat().st_size, file.stat().st_size)
    assert len([asked for asked in hub.asked if asked.startswith("CDN")]) == 1
    assert store.revision(entry) == revision and store.is_prepared(entry)
    assert store.bytes_on_disk(entry) == file.stat().st_size
    here = Store(store.cache, offline=True)
    assert here.gguf_file(entry).read_bytes() == file.read_bytes()
    assert here.check(entry) == []
    assert here.state(_entry(name="other", repository=REPOSITORY, file="tiny-Q8_0.gguf")) == "not pulled"
    blob = here.gguf_file(entry).resolve()
    blob.write_bytes(blob.read_bytes() + b"x")
    assert "is not the file that the hub has" in here.check(entry)[0]


def test_a_file_that_the_repository_lacks_is_told_with_those_it_has(hub, file, store):
    hub.add(REPOSITORY, file.parent)
    with pytest.raises(
        RepositoryNotFound, match=rf"{REPOSITORY} has no other\.gguf; its GGUF files: tiny\.gguf"
    ):
        store.pull(_entry(repository=REPOSITORY, file="other.gguf"))


def test_a_files_revision_changes_with_it(file, store, tmp_path):
    own = Path(shutil.copy(file, tmp_path / "own.gguf"))
    before = store.revision(_entry(path=own))
    os.utime(own, ns=(0, 0))
    assert before.startswith("local:") and store.revision(_entry(path=own)) != before


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "has a `path`, or a `repository` and its `file`"),
        ({"path": "a.gguf", "file": "a.gguf"}, "has a `path`, or a `repository` and its `file`"),
        ({"file": "../a.gguf"}, "is the name of a repository's file"),
        ({"file": "model.safetensors"}, "is the name of a repository's file"),
        ({"file": "a.gguf", "url": "http://127.0.0.1/v1"}, "`url` is of the family `server` alone"),
        ({"family": "instruct", "file": "a.gguf"}, "`file` is of the family `gguf` alone"),
        ({"family": "bart", "chat_template": "gemma"}, "`chat_template` is of the family `gguf` alone"),
    ],
)
def test_wrong_entries_name_the_field(fields, told):
    with pytest.raises(ValidationError, match=told):
        _entry(**fields)


# ------------------------------------------------------------------------------------------ the set


def test_the_set_instruct_takes_gguf_files_on_a_cpu_by_the_memory_there_is(languages):
    catalog, chosen = Catalog.load(languages), load_sets()["instruct"]
    assert chosen.on("cuda").summarize == "Qwen/Qwen3-4B-Instruct-2507"
    names = [chosen.on("cpu", size * 10**9).translate for size in (32, 6, 5, 1)]
    assert names == [
        "mradermacher/translategemma-4b-it-GGUF",
        "unsloth/Qwen3-4B-Instruct-2507-GGUF",
        "ggml-org/gemma-3-4b-it-GGUF",
        "ggml-org/gemma-3-4b-it-GGUF",
    ]
    for each in chosen.on_cpu:
        here = chosen.on("cpu", int(each["memory_gb"] * 1e9))
        assert {entry.family for entry in here.entries(catalog)} == {"gguf"}
        assert here.memory_bytes(catalog, "cpu") == each["memory_gb"] * 1e9
    assert chosen.on("cpu", 32 * 10**9).download_bytes(catalog) == 4_990_000_000


def test_a_file_that_is_not_here_is_not_told_to_be_at_a_server(store, languages):
    pool = ModelPool(Catalog([_entry(file=FILE)]), store, languages, EngineMaker(store, device="cpu"))
    assert pool.state(_entry(file=FILE)) == "not here"


def test_models_check_compares_an_entry_with_its_file(file, store, languages, tmp_path):
    found = inspect(store, _entry(path=file), languages)
    assert (found.problems, found.positions, found.model_type) == ([], 1 << 17, "llama")
    assert "Translate the text below from English to French" in str(found.fed[1].rendered)
    found = inspect(store, _entry(path=file, max_source_tokens=1 << 17), languages)
    assert found.problems == [
        "max_source_tokens: 131072 and max_new_tokens 60000 are more than the model's context of 131072; "
        "set max_source_tokens = 71072"
    ]
    bare = _write(tmp_path / "bare.gguf", template=None)
    found = inspect(store, _entry(path=bare), languages)
    assert [each.partition(":")[0] for each in found.problems] == ["chat_template"]
