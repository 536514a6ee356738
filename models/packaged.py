"""Weights that come inside Python packages: put together, checked by their SHA-256, adapter merged in.

Knows files and tensors; what the model is for is the catalog's affair.
"""

import copy
import hashlib
import json
import logging
import tempfile
from importlib.resources import files
from pathlib import Path
from typing import Any

from models.entry import Package
from models.errors import ModelUnavailable

log = logging.getLogger(__name__)


def module_folder(module: str) -> Path:
    """Where an installed package lies. Raises ModelUnavailable if it is not installed."""
    try:
        return Path(str(files(module)))
    except ModuleNotFoundError as error:
        raise ModelUnavailable(f"the package {module} with the bundled weights is not installed") from error


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


def combined(package: Package) -> str:
    """One short digest for all the files, so that what was made from them can be told apart."""
    joined = ",".join(f"{name}={value}" for name, value in sorted(package.sha256.items()))
    return hashlib.sha256(joined.encode()).hexdigest()[:16]


def build(package: Package, folder: Path) -> None:
    """Write the package's GGUF model, its adapter merged in, into `folder` in transformers' layout."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    assert package.gguf is not None  # noqa: S101 - the catalog sees to it
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        with (Path(scratch) / package.gguf).open("wb") as file:
            for part in sources(package)[package.gguf]:
                file.write(part.read_bytes())
        tokenizer = AutoTokenizer.from_pretrained(scratch, gguf_file=package.gguf)
        _check_tokenizer(tokenizer)
        model = AutoModelForCausalLM.from_pretrained(scratch, gguf_file=package.gguf, dtype=torch.float32)
    if package.adapter is not None:
        _merge(model, Path(str(files("models"))) / package.adapter)
    _plain(model).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _check_tokenizer(tokenizer: Any) -> None:
    """Raises ModelUnavailable for a tokenizer that cuts words into letters, as transformers 5.17 reads it."""
    text = "Le président russe a rencontré dimanche"
    if len(tokenizer(text).input_ids) > len(text) / 2:
        raise ModelUnavailable("this version of transformers reads the bundled tokenizer wrongly; update it")


def _merge(model: Any, adapter: Path) -> None:
    """Add a LoRA adapter in PEFT's layout to the weights: W + B A * alpha / r."""
    import torch
    from safetensors.torch import load_file

    config = json.loads((adapter / "adapter_config.json").read_text("utf-8"))
    scale = config["lora_alpha"] / config["r"]
    lora = load_file(adapter / "adapter_model.safetensors")
    weights = dict(model.named_parameters())
    with torch.no_grad():
        for key in (key for key in lora if ".lora_A." in key):
            name = key.removeprefix("base_model.model.").replace(".lora_A.", ".")
            down, up = lora[key].float(), lora[key.replace(".lora_A.", ".lora_B.")].float()
            weights[name].add_(up @ down, alpha=scale)


def _plain(model: Any) -> Any:
    """The same model without the marks of its quantized file, which forbid saving it; bfloat16."""
    import torch

    config = copy.deepcopy(model.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = type(model)(config).to(torch.bfloat16)
    plain.load_state_dict(model.state_dict())
    plain.config.dtype = torch.bfloat16
    return plain
