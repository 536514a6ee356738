"""From a transformers model in memory to a CTranslate2 folder. CTranslate2 does the work."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ctranslate2.converters import TransformersConverter
from ctranslate2.converters.transformers import _MODEL_LOADERS
from transformers import AutoConfig

from models.errors import NotConvertible
from models.families import ModelFamily, of_model_type


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
        self._loaded = (model, _Vocabulary(tokenizer, model.config.get_text_config().vocab_size))

    def load_model(self, *_: Any, **__: Any) -> Any:
        return self._loaded[0]

    def load_tokenizer(self, *_: Any, **__: Any) -> Any:
        return self._loaded[1]


def to_ctranslate2(
    model: Any, tokenizer: Any, folder: Path, output: Path, quantization: str = "int8"
) -> None:
    """Write `model` (a transformers model whose files are in `folder`) to `output`."""
    config = model.config
    family = of_model_type(config.model_type) or ModelFamily()
    for name, value in family.ct2_config.items():
        if getattr(config, name, None) is None:
            setattr(config, name, value)
    for name, other in family.ct2_copies.items():
        setattr(config, name, getattr(config, other, False))
    _FromMemory(model, tokenizer, folder).convert(str(output), quantization=quantization, force=True)
