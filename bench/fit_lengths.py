"""How much longer or shorter a language is than English, for the table of `checks/translation/form.py`.

    python bench/fit_lengths.py FOLDER

FOLDER holds `xx.tsv.xz` files of English, the other language and a corpus tag. In characters that are no
white space. Prints for each language the ratio, and the variance of its logarithm, `a + b / characters` of
English. It is fitted to the half-widths of the middle 98% in bins of length, divided by 2.33, so that the
tails are those of real (and not quite clean) translations. Corpora weigh the same, however large they are.
"""

import argparse
import lzma
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.checks.translation.form import size

BINS = [(8, 15), (15, 25), (25, 40), (40, 60), (60, 90), (90, 140), (140, 220), (220, 400)]
LEAST = 150
LIMIT = 6000
LEAST_PAIRS = 3000
LEAST_CONSTANT, LEAST_BY_SIZE = 0.006, 0.5  # a narrower spread is the corpus's own, not the language's


def read(path: Path) -> dict[str, list[tuple[int, int]]]:
    """(English, other) sizes by corpus, at most LIMIT of each."""
    found: dict[str, list[tuple[int, int]]] = defaultdict(list)
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            english, other, tag = line.rstrip("\n").split("\t")
            if len(found[tag]) < LIMIT:
                found[tag].append((size(english), size(other)))
    return found


def fit(corpora: Sequence[np.ndarray]) -> tuple[float, float, float]:
    """(ratio, a, b). In each bin the median over the corpora: one of them may be full of wrong pairs."""
    together = np.concatenate([sizes[:LEAST_PAIRS] for sizes in corpora])
    ratio = float(np.exp(np.median(np.log(together[:, 1] / together[:, 0])[together[:, 0] >= 40])))
    rows = []
    for low, high in BINS:
        variances = [
            ((np.quantile(logs, 0.99) - np.quantile(logs, 0.01)) / 2 / 2.33) ** 2
            for sizes in corpora
            if len(inside := sizes[(sizes[:, 0] >= low) & (sizes[:, 0] < high)]) >= LEAST
            for logs in [np.log(inside[:, 1] / inside[:, 0])]
        ]
        if variances:
            rows.append((1.0, 1 / math.sqrt(low * high), float(np.median(variances))))
    table = np.array(rows)
    (a, b), *_ = np.linalg.lstsq(table[:, :2], table[:, 2], rcond=None)
    return ratio, max(float(a), LEAST_CONSTANT), max(float(b), LEAST_BY_SIZE)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    for path in sorted(parser.parse_args().folder.glob("??.tsv.xz")):
        corpora = read(path)
        ratio, a, b = fit(
            [np.array([pair for pair in pairs if min(pair)], float) for pairs in corpora.values()]
        )
        print(f'    "{path.name[:2]}": Length({ratio:.2f}, {a:.4f}, {b:.2f}),')


if __name__ == "__main__":
    main()
