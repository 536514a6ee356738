"""Fits `models/translate/confidence.toml` to sentences that bilingual readers judged, and measures it.

    python bench/confidence.py score READ SCORES
    python bench/confidence.py fit READ SCORES > models/translate/confidence.toml
    python bench/confidence.py measure READ SCORES

READ is `read_dev.jsonl.gz`: lines of {"doc", "i", "pair", "source", "greedy", "beams"}, where the last two
are translations with their `label` (0 good, 1 minor, 2 serious), and `error`, the words of the worst one.
`score` has the model compute the probability of each of their tokens; the others need no model. `fit`
cross-validates by document, on stderr, with both translations of a sentence in one fold. `measure` takes the
coefficients as they are: for data that they were not fitted to.
"""

import argparse
import gzip
import json
import math
import random
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from models.catalog import Catalog
from models.checks.flag import Flag
from models.checks.language.reading import Reading
from models.checks.pair import Pair
from models.checks.registry import TRANSLATION_CHECKS, run
from models.codec import Purpose
from models.cooperative import finish
from models.engine_choice import EngineMaker
from models.languages import Languages
from models.loaded import TextModel
from models.pool import ModelPool
from models.store import Store
from models.translate.confidence import WEAKEST_WORDS, Scores, coefficients, signs_of, weakest

Row = dict[str, Any]
MODEL = "dragoman/gemma3-270m-translate"
SEARCHES = ("greedy", "beams")
SERIOUS = 2
STRENGTH = 0.3
"""Of the regression, the inverse of the penalty on large coefficients of scaled signs."""
FOLDS, REPEATS = 10, 5
FALSE_ALARMS = 0.25
"""The share of sentences without a serious error that the threshold may flag."""


def read(path: Path) -> list[Row]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def score(options: argparse.Namespace) -> None:
    """Write the log probabilities of the stored translations' tokens, by the engine that serves the model."""
    languages = Languages.load()
    catalog, store = Catalog.load(languages), Store(options.cache)
    pool = ModelPool(catalog, store, languages, EngineMaker(store, device="cpu"))
    with pool.use(catalog.get(options.model)) as model, options.scores.open("w", encoding="utf-8") as out:
        assert isinstance(model, TextModel)
        for row in read(options.read):
            found = {name: _scored(model, row, row[name]["text"]) for name in SEARCHES}
            out.write(json.dumps({"i": row["i"], "pair": row["pair"], **found}, ensure_ascii=False) + "\n")
            out.flush()
    pool.close()


def _scored(model: TextModel, row: Row, text: str) -> Row:
    source, target = row["pair"].split("-")
    purpose, codec = Purpose("translate", source, target), model.codec
    backend: Any = model.engine._backend  # type: ignore[attr-defined]
    prompt = codec.encode(row["source"], purpose)
    ids = codec.tokenizer(text, add_special_tokens=False).input_ids
    stops = codec.decoding(purpose, max_new_tokens=1).stop_token_ids
    found = []
    for stop in stops:  # the likeliest of them is the one that ended it
        tokens = [backend._source[i] for i in (*prompt, *ids, stop)]
        (result,) = backend._model.score_batch([tokens])  # batches of several lengths fail, in 4.8.5
        found.append(result.log_probs[-len(ids) - 1 :])
    *each, end = max(found, key=lambda log_probabilities: log_probabilities[-1])
    return {
        "ids": ids,
        "pieces": codec.pieces(ids),
        "log_probabilities": [round(value, 4) for value in each],
        "end": round(end, 4),
        "source_tokens": len(prompt) - len(codec.encode("", purpose)),
    }


class Examples:
    """Translations that were read, each with its signs, its flags and its weakest words."""

    def __init__(self, read_path: Path, scores_path: Path):
        rows = {(row["i"], row["pair"]): row for row in read(read_path)}
        self.rows: list[Row] = []
        self.signs: list[dict[str, float]] = []
        self.flags: list[list[Flag]] = []
        self.weakest: list[list[tuple[float, Any]]] = []
        started = time.process_time()
        with scores_path.open(encoding="utf-8") as lines:
            for line in lines:
                scored = json.loads(line)
                row = rows[scored["i"], scored["pair"]]
                for search in SEARCHES:
                    self._add({**row, **row[search], "search": search}, scored[search])
        self.cpu_s = (time.process_time() - started) / len(self.rows)
        self.right = np.array([row["label"] != SERIOUS for row in self.rows])
        self.docs = np.array([row["doc"] for row in self.rows])

    def _add(self, row: Row, scored: Row) -> None:
        source, target = row["pair"].split("-")
        pair = Pair(Reading(row["source"], source), Reading(row["text"], target))
        flags = finish(run(TRANSLATION_CHECKS, pair))
        each = scored["log_probabilities"]
        scores = Scores.of(
            scored["ids"], scored["pieces"], sum(each) + scored["end"], each, scored["source_tokens"]
        )
        self.rows.append(row)
        self.flags.append(flags)
        self.signs.append(signs_of(pair, flags, scores))
        self.weakest.append(weakest(row["text"], target, scores.words))
        if "least_sure_word" not in self.signs[-1]:  # a translation without a word
            self.signs[-1]["least_sure_word"] = 0.0

    def matrix(self, names: Sequence[str]) -> np.ndarray:
        return np.array([[signs[name] for name in names] for signs in self.signs])

    def searched(self, search: str) -> np.ndarray:
        return np.array([row["search"] == search for row in self.rows])


def regression(x: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, float]:
    """Return coefficients and intercept for plain values."""
    mean, deviation = x.mean(0), np.where(x.std(0) > 0, x.std(0), 1.0)
    model = LogisticRegression(C=STRENGTH, max_iter=2000).fit((x - mean) / deviation, right)
    own = model.coef_[0] / deviation
    return own, float(model.intercept_[0] - own @ mean)


def chances(x: np.ndarray, own: np.ndarray, intercept: float) -> np.ndarray:
    return 1 / (1 + np.exp(-(x @ own + intercept)))


def crossed(found: Examples, names: Sequence[str]) -> Iterator[np.ndarray]:
    """Yield each example's chance by a model that was fitted without its document, several times."""
    x = found.matrix(names)
    for seed in range(REPEATS):
        chance = np.zeros(len(x))
        for one, other in GroupKFold(FOLDS, shuffle=True, random_state=seed).split(x, groups=found.docs):
            chance[other] = chances(x[other], *regression(x[one], found.right[one]))
        yield chance


def calibration_error(chance: np.ndarray, right: np.ndarray) -> float:
    """The expected calibration error: over ten bins of equal width, weighted by their sizes."""
    bins = np.minimum(9, (chance * 10).astype(int))
    return float(sum(abs(chance[bins == i].sum() - right[bins == i].sum()) for i in range(10)) / len(chance))


def told(name: str, tries: Sequence[np.ndarray], right: np.ndarray, below: float) -> None:
    auc = np.mean([roc_auc_score(right, chance) for chance in tries])
    error = np.mean([calibration_error(chance, right) for chance in tries])
    serious = np.mean([np.mean(chance[~right] < below) for chance in tries])
    others = np.mean([np.mean(chance[right] < below) for chance in tries])
    print(
        f"{name} ({len(right)}, {np.mean(right):.2f} right): AUC {auc:.3f}, calibration error {error:.3f}; "
        f"below {below:.2f}: {serious:.3f} of the serious, {others:.3f} of the others",
        file=sys.stderr,
    )


def fit(options: argparse.Namespace) -> None:
    found = Examples(options.read, options.scores)
    names = list(found.signs[0])
    without = [name for name in names if name != "least_sure_word"]
    tries = list(crossed(found, names))
    below = float(np.mean([np.quantile(each[found.right], FALSE_ALARMS) for each in tries]))
    below = math.floor(100 * below) / 100
    for name, own in (("all signs", tries), ("without words", list(crossed(found, without)))):
        told(name, own, found.right, below)
        for search in SEARCHES:
            some = found.searched(search)
            told(f"  {search}", [each[some] for each in own], found.right[some], below)
    for low in np.arange(0, 1, 0.1):
        inside = (tries[0] >= low) & (tries[0] < low + 0.1)
        share = np.mean(found.right[inside]) if inside.any() else np.nan
        print(f"{low:.1f} to {low + 0.1:.1f}: {inside.sum()} of them, {share:.2f} right", file=sys.stderr)
    for name in names:
        rest = [other for other in names if other != name]
        told(f"without {name}", list(crossed(found, rest)), found.right, below)
    words(found)
    print("# By bench/confidence.py: see models/translate/confidence.py.\n")
    print(f'["{options.model}"]  # {len(found.rows)} translations of news that were read on 2026-11-30')
    print(f"doubtful_below = {below}")
    for name, signs in (("with_words", names), ("without_words", without)):
        own, intercept = regression(found.matrix(signs), found.right)
        print(f'\n["{options.model}".{name}]\nintercept = {intercept:.3f}')
        values = ", ".join(f"{sign} = {value:.3f}" for sign, value in zip(signs, own, strict=True))
        print(f"signs = {{ {values} }}")


def measure(options: argparse.Namespace) -> None:
    found = Examples(options.read, options.scores)
    known = coefficients(options.model)
    assert known is not None, f"{options.model} was not fitted"
    chance = np.array([known.confidence(signs) for signs in found.signs])
    pairs = np.array([row["pair"] for row in found.rows])
    parts = [("all", pairs == pairs), *((search, found.searched(search)) for search in SEARCHES)]
    for name, own in (*parts, *((pair, pairs == pair) for pair in sorted(set(pairs)))):
        if len(set(found.right[own])) == 2:
            told(name, [chance[own]], found.right[own], known.doubtful_below)
    flagged = np.array([bool(flags) for flags in found.flags]) | (chance < known.doubtful_below)
    serious, others = flagged[~found.right].mean(), flagged[found.right].mean()
    print(f"any flag: {serious:.3f} of the serious, {others:.3f} of the others", file=sys.stderr)
    words(found)
    print(f"{1000 * found.cpu_s:.2f} ms of CPU a sentence, checks included", file=sys.stderr)


def words(found: Examples) -> None:
    """Say how often the weakest words touch the worst error, and how often as many others would."""
    rng = random.Random(1)
    weak, chosen, number = [], [], 0
    for row, ranked in zip(found.rows, found.weakest, strict=True):
        start = row["text"].find(row["error"]) if row["error"] else -1
        if row["label"] != SERIOUS or start < 0 or not ranked:
            continue
        number += 1
        touches = [span.start < start + len(row["error"]) and start < span.end for _, span in ranked]
        weak.append(any(touches[:WEAKEST_WORDS]))
        tries = [rng.sample(touches, min(WEAKEST_WORDS, len(touches))) for _ in range(20)]
        chosen.append(np.mean([any(each) for each in tries]))
    print(
        f"the {WEAKEST_WORDS} weakest words touch the worst error in {np.mean(weak):.2f} of {number} serious "
        f"sentences, {WEAKEST_WORDS} others of the content words in {np.mean(chosen):.2f}",
        file=sys.stderr,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    for name, command in (("score", score), ("fit", fit), ("measure", measure)):
        own = commands.add_parser(name)
        own.set_defaults(command=command)
        own.add_argument("read", type=Path)
        own.add_argument("scores", type=Path)
        own.add_argument("--model", default=MODEL)
        own.add_argument("--cache", type=Path, default=Path(platformdirs.user_cache_dir("dragoman")))
    options = parser.parse_args()
    options.command(options)


if __name__ == "__main__":
    main()
