"""Sets of models in words: what each takes, and which of them suits this machine."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from service.commands import machine

if TYPE_CHECKING:
    from models.catalog import Catalog
    from models.sets import ModelSet
    from service.settings import Settings


def fitting(catalog: "Catalog", *, with_gpu: bool = True) -> "ModelSet":
    """Return the largest set that this machine has the memory and the processors for."""
    from models import sets

    found = machine.memory()
    gpu_bytes = machine.gpu_bytes(machine.gpus()) if with_gpu else None
    return sets.fitting(catalog, found and found[1], gpu_bytes, machine.processors()[0])


def advice(catalog: "Catalog", settings: "Settings", device: str) -> tuple[bool, str]:
    """Return whether the machine has the memory for the chosen set, and which one suits it, in words."""
    from models.sets import load_sets

    name, found = settings.models, machine.memory()
    chosen = load_sets()[name].on(device, found and found[0])
    suits = fitting(catalog, with_gpu=device == "cuda")
    told = f"{name}, good at {chosen.good_at}"
    if chosen.betters:
        told = f"{name}: {_better(catalog, settings)}"
    if suits.name != name and suits.translate not in chosen.betters:
        size = gigabytes(suits.download_bytes(catalog))
        told += f"; the set that suits this machine is {suits.name} ({size} to fetch)"
    needs = chosen.memory_bytes(catalog, device)
    if not chosen.download_bytes(catalog) or device == "cuda" or found is None or needs <= found[1]:
        return True, told
    return False, f"{told}; {name} takes up to {gigabytes(needs)} of memory when it is first loaded"


def require_models(settings: "Settings") -> None:
    """Raise ModelUnavailable if a server would fetch its models at its start, and there is no hub to ask.

    A hub that is slow, or breaks off, is asked again by the server itself.
    """
    from models import hub
    from models.catalog import Catalog
    from models.errors import ModelUnavailable
    from models.languages import Languages
    from models.loading import Store
    from models.sets import load_sets

    catalog = Catalog.load(Languages.load(), settings.catalog, settings.named_models)
    chosen = load_sets()[settings.models].here(settings.device)
    names = dict.fromkeys((settings.summarize_model, settings.translate_model))
    far = [each for each in map(catalog.get, names) if each.path is None and each.package is None]
    if not settings.preload or not far:
        return
    store = Store(settings.cache_dir, offline=settings.offline)
    if not (lacking := store.lacking(far)):
        return
    if (setting := store.offline_by) is not None:
        why, first = f"{setting} forbids asking the model hub", f"unset {setting}"
    elif (reason := hub.absent()) is not None:
        why, first = f"the model hub cannot be reached ({reason})", "set HF_ENDPOINT to a mirror of it"
    else:
        return
    wanted = [each.name for each in lacking]
    if set(wanted) <= {chosen.summarize, chosen.translate}:
        pull, other = chosen.name, "start with `--models bundled`"
    else:
        pull = " ".join(name.replace("*", "en-fr") for name in wanted)
        other = "set DRAGOMAN_SUMMARIZE_MODEL and DRAGOMAN_TRANSLATE_MODEL to models that are here"
    raise ModelUnavailable(
        f"not here: {', '.join(wanted)}; and {why}. Either {first}; or run `dragoman models pull {pull}` on "
        f"a machine that reaches it and copy its DRAGOMAN_CACHE_DIR to {settings.cache_dir}; or {other}"
    )


def _better(catalog: "Catalog", settings: "Settings") -> str:
    """Say what is fetched beside the bundled models, and how to stop it."""
    from service.runtime import betters

    known = betters(settings, catalog)
    begin = "starts with the bundled models"
    if not known:
        return f"{begin}, and no better ones may be fetched (DRAGOMAN_ALLOW_MODELS, or models that are set)"
    if settings.offline:
        return (
            f"{begin}; better ones are taken if the cache has them, and none are fetched (DRAGOMAN_OFFLINE)"
        )
    names = ", ".join(
        f"{each.name} {gigabytes(each.download_mb * 1e6)}{' a pair' if each.is_pattern else ''}"
        for each in (*known.translators, *known.summarizers)
    )
    return (
        f"{begin}; where a model hub answers, better ones for what is asked are fetched in the background "
        f"({names}) and taken once they are ready; MODELS=bundled or --models bundled fetches nothing"
    )


def set_rows(catalog: "Catalog", chosen: str) -> list[dict[str, Any]]:
    """Return each set with what it takes, in bytes."""
    from models.sets import load_sets

    suits, found = fitting(catalog).name, machine.memory()
    device = "cuda" if machine.gpus() else "cpu"
    return [
        {
            "name": each.name,
            "models": list(dict.fromkeys((here.summarize, here.translate))),
            "better": list(each.betters),
            "good_at": each.good_at,
            "device": each.device,
            "download_bytes": here.download_bytes(catalog),
            "cpu_memory_bytes": here.memory_bytes(catalog, "cpu"),
            "gpu_memory_bytes": each.memory_bytes(catalog, "cuda"),
            "suits": each.name == suits,
            "chosen": each.name == chosen,
        }
        for each in load_sets().values()
        for here in [each.on(device, found and found[0])]
    ]


def set_lines(row: Mapping[str, Any]) -> str:
    """Return a set in some lines."""
    marks = [
        word for word, is_so in (("chosen", row["chosen"]), ("suits this machine", row["suits"])) if is_so
    ]
    cpu = f"{gigabytes(row['cpu_memory_bytes'])} of memory, or " if row["device"] == "any" else ""
    lines = [
        row["name"] + (f" ({', '.join(marks)})" if marks else ""),
        f"good at {row['good_at']}",
        ", ".join(row["models"]),
        *([f"as it suits requests, fetched then: {', '.join(row['better'])}"] if row["better"] else []),
        f"{gigabytes(row['download_bytes'])} to fetch; {cpu}{gigabytes(row['gpu_memory_bytes'])} of a GPU's",
    ]
    return "\n    ".join(lines)


def gigabytes(size: float) -> str:
    """`6.6 GB`."""
    return f"{size / 1e9:.1f} GB"
