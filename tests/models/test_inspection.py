"""Catalog entries against their models' files: what is wrong names the key and the right value."""

import json
import shutil

import pytest
import tiny_models
from click.testing import CliRunner
from fake_runtime import FakeRuntime

from models import inspection
from models.catalog import ModelEntry
from models.errors import ModelUnavailable
from models.inspection import inspect, require_fit
from models.pool import ModelPool
from models.store import Store
from service.cli.main import cli
from service.cli.session import Session

BUNDLED = ("dragoman/extractive", "dragoman/gemma3-270m-translate")


class NoEngines:
    """An engine is not even begun for a model that cannot be right."""

    device = "cpu"

    def make(self, entry):
        raise AssertionError(entry.name)


@pytest.fixture
def known_news(monkeypatch):
    """A paragraph of which the tiny vocabularies have every letter."""
    for language, text in (("en", tiny_models.SENTENCES[0]), ("fr", tiny_models.SENTENCES[3])):
        monkeypatch.setitem(inspection.NEWS, language, text)


WRONG = [
    (
        "pegasus",
        {"family": "bart"},
        'family: "bart", but config.json says model_type "pegasus"; set family = "pegasus"',
    ),
    ("bart", {"family": "t5"}, 'model_type "bart"; set family = "bart"'),
    ("nllb", {"family": "mbart50"}, 'model_type "m2m_100"; set family = "nllb"'),
    ("m2m100", {"family": "mbart50"}, 'model_type "m2m_100"; set family = "m2m100"'),
    ("nllb", {"family": "m2m100"}, 'the vocabulary has the labels of another; set family = "nllb"'),
    ("m2m100", {"family": "nllb"}, 'the vocabulary has the labels of another; set family = "m2m100"'),
    ("marian", {"family": "completion", "prompt": {"translate": "{text}"}}, 'set family = "marian"'),
    ("instruct", {"family": "bart"}, 'for encoder-decoder models, but config.json says model_type "qwen2"'),
    ("instruct", {"family": "bart"}, '(Qwen2ForCausalLM); set family = "instruct"'),
    (
        "bart",
        {"max_source_tokens": 2048},
        "max_source_tokens: 2048 is more than the model's 1024 positions; set max_source_tokens = 1024",
    ),
    (
        "marian",
        {"max_new_tokens": 1100},
        "max_new_tokens: 1100 is more than the model's 1024 positions; set max_new_tokens = 1024",
    ),
    ("completion", {"max_source_tokens": 600}, "model's 512 positions; set max_source_tokens = 488"),
    (
        "completion",
        {"max_source_tokens": 500},
        "500 with max_new_tokens 24 is more than the model's 512 positions; set max_source_tokens = 488",
    ),
    ("completion", {"max_new_tokens": 512}, "set max_new_tokens = 256"),
]


@pytest.mark.parametrize(("kind", "changes", "told"), WRONG)
def test_a_model_whose_entry_is_wrong_is_not_loaded(tiny_hub, languages, kind, changes, told):
    name = f"tiny/{kind}"
    pool = ModelPool(tiny_hub.catalog(kind, **changes), tiny_hub.store, languages, NoEngines())
    with pytest.raises(ModelUnavailable) as wrong:
        pool.load(name)
    assert told in wrong.value.message
    assert wrong.value.message.startswith(f"{name}: ")
    [reason] = pool.unready([name])
    assert told in reason
    [problem] = inspect(tiny_hub.store, tiny_hub.entry(kind, **changes), languages).problems
    assert f"{name}: {problem}" == wrong.value.message
    pool.close()


CONFIGS = [
    # a kind of its own way to count positions: from the padding's id on, relative ones, in a part of the file
    ("entailment", {"model_type": "xlm-roberta", "pad_token_id": 1, "max_position_embeddings": 514}, 512),
    ("entailment", {"model_type": "bert", "max_position_embeddings": 512}, 512),
    ("entailment", {"model_type": "deberta-v2", "max_position_embeddings": 512}, 512),
    (
        "entailment",
        {
            "model_type": "deberta-v2",
            "max_position_embeddings": 512,
            "relative_attention": True,
            "position_biased_input": False,
        },
        None,
    ),
    ("instruct", {"model_type": "gemma3", "text_config": {"max_position_embeddings": 4096}}, 4096 - 256),
    ("bart", {"model_type": "led"}, None),
    ("t5", {"model_type": "t5", "n_positions": 512, "relative_attention_num_buckets": 32}, None),
]


@pytest.mark.parametrize(("family", "config", "most"), CONFIGS)
def test_positions_are_counted_as_the_model_counts_them(tmp_path, languages, family, config, most):
    kinds = {"entailment": "BertForSequenceClassification", "instruct": "Gemma3ForConditionalGeneration"}
    config["architectures"] = [kinds.get(family, "BartForConditionalGeneration")]
    config["is_encoder_decoder"] = family in ("bart", "t5")
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    (tmp_path / "chat_template.jinja").touch()
    tasks = ("entail",) if family == "entailment" else ("summarize",)
    entry = ModelEntry(name="own", family=family, tasks=tasks, path=tmp_path, max_source_tokens=8192)
    if most is None:
        require_fit(entry, tmp_path, languages)
        return
    with pytest.raises(ModelUnavailable, match=rf"set max_source_tokens = {most}$"):
        require_fit(entry, tmp_path, languages)
    require_fit(entry.model_copy(update={"max_source_tokens": most}), tmp_path, languages)


@pytest.mark.parametrize(
    ("entry_family", "config", "right"),
    [
        ("bart", {"model_type": "bart", "architectures": ["BartForSequenceClassification"]}, "entailment"),
        ("entailment", {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}, "t5"),
        ("bart", {"model_type": "bert", "architectures": ["BertForMaskedLM"]}, ""),
        ("bart", {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}, "completion"),
        ("instruct", {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"]}, "completion"),
        ("minicheck", {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"]}, None),
        (
            "factcg",
            {"model_type": "deberta-v2", "architectures": ["DebertaV2ForSequenceClassification"]},
            None,
        ),
        ("bart", {"model_type": "led", "is_encoder_decoder": True}, None),
        ("t5", {}, None),
    ],
)
def test_the_right_family_is_named(tmp_path, languages, entry_family, config, right):
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    tasks = ("entail",) if entry_family in ("entailment", "minicheck", "factcg") else ("summarize",)
    entry = ModelEntry(name="own", family=entry_family, tasks=tasks, path=tmp_path)
    if right is None:
        require_fit(entry, tmp_path, languages)
        return
    told = f'set family = "{right}"$' if right else "no family has such models$"
    with pytest.raises(ModelUnavailable, match=told):
        require_fit(entry, tmp_path, languages)


@pytest.mark.parametrize("prompt", [{}, {"translate": "<2{target}> {text}"}])
def test_a_t5_with_madlads_labels_is_a_madlad_unless_its_prompt_writes_them(tmp_path, languages, prompt):
    (tmp_path / "config.json").write_text('{"model_type": "t5", "is_encoder_decoder": true}', "utf-8")
    (tmp_path / "tokenizer.json").write_text('{"added_tokens": ["<2en>", "<2fr>"]}', "utf-8")
    entry = ModelEntry(name="own", family="t5", tasks=("translate",), path=tmp_path, prompt=prompt)
    if prompt:
        require_fit(entry, tmp_path, languages)
    else:
        with pytest.raises(ModelUnavailable, match='set family = "madlad"'):
            require_fit(entry, tmp_path, languages)


# ------------------------------------------------------------------ the whole report


@pytest.mark.parametrize("kind", tiny_models.MAKERS)
def test_a_right_entry_is_sound_and_all_is_told(tiny_hub, languages, known_news, kind):
    entry = tiny_hub.entry(kind, languages=["en", "fr"])
    found = inspect(tiny_hub.store, entry, languages)
    assert found.problems == []
    assert found.revision.startswith("local:")
    assert found.files["config.json"] > 0
    assert found.model_type in {*("bart", "pegasus", "t5", "mt5", "marian", "m2m_100", "mbart", "qwen2")}
    assert found.relative_positions == (entry.family == "t5")
    assert (found.positions is None) == (entry.family == "t5")
    assert [fed.task for fed in found.fed] == list(entry.tasks)
    assert set(found.search) == set(entry.tasks)
    for fed in found.fed:
        pieces = dict(fed.pieces)
        assert len(pieces) > 5
        assert (fed.rendered is not None) == (entry.kind == "causal")
    assert found.unknown["en"].unknown == 0
    labels = {"m2m100": "__fr__", "nllb": "fra_Latn", "mbart50": "fr_XX"}
    assert found.fed[-1].label == labels.get(kind)
    if kind in labels:
        assert found.labels.by_direction["en-fr"] == labels[kind]
        assert (found.labels.kind, found.labels.total, found.labels.missing) == ("label", 2, [])
    if kind == "instruct":
        assert "<|im_start|>user\nEnglish to French: " in str(found.fed[-1].rendered)


def test_each_setting_of_the_search_has_its_file(tiny_hub, languages, known_news, tmp_path):
    entry = tiny_hub.entry("bart", decoding={"length_penalty": 2.0})
    found = inspect(tiny_hub.store, entry, languages)
    sources = {each.name: (each.value, each.source) for each in found.search["summarize"]}
    assert sources["length_penalty"] == (2.0, "the catalog (decoding)")
    assert sources["forced_bos_token_id"] == (0, "generation_config.json")
    assert sources["stop_token_ids"] == ((2,), "generation_config.json (eos_token_id)")
    assert sources["num_beams"] == (1, "the default")


def test_settings_of_an_old_repository_are_config_jsons(tiny_hub, languages, known_news, tmp_path):
    entry = _copy(tiny_hub, "bart", tmp_path / "m")
    (tmp_path / "m" / "generation_config.json").unlink()
    _change(tmp_path / "m", num_beams=6, forced_eos_token_id=2, eos_token_id=2)
    found = inspect(Store(tmp_path / "cache", offline=True), entry, languages)
    sources = {each.name: (each.value, each.source) for each in found.search["summarize"]}
    assert sources["num_beams"] == (6, "config.json")
    assert sources["stop_token_ids"] == ((2,), "config.json (eos_token_id)")


def _copy(tiny_hub, kind, folder, **changes):
    entry = tiny_hub.entry(kind, **changes)
    shutil.copytree(entry.path, folder)
    return entry.model_copy(update={"path": folder})


def _change(folder, **fields):
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | fields), "utf-8")


def test_a_direction_without_a_label_names_pairs(tmp_path, languages, known_news):
    folder = tmp_path / "m"
    folder.mkdir()
    tiny_models.marian(folder, (">>fra<<", ">>spa<<"))
    store = Store(tmp_path / "cache", offline=True)
    fields = {"name": "own", "family": "marian", "tasks": ("translate",), "path": folder}
    fields |= {"max_source_tokens": 128, "max_new_tokens": 24}
    entry = ModelEntry(**fields, languages=("en", "fr", "es", "de"), pairs=["en-fr", "en-es", "en-de"])
    found = inspect(store, entry, languages)
    assert found.labels.by_direction == {"en-fr": ">>fra<<", "en-es": ">>spa<<"}
    assert found.problems == ["pairs: the model has no label for de; take it out of pairs"]
    entry = ModelEntry(**fields, languages=("en", "fr", "es"))
    found = inspect(store, entry, languages)
    assert found.problems == []
    assert found.notes == ["no label for en: no targets; `pairs` says which directions it has"]


def test_a_language_without_a_name_for_the_prompt_is_named(tiny_hub, languages, known_news):
    entry = tiny_hub.entry("instruct", languages=["en", "fr", "ay"], codes="m2m100")
    [problem] = inspect(tiny_hub.store, entry, languages).problems
    assert (
        problem == "languages: the model has no name in the column 'm2m100' for ay; take it out of languages"
    )


PREFIXES = {
    "summarization": {"prefix": "summarize: "},
    "translation_en_to_fr": {"prefix": "translate English to French: "},
}


def test_a_t5_without_the_prompt_that_its_files_name(tiny_hub, languages, known_news, tmp_path):
    entry = _copy(tiny_hub, "flan-t5", tmp_path / "m").model_copy(update={"prompt": {}, "codes": None})
    store = Store(tmp_path / "cache", offline=True)
    _change(tmp_path / "m", task_specific_params=PREFIXES)
    found = inspect(store, entry, languages)
    assert found.prompt == {
        "summarize": "summarize: {text}",
        "translate": "translate English to French: {text}",
    }
    _change(tmp_path / "m", task_specific_params=None)
    found = inspect(store, entry, languages)
    assert found.problems == []
    assert found.notes[0].startswith("no prompt to summarize, and config.json has no prefix for it")


def test_what_the_vocabulary_lacks_is_shown_and_a_wrong_language_is_a_problem(
    tiny_hub, languages, monkeypatch
):
    monkeypatch.setitem(inspection.NEWS, "en", " ".join(tiny_models.SENTENCES[:3]) + " “€”")
    entry = tiny_hub.entry("pegasus", languages=["en", "ru"])
    found = inspect(tiny_hub.store, entry, languages)
    assert set(found.unknown["en"].texts) == {"“", "€", "”"}
    [problem] = found.problems
    assert problem.startswith("languages: ")
    assert "pieces of a news paragraph in ru are unknown" in problem


def test_a_classifier_without_the_label_is_told(tmp_path, languages):
    from tiny_judge import _save

    folder = _save(tmp_path / "right", {0: "entailment", 1: "neutral", 2: "contradiction"})
    fields = {"name": "own", "family": "entailment", "tasks": ("entail",), "max_source_tokens": 64}
    store = Store(tmp_path / "cache", offline=True)
    found = inspect(store, ModelEntry(**fields, path=folder), languages)
    assert found.positions == 64
    assert [piece for piece, _ in found.fed[0].pieces].count("[SEP]") == 2
    other = _save(tmp_path / "other", {0: "toxic", 1: "fine"})
    found = inspect(store, ModelEntry(**fields, path=other), languages)
    assert "the model tells toxic, fine, and not entailment" in found.problems


# ------------------------------------------------------------------ the command


def _check(tiny_hub, *arguments, **changes):
    class Tiny(FakeRuntime):
        def __init__(self, settings):
            super().__init__(settings)
            self.store, self.catalog = tiny_hub.store, tiny_hub.catalog("bart", **changes)

    return CliRunner().invoke(cli, ["models", "check", *arguments], obj=Session(Tiny))


def test_the_command_shows_what_it_found_out(tiny_hub, known_news):
    done = _check(tiny_hub, "tiny/bart")
    assert done.exit_code == 0, done.output
    first, *rest = done.stdout.splitlines()
    assert first == "tiny/bart: sound"
    assert [line.split()[0] for line in rest if line[2] != " "] == [
        *("files", "family", "positions", "search", "fed", "unknown")
    ]
    assert "'<s>':0 " in done.stdout
    lines = _check(tiny_hub).stdout.splitlines()
    assert lines == [f"{name}: sound" for name in (*BUNDLED, "tiny/bart")], "without a name a line each"


def test_a_wrong_entry_is_exit_code_1_and_json_has_all(tiny_hub, known_news):
    done = _check(tiny_hub, max_source_tokens=1100)
    told = "max_source_tokens: 1100 is more than the model's 1024 positions; set max_source_tokens = 1024"
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (1, f"tiny/bart: {told}")
    done = _check(tiny_hub, "tiny/bart", "--json", max_source_tokens=1100)
    found = json.loads(done.stdout)["tiny/bart"]
    assert (done.exit_code, found["problems"], found["positions"]) == (1, [told], 1024)
    assert found["fed"][0]["pieces"][0] == ["<s>", 0]
