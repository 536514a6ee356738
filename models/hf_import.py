"""Loads a model's own files with transformers, and converts them in a process of its own.

Importing this module does not import torch; its functions do, and `in_subprocess` runs them where torch and
their memory go away afterwards. A model's own code is never run.
"""

import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from models.catalog import ModelEntry
from models.errors import ModelUnavailable
from models.families import AUTO_CLASSES
from models.tokenizer import write_down

log = logging.getLogger(__name__)

R = TypeVar("R")

one_at_a_time = threading.Lock()
"""Held while transformers reads weights: it makes them on a device that it sets for all threads meanwhile."""


def in_subprocess(function: Callable[..., R], *arguments: Any) -> R:
    """Run the function in a new process and return its value or raise its error; all are pickled.

    If torch is already loaded, the function runs here: a process would save nothing.
    Raises ModelUnavailable if the process dies.
    """
    if "torch" in sys.modules:
        return function(*arguments)
    program = f"import sys; sys.path[:] = {sys.path!r}; from models.hf_import import answer; answer()"
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
