"""Reads GGUF files: the metadata of any, and Gemma 3's configuration and tensors under transformers' names.

The `gguf` package finds and unpacks the tensors. Its reader makes two arrays per token of the vocabulary (10
s, 0.7 GB), and transformers reads the file three times and holds all tensors twice in float32; this module
skips the metadata's arrays. The tokenizer is transformers' affair.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gguf import MODEL_ARCH, MODEL_ARCH_NAMES, GGUFReader, GGUFValueType, dequantize, get_tensor_name_map

from models.errors import ModelUnavailable

MAGIC = b"GGUF"
ARCHITECTURE = MODEL_ARCH.GEMMA3
EMBEDDING = "model.embed_tokens.weight"

FIELDS: Mapping[str, str] = {
    "general.name": "_model_name_or_path",
    "gemma3.context_length": "max_position_embeddings",
    "gemma3.block_count": "num_hidden_layers",
    "gemma3.feed_forward_length": "intermediate_size",
    "gemma3.embedding_length": "hidden_size",
    "gemma3.rope.freq_base": "rope_theta",
    "gemma3.attention.key_length": "head_dim",
    "gemma3.attention.head_count": "num_attention_heads",
    "gemma3.attention.head_count_kv": "num_key_value_heads",
    "gemma3.attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "gemma3.attention.sliding_window": "sliding_window",
    "tokenizer.ggml.bos_token_id": "bos_token_id",
    "tokenizer.ggml.eos_token_id": "eos_token_id",
    "tokenizer.ggml.unknown_token_id": "unk_token_id",
    "tokenizer.ggml.padding_token_id": "pad_token_id",
}
"""The file's name for each field of transformers' configuration."""

ROWS_AT_ONCE = 1 << 13


class _Reader(GGUFReader):
    """Finds a file's tensors and reads its metadata, all but the arrays."""

    def _get_field_parts(self, orig_offs: int, raw_type: int) -> tuple[int, list[Any], list[int], list[Any]]:
        if raw_type != GGUFValueType.ARRAY:
            return super()._get_field_parts(orig_offs, raw_type)
        kind = GGUFValueType(int(self._get(orig_offs, np.uint32)[0]))
        length = int(self._get(orig_offs + 4, np.uint64)[0])
        end = orig_offs + 12
        if kind == GGUFValueType.STRING:
            data = memoryview(self.data)  # type: ignore[arg-type]
            for _ in range(length):
                end += 8 + int.from_bytes(data[end : end + 8], "little")
        else:
            end += length * np.dtype(self.gguf_scalar_to_np[kind]).itemsize
        return end - orig_offs, [], [], [raw_type, kind]


def metadata(path: Path) -> dict[str, Any]:
    """Return a file's metadata without the arrays. Raises ModelUnavailable if it is no whole GGUF file."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise ModelUnavailable(f"{path.name} is not a GGUF file")
    try:
        return _fields(_Reader(path))
    except Exception as error:  # the reader's own, and NumPy's for a file that ends too early
        raise ModelUnavailable(f"{path.name} is incomplete") from error


def _fields(reader: GGUFReader) -> dict[str, Any]:
    return {name: field.contents() for name, field in reader.fields.items() if field.parts}


class Gguf:
    """The file at `path`. Raises ModelUnavailable if it holds another kind of model than Gemma 3."""

    def __init__(self, path: Path):
        reader = _Reader(path)
        self._fields = _fields(reader)
        if self._fields["general.architecture"] != MODEL_ARCH_NAMES[ARCHITECTURE]:
            raise ModelUnavailable(f"{path.name} does not hold a Gemma 3, the only kind that is read here")
        self._tensors = {tensor.name: tensor for tensor in reader.tensors}
        self._names = get_tensor_name_map(ARCHITECTURE, self._fields["gemma3.block_count"])

    def config(self) -> Any:
        """Return transformers' configuration of the model."""
        from transformers import Gemma3TextConfig

        found = {ours: self._fields[name] for name, ours in FIELDS.items() if name in self._fields}
        vocab_size = self._tensor(EMBEDDING).data.shape[0]
        return Gemma3TextConfig(**found, vocab_size=vocab_size)

    def read(self, name: str, dtype: Any, rows: Sequence[int] | None = None) -> Any:
        """Return the tensor that transformers calls `name`, or only these `rows` of it, as `dtype`."""
        import torch

        tensor = self._tensor(name)
        chosen = np.arange(len(tensor.data)) if rows is None else np.asarray(rows)
        result = torch.empty(len(chosen), *tensor.shape[:-1].tolist(), dtype=dtype)  # GGUF has sizes reversed
        for start in range(0, len(chosen), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            values = dequantize(tensor.data[chosen[part]], tensor.tensor_type)
            if name.endswith("norm.weight"):
                values = values - 1  # the file has what a norm multiplies by, transformers that less one
            result[part] = torch.from_numpy(values)
        return result

    def _tensor(self, name: str) -> Any:
        return self._tensors[self._names.get_name(name, (".weight",)) or name]
