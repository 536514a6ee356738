"""A GGUF file put together tensor by tensor, against transformers' own reading of the same file."""

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, GGUFWriter, quantize
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

import models.store
from models.catalog import Package
from models.errors import ModelUnavailable
from models.gguf import Gguf

HIDDEN, FFN, HEAD, LAYERS, RANK = 64, 96, 32, 2, 4
ADAPTED = "base_model.model.model.layers.1.mlp.up_proj"
TEXT = "Le président russe a rencontré dimanche getElementById"
SPECIAL = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
WORDS = [f"▁{word}" for word in TEXT.split()]
TOKENS = [
    *SPECIAL,
    *(f"<0x{i:02X}>" for i in range(256)),
    *dict.fromkeys(word[:end] for word in WORDS for end in range(1, len(word) + 1)),
]
VOCABULARY = [*TOKENS, *sorted({letter for word in WORDS for letter in word} - set(TOKENS))]
TENSORS = {
    "attn_q": ((2 * HEAD, HIDDEN), GGMLQuantizationType.Q5_0),
    "attn_k": ((HEAD, HIDDEN), GGMLQuantizationType.Q5_0),
    "attn_v": ((HEAD, HIDDEN), GGMLQuantizationType.Q8_0),
    "attn_output": ((HIDDEN, 2 * HEAD), GGMLQuantizationType.F16),
    "ffn_gate": ((FFN, HIDDEN), GGMLQuantizationType.Q4_0),
    "ffn_up": ((FFN, HIDDEN), GGMLQuantizationType.Q4_0),
    "ffn_down": ((HIDDEN, FFN), GGMLQuantizationType.Q8_0),
    "attn_q_norm": ((HEAD,), GGMLQuantizationType.F32),
    "attn_k_norm": ((HEAD,), GGMLQuantizationType.F32),
    "attn_norm": ((HIDDEN,), GGMLQuantizationType.F32),
    "post_attention_norm": ((HIDDEN,), GGMLQuantizationType.F32),
    "ffn_norm": ((HIDDEN,), GGMLQuantizationType.F32),
    "post_ffw_norm": ((HIDDEN,), GGMLQuantizationType.F32),
}


def _write(path, architecture="gemma3"):
    writer = GGUFWriter(path, architecture)
    writer.add_name("Tiny")
    writer.add_context_length(128)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FFN)
    writer.add_embedding_length(HIDDEN)
    writer.add_rope_freq_base(1e6)
    writer.add_key_length(HEAD)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_sliding_window(16)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(VOCABULARY)
    writer.add_token_scores([0.0] * len(VOCABULARY))
    writer.add_token_types([3] * len(SPECIAL) + [6] * 256 + [1] * (len(VOCABULARY) - len(SPECIAL) - 256))
    writer.add_pad_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_bos_token_id(2)
    writer.add_unk_token_id(3)
    rng = np.random.default_rng(0)

    def add(name, shape, kind):
        writer.add_tensor(
            f"{name}.weight", quantize(rng.normal(size=shape).astype(np.float32), kind), raw_dtype=kind
        )

    add("token_embd", (len(VOCABULARY), HIDDEN), GGMLQuantizationType.Q8_0)
    add("output_norm", (HIDDEN,), GGMLQuantizationType.F32)
    for layer in range(LAYERS):
        for name, (shape, kind) in TENSORS.items():
            add(f"blk.{layer}.{name}", shape, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _adapter(folder):
    folder.mkdir()
    (folder / "adapter_config.json").write_text(f'{{"r": {RANK}, "lora_alpha": 8}}')
    parts = {
        f"{ADAPTED}.lora_A.weight": torch.randn(RANK, HIDDEN),
        f"{ADAPTED}.lora_B.weight": torch.randn(FFN, RANK),
    }
    save_file({name: part.bfloat16() for name, part in parts.items()}, folder / "adapter_model.safetensors")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a GGUF file, the same in two parts, and an adapter."""
    folder = tmp_path_factory.mktemp("gguf")
    _write(folder / "tiny.gguf")
    whole = (folder / "tiny.gguf").read_bytes()
    (folder / "part0").write_bytes(whole[: len(whole) // 3])
    (folder / "part1").write_bytes(whole[len(whole) // 3 :])
    _adapter(folder / "adapter")
    return folder


def _package(made, adapter):
    return Package(
        module="gguf",
        gguf="tiny.gguf",
        parts=(str(made / "part0"), str(made / "part1")),
        adapter=str(made / "adapter") if adapter else None,
        sha256={"tiny.gguf": "not asked for here"},
    )


def _by_transformers(made):
    config = AutoConfig.from_pretrained(made, gguf_file="tiny.gguf")
    model = AutoModelForCausalLM.from_config(config)
    read = load_gguf_checkpoint(made / "tiny.gguf", return_tensors=True, model_to_load=model)
    return read["tensors"]


def test_a_file_is_as_transformers_reads_it(made, tmp_path):
    models.store.build(_package(made, adapter=True), tmp_path, languages=())
    expected = _by_transformers(made)
    lora = load_file(made / "adapter" / "adapter_model.safetensors")
    down, up = (
        lora[f"base_model.model.model.layers.1.mlp.up_proj.lora_{part}.weight"].float() for part in "AB"
    )
    expected["model.layers.1.mlp.up_proj.weight"] += up @ down * 2
    tensors = load_file(tmp_path / "model.safetensors")
    assert tensors.keys() == expected.keys()
    assert all(torch.equal(tensors[name], value.bfloat16()) for name, value in expected.items())
    theirs = AutoConfig.from_pretrained(made, gguf_file="tiny.gguf").to_dict()
    ours = AutoConfig.from_pretrained(tmp_path).to_dict()
    told = {"architectures", "dtype", "_name_or_path"}
    assert {name for name in ours if ours[name] != theirs[name]} == told
    theirs = AutoTokenizer.from_pretrained(made, gguf_file="tiny.gguf", add_bos_token=True)
    assert AutoTokenizer.from_pretrained(tmp_path)(TEXT).input_ids == theirs(TEXT).input_ids


def test_of_the_vocabulary_the_languages_tokens_are_left(made, tmp_path):
    models.store.build(_package(made, adapter=False), tmp_path, languages=("en", "fr"))
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    left = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    assert "▁rencontré" in left and "▁getElementById" not in left
    embedding = _by_transformers(made)["model.embed_tokens.weight"].bfloat16()
    rows = embedding[[VOCABULARY.index(token) for token in left]]
    assert torch.equal(load_file(tmp_path / "model.safetensors")["model.embed_tokens.weight"], rows)
    assert AutoConfig.from_pretrained(tmp_path).vocab_size == len(left)


def test_rows_are_unpacked_some_at_a_time(made, monkeypatch):
    file = Gguf(made / "tiny.gguf")
    whole = file.read("model.embed_tokens.weight", torch.float32)
    monkeypatch.setattr("models.gguf.ROWS_AT_ONCE", 7)
    assert torch.equal(file.read("model.embed_tokens.weight", torch.float32), whole)
    assert torch.equal(file.read("model.embed_tokens.weight", torch.float32, [5, 300, 6]), whole[[5, 300, 6]])


def test_another_kind_of_model_is_refused(tmp_path):
    _write(tmp_path / "other.gguf", "llama")
    with pytest.raises(ModelUnavailable, match=r"other\.gguf does not hold a Gemma 3"):
        Gguf(tmp_path / "other.gguf")
