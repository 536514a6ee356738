"""How well the checks on summaries tell errors, and what they cost.

    python bench/checks.py FOLDER [--texts N] [--entailment MODEL]

FOLDER holds the faithfulness data and its scorer, score_faithfulness.py, which is imported from there. Prints
the scorer's figures for all checks together, each check's alone, and the milliseconds of one processor
that an article with its summary takes, reading included. With a model of the catalog that says what follows
from what, which is fetched if need be, also the figures of all checks and it.
"""

import argparse
import importlib.util
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from models.catalog import Catalog
from models.checks.language.reading import Reading
from models.checks.pair import Check, Pair
from models.checks.registry import SUMMARY_CHECKS
from models.checks.summary_report import check_summary
from models.engines import EngineMaker
from models.languages import Languages
from models.loading import Store
from models.pool import EntailmentModel, ModelPool
from service.settings import Settings

Flags = list[tuple[int, int]]


def scorer(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("score_faithfulness", folder / "score_faithfulness.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def by_all(source: str, summary: str) -> Flags:
    return [tuple(f.span) for s in check_summary(source, summary, language="en") for f in s.flags]


def by_model(name: str) -> Callable[[str, str], Flags]:
    settings, languages = Settings(), Languages.load()
    catalog = Catalog.load(languages, settings.catalog)
    store = Store(settings.cache_dir, offline=settings.offline)
    pool = ModelPool(catalog, store, languages, EngineMaker(store, device=settings.device))
    with pool.use(catalog.get(name, "entail")) as model:
        assert isinstance(model, EntailmentModel)
        judge = model.entailment

    def run(source: str, summary: str) -> Flags:
        found = check_summary(source, summary, language="en", entailment=judge)
        return [tuple(f.span) for s in found for f in s.flags]

    return run


def by_one(check: Check) -> Callable[[str, str], Flags]:
    def run(source: str, summary: str) -> Flags:
        pair = Pair(Reading(source, "en"), Reading(summary, "en"))
        return [tuple(flag.span) for flag in check(pair) if flag and flag.severity == "error"]

    return run


def figures(score: ModuleType, data: dict[str, list[Any]], check: Callable[[str, str], Flags]) -> str:
    corrupted = score.score_corrupted(data["corrupted"], check)
    qags = score.score_qags(data["qags"], check, "restored")["all"]
    spans = score.score_spans(data["xsum_spans"], check, "restored")
    kinds = {kind: row["span"] for kind, row in corrupted["recall"].items() if "/" not in kind}
    clean = corrupted["clean"]
    return (
        "  recall " + "  ".join(f"{kind} {share:.3f}" for kind, share in kinds.items()) + "\n"
        f"  unchanged summaries flagged {clean['flagged_summaries']:.3f}"
        f" (raw {clean['flagged_summaries_raw']:.3f})"
        f"  qags F1 {qags['F1']:.3f} precision {qags['precision']:.3f} recall {qags['recall']:.3f}"
        f" of the faithful {qags['false_positive_rate']:.3f}  xsum spans precision {spans['precision']:.3f}"
    )


def cost(rows: list[Any], texts: int) -> str:
    pairs = list({row["source"]: (row["source"], row["summary"]) for row in rows}.values())[:texts]
    by_all(*pairs[0])  # the words of the language are read once
    spent = []
    for source, summary in pairs:
        start = time.process_time()
        by_all(source, summary)
        spent.append(1000 * (time.process_time() - start))
    words = statistics.mean(len(source.split()) for source, _ in pairs)
    summary_words = statistics.mean(len(summary.split()) for _, summary in pairs)
    return (
        f"{len(pairs)} articles of {words:.0f} words, summaries of {summary_words:.0f}: "
        f"{statistics.mean(spent):.1f} ms on average, median {statistics.median(spent):.1f}"
        f", most {max(spent):.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--texts", type=int, default=50, help="how many articles to time")
    parser.add_argument("--entailment", metavar="MODEL", help="a model that checks beside the others")
    args = parser.parse_args()
    score = scorer(args.folder)
    data = {
        name: score.read(args.folder / f"{name}.jsonl.gz") for name in ("corrupted", "qags", "xsum_spans")
    }
    print(f"all\n{figures(score, data, by_all)}")
    if args.entailment:
        print(f"all and {args.entailment}\n{figures(score, data, by_model(args.entailment))}")
    for check in SUMMARY_CHECKS:
        print(f"{check.__module__.rpartition('.')[2]}\n{figures(score, data, by_one(check))}")
    print(cost(data["corrupted"], args.texts))


if __name__ == "__main__":
    main()
