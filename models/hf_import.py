"""A model's own files as transformers reads them: weights, a tokenizer, and what is made of them once.

All here imports torch, and is called in a process that needs it anyway or, by `models.apart`, in another. A
model's own code is never run.
"""

import logging
import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from models.entry import ModelEntry
from models.errors import ModelUnavailable
from models.families import AUTO_CLASSES
from models.tokenizer import write_down

log = logging.getLogger(__name__)

one_at_a_time = threading.Lock()
"""Held while transformers reads weights: it makes them on a device that it sets for all threads meanwhile."""


def load_model(entry: ModelEntry, folder: Path, *, dtype: str = "auto", device: str = "cpu") -> Any:
    """The entry's transformers model from its folder, in evaluation mode on `device`."""
    import transformers

    cls = getattr(transformers, AUTO_CLASSES[entry.kind])
    with named(entry, "model", folder), one_at_a_time:
        model = cls.from_pretrained(
            folder,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            weights_only=True,
            use_safetensors=any(folder.glob("*.safetensors")),
        )
    return model.to(device).eval()


def load_tokenizer(entry: ModelEntry, folder: Path) -> Any:
    """The entry's transformers tokenizer from its folder, without running any code of its repository."""
    from transformers import AutoTokenizer

    with named(entry, "tokenizer", folder):
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        names = tokenizer.vocab_files_names.values()
        if not any((folder / name).is_file() for name in names):  # transformers makes an empty one then
            raise FileNotFoundError(f"none of {', '.join(names)} is there")
    return tokenizer


def write_tokenizer(entry: ModelEntry, folder: Path, output: Path) -> None:
    """Write the entry's tokenizer to `output` as `models.tokenizer` reads it."""
    write_down(load_tokenizer(entry, folder), output)


def convert(
    entry: ModelEntry, folder: Path, output: Path, quantization: str, beside: Path | None = None
) -> None:
    """Write the entry's weights to `output` as CTranslate2 reads them. Raises NotConvertible.

    Write its tokenizer too, if a folder for it is given: each process that does either imports torch.
    """
    from models.convert import require_convertible, to_ctranslate2

    with named(entry, "configuration", folder):
        require_convertible(folder)
    tokenizer = load_tokenizer(entry, folder)
    if beside is not None:
        write_down(tokenizer, beside)
    # encoder-decoders compute their positions in the numbers that they are loaded in
    dtype = "auto" if entry.kind == "causal" else "float32"
    to_ctranslate2(load_model(entry, folder, dtype=dtype), tokenizer, folder, output, quantization)


def without_paths(words: str, *folders: Path) -> str:
    """A library's words without where these folders lie, which is no caller's affair."""
    for folder in folders:
        words = words.replace(str(folder), "its folder")
    return words


@contextmanager
def named(entry: ModelEntry, part: str, folder: Path) -> Iterator[None]:
    """Turns whatever a library raises over a model's files into ModelUnavailable with the model's name."""
    try:
        yield
    except ModelUnavailable:
        raise
    except pickle.UnpicklingError as error:
        raise ModelUnavailable(f"{entry.name}: its weights hold code, which is never run") from error
    except Exception as error:
        reason = without_paths(str(error).strip().partition("\n")[0], folder)[:300]
        log.error("%s: its %s in %s cannot be read: %s", entry.name, part, folder, error)
        raise ModelUnavailable(f"{entry.name}: its {part} cannot be read: {reason}") from error
