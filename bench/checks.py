"""How well the checks on summaries tell errors, and what they cost.

    python bench/checks.py FOLDER [--texts N] [--news FILE] [--entailment MODEL]

FOLDER holds the faithfulness data and its scorer, score_faithfulness.py, which is imported from there. Prints
the scorer's figures for all checks together, the same cross-validated by article, each check's alone, and the
milliseconds of one processor that an article with its summary takes, reading included.

What is fitted to this data, the coefficients of splices, is fitted anew for each fifth of the articles, to
the other four. The gain of placement was chosen by --news: JSON lines (.xz) with an `article` each. The first
sentence counts as the summary of the rest, and the share of those flagged is printed for each gain.

With --entailment, a model of the catalog that says what follows from what, the figures of all checks with it
are printed too.
"""

import argparse
import importlib.util
import itertools
import json
import lzma
import statistics
import time
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from models.catalog import Catalog
from models.checks.language.reading import Reading
from models.checks.pair import Check, Pair
from models.checks.registry import SUMMARY_CHECKS, EntailmentScorer, check_summary
from models.checks.summary import placement
from models.cooperative import finish
from models.engine_choice import EngineMaker
from models.languages import Languages
from models.loaded import EntailmentModel
from models.pool import ModelPool
from models.store import Store
from service.settings import Settings

Flags = list[tuple[int, int]]
FOLDS = 5
MOST_SPLICED = 0.02
"""Of faithful sentences in the folds that are fitted."""
GAINS = (0.2, 0.25, 0.3, 1 / 3, 0.4)


def scorer(folder: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("score_faithfulness", folder / "score_faithfulness.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def by_all(source: str, summary: str, entailment: EntailmentScorer | None = None) -> Flags:
    pair = Pair(Reading(source, "en"), Reading(summary, "en"))
    flags = [flag for each in finish(check_summary(pair, entailment)) for flag in each.flags]
    return [tuple(flag.span) for flag in flags if flag.severity == "error"]


def by_model(name: str) -> Callable[[str, str], Flags]:
    settings, languages = Settings(), Languages.load()
    catalog = Catalog.load(languages, settings.catalog)
    store = Store(settings.cache_dir, offline=settings.offline)
    pool = ModelPool(catalog, store, languages, EngineMaker(store, device=settings.device))
    with pool.use(catalog.get(name, "entail")) as model:
        assert isinstance(model, EntailmentModel)
        judge = model.entailment

    return partial(by_all, entailment=judge)


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


class Judged:
    """A summary whose sentences people judged, or that one of them wrote, and what tells splices in it."""

    def __init__(self, source: str, summary: str, sentences: list[tuple[str, bool]]):
        ends = list(itertools.accumulate(len(text) + 1 for text, _ in sentences))
        bad = [end for end, (_, faithful) in zip(ends, sentences, strict=True) if not faithful]
        lengths = dict(zip(ends, (len(text) + 1 for text, _ in sentences), strict=True))
        pair = Pair(Reading(source, "en"), Reading(summary, "en"))
        self.fold = fold(source)
        self.faithful = len(sentences) - len(bad)
        self.signs = [
            (found, any(span.start < end and end - lengths[end] < span.end for end in bad))
            for span, (_, found) in zip(pair.output.sentences, placement.signs(pair), strict=True)
            if found
        ]


def fold(source: str) -> int:
    return zlib.crc32(source[:200].lower().encode()) % FOLDS


def judged(data: dict[str, list[Any]]) -> list[Judged]:
    found = [Judged(row["source"], row["summary"], []) for row in data["corrupted"] if row["kind"] == "none"]
    for row in data["qags"]:
        sentences = [(each["text_cased"], each["faithful"]) for each in row["sentences"]]
        found.append(Judged(row["source_cased"], " ".join(text for text, _ in sentences), sentences))
    return found


def fitted(texts: list[Judged]) -> tuple[tuple[float, ...], float]:
    """Coefficients and bias of splices, so that MOST_SPLICED of the faithful sentences are flagged."""
    x, bad = zip(*(signs for text in texts for signs in text.signs), strict=True)
    deviation = np.std(x, axis=0)
    own = LogisticRegression(C=0.3).fit(x / deviation, bad).coef_[0] / deviation
    of_good = sorted(
        (float(own @ found) for found, each in zip(x, bad, strict=True) if not each), reverse=True
    )
    return tuple(own), -of_good[round(MOST_SPLICED * sum(text.faithful for text in texts))]


def crossed(data: dict[str, list[Any]]) -> Callable[[str, str], Flags]:
    """All checks, with splices for each article as they are fitted to others."""
    texts = judged(data)
    fits = [fitted([text for text in texts if text.fold != i]) for i in range(FOLDS)]

    def run(source: str, summary: str) -> Flags:
        before = placement.SPLICE_COEFFICIENTS, placement.SPLICE_BIAS
        placement.SPLICE_COEFFICIENTS, placement.SPLICE_BIAS = fits[fold(source)]
        try:
            return by_all(source, summary)
        finally:
            placement.SPLICE_COEFFICIENTS, placement.SPLICE_BIAS = before

    return run


def gains(path: Path) -> None:
    """Print how many first sentences of articles are flagged by placement for each gain."""
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        articles = dict.fromkeys(json.loads(line)["article"].strip() for line in lines)
    counts = dict.fromkeys(GAINS, 0)
    for article in articles:
        first, second, *_ = [*Reading(article, "en").sentences, None, None]
        if first and second:
            pair = Pair(
                Reading(article[second.start :], "en"), Reading(article[first.start : first.end], "en")
            )
            for gain in GAINS:
                placement.LEAST_GAIN = gain
                counts[gain] += any(placement.check_placement(pair))
    for gain, count in counts.items():
        print(f"gain {gain:.2f}: {count} of {len(articles)} first sentences flagged")


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
    parser.add_argument("--news", type=Path, help="articles to choose the gain of placement by")
    args = parser.parse_args()
    score = scorer(args.folder)
    data = {
        name: score.read(args.folder / f"{name}.jsonl.gz") for name in ("corrupted", "qags", "xsum_spans")
    }
    print(f"all\n{figures(score, data, by_all)}")
    if args.entailment:
        print(f"all and {args.entailment}\n{figures(score, data, by_model(args.entailment))}")
    print(f"all, cross-validated by article\n{figures(score, data, crossed(data))}")
    for check in SUMMARY_CHECKS:
        print(f"{getattr(check, '__name__', '')}\n{figures(score, data, by_one(check))}")
    print(cost(data["corrupted"], args.texts))
    if args.news:
        gains(args.news)


if __name__ == "__main__":
    main()
