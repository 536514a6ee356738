"""A vocabulary cut to what some languages need: texts and answers stay the same, and none becomes unknown."""

import json
from itertools import pairwise

import pytest
import regex
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny_models import SENTENCES
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import Gemma3ForCausalLM, Gemma3TextConfig

from models.vocabulary import LETTERS, cut_model, cut_tokenizer, needed, rule

LANGUAGES = tuple(LETTERS)
SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>"]
ADDED = [*SPECIAL, "\n", "\n\n", "<table>", "<unused0>"]
FOREIGN = [
    "Zażółć gęślą jaźń, getElementById(x)[0] = {};",
    "पानी बहुत ठंडा है",
    "東京タワーに行きました",
    "สวัสดี",
]
OWN = [
    "Министр встретился с коллегой в столице.",
    "部长星期日在首都会见了他的同事。",
    "Straße, ça “Übung”… 3,5 %",
]


def _spec():
    """A tokenizer as Gemma's is written: spaces as letters, all ways to each token, bytes for the rest."""
    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.normalizer = normalizers.Replace(" ", "▁")
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split("▁", "merged_with_next"), pre_tokenizers.Split(Regex(r"[^\w▁]+"), "isolated")]
    )
    trainer = trainers.BpeTrainer(vocab_size=700, special_tokens=ADDED, show_progress=False)
    trained.train_from_iterator([*SENTENCES * 3, *FOREIGN * 4, *OWN * 4], trainer)
    trained.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    trained.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    trained.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A <bos> $B", special_tokens=[("<bos>", 2)]
    )
    spec = json.loads(trained.to_str())
    vocabulary = [
        *ADDED,
        *(f"<0x{i:02X}>" for i in range(256)),
        *(t for t in spec["model"]["vocab"] if t not in ADDED),
    ]
    ids = {token: i for i, token in enumerate(vocabulary)}
    splits = ((t[:i], t[i:]) for t in vocabulary for i in range(1, len(t)))
    merges = [[a, b] for a, b in splits if a in ids and b in ids and a + b not in ADDED]
    merges.sort(key=lambda pair: ids[pair[0] + pair[1]])
    spec["model"] |= {"vocab": ids, "merges": merges, "byte_fallback": True, "fuse_unk": True}
    return spec


SPEC = _spec()
EXPRESSION = rule(LANGUAGES) or ""
KEPT = needed(SPEC, EXPRESSION, SPECIAL) or []
CUT = json.loads(json.dumps(SPEC))
cut_tokenizer(CUT, KEPT)
WHOLE_TOKENIZER, CUT_TOKENIZER = (Tokenizer.from_str(json.dumps(spec)) for spec in (SPEC, CUT))
TEXTS = st.lists(
    st.sampled_from([*SENTENCES, *FOREIGN, *OWN]).flatmap(
        lambda t: st.tuples(st.integers(0, len(t)), st.integers(0, len(t))).map(
            lambda ends: t[min(ends) : max(ends)]
        )
    )
    | st.text(max_size=8),
    max_size=6,
).map(" ".join)


def test_some_tokens_go_and_most_of_the_languages_own_stay():
    gone = set(SPEC["model"]["vocab"]) - set(CUT["model"]["vocab"])
    assert {"<table>", "<unused0>", "है", "きました", ")["} <= gone
    own = {"▁ministre", "Министр", "部长", "Übung", "\n", "\n\n", "<bos>", "ż", "<0xC3>"}
    assert own <= set(CUT["model"]["vocab"])


@given(TEXTS)
def test_a_text_of_kept_tokens_is_cut_as_before_and_no_text_is_unknown_or_lost(text):
    before, after = WHOLE_TOKENIZER.encode(text), CUT_TOKENIZER.encode(text)
    if set(before.ids) <= set(KEPT):
        assert after.tokens == before.tokens
        assert [KEPT[i] for i in after.ids] == before.ids
    assert "<unk>" not in after.tokens
    shown = text.replace("▁", " ")
    if not any(token in shown for token in ADDED):
        assert CUT_TOKENIZER.decode(after.ids) == shown


@pytest.mark.parametrize("token", ["▁Straße", "Übung", "NATO", "▁…”", "».", "министр", "中国", "ł", "€", "."])
def test_what_holds_of_a_token_holds_of_each_of_its_parts(token):
    parts = (token[i:j] for i in range(len(token)) for j in range(i + 1, len(token) + 1))
    assert all(regex.fullmatch(EXPRESSION, part, regex.VERSION1) for part in parts)


@pytest.mark.parametrize("token", ["getElement", "▁żó", "है", "さん", "});", "çãó"])
def test_what_none_of_the_languages_writes_goes(token):
    assert regex.fullmatch(EXPRESSION, token, regex.VERSION1) is None


def test_with_a_language_of_unknown_letters_all_tokens_stay():
    assert rule(("en", "pl")) is None
    assert rule(()) is None


def test_han_stays_only_for_chinese():
    assert regex.fullmatch(rule(("en",)) or "", "中国", regex.VERSION1) is None


@pytest.mark.parametrize("model", [{"type": "Unigram", "byte_fallback": True}, {"type": "BPE"}])
def test_a_vocabulary_of_another_kind_stays_whole(model):
    assert needed({"model": {**model, "vocab": {"a": 0}}, "added_tokens": []}, EXPRESSION, ()) is None


def _model():
    torch.manual_seed(3)
    config = Gemma3TextConfig(
        vocab_size=len(SPEC["model"]["vocab"]),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=16,
        query_pre_attn_scalar=16,
        initializer_range=0.6,
        bos_token_id=2,
        eos_token_id=1,
        pad_token_id=0,
    )
    return Gemma3ForCausalLM(config).eval()


@pytest.mark.parametrize("num_beams", [1, 3])
def test_the_model_answers_as_before_where_it_used_kept_tokens_alone(num_beams):
    whole, cut = _model(), _model()
    cut_model(cut, KEPT)
    assert cut.config.vocab_size == cut.get_input_embeddings().weight.shape[0] == len(KEPT)
    assert cut.get_output_embeddings().weight is cut.get_input_embeddings().weight
    dropped = sorted(set(range(whole.config.vocab_size)) - set(KEPT))
    options = {"max_new_tokens": 6, "num_beams": num_beams, "do_sample": False}
    same = 0
    for text in [*SENTENCES, *OWN, *(a + " " + b for a, b in pairwise(SENTENCES))]:
        before, after = WHOLE_TOKENIZER.encode(text).ids, CUT_TOKENIZER.encode(text).ids
        assert set(before) <= set(KEPT)
        free = whole.generate(torch.tensor([before]), **options)[0].tolist()
        bound = whole.generate(torch.tensor([before]), suppress_tokens=dropped, **options)[0].tolist()
        given = [KEPT[i] for i in cut.generate(torch.tensor([after]), **options)[0].tolist()]
        assert given == bound
        same += given == free
        assert given == free or num_beams > 1 or not set(free) <= set(KEPT)
    assert same > 0


def test_special_ids_are_numbered_anew():
    cut = _model()
    cut.generation_config.eos_token_id = [1, KEPT[6]]
    cut_model(cut, KEPT)
    assert (cut.config.bos_token_id, cut.config.eos_token_id, cut.config.pad_token_id) == (2, 1, 0)
    assert cut.generation_config.eos_token_id == [1, 6]
