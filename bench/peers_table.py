"""Sentences a second of all systems in a table, and Dragoman's own goals. Knows records, and runs nothing."""

import math
from collections.abc import Iterator
from typing import Any

from peers_cases import ARRAY, ARTICLE, CASES, CLIENTS
from peers_files import FILES

ALL = [*CASES, *FILES]
BEST = "ct2 at its best"
OURS = "dragoman"
AT_A_TIME = {"clients": CLIENTS, "array": ARRAY, "article": ARTICLE}
"""The sentences that a case has there at a time. CTranslate2 is measured with as many, beside at its best;
and with all of a file's in one call."""
MOST_WRONG = 0.05
"""The part of the answers that may be wrong: int8 gets some words wrong by itself, in every system alike."""

GOALS = (
    ("sixteen clients over one", "clients", "one", 3.0),
    ("the same after use", "clients after", "one after", 3.0),
    ("a lone request beside a busy process", "one beside", "one", 1 / 3),
    ("sixteen clients beside a busy process", "clients beside", "clients", 0.5),
)
"""Two cases, and the least that the first one's rate may be of the second one's."""


class Rates:
    """The highest rate of each system in each case; with `noise` also those that others computed beside."""

    def __init__(self, records: list[dict[str, Any]], *, noise: bool):
        self._systems = list(dict.fromkeys(each["system"] for each in records))
        self._best: dict[tuple[int, str, str], float] = {}
        self._as_many: dict[tuple[int, str], float] = {}
        for each in records:
            rate = each.get("sentences_per_s")
            if rate is None or each.get("error") or (each.get("noisy") and not noise):
                continue
            if each["wrong"] <= MOST_WRONG * each["sentences"]:
                self._add(each["beams"], each["case"], each["system"], rate)

    def _add(self, beams: int, case: str, system: str, rate: float) -> None:
        cases = [case]
        if system == BEST:
            self._as_many[beams, case] = max(rate, self._as_many.get((beams, case), 0.0))
            if case == "file":
                cases = list(FILES)
            elif case != "one":  # whole batches are its best wherever there are several sentences
                cases = [name for name in ALL if not name.startswith("one")]
        for each in cases:
            key = beams, each, system
            self._best[key] = max(rate, self._best.get(key, 0.0))

    def table(self) -> str:
        """Return a row for each case; Dragoman's ratios to CTranslate2 (see AT_A_TIME)."""
        rows = [["beams", "case", *self._systems, "of CTranslate2", "of it with as many"]]
        for beams, case in dict.fromkeys((beams, case) for beams, case, _ in self._best):
            rates = [self._best.get((beams, case, system)) for system in self._systems]
            ours = self._best.get((beams, case, OURS), math.nan)
            quiet = case.split(" ")[0]
            ratios = (
                ours / self._best.get((beams, quiet, BEST), math.nan),
                ours / self._as_many.get((beams, quiet), math.nan),
            )
            told = ["-" if rate is None else f"{rate:.1f}" for rate in rates]
            told += ["-" if math.isnan(ratio) else f"{ratio:.2f}" for ratio in ratios]
            rows.append([str(beams), case, *told])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows)

    def goals(self) -> Iterator[str]:
        """Say how Dragoman stands to each goal whose cases are there."""
        for beams in sorted({beams for beams, _, _ in self._best}, reverse=True):
            for name, case, other, least in GOALS:
                ratio = self._best.get((beams, case, OURS), math.nan) / self._best.get(
                    (beams, other, OURS), math.nan
                )
                if not math.isnan(ratio):
                    met = "met" if ratio >= least else "MISSED"
                    yield f"{beams} beams, {name}: {ratio:.2f} times the rate, at least {least:.2f}: {met}"
