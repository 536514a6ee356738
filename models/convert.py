"""The part of a vocabulary that a few languages need, and a model without the rest.

A token stays if its letters are those of one of the languages. Then each part of it stays as well, and with
them all merges on the way to it. So a text that was cut into tokens that stay is cut into the same ones
without the others; what needed another is cut into smaller tokens, or bytes.
Knows tokenizer.json of byte-pair vocabularies that fall back to bytes (Gemma's), and embeddings; no files.

Work that needs torch, in a process of its own: torch's import, and the work's memory, go with it.

From a transformers model in memory to a CTranslate2 folder. CTranslate2 does the work.

CTranslate2 rounds a whole weight to int8 at once, which takes two more copies of it, and begins with the
largest, the embeddings. Here some rows are rounded at a time, to the same numbers, and a weight's memory is
free when it is done.

A model's own files as transformers reads them: weights, a tokenizer, and what is made of them once.

All here imports torch, and is called in a process that needs it anyway or, by `models.convert`, in another. A
model's own code is never run.
"""

import gc
import logging
import os
import pickle
import signal
import string
import subprocess
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import regex
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

from models.catalog import ModelEntry
from models.errors import ModelUnavailable, NotConvertible
from models.families import AUTO_CLASSES, ModelFamily, of_model_type
from models.tokenizer import write_down

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


R = TypeVar("R")


def in_subprocess(function: Callable[..., R], *arguments: Any) -> R:
    """Run the function in a new process and return its value or raise its error; all are pickled.

    If torch is already loaded, the function runs here: a process would save nothing.
    Raises ModelUnavailable if the process dies.
    """
    if "torch" in sys.modules:
        return function(*arguments)
    program = f"import sys; sys.path[:] = {sys.path!r}; from models.convert import answer; answer()"
    with subprocess.Popen(  # noqa: S603 - our own
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None and process.stdout is not None  # noqa: S101 - they were asked for
        try:
            process.stdin.write(pickle.dumps((function, arguments)))
            process.stdin.flush()
            message = process.stdout.read()
        except BrokenPipeError:
            message = b""
    if process.returncode or not message:
        raise ModelUnavailable(f"the process that prepares a model ended ({process.returncode})")
    good, value = pickle.loads(message)  # noqa: S301 - our own
    if not good:
        raise value
    answered: R = value
    return answered


def answer() -> None:
    """Do in this process what stands on its standard input, and write what came of it to its output.

    Ends as soon as standard input does, so that it outlives nobody; what others print goes to stderr.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; whoever waits here is told too
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    function, arguments = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own
    threading.Thread(target=_end_with_input, daemon=True).start()
    try:
        message = pickle.dumps((True, function(*arguments)))
    except Exception as error:  # noqa: BLE001 - told where it was asked for
        message = _told(error)
    out.write(message)
    out.flush()
    os._exit(0)  # the thread that reads still holds the input


def _end_with_input() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def _told(error: Exception) -> bytes:
    try:
        pickle.loads(message := pickle.dumps((False, error)))  # noqa: S301 - some cannot be read back
        return message
    except Exception:  # noqa: BLE001 - of libraries; their words do
        return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))


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
