"""Converts a transformers model in memory to a CTranslate2 folder. Imports torch; `hf_import.py` does not.

CTranslate2's own int8 quantization rounds a whole weight at once, which takes two more copies of it, and
starts with the largest, the embeddings. This module rounds a few rows at a time, with the same result, and
frees each weight when it is done.
"""

import gc
from collections import defaultdict
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ctranslate2.converters import TransformersConverter
from ctranslate2.converters.transformers import _MODEL_LOADERS
from ctranslate2.specs.model_spec import (
    SKIP_CREATING_ALIAS,
    NumpyVariable,
    PyTorchVariable,
    Variable,
    index_spec,
)
from transformers import AutoConfig

from models.errors import NotConvertible
from models.families import ModelFamily, of_model_type

ROWS_AT_ONCE = 1 << 13
SMALLEST = np.float32(127) / np.finfo(np.float32).max
"""The least that counts as a row's largest number, so that 127 divided by it is a float32."""


def require_convertible(folder: Path) -> None:
    """Raise NotConvertible if CTranslate2 has no models of the folder's architecture."""
    config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if type(config).__name__ not in _MODEL_LOADERS:
        raise NotConvertible(f"CTranslate2 has no models of the type {config.model_type}")
    rope = getattr(config.get_text_config(), "rope_parameters", None) or {}
    kinds = [each.get("rope_type", "default") for each in rope.values() if isinstance(each, dict)]
    if any(kind != "default" for kind in kinds):  # as in Gemma 3 from 4B on; CTranslate2 4.8 leaves it out
        raise NotConvertible("CTranslate2 does not scale positions by the kind of layer, as this model does")


class _Vocabulary:
    """A tokenizer whose vocabulary has exactly the model's size, each id under a name of its own.

    Converters count on what transformers 4 said of added tokens, and pad or cut otherwise.
    """

    num_madeup_words = 0
    special_tokens_map: Mapping[str, Any] = {}

    def __init__(self, tokenizer: Any, size: int):
        self._tokenizer = tokenizer
        tokens = tokenizer.convert_ids_to_tokens(list(range(min(size, len(tokenizer)))))
        taken = {token: i for i, token in reversed(list(enumerate(tokens))) if token is not None}
        names = {i: token for token, i in taken.items()}
        self._vocabulary = {names.get(i, f"<unused {i}>"): i for i in range(size)}

    def get_vocab(self) -> dict[str, int]:
        return dict(self._vocabulary)

    @property
    def bos_token(self) -> str:
        """Never None: mBART-50 and Qwen have none and use none, but CTranslate2 wants a name."""
        return str(self._tokenizer.bos_token or self._tokenizer.eos_token)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


class _FromMemory(TransformersConverter):  # type: ignore[misc]
    """CTranslate2's converter, handed a model and a tokenizer that we loaded (safely) ourselves."""

    def __init__(self, model: Any, tokenizer: Any, folder: Path):
        super().__init__(str(folder))
        self._loaded = [_Vocabulary(tokenizer, model.config.get_text_config().vocab_size), model]

    def load_model(self, *_: Any, **__: Any) -> Any:
        return self._loaded.pop()

    def load_tokenizer(self, *_: Any, **__: Any) -> Any:
        return self._loaded.pop()

    def layers(self) -> Any:
        """Return CTranslate2's layers; they alone hold the weights from now on."""
        gc.freeze()  # CTranslate2 collects garbage after each layer: 0.5 s with a large tokenizer's objects
        try:
            return self._load()
        finally:
            gc.unfreeze()


def to_ctranslate2(
    model: Any, tokenizer: Any, folder: Path, output: Path, quantization: str = "int8"
) -> None:
    """Write `model` (a transformers model whose files are in `folder`) to `output`.

    Matrices in 16 bits give the same numbers as in 32. A weight's memory is free once it is converted, if the
    caller holds no reference to the model.
    """
    config = model.config
    family = of_model_type(config.model_type) or ModelFamily()
    for name, value in family.ct2_config.items():
        if getattr(config, name, None) is None:
            setattr(config, name, value)
    for name, other in family.ct2_copies.items():
        setattr(config, name, getattr(config, other, False))
    for parameter in model.parameters():
        if parameter.dim() < 2:  # some are added to
            parameter.data = parameter.data.float()
    converter = _FromMemory(model, tokenizer, folder)
    del model, tokenizer, parameter
    layers = converter.layers()
    layers.validate()
    if quantization == "int8":
        _share(layers)
        _to_int8(layers)
    else:
        layers.optimize(quantization=quantization)
    output.mkdir(parents=True, exist_ok=True)
    layers.save(str(output))


def _share(layers: Any) -> None:
    """Of equal weights keep the first by name, and say so at the others.

    CTranslate2 does the same, but compares all pairs of the same size to the last byte, which takes seconds.
    """
    kept: dict[Hashable, list[tuple[str, Variable]]] = defaultdict(list)
    for name, weight in layers.variables(ordered=True):
        if not isinstance(weight, Variable) or weight.is_scalar():
            continue
        alike = kept[weight.dtype, tuple(weight.shape), tuple(_tensor(weight).flatten()[:64].tolist())]
        first = next((first for first, other in alike if weight.equal(other)), None)
        scope, _, key = name.rpartition("/")
        if first is None:
            alike.append((name, weight))
        elif key not in SKIP_CREATING_ALIAS:
            setattr(index_spec(layers, scope), key, first)


def _to_int8(layers: Any) -> None:
    """Round the weights as `layers.optimize("int8")` does, and write what is not rounded in 32 bits."""
    for name in [name for name, _ in layers.variables(ordered=True)]:  # names alone: they hold no memory
        scope, _, key = name.rpartition("/")
        layer = index_spec(layers, scope)
        weight = getattr(layer, key)
        if not isinstance(weight, Variable) or weight.is_scalar():
            continue
        if hasattr(layer, f"{key}_scale"):
            numbers, scale = _rounded(_tensor(weight))
            setattr(layer, key, NumpyVariable(numbers))
            setattr(layer, f"{key}_scale", NumpyVariable(scale))
        elif weight.dtype in ("float16", "bfloat16"):
            setattr(layer, key, weight.to("float32"))


def _rounded(tensor: torch.Tensor) -> tuple[Any, Any]:
    """Return the numbers from -127 to 127, and what each row was multiplied by."""
    rows = tensor.reshape(len(tensor), -1)
    numbers = np.empty(rows.shape, np.int8)
    scale = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        exact = rows[part].float().numpy()
        largest = np.amax(np.absolute(exact), axis=1)
        largest[largest == 0] = 127.0
        scale[part] = 127.0 / np.maximum(largest, SMALLEST)
        numbers[part] = np.rint(exact * scale[part, None])
    return numbers.reshape(tensor.shape), scale


def _tensor(weight: Variable) -> torch.Tensor:
    return weight.tensor.detach() if isinstance(weight, PyTorchVariable) else torch.from_numpy(weight.numpy())
