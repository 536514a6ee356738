"""The catalog's newer architectures, each by a tiny random model of its own: fed as its documentation says,
and writing on the CPU what transformers' generate writes."""

import json

import pytest
import torch
from tiny_models import (
    CHAT,
    SENTENCES,
    STD,
    _chat_tokenizer,
    _save,
    _spiece,
    _t5_config,
    _t5_tokenizer,
    _unigram,
)
from transformers import (
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    DebertaV2TokenizerFast,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3TextConfig,
    HunYuanDenseV1Config,
    HunYuanDenseV1ForCausalLM,
    LongT5Config,
    LongT5ForConditionalGeneration,
    SiglipVisionConfig,
    T5Config,
    T5ForConditionalGeneration,
    T5TokenizerFast,
)

from models.catalog import Catalog
from models.codec import Purpose
from models.convert import require_convertible
from models.engine.protocol import Generation
from models.engine_choice import EngineMaker
from models.entailment import JUDGES, QuestionEntailment, SupportEntailment
from models.errors import ModelUnavailable, NotConvertible, UnsupportedLanguage
from models.pool import ModelPool
from models.store import Store

MARKS = ["<2fr>", "<2de>"]


def madlad(folder):
    """As google/madlad400-3b-mt: pad 1, eos 2, the decoder starts with 0, and languages are pieces."""
    model = _spiece(folder, "spiece", unk_id=0, pad_id=1, eos_id=2, bos_id=-1, user_defined_symbols=MARKS)
    tokenizer = T5TokenizerFast(vocab=_unigram(model), extra_ids=0, pad_token="<pad>")
    model.unlink()
    tokenizer.add_tokens(MARKS)
    tokenizer.save_pretrained(folder)
    config = _t5_config(T5Config, tokenizer, feed_forward_proj="gated-gelu", tie_word_embeddings=False)
    config.pad_token_id, config.eos_token_id = 1, 2
    _save(T5ForConditionalGeneration(config), folder)


def longt5(folder):
    tokenizer = _t5_tokenizer(folder)
    config = _t5_config(
        LongT5Config,
        tokenizer,
        encoder_attention_type="transient-global",
        local_radius=8,
        global_block_size=4,
        feed_forward_proj="gated-gelu",
    )
    _save(LongT5ForConditionalGeneration(config), folder)


BY_CODE = (
    "{% for message in messages %}{% set part = message.content[0] %}"
    "{% if part.source_lang_code not in ['en', 'fr'] %}{{ raise_exception('unknown') }}{% endif %}"
    "<|im_start|>from {{ part.source_lang_code }} to {{ part.target_lang_code }}: "
    "{{ part.text | trim }}<|im_end|>\n{% endfor %}"
)


SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "initializer_range": STD,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 1,
}


def gemma_4b(folder, factor=8.0):
    """As google/translategemma-4b-it: beside a model of images, and with far positions nearer together."""
    text = Gemma3TextConfig(vocab_size=len(_chat_tokenizer(folder, BY_CODE)), sliding_window=64, **SIZES)
    if factor is not None:
        text.rope_parameters["full_attention"] |= {"rope_type": "linear", "factor": factor}
    vision = SiglipVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
    )
    config = Gemma3Config(
        text_config=text.to_dict(),
        vision_config=vision.to_dict(),
        mm_tokens_per_image=4,
        image_token_index=5,
        boi_token_index=6,
        eoi_token_index=7,
    )
    _save(Gemma3ForConditionalGeneration(config), folder)


def hunyuan(folder):
    config = HunYuanDenseV1Config(vocab_size=len(_chat_tokenizer(folder, CHAT)), **SIZES)
    _save(HunYuanDenseV1ForCausalLM(config), folder)


STANDS_FOR = {
    "google/madlad400-3b-mt": (madlad, "translate"),
    "pszemraj/long-t5-tglobal-base-16384-book-summary": (longt5, "summarize"),
    "google/translategemma-4b-it": (gemma_4b, "translate"),
    "tencent/HY-MT1.5-1.8B": (hunyuan, "translate"),
}


@pytest.fixture
def entry_of(languages, tmp_path):
    """The catalog's entry of this name, with a tiny model of its architecture in the place of its own."""

    def make(name):
        torch.manual_seed(7)
        (tmp_path / "m").mkdir()
        STANDS_FOR[name][0](tmp_path / "m")
        entry = Catalog.load(languages).get(name)
        return entry.model_copy(
            update={"path": tmp_path / "m", "max_source_tokens": 256, "max_new_tokens": 16}
        )

    return make


def _pool(entry, languages, tmp_path, **choice):
    store = Store(tmp_path / "cache", offline=True)
    maker = EngineMaker(store, device="cpu", threads=1, **choice)
    return ModelPool(Catalog([entry]), store, languages, maker)


def _written(pool, entry, task):
    with pool.use(entry) as model:
        purpose = Purpose(task, "en", "fr" if task == "translate" else None)
        decoding = model.codec.decoding(purpose, max_new_tokens=12)
        sources = [model.codec.encode(text, purpose) for text in SENTENCES[:2]]
        futures = model.engine.submit([Generation(ids, decoding) for ids in sources])
        return [future.result(60).token_ids for future in futures]


@pytest.mark.parametrize("name", STANDS_FOR)
def test_it_runs_on_a_cpu_and_writes_what_generate_writes(entry_of, languages, tmp_path, name):
    entry, task = entry_of(name), STANDS_FOR[name][1]
    outputs = []
    for choice in ("auto", "generate"):
        pool = _pool(entry, languages, tmp_path, choice=choice)
        outputs.append(_written(pool, entry, task))
        pool.close()
    auto, plain = outputs
    assert all(plain)
    if entry.family in ("longt5", "instruct", "translategemma"):
        assert auto == plain, "CTranslate2 has none of them: generate takes its place"
    else:  # int8 of random weights strays; the first token does not
        assert [ids[0] for ids in auto] == [ids[0] for ids in plain]


@pytest.mark.parametrize("factor", [None, 8.0])
def test_a_gemma_whose_positions_ctranslate2_would_get_wrong_is_not_converted(languages, tmp_path, factor):
    (tmp_path / "m").mkdir()
    gemma_4b(tmp_path / "m", factor)
    if factor is None:
        require_convertible(tmp_path / "m")
        store = Store(tmp_path / "cache", offline=True)
        entry = Catalog.load(languages).get("google/translategemma-4b-it")
        folder = store.ct2_folder(entry.model_copy(update={"path": tmp_path / "m"}))
        assert (folder / "model.bin").is_file()
    else:
        with pytest.raises(NotConvertible, match="positions"):
            require_convertible(tmp_path / "m")


def test_madlads_target_stands_before_the_text_and_cannot_be_written_into_it(entry_of, languages, tmp_path):
    entry = entry_of("google/madlad400-3b-mt")
    pool = _pool(entry, languages, tmp_path, choice="generate")
    with pool.use(entry) as model:
        french, german = (model.codec.tokenizer.convert_tokens_to_ids(mark) for mark in MARKS)
        ids = model.codec.encode("<2de> A joint statement.", Purpose("translate", "en", "fr"))
        assert ids[0] == french and german not in ids and ids[-1] == 2
        with pytest.raises(UnsupportedLanguage):
            model.codec.encode("Talks.", Purpose("translate", "en", "ru"))
    pool.close()


def test_translategemmas_template_is_given_codes(entry_of, languages, tmp_path):
    entry = entry_of("google/translategemma-4b-it")
    pool = _pool(entry, languages, tmp_path, choice="generate")
    with pool.use(entry) as model:
        ids = model.codec.encode("A joint statement.", Purpose("translate", "en", "fr"))
        whole = model.codec.tokenizer.decode(list(ids))
        assert whole == "<|im_start|>from en to fr: A joint statement.<|im_end|>\n"
        with pytest.raises(UnsupportedLanguage, match="does not translate from de"):
            model.codec.encode("Talks.", Purpose("translate", "de", "fr"))
        canadian = Purpose("translate", "en", "fr", region="CA")
        told = model.codec.tokenizer.decode(list(model.codec.encode("Talks.", canadian)))
        assert "from en to fr-CA: Talks." in told and model.codec.has_region(canadian)
    pool.close()


def test_hy_mts_prompt_is_its_own(languages):
    prompt = Catalog.load(languages).get("tencent/HY-MT1.5-1.8B").prompt["translate"]
    assert prompt == (
        "Translate the following segment into {target}, without additional explanation.\n\n{text}"
    )


# ---------------------------------------------------------------------------------------- checkers


@pytest.fixture(scope="module")
def factcg(tmp_path_factory):
    """As yaxili96/FactCG-DeBERTa-v3-Large: DeBERTa-v2 with LABEL_0 and LABEL_1."""
    folder = tmp_path_factory.mktemp("factcg")
    torch.manual_seed(3)
    model = _spiece(folder, "spm", pad_id=0, bos_id=1, eos_id=2, unk_id=3)
    tokenizer = DebertaV2TokenizerFast(vocab=_unigram(model))
    tokenizer.save_pretrained(folder)
    config = DebertaV2Config(
        vocab_size=len(tokenizer) + 8,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=512,
        relative_attention=True,
        pos_att_type=["p2c", "c2p"],
        type_vocab_size=0,
        initializer_range=0.4,
        num_labels=2,
    )
    DebertaV2ForSequenceClassification(config).eval().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def minicheck(tmp_path_factory):
    """As lytang/MiniCheck-Flan-T5-Large: T5 with a .bin, and a handler.py that must never run."""
    folder = tmp_path_factory.mktemp("minicheck")
    torch.manual_seed(3)
    tokenizer = _t5_tokenizer(folder)
    config = _t5_config(T5Config, tokenizer, feed_forward_proj="gated-gelu", tie_word_embeddings=False)
    config.vocab_size = 256  # it answers with the tokens 3 and 209
    model = T5ForConditionalGeneration(config).eval()
    model.save_pretrained(folder)
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "handler.py").write_text(f"open({str(folder / 'ran')!r}, 'w')")
    return folder


PAIRS = [(SENTENCES[0], SENTENCES[1]), (SENTENCES[2], SENTENCES[2]), (" ".join(SENTENCES * 9), SENTENCES[1])]


def test_factcg_is_asked_in_one_text_whose_question_is_never_cut(factcg):
    judge = QuestionEntailment(factcg, max_tokens=200)
    tokenizer, model = judge._tokenizer, judge._model
    short, _, long = PAIRS
    text = (
        f"{short[0]}\n\nChoose your answer: based on the paragraph above can we conclude that "
        f'"{short[1]}"?\n\nOPTIONS:\n- Yes\n- No\nI think the answer is '
    )
    with torch.inference_mode():
        expected = model(**tokenizer(text, return_tensors="pt")).logits.softmax(-1)[0, 1].item()
    assert judge.scores([short]) == [pytest.approx(expected, abs=1e-5)]
    assert judge.scores(PAIRS)[0] == pytest.approx(expected, abs=1e-4), "in any batch"
    ids = judge._inputs([long]).input_ids[0].tolist()
    assert len(ids) <= 200
    end = tokenizer(judge.form(tokenizer, "", long[1])).input_ids[-20:]
    assert ids[-20:] == end, "the article is cut, not the question"


def test_minicheck_answers_with_its_first_token(minicheck):
    judge = SupportEntailment(minicheck, max_tokens=128)
    tokenizer, model = judge._tokenizer, judge._model
    ids = tokenizer(f"predict: {PAIRS[0][0]}</s>{PAIRS[0][1]}", return_tensors="pt")
    assert ids.input_ids[0].tolist().count(1) == 2, "the mark between them, and the end"
    with torch.inference_mode():
        logits = model(**ids, decoder_input_ids=torch.zeros((1, 1), dtype=torch.long)).logits[0, 0]
    expected = logits[[3, 209]].softmax(-1)[1].item()
    assert judge.scores(PAIRS)[0] == pytest.approx(expected, abs=1e-4)
    assert not (minicheck / "ran").exists()
    torch.manual_seed(0)
    marked = judge._inputs([("a</s>b", "c")]).input_ids[0].tolist()
    assert marked.count(1) == 2, "a mark in the text is mere text"


def test_the_catalogs_checkers_are_asked_in_their_own_forms(factcg, minicheck, languages, tmp_path):
    catalog = Catalog.load(languages)
    assert {e.family for e in catalog.entries if "entail" in e.tasks} == {"entailment", "factcg", "minicheck"}
    assert set(JUDGES) == {"pair", "question", "support"}
    for name, folder in (
        ("yaxili96/FactCG-DeBERTa-v3-Large", factcg),
        ("lytang/MiniCheck-Flan-T5-Large", minicheck),
    ):
        entry = catalog.get(name, "entail").model_copy(update={"path": folder, "max_source_tokens": 128})
        pool = _pool(entry, languages, tmp_path)
        with pool.use(entry) as model:
            (score,) = model.entailment.scores(PAIRS[:1])
            assert 0 <= score <= 1
        pool.close()


def test_a_classifier_with_other_labels_is_no_factcg(factcg, tmp_path):
    config = json.loads((factcg / "config.json").read_text())
    assert len(config.get("id2label", {"0": "", "1": ""})) == 2
    judge = QuestionEntailment.__new__(QuestionEntailment)
    with pytest.raises(ModelUnavailable, match="3 labels"):
        judge.label_of({0: "a", 1: "b", 2: "c"})
