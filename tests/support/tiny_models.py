"""Tiny random models of every family, with vocabularies trained on the spot: real files, no download.

Each maker fills a folder as a hub's repository is laid out and returns the fields of its catalog entry.
"""

import json
from ast import literal_eval
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import sentencepiece as spm
import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BartTokenizerFast,
    M2M100Config,
    M2M100ForConditionalGeneration,
    M2M100Tokenizer,
    MarianConfig,
    MarianMTModel,
    MBart50TokenizerFast,
    MBartConfig,
    MBartForConditionalGeneration,
    MT5Config,
    MT5ForConditionalGeneration,
    NllbTokenizerFast,
    PegasusConfig,
    PegasusForConditionalGeneration,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
    T5TokenizerFast,
)

SENTENCES = [
    "The foreign minister met his colleague from the neighbouring country on Sunday in the capital.",
    "They spoke about trade, the border and the exchange of students between the two countries.",
    "A joint statement said that further talks would be held in the spring.",
    "Le ministre a rencontré dimanche son collègue du pays voisin dans la capitale.",
    "Ils ont parlé du commerce, de la frontière et des échanges d'étudiants.",
    "Un communiqué commun annonce d'autres entretiens au printemps.",
    "Observers doubted that much would change soon; the last talks had failed in 2019.",
]

SIZES = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
}
HEADS = {"encoder_attention_heads": 4, "decoder_attention_heads": 4}
STD = 0.6
"""Spread of the random weights: wide, so that two tokens are never nearly as likely."""


def _spiece(folder: Path, name: str, pieces: int = 300, also: str = "", **options: Any) -> Path:
    model = folder / f"{name}.model"
    model.write_bytes(_trained(pieces, also, tuple(sorted((k, repr(v)) for k, v in options.items()))))
    return model


@cache
def _trained(pieces: int, also: str, options: tuple[tuple[str, str], ...]) -> bytes:
    written = BytesIO()
    spm.SentencePieceTrainer.train(
        sentence_iterator=iter([*SENTENCES, also] * 4),
        model_writer=written,
        vocab_size=pieces,
        hard_vocab_limit=False,
        minloglevel=2,
        **{name: literal_eval(value) for name, value in options},
    )
    return written.getvalue()


def _save(model: Any, folder: Path, **generation: Any) -> None:
    for name, value in generation.items():
        setattr(model.generation_config, name, value)
    model.eval().save_pretrained(folder)


def bart(folder: Path) -> dict[str, Any]:
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(
        SENTENCES,
        vocab_size=400,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        show_progress=False,
    )
    bpe.save_model(str(folder))
    tokenizer = BartTokenizerFast(vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"))
    tokenizer.save_pretrained(folder)
    config = BartConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=1024,
        init_std=STD,
        **SIZES,
        **HEADS,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
    )
    _save(BartForConditionalGeneration(config), folder, forced_bos_token_id=0, forced_eos_token_id=2)
    return {"family": "bart", "tasks": ["summarize"], "languages": ["en"]}


def pegasus(folder: Path) -> dict[str, Any]:
    tokenizer = _t5_tokenizer(folder)
    config = PegasusConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=1024,
        init_std=STD,
        **SIZES,
        **HEADS,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
        forced_eos_token_id=1,
    )
    _save(PegasusForConditionalGeneration(config), folder)
    return {"family": "pegasus", "tasks": ["summarize"], "languages": ["en"]}


def _t5_tokenizer(folder: Path) -> Any:
    model = _spiece(folder, "spiece", pad_id=0, eos_id=1, unk_id=2, bos_id=-1)
    tokenizer = T5TokenizerFast(vocab=_unigram(model), extra_ids=4)
    model.unlink()
    tokenizer.save_pretrained(folder)
    return tokenizer


def _unigram(model: Path) -> list[tuple[str, float]]:
    processor = spm.SentencePieceProcessor(model_file=str(model))
    return [(processor.id_to_piece(i), processor.get_score(i)) for i in range(len(processor))]


def _t5_config(config: type, tokenizer: Any, **options: Any) -> Any:
    return config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_decoder_layers=2,
        num_heads=4,
        relative_attention_num_buckets=8,
        initializer_factor=4.0,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
        **options,
    )


def t5(folder: Path) -> dict[str, Any]:
    tokenizer = _t5_tokenizer(folder)
    _save(T5ForConditionalGeneration(_t5_config(T5Config, tokenizer)), folder)
    return {
        "family": "t5",
        "tasks": ["summarize"],
        "languages": ["en"],
        "prompt": {"summarize": "summarize: {text}"},
    }


def flan_t5(folder: Path) -> dict[str, Any]:
    tokenizer = _t5_tokenizer(folder)
    config = _t5_config(T5Config, tokenizer, feed_forward_proj="gated-gelu", tie_word_embeddings=False)
    _save(T5ForConditionalGeneration(config), folder)
    prompt = {
        "summarize": "Summarize in {sentences}: {text}",
        "translate": "Translate {source} to {target}: {text}",
    }
    return {
        "family": "t5",
        "tasks": ["summarize", "translate"],
        "languages": ["en", "fr"],
        "codes": "name",
        "prompt": prompt,
    }


def mt5(folder: Path) -> dict[str, Any]:
    tokenizer = _t5_tokenizer(folder)
    _save(MT5ForConditionalGeneration(_t5_config(MT5Config, tokenizer)), folder)
    return {"family": "t5", "tasks": ["summarize"], "languages": ["en", "fr"], "free_length": True}


def marian(folder: Path, marks: tuple[str, ...] = (), also: str = "") -> dict[str, Any]:
    """`also` is text beside the sentences that the vocabulary is learned from, all of its characters."""
    model = _spiece(folder, "source", also=also, bos_id=-1, character_coverage=1.0)
    (folder / "target.spm").write_bytes(model.read_bytes())
    model.rename(folder / "source.spm")
    processor = spm.SentencePieceProcessor(model_file=str(folder / "source.spm"))
    pieces = [processor.id_to_piece(i) for i in range(len(processor))]
    ordered = ["</s>", "<unk>", *(p for p in pieces if p not in ("</s>", "<unk>", "<s>")), *marks, "<pad>"]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(ordered)}), "utf-8")
    settings = {"tokenizer_class": "MarianTokenizer", "source_lang": "en", "target_lang": "fr"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), "utf-8")
    pad = len(ordered) - 1
    config = MarianConfig(
        vocab_size=len(ordered),
        max_position_embeddings=1024,
        init_std=STD,
        **SIZES,
        **HEADS,
        scale_embedding=True,
        pad_token_id=pad,
        eos_token_id=0,
        bos_token_id=0,
        decoder_start_token_id=pad,
        forced_eos_token_id=0,
        activation_function="swish",
        share_encoder_decoder_embeddings=True,
    )
    _save(MarianMTModel(config), folder, bad_words_ids=[[pad]], renormalize_logits=True)
    return {"family": "marian", "tasks": ["translate"], "languages": ["en", "fr", "es"]}


def m2m100(folder: Path) -> dict[str, Any]:
    model = _spiece(folder, "sentencepiece.bpe", bos_id=0, pad_id=1, eos_id=2, unk_id=3)
    processor = spm.SentencePieceProcessor(model_file=str(model))
    vocabulary = {processor.id_to_piece(i): i for i in range(len(processor))}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), "utf-8")
    tokenizer = M2M100Tokenizer(str(folder / "vocab.json"), str(model))
    tokenizer.save_pretrained(folder)
    _save(M2M100ForConditionalGeneration(_m2m100_config(len(vocabulary) + 100 + 8)), folder)
    return {"family": "m2m100", "tasks": ["translate"], "codes": "m2m100"}


def _m2m100_config(vocab_size: int) -> M2M100Config:
    return M2M100Config(
        vocab_size=vocab_size,
        max_position_embeddings=1024,
        init_std=STD,
        **SIZES,
        **HEADS,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
    )


def nllb(folder: Path) -> dict[str, Any]:
    model = _spiece(folder, "sp", bos_id=0, pad_id=1, eos_id=2, unk_id=3)
    tokenizer = NllbTokenizerFast(vocab={p: i for i, (p, _) in enumerate(_unigram(model))}, merges=[])
    model.unlink()
    tokenizer.save_pretrained(folder)
    _save(M2M100ForConditionalGeneration(_m2m100_config(len(tokenizer) + 1)), folder)
    return {"family": "nllb", "tasks": ["translate"], "codes": "nllb"}


def mbart50(folder: Path) -> dict[str, Any]:
    model = _spiece(folder, "sp", bos_id=0, pad_id=1, eos_id=2, unk_id=3)
    tokenizer = MBart50TokenizerFast(vocab=_unigram(model))
    model.unlink()
    tokenizer.save_pretrained(folder)
    config = MBartConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=1024,
        init_std=STD,
        **SIZES,
        **HEADS,
        scale_embedding=True,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
        forced_eos_token_id=2,
    )
    _save(MBartForConditionalGeneration(config), folder)
    return {"family": "mbart50", "tasks": ["translate"], "codes": "mbart50"}


CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _chat_tokenizer(folder: Path, template: str = CHAT) -> PreTrainedTokenizerFast:
    bpe = ByteLevelBPETokenizer()
    special = ["<eos>", "<pad>", "<|im_start|>", "<|im_end|>"]
    own = [*special, "\n", "\n\n"]
    bpe.train_from_iterator(SENTENCES, vocab_size=400, special_tokens=own, show_progress=False)
    bpe.save(str(folder / "tokenizer.json"))
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"),
        eos_token="<eos>",
        pad_token="<pad>",
        additional_special_tokens=special[2:],
        chat_template=template,
    )
    tokenizer.save_pretrained(folder)
    return tokenizer


def _causal(folder: Path) -> None:
    tokenizer = _chat_tokenizer(folder)
    config = Qwen2Config(
        vocab_size=len(tokenizer) + 16,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=STD,
        bos_token_id=None,
        eos_token_id=0,
        pad_token_id=1,
        tie_word_embeddings=False,
    )
    _save(Qwen2ForCausalLM(config), folder)


def completion(folder: Path) -> dict[str, Any]:
    _causal(folder)
    return {
        "family": "completion",
        "tasks": ["translate"],
        "languages": ["en", "fr", "de"],
        "codes": "name",
        "english_only": True,
        "prompt": {"translate": "Translate {source} to {target}.\n{text}\n\n"},
        "stop": ["\n", "\n\n", "<eos>"],
    }


def instruct(folder: Path) -> dict[str, Any]:
    _causal(folder)
    return {
        "family": "instruct",
        "tasks": ["summarize", "translate"],
        "languages": ["en", "fr"],
        "codes": "name",
        "segment": "paragraph",
        "prompt": {
            "summarize": "Summarize in {sentences}: {text}",
            "translate": "{source} to {target}: {text}",
        },
    }


MAKERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "bart": bart,
    "pegasus": pegasus,
    "t5": t5,
    "flan-t5": flan_t5,
    "mt5": mt5,
    "marian": marian,
    "m2m100": m2m100,
    "nllb": nllb,
    "mbart50": mbart50,
    "completion": completion,
    "instruct": instruct,
}


def make(kind: str, folder: Path) -> dict[str, Any]:
    """Make one model in a new `folder`; returns its catalog entry, without a name."""
    folder.mkdir(parents=True)
    torch.manual_seed(7)
    entry = MAKERS[kind](folder)
    return {**entry, "path": str(folder), "max_source_tokens": 128, "max_new_tokens": 24}


def catalog_toml(entries: dict[str, dict[str, Any]]) -> str:
    """A catalog file with these entries, by name."""
    lines = []
    for name, entry in entries.items():
        lines += ["[[model]]", f"name = {json.dumps(name)}"]
        lines += [f"{key} = {_toml(value)}" for key, value in entry.items()]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)
