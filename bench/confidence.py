"""Fits the coefficients of `models/translate/confidence.toml` to a model's translations, and measures them.

    python bench/confidence.py translate FOLDER TRANSLATIONS [--news] [--sentences 160] [--limit 400]
    python bench/confidence.py fit TRANSLATIONS > models/translate/confidence.toml
    python bench/confidence.py measure TRANSLATIONS

`translate` writes JSON lines, one for each sentence and direction, and goes on where it stopped. FOLDER holds
`xx.tsv.xz` (English, the other language, a tag), or with --news `news_dev.jsonl.gz`, which is for measuring
alone. A translation counts as good by its chrF against the reference: smoothly, one half at 47.5, so that
those under 40 are bad and those over 55 good. `fit` cross-validates, on stderr, by blocks of lines and by
language, each in turn left out.
"""

import argparse
import gzip
import json
import lzma
import math
import random
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import sacrebleu
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from models.catalog import Catalog
from models.checks.language.reading import Reading
from models.checks.pair import Pair
from models.checks.registry import TRANSLATION_CHECKS, run
from models.cooperative import finish
from models.driver import run_all
from models.engine_choice import EngineMaker
from models.languages import Languages
from models.pool import ModelPool
from models.store import Store
from models.translate.confidence import Coefficients, coefficients, signs_of
from models.translate.route import Router
from models.translate.sentence import Candidate, SentenceTranslator, Source

Row = dict[str, Any]
LANGUAGES = ("en", "fr", "de", "es", "it", "pt", "ru", "zh")
MODEL = "dragoman/gemma3-270m-translate"
NOT_NEWS = ("tatoeba", "docs")
"""Corpora that are little like articles, of which fewer sentences are taken."""
BAD, GOOD = 40, 55
MIDDLE, SLOPE = 47.5, 5.0
BLOCK_LINES = 20
STRENGTH = 0.3
"""Of the regression, the inverse of the penalty on large coefficients."""
AT_ONCE = 64
KEPT = ("text", "complete", "confidence", "tokens", "source_tokens")
"""What is written of each candidate."""


def pairs(folder: Path, count: int) -> Iterator[Row]:
    """So many of each language, both ways, with whole corpora in the same shares."""
    rng = random.Random(7)
    for path in sorted(folder.glob("??.tsv.xz")):
        by_tag: dict[str, list[Row]] = {}
        with lzma.open(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(lines):
                english, other, tag = line.rstrip("\n").split("\t")
                if 25 < len(english) < 400:
                    row = {"en": english, path.name[:2]: other, "block": number // BLOCK_LINES}
                    by_tag.setdefault(tag, []).append(row)
        shares = {tag: 0.15 if any(each in tag for each in NOT_NEWS) else 1.0 for tag in by_tag}
        for tag, rows in by_tag.items():
            share = shares[tag] / sum(shares.values())
            yield from rng.sample(rows, min(len(rows), round(count * share)))


def news(folder: Path, count: int) -> Iterator[Row]:
    with gzip.open(folder / "news_dev.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    yield from ({"block": row["doc"], **row} for row in rows[:: max(1, len(rows) // count)][:count])


def directions(rows: Iterator[Row]) -> list[Row]:
    found = []
    for row in rows:
        for other in LANGUAGES[1:]:
            if other in row:
                for source, target in (("en", other), (other, "en")):
                    texts = {"text": row[source], "reference": row[target]}
                    found.append({"source": source, "target": target, **texts, "block": row["block"]})
    random.Random(7).shuffle(found)
    return found


def translate(options: argparse.Namespace) -> None:
    wanted = directions((news if options.news else pairs)(options.folder, options.sentences))
    done = {(r["source"], r["target"], r["text"]) for r in read(options.translations)}
    wanted = [row for row in wanted if (row["source"], row["target"], row["text"]) not in done]
    languages = Languages.load()
    catalog, store = Catalog.load(languages), Store(options.cache)
    pool = ModelPool(catalog, store, languages, EngineMaker(store))
    router = Router(pool, languages, options.model)
    end = time.monotonic() + options.limit
    with options.translations.open("a", encoding="utf-8") as out:
        for start in range(0, len(wanted), AT_ONCE):
            if time.monotonic() > end:
                break
            some = wanted[start : start + AT_ONCE]
            tasks = []
            for row in some:
                hops = router.route(router.entry(None), row["source"], row["target"])
                tasks.append(SentenceTranslator(pool, hops).generate(Source(row["text"], ())))
            for row, outcome in zip(some, run_all(tasks, wait=True), strict=True):
                found = outcome.unwrap()[0]
                own = {name: getattr(found, name) for name in KEPT}
                out.write(json.dumps(row | {"hypothesis": own}, ensure_ascii=False) + "\n")
            out.flush()
    pool.close()


def read(path: Path) -> list[Row]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


class Examples:
    """Translations with their signs and their chrF."""

    def __init__(self, rows: Sequence[Row]):
        self.rows = [row for row in rows if row["hypothesis"]["confidence"] is not None]
        self.kinds: list[set[str]] = []
        self.signs = [self._signs(row) for row in self.rows]
        self.chrf = np.array(
            [
                sacrebleu.sentence_chrf(row["hypothesis"]["text"], [row["reference"]]).score
                for row in self.rows
            ]
        )
        self.names = [*self.signs[0].values()]
        self.x = np.array([[*signs.values()] for signs in self.signs])

    def _signs(self, row: Row) -> dict[str, float]:
        found = Candidate(**{name: row["hypothesis"][name] for name in KEPT})
        pair = Pair(Reading(row["text"], row["source"]), Reading(found.text, row["target"]))
        flags = finish(run(TRANSLATION_CHECKS, pair))
        self.kinds.append({flag.kind for flag in flags})
        return signs_of(
            pair,
            flags,
            probability=found.confidence or 0.0,
            tokens=found.tokens,
            source_tokens=found.source_tokens,
        )


def regression(x: np.ndarray, chrf: np.ndarray) -> tuple[np.ndarray, float]:
    """Coefficients and intercept for plain values; each example counts as good and bad in its shares."""
    mean, deviation = x.mean(0), np.where(x.std(0) > 0, x.std(0), 1.0)
    good = 1 / (1 + np.exp(-(chrf - MIDDLE) / SLOPE))
    scaled = (x - mean) / deviation
    model = LogisticRegression(C=STRENGTH, max_iter=2000)
    labels = np.r_[np.ones(len(x)), np.zeros(len(x))]
    model.fit(np.vstack([scaled, scaled]), labels, sample_weight=np.r_[good, 1 - good])
    own = model.coef_[0] / deviation
    return own, float(model.intercept_[0] - own @ mean)


def chances(x: np.ndarray, own: np.ndarray, intercept: float) -> np.ndarray:
    return 1 / (1 + np.exp(-(x @ own + intercept)))


def told(name: str, chance: np.ndarray, chrf: np.ndarray, below: float | None) -> str:
    bad, good = chance[chrf < BAD], chance[chrf > GOOD]
    auc = roc_auc_score(np.r_[np.zeros(len(bad)), np.ones(len(good))], np.r_[bad, good])
    text = f"{name}: AUC {auc:.3f} ({len(bad)} bad, {len(good)} good of {len(chrf)})"
    if below is not None:
        text += (
            f"; below {below}: {np.mean(bad < below):.3f} of the bad, {np.mean(good < below):.3f} of the good"
        )
    return text


def fit(options: argparse.Namespace) -> None:
    found = Examples(read(options.translations))
    others = [f"{row['source']}{row['target']}".replace("en", "") for row in found.rows]
    blocks = [f"{other}{row['block']}" for other, row in zip(others, found.rows, strict=True)]
    for name, groups, folds in (("languages", others, len(set(others))), ("blocks", blocks, 5)):
        crossed = np.zeros(len(found.rows))
        for one, other in GroupKFold(folds).split(found.x, groups=groups):
            crossed[other] = chances(found.x[other], *regression(found.x[one], found.chrf[one]))
        print(told(f"cross-validated by {name}", crossed, found.chrf, options.below), file=sys.stderr)
    plain = np.array([math.exp(signs["log_probability"]) for signs in found.signs])
    print(told("geometric mean alone", plain, found.chrf, None), file=sys.stderr)
    for low in np.arange(0, 1, 0.2):
        inside = (crossed >= low) & (crossed < low + 0.2)
        share = np.mean(found.chrf[inside] > MIDDLE) if inside.any() else math.nan
        print(f"{low:.1f} to {low + 0.2:.1f}: {inside.sum()} of them, {share:.2f} good", file=sys.stderr)
    own, intercept = regression(found.x, found.chrf)
    values = dict(zip(found.names, own, strict=True))
    print("# By bench/confidence.py: see models/translate/confidence.py.\n")
    print(f'["{options.model}"]  # greedy search, {len(found.rows):,} translations')
    print(f"intercept = {intercept:.3f}\ndoubtful_below = {options.below}")
    print(f'["{options.model}".signs]')
    for name, value in values.items():
        print(f"{name} = {value:.3f}")


def measure(options: argparse.Namespace) -> None:
    found = Examples(read(options.translations))
    known = coefficients(options.model)
    assert known is not None, f"{options.model} was not fitted"
    chance = np.array([known.confidence(signs) for signs in found.signs])
    _measure("all", found, known, chance, np.ones(len(chance), bool))
    for source, target in sorted({(row["source"], row["target"]) for row in found.rows}):
        own = np.array([(row["source"], row["target"]) == (source, target) for row in found.rows])
        _measure(f"{source}-{target}", found, known, chance, own)
    error = np.mean((chance - (found.chrf > MIDDLE)) ** 2)
    print(
        f"Brier score {error:.3f}; mean chance {chance.mean():.2f}, good {np.mean(found.chrf > MIDDLE):.2f}"
    )


def _measure(name: str, found: Examples, known: Coefficients, chance: np.ndarray, own: np.ndarray) -> None:
    chrf = found.chrf[own]
    if (chrf < BAD).any() and (chrf > GOOD).any():
        print(told(name, chance[own], chrf, known.doubtful_below))
    flagged = np.array([s["penalty"] > 0 for s in found.signs])[own] | (chance[own] < known.doubtful_below)
    if name == "all":
        plain = np.array([math.exp(signs["log_probability"]) for signs in found.signs])
        print(told("geometric mean alone", plain, found.chrf, None))
        print(
            f"any flag: {np.mean(flagged[chrf < BAD]):.3f} of the bad, "
            f"{np.mean(flagged[chrf > GOOD]):.3f} of the good"
        )
        for kind in sorted(set().union(*found.kinds)):
            own = np.array([kind in kinds for kinds in found.kinds])
            print(
                f"{kind}: {own[chrf < BAD].mean():.3f} of the bad, {own[chrf > GOOD].mean():.3f} of the good"
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    for name, command in (("translate", translate), ("fit", fit), ("measure", measure)):
        own = commands.add_parser(name)
        own.set_defaults(command=command)
        if name == "translate":
            own.add_argument("folder", type=Path)
            own.add_argument("--news", action="store_true")
            own.add_argument("--sentences", type=int, default=160)
            own.add_argument("--limit", type=float, default=400, help="seconds")
            own.add_argument("--cache", type=Path, default=Path(platformdirs.user_cache_dir("dragoman")))
        own.add_argument("translations", type=Path)
        own.add_argument("--model", default=MODEL)
        own.add_argument(
            "--below", type=float, default=0.55, help="the threshold under which one is doubtful"
        )
    options = parser.parse_args()
    options.command(options)


if __name__ == "__main__":
    main()
