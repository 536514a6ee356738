"""Fits the weights of `models/text/article/outline.py`, and says what they do on sites that they never saw.

    python bench/fit_clutter.py DATA

DATA holds pastes.jsonl.gz ({id, url, style, title, paste, gold}) and score_cleaning.py, whose measures are
used. A line counts as the article's if half of its words or more are part of the gold text, in its order. To
the pastes are added the gold lines alone, as text that nobody put anything around, a stretch cut anew from
each whole page, and a third of all without blank lines. Five folds, no site in two of them; the invented
lines of `light` come back in all folds. Needs scikit-learn. Prints the table to copy.
"""

import argparse
import gzip
import hashlib
import json
import random
import re
import sys
import time
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path
from urllib.parse import urlparse

import numpy as np
from sklearn.linear_model import LogisticRegression

import models.text.article.outline as outline
from models.text.article.clutter import find_clutter
from models.text.article.traits import Column, Lines

FOLDS = 5
INVERSE_PENALTY = 0.005
RECALL_WEIGHT = 3.0
WORD = re.compile(r"\w+")


@dataclass
class Page:
    id: str
    site: str
    style: str
    gold: str
    lines: Lines
    after_blank: list[bool]
    of_article: list[bool]


def of_article(lines: list[str], gold: str) -> list[bool]:
    tokens = [(token, i) for i, line in enumerate(lines) for token in WORD.findall(line)]
    hits, totals = np.zeros(len(lines)), np.zeros(len(lines))
    for _, i in tokens:
        totals[i] += 1
    matcher = SequenceMatcher(None, [token for token, _ in tokens], WORD.findall(gold), autojunk=False)
    for start, _, size in matcher.get_matching_blocks():
        for _, i in tokens[start : start + size]:
            hits[i] += 1
    found = [bool(total) and hit >= total / 2 for hit, total in zip(hits, totals, strict=True)]
    for i in range(1, len(found) - 1):
        found[i] = found[i] or (not totals[i] and found[i - 1] and found[i + 1])
    return found


def site_of(url: str) -> str:
    parts = (urlparse(url).hostname or "").removeprefix("www.").split(".")
    return ".".join(
        parts[-3:] if len(parts) > 2 and len(parts[-1]) == 2 and len(parts[-2]) <= 3 else parts[-2:]
    )


def read(path: Path) -> list[Page]:
    pages = []
    with gzip.open(path, "rt", encoding="utf-8") as records:
        for record in map(json.loads, records):
            raw = record["paste"].split("\n")
            at = [i for i, line in enumerate(raw) if line.strip()]
            lines = [raw[i].strip() for i in at]
            blank = [i > 0 and not raw[i - 1].strip() for i in at]
            labels = of_article(lines, record["gold"])
            site = site_of(record["url"])
            pages.append(
                Page(record["id"], site, record["style"], record["gold"], Lines(lines, blank), blank, labels)
            )
    return pages


def variants(pages: list[Page], random_: random.Random) -> list[Page]:
    added = []
    for page in pages:
        numbers = range(page.lines.count)
        inside = [i for i in numbers if page.of_article[i]]
        if page.style == "select_all":
            added.append(cut(page, inside, "plain"))
            begin = max(0, inside[0] - random_.randint(0, 6))
            end = inside[-1] + 1 + random_.choice([0, 0, 1, 3, 8, 20])
            added.append(cut(page, list(numbers)[begin:end], "cut"))
        if random_.random() < 1 / 3:
            no_blank = [False] * page.lines.count
            lines = Lines(page.lines.lines, no_blank)
            added.append(replace(page, style="no blank lines", lines=lines, after_blank=no_blank))
    return added


def cut(page: Page, numbers: list[int], style: str) -> Page:
    blank = [page.after_blank[i] for i in numbers]
    lines = Lines([page.lines.lines[i] for i in numbers], blank)
    return replace(
        page, style=style, lines=lines, after_blank=blank, of_article=[page.of_article[i] for i in numbers]
    )


def fit(pages: list[Page]) -> tuple[dict[str, float], float]:
    names = list(pages[0].lines.columns())
    traits = np.vstack([np.array(list(page.lines.columns().values())).T for page in pages])
    labels = np.concatenate([page.of_article for page in pages])
    weights = np.concatenate([weigh(page) for page in pages])
    mean, spread = traits.mean(0), traits.std(0) + 1e-3
    model = LogisticRegression(C=INVERSE_PENALTY, max_iter=300)
    model.fit((traits - mean) / spread, labels, sample_weight=weights / weights.mean())
    found = model.coef_[0] / spread
    return dict(zip(names, found.tolist(), strict=True)), float(model.intercept_[0] - (found * mean).sum())


def weigh(page: Page) -> Column:
    """Lines by their words, the article's more; pages by the root of theirs."""
    words = np.array([len(line.split()) for line in page.lines.lines], dtype=float).clip(max=30) + 2
    words *= np.where(page.of_article, RECALL_WEIGHT, 1.0)
    return np.asarray(words / np.sqrt(words.sum()))


def keep(page: Page, weights: tuple[dict[str, float], float]) -> list[str]:
    outline.COEFFICIENTS, outline.INTERCEPT = weights
    kept = outline.find_article(page.lines)
    kept[list(find_clutter(page.lines.lines))] = False
    return [line for line, is_kept in zip(page.lines.lines, kept, strict=True) if is_kept]


def report(label: str, pages: list[Page], weights: list[tuple[dict[str, float], float]], scorer) -> None:
    for style in (None, *sorted({page.style for page in pages})):
        rows = []
        for page, own in zip(pages, weights, strict=True):
            if style in (None, page.style) and (
                style or page.style in ("select_all", "container", "light", "real")
            ):
                precision, recall = scorer.precision_recall(page.gold, "\n\n".join(keep(page, own)))
                f1 = scorer.f1(precision or 0, recall or 0)
                rows.append({"precision": precision, "recall": recall, "F1": f1, "exact": 0})
        s = scorer.summarise(rows)
        print(
            f"{label} {style or 'all pastes':<15} n {s['n']:<4} F1 {s['F1']:.3f} P {s['precision']:.3f} "
            f"R {s['recall']:.3f} lost {s['lost']} dirty {s['dirty']}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    args = parser.parse_args()
    sys.path.insert(0, str(args.data))
    import score_cleaning as scorer

    pages = read(args.data / "pastes.jsonl.gz")
    pages += variants(pages, random.Random(1))
    sites = sorted({page.site for page in pages}, key=lambda site: hashlib.sha256(site.encode()).digest())
    fold_of = {site: i % FOLDS for i, site in enumerate(sites)}
    folds = [fit([page for page in pages if fold_of[page.site] != fold]) for fold in range(FOLDS)]
    report("cross-validated", pages, [folds[fold_of[page.site]] for page in pages], scorer)
    started = time.perf_counter()
    whole = fit(pages)
    report("fitted on all", pages, [whole] * len(pages), scorer)
    print(f"{time.perf_counter() - started:.0f} s\nINTERCEPT = {whole[1]:.3f}\nCOEFFICIENTS = {{")
    for name, weight in whole[0].items():
        print(f'    "{name}": {weight:.3f},')
    print("}")


if __name__ == "__main__":
    main()
