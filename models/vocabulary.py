"""Cuts a vocabulary, and a model, down to what a few languages need.

A token stays if its letters are those of one of the languages, and so do its parts and all merges that lead
to it. Text made of tokens that stay is tokenized as before; other text becomes smaller tokens, or bytes.
Works on the tokenizer.json of byte-pair vocabularies with byte fallback (Gemma's); knows no files.
"""

import string
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import regex

LETTERS: Mapping[str, str] = {
    "en": "",
    "fr": "àâæçéèêëîïôœùûüÿ",
    "es": "áéíñóúü",
    "de": "äöüß",
    "it": "àèéìîòù",
    "pt": "àáâãçéêíóôõúü",
    "ru": "абвгдеёжзийклмнопрстуфхцчшщъыьэюя",
    "zh": "",
}
"""The small letters of each language beside a to z. Chinese has \\p{Han}."""

_SIGNS = r"[\p{Script=Common}--[{}\[\]<>\\=$^_|&*+;@#~`()/%]]*+"
"""Signs as prose has them in a row."""
_PAIR = r"[\p{Script=Common}--[{}\[\]<>\\=$^_|&*+;@#~`]]{1,2}+"
"""Brackets and the like, which stand in a row of more in programs only."""
_SINGLE = r"[\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}\p{Script=Common}\p{Script=Inherited}]"
"""Any one letter or sign: names from near languages are spelled with them."""
_BYTE = "<0x[0-9A-F]{2}>"


def rule(languages: Iterable[str]) -> str | None:
    """Return the expression that a token matches if one of the languages needs it; None if all may be needed.

    That is so where a language's letters are not known here. A word is in small letters, in capitals, or
    begins with a capital: what else there is (`getElement`) are names from programs.
    """
    codes = set(languages)
    if not codes or not codes <= set(LETTERS):
        return None
    letters = set(string.ascii_lowercase).union(*(LETTERS[code] for code in codes))
    small = "".join(sorted(letters))
    capital = "".join(sorted(upper for each in letters if len(upper := each.upper()) == 1))
    words = rf"[{capital}]?[{small}]++|[{capital}]++"
    han = r"|\p{Script=Han}++" if "zh" in codes else ""
    return rf"▁*+(?:{words}{han}|{_SIGNS}|{_PAIR}|{_SINGLE})|{_BYTE}"


def needed(spec: Mapping[str, Any], expression: str, named: Iterable[str]) -> list[int] | None:
    """Return the ids, ascending, of the tokens that match `expression` or are `named`, and white space.

    `spec` is tokenizer.json's content. None for a vocabulary of another kind, which has to stay whole.
    """
    model = spec["model"]
    if model["type"] != "BPE" or not model.get("byte_fallback"):
        return None
    matches = regex.compile(expression, regex.VERSION1).fullmatch
    added = {token["content"] for token in spec["added_tokens"]}
    always = set(named)
    return sorted(
        i
        for token, i in model["vocab"].items()
        if token in always or (token.isspace() if token in added else matches(token))
    )


def cut_tokenizer(spec: dict[str, Any], kept: Sequence[int]) -> None:
    """Leave only the tokens with these ids in tokenizer.json's content, numbered anew in this order."""
    model = spec["model"]
    tokens = {i: token for token, i in model["vocab"].items()}
    ids = {tokens[old]: new for new, old in enumerate(kept)}
    merges = (pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"])
    model["vocab"] = ids
    model["merges"] = [[a, b] for a, b in merges if a in ids and b in ids and a + b in ids]
    spec["added_tokens"] = [
        {**token, "id": ids[token["content"]]} for token in spec["added_tokens"] if token["content"] in ids
    ]
    for special in (spec.get("post_processor") or {}).get("special_tokens", {}).values():
        special["ids"] = [ids[token] for token in special["tokens"]]


def cut_model(model: Any, kept: Sequence[int]) -> None:
    """Leave only these rows of a causal model's embedding and output layer; number its special ids anew."""
    import torch

    rows = torch.tensor(kept)
    layers = [model.get_input_embeddings(), model.get_output_embeddings()]
    tied = layers[0].weight is layers[1].weight
    for layer in layers[:1] if tied else layers:
        layer.weight = torch.nn.Parameter(layer.weight.detach()[rows])
    layers[1].weight = layers[0].weight if tied else layers[1].weight
    layers[0].num_embeddings = layers[1].out_features = len(kept)
    new = {old: i for i, old in enumerate(kept)}
    for config in (model.config, model.generation_config):
        for name, value in config.to_dict().items():
            if name.endswith("_token_id") and value is not None:
                several = [new[i] for i in value] if isinstance(value, list) else new[value]
                setattr(config, name, several)
    model.config.vocab_size = len(kept)
