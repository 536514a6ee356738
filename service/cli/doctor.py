"""`dragoman doctor`: reports this machine, what would run on it, and problems."""

import os
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

import click

from models import hub
from models.errors import DragomanError
from service.cli import machine
from service.cli.machine import VISIBLE, gigabytes
from service.cli.session import JSON, Session, count, note, write, write_json

if TYPE_CHECKING:
    from models.catalog import Catalog, ModelEntry, Task
    from models.store import Store
    from service.settings import Settings

LIKED_MEMORY = 2_000_000_000
"""The bundled models take 0.8 GB, and 1.9 GB while they are put together."""
LEAST_MEMORY = 800_000_000
LIKED_DISK = 2_000_000_000
"""The bundled translation model takes 0.6 GB of the cache, and more while it is put together."""
LEAST_DISK = 100_000_000
CT2_CUDA = (12, 8)
"""CTranslate2's package has code for GPUs up to Ada; of newer ones the driver makes it, from 12.8's form."""
NEEDED = ("torch", "transformers", "ctranslate2", "safetensors", "sentencepiece")

State = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked. With a `problem` something would not work."""

    name: str
    state: State
    told: str


@click.command(epilog="Example: dragoman doctor --json")
@JSON
@click.option(
    "--new-trials",
    is_flag=True,
    help="Forget the results of trials on a GPU: each model is tried again when it is next loaded.",
)
@click.pass_obj
def doctor(session: Session, as_json: bool, new_trials: bool) -> int:
    """Show what this machine has, which engine would run which model and why, and any problems.

    Exit code 1 if there is a problem: something would not work.
    """
    settings = session.settings()
    if new_trials:
        from models.engine.gpu import Verdicts

        Verdicts(settings.cache_dir).forget()
    with session.waiting("checking"):
        findings = list(_findings(settings))
    problems = sum(finding.state == "problem" for finding in findings)
    if as_json:
        write_json({"problems": problems, "findings": [asdict(finding) for finding in findings]})
    else:
        wide = max(len(finding.name) for finding in findings)
        for finding in findings:
            mark = {"ok": "      ", "warning": "note  ", "problem": "WRONG "}[finding.state]
            write(f"{mark}{finding.name:{wide}}  {finding.told}")
        note(f"{count(problems, 'problem')} found." if problems else "No problems found.")
    return int(problems > 0)


def _findings(settings: "Settings") -> Iterator[Finding]:
    yield Finding("version", "ok", f"{version('dragoman')}, Python {platform.python_version()}")
    missing = [module for module in NEEDED if not machine.has(module)]
    if missing:
        yield Finding("packages", "problem", f"not installed: {', '.join(missing)}")
    number, told = machine.processors()
    threads = f"; DRAGOMAN_THREADS is {settings.threads}" if settings.threads else ""
    yield Finding("processors", "ok" if number >= 1 else "warning", told + threads)
    yield _memory()
    gpus = machine.gpus()
    wants = settings.device == "cuda" or (settings.device == "auto" and bool(gpus))
    device = "cuda" if wants and not missing and machine.torch_finds_a_gpu() else "cpu"
    yield _gpu(settings, gpus, device)
    if gpus and settings.device != "cpu" and machine.has("torch"):
        yield _cuda()
    if device == "cuda":
        yield _compiler()
        yield _cublas()
    yield from _folders(settings)
    yield from _models(settings, device)
    yield from _trials(settings)
    yield _port(settings)


def _trials(settings: "Settings") -> Iterator[Finding]:
    """The trials that models had on GPUs, if they had any."""
    from models.engine.gpu import Verdicts

    for verdict in Verdicts(settings.cache_dir).all():
        name, gpu = verdict.about.get("model", ""), verdict.about.get("card", "")
        where = f"{name} on {gpu}, {verdict.date}"
        if verdict.failure:
            again = "kept for these versions; --new-trials has it tried again"
            yield Finding("trial", "warning", f"{where}: {verdict.failure} ({again})")
        else:
            yield Finding("trial", "ok", f"{where}: {verdict.in_words()}")


def _memory() -> Finding:
    found = machine.memory()
    if found is None:
        return Finding("memory", "warning", "cannot be told here")
    whole, free = found
    told = f"{gigabytes(free)} free of {gigabytes(whole)}"
    if free < LEAST_MEMORY:
        return Finding("memory", "problem", f"{told}; the bundled models need {gigabytes(LEAST_MEMORY)}")
    if free < LIKED_MEMORY:
        return Finding("memory", "warning", f"{told}; the first start takes up to 1.9 GB, later ones 0.8 GB")
    return Finding("memory", "ok", told)


def _gpu(settings: "Settings", gpus: list[str], device: str) -> Finding:
    told = "; ".join(gpus) or "none found"
    if settings.device == "cuda" and device != "cuda":
        return Finding("GPU", "problem", f"{told}; DRAGOMAN_DEVICE is cuda, but torch finds no CUDA device")
    if gpus and settings.device == "cpu":
        return Finding("GPU", "ok", f"{told}; not used, as DRAGOMAN_DEVICE is cpu")
    if gpus and device != "cuda":
        return Finding(
            "GPU", "warning", f"{told}; not used: torch finds no CUDA device, it may be a CPU build"
        )
    if device == "cuda":
        cards, named = machine.visible_cards(settings.device), os.environ.get(VISIBLE)
        if len(cards) > 1:
            told += f"; models run on {len(cards)} of them, each in a process of its own"
        if named is not None:
            told += f" ({VISIBLE} is {named})"
    return Finding("GPU", "ok", told)


def _cuda() -> Finding:
    driver, built = machine.cuda_versions()
    told = f"the driver goes up to CUDA {_dotted(driver)}, torch is built for {_dotted(built)}"
    if driver is None or built is None:
        return Finding("CUDA", "warning", told)
    if driver[0] < built[0]:  # within a major version, newer code runs on an older driver
        return Finding(
            "CUDA", "warning", f"{told}: take a newer driver, or torch from the index for CUDA {driver[0]}"
        )
    if driver < CT2_CUDA:
        told += f"; CTranslate2 needs {_dotted(CT2_CUDA)} on GPUs after Ada, and 12.0 on others"
        return Finding("CUDA", "warning", told)
    return Finding("CUDA", "ok", told)


def _dotted(version: tuple[int, int] | None) -> str:
    return "none" if version is None else "{}.{}".format(*version)


def _compiler() -> Finding:
    if lack := machine.lack_of_triton():
        return Finding("compiler", "warning", f"{lack}: CTranslate2 runs in place of the native engine")
    return Finding("compiler", "ok", f"{machine.compiler()}, with triton")


def _cublas() -> Finding:
    if machine.load_cublas():
        return Finding("cuBLAS", "ok", "that of CUDA 12 is here, for CTranslate2")
    told = "that of CUDA 12 is missing, so CTranslate2 cannot use the GPU: pip install 'dragoman[gpu]'"
    return Finding("cuBLAS", "warning", told)


def _folders(settings: "Settings") -> Iterator[Finding]:
    for name, folder in (("cache", settings.cache_dir), ("data", settings.data_dir)):
        if (why := machine.unwritable(folder)) is not None:
            yield Finding(name, "problem", f"{folder} cannot be written: {why}")
            continue
        free = machine.free_bytes(folder)
        liked = LIKED_DISK if name == "cache" else LEAST_DISK
        state: State = "problem" if free < LEAST_DISK else "warning" if free < liked else "ok"
        yield Finding(name, state, f"{folder}, {gigabytes(free)} free")


def _models(settings: "Settings", device: str) -> Iterator[Finding]:
    from models.catalog import Catalog
    from models.languages import Languages
    from models.store import Store

    try:
        catalog = Catalog.load(Languages.load(), settings.catalog, settings.named_models)
    except DragomanError as error:
        yield Finding("catalog", "problem", error.message)
        return
    fits, told = machine.advice(catalog, settings, device)
    yield Finding("models", "ok" if fits else "warning", told)
    store = Store(settings.cache_dir, offline=settings.offline)
    if (better := _better(settings, catalog, store)) is not None:
        yield better
    entries: dict[str, ModelEntry] = {}
    chosen: tuple[tuple[str, Task, str | None], ...] = (
        ("summaries", "summarize", settings.summarize_model),
        ("translations", "translate", settings.translate_model),
        ("entailment", "entail", settings.entailment_model),
    )
    for title, task, name in chosen:
        try:
            if name is not None:
                entries[title] = catalog.get(name, task)
        except DragomanError as error:
            yield Finding(title, "problem", error.message)
    lacking = [each for each in entries.values() if not store.here(each)]
    hub = _hub(store, needed=bool(lacking))
    yield hub
    may_fetch = hub.state == "ok" and not store.offline_by
    for title, entry in entries.items():
        yield Finding(
            title, *_model(settings, store, entry, device, here=entry not in lacking, may_fetch=may_fetch)
        )


def _model(
    settings: "Settings", store: "Store", entry: "ModelEntry", device: str, *, here: bool, may_fetch: bool
) -> tuple[State, str]:
    """Whether a model is ready, and which engine would run it."""
    from models.engine_choice import EngineMaker
    from models.inspection import inspect
    from models.languages import Languages
    from models.llama_server import MISSING

    if entry.weights == "elsewhere":
        if problems := inspect(store, entry, Languages.load(), os.environ.get).problems:
            return "problem", f"{entry.name}: {'; '.join(problems)}"
        return "ok", f"{entry.name}: {entry.model} at {entry.url}, which answers"
    if entry.weights == "none":
        return "ok", f"{entry.name}: ready; needs no files"
    state: State = "ok"
    prepared = store.is_prepared(entry)
    engine = _engine(settings, entry, device)
    if device == "cuda" and prepared and entry.kind != "entailment":
        _, why = EngineMaker(store, device=settings.device).device_for(entry)
        if why:
            state, engine = "warning", f"run by CTranslate2 in int8 on the CPU, as {why}"
    if entry.weights == "gguf" and not machine.has("xllamacpp"):
        state, engine = "problem", MISSING
    if not here and not may_fetch:
        state, ready = "problem", f"not here; {store.how_to_get(entry)}"
    elif entry.is_pattern:
        ready = "fetched by pair, when one is first used"
    elif not here:
        ready = "to be fetched at the first start"
    else:
        ready = "ready" if prepared else "put together at the first start"
    caution = f"; {entry.caution}" if entry.caution and not entry.bundled else ""
    return state, f"{entry.name}: {ready}; {engine}{caution}"


def _better(settings: "Settings", catalog: "Catalog", store: "Store") -> Finding | None:
    """Which better models the cache has, and how far those are that are not there whole."""
    from service.runtime import betters

    known = betters(settings, catalog)
    entries = [*known.summarizers, *known.many()]
    for each in known.translators:
        entries += store.begun(each) if each.is_pattern else ()
    if not entries:
        return None
    told = []
    for entry in entries:
        if store.state(entry) == "ready":
            told.append(f"{entry.name} is here")
        elif here := store.here_bytes(entry):
            share = min(99, 100 * here // max(1, entry.download_mb * 1_000_000))
            told.append(f"{entry.name} is fetched to about {share}%")
    return Finding(
        "better", "ok", ", ".join(told) or "none is here yet; each is fetched when it suits a request"
    )


def _engine(settings: "Settings", entry: "ModelEntry", device: str) -> str:
    """Which engine would run the model, and why."""
    from models.engine_choice import kind_of

    where = "the GPU" if device == "cuda" else "the CPU"
    if entry.kind == "entailment":
        return f"run by torch on {where}, as it writes nothing"
    if entry.weights == "gguf":
        return "run by llama.cpp" + ("" if settings.device == "cpu" else ", on a GPU where it finds one")
    kind = kind_of(settings.engine, device, causal=entry.kind == "causal")
    if settings.engine != "auto" and kind == settings.engine:
        return f"run by {_ENGINES[kind]} on {where}, as DRAGOMAN_ENGINE says"
    if kind == "ct2":
        how = "in 16 bits, on the GPU" if device == "cuda" else "in int8, as it is to run on the CPU"
        return f"run by CTranslate2 {how}"
    return f"run by {_ENGINES[kind]} on {where}, if that is right and faster when it is loaded"


_ENGINES = {
    "native": "the native engine",
    "generate": "transformers' generate",
    "ct2": "CTranslate2",
}


def _hub(store: "Store", *, needed: bool) -> Finding:
    if (setting := store.offline_by) is not None:
        return Finding("hub", "ok", f"not asked, as {setting} says")
    from huggingface_hub.constants import ENDPOINT as url

    if (why := hub.silence()) is None:
        return Finding("hub", "ok", f"{url} answers")
    told = f"{url} does not answer ({why})"
    if needed:
        return Finding("hub", "problem", f"{told}, and a model that is set is not here")
    return Finding("hub", "warning", f"{told}; the bundled models do without")


def _port(settings: "Settings") -> Finding:
    from service.listening import listen

    where = f"{settings.host}:{settings.port}"
    try:
        listen(settings.host, settings.port).close()
    except DragomanError as error:
        return Finding("port", "warning", f"{error.message} (a server of yours, perhaps)")
    return Finding("port", "ok", f"{where} is free")
