"""Sentence encoders of the catalog's architectures, as tiny random models: prefix, pooling, languages."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import SENTENCES, catalog_toml
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from models.catalog import Catalog
from models.driver import run
from models.engine_choice import EngineMaker
from models.pool import ModelPool
from models.store import Store
from models.summarize.encoder import ConvertedEncoder, SentenceEncoder
from models.summarize.extractive import DIMENSION, embedded, pick_headline, pick_sentences

CATALOG = {
    "tiny/mean": {"family": "extractive", "tasks": ["summarize"], "trained_languages": ["fr"]},
    "tiny/e5": {"family": "extractive", "tasks": ["summarize"], "prompt": {"summarize": "query: {text}"}},
    "tiny/labse": {"family": "labse", "tasks": ["summarize"], "trained_languages": ["fr", "en"]},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A BERT of random weights: the architecture of multilingual-e5-small and of LaBSE."""
    folder = tmp_path_factory.mktemp("encoder")
    words = sorted({word for text in [*SENTENCES, "query :"] for word in text.replace(".", " .").split()})
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words])}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    raw.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    raw.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=raw, **special).save_pretrained(folder)
    torch.manual_seed(7)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        initializer_range=0.6,
        position_embedding_type="absolute",  # as the real ones' files say
    )
    BertModel(config).eval().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def pool(folder, languages):
    entries = {name: {**entry, "path": str(folder)} for name, entry in CATALOG.items()}
    file = folder / "catalog.toml"
    file.write_text(catalog_toml(entries), "utf-8")
    store = Store(folder / "cache", offline=True)
    engines = EngineMaker(store, device="cpu", choice="auto", threads=1)
    return ModelPool(Catalog.load(languages, file), store, languages, engines)


def _model(pool, name):
    with pool.use(pool.catalog.get(name)) as model:
        return model


def _oracle(folder, texts, pooling):
    """What transformers computes for each text alone."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    model = BertModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        found = [model(**tokenizer(text, return_tensors="pt")) for text in texts]
    rows = [f.pooler_output[0] if pooling == "pooler" else f.last_hidden_state[0].mean(0) for f in found]
    return np.array([row / row.norm() for row in rows])


def test_each_kind_of_encoder_is_fed_and_pooled_as_its_documentation_says(pool, folder):
    mean, e5, labse = (_model(pool, name).encoder.embed(SENTENCES) for name in CATALOG)
    np.testing.assert_allclose(mean, _oracle(folder, SENTENCES, "mean"), atol=1e-5)
    queries = [f"query: {text}" for text in SENTENCES]
    np.testing.assert_allclose(e5, _oracle(folder, queries, "mean"), atol=1e-5)
    np.testing.assert_allclose(labse, _oracle(folder, SENTENCES, "pooler"), atol=1e-5)
    assert isinstance(_model(pool, "tiny/labse").encoder, ConvertedEncoder)
    by_torch = SentenceEncoder(folder, form="query: {text}", pooling="pooler").embed(SENTENCES)
    np.testing.assert_allclose(by_torch, _oracle(folder, queries, "pooler"), atol=1e-5)
    assert not np.allclose(mean, e5, atol=1e-2) and not np.allclose(mean, labse, atol=1e-2)


def test_an_encoder_knows_the_languages_of_its_entry_or_all(pool):
    known = {name: [code for code in ("fr", "en") if _model(pool, name).knows(code)] for name in CATALOG}
    assert known == {"tiny/mean": ["fr"], "tiny/e5": ["fr", "en"], "tiny/labse": ["fr", "en"]}


def test_the_shipped_encoders_of_many_languages(languages):
    catalog = Catalog.load(languages)
    e5, labse = catalog.get("intfloat/multilingual-e5-small"), catalog.get("sentence-transformers/LaBSE")
    assert e5.prompt == {"summarize": "query: {text}"} and labse.prompt == {}
    assert (e5.family, labse.family) == ("extractive", "labse")
    assert {"fr", "es", "de", "it", "pt", "ru", "zh", "en"} < set(e5.trained_languages)
    assert {"fr", "es", "de", "it", "pt", "ru", "zh", "en"} < set(labse.trained_languages)


# ------------------------------------------------------------------ without an encoder


def _run(steps):
    return run(steps).unwrap()


def test_sentences_of_the_same_words_lie_close_in_any_language():
    same, also, other, none = _run(embedded(["旧桥 关闭 市议会", "市议会 关闭 旧桥", "妹妹 喜欢 李子", "?"]))
    assert same @ also > 0.9 > 0.1 > abs(same @ other)
    assert not none.any()


STORY = [
    "La vieille passerelle fermera lundi pour deux semaines de travaux urgents.",
    "Les travaux urgents sur la passerelle dureront deux semaines selon la mairie.",
    "La mairie paiera les travaux de la passerelle en deux semaines.",
    "Les travaux urgents de la vieille passerelle attendent la mairie.",
]
ASIDES = [
    "Mon voisin peignait ses volets de bleu pendant tout le printemps.",
    "Un boulanger vend beaucoup de gâteaux chaque dimanche après la messe.",
]


class CountingEncoder:
    asked = 0

    def embed(self, sentences):
        self.asked += len(sentences)
        return np.eye(len(sentences), DIMENSION, dtype=np.float32)


def test_the_first_sentences_are_taken_of_a_text_that_is_written_top_down():
    encoder = CountingEncoder()
    assert _run(pick_sentences([*STORY, *ASIDES], encoder, max_words=24, max_sentences=2)) == [0, 1]
    assert encoder.asked == 0
    _run(pick_sentences([*ASIDES, *STORY], encoder, max_words=24, max_sentences=2))
    assert encoder.asked == 6


def test_the_words_decide_where_no_encoder_knows_the_language():
    picked = _run(pick_sentences([*ASIDES, *STORY], None, max_words=24, max_sentences=2))
    assert min(picked) >= len(ASIDES)
    assert _run(pick_headline(STORY, None, "fr", max_words=50)) == (0, STORY[0][:-1])


@given(st.lists(st.text(max_size=40), min_size=1, max_size=20))
def test_every_sentence_has_a_row_of_length_one_or_none(sentences):
    rows = _run(embedded(sentences))
    assert rows.shape == (len(sentences), DIMENSION)
    lengths = np.linalg.norm(rows, axis=1)
    assert np.all(np.isclose(lengths, 1, atol=1e-4) | (lengths == 0))
