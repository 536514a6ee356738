"""How many of a model's own wrong facts another attempt mends, and what it costs.

    python bench/repair.py FOLDER --pairs en-fr,en-de,fr-en --sentences 60

FOLDER holds `news_dev.jsonl.gz`: {"doc", "i", "en", "fr", ...}, one sentence a line; only sentences that name
a day, a month or a place, or have a number, are translated. Prints for each direction how many first attempts
have a wrong fact, how many still have after the others, chrF of those before and after, how many were tried
again at all, the tokens and the time of all attempts for those of the first ones, and the CPU time of both.
"""

import argparse
import gzip
import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import sacrebleu

from models.catalog import Catalog
from models.checks.language.entities import mentions
from models.checks.language.reading import Reading
from models.driver import run, run_all
from models.engine_choice import EngineMaker
from models.languages import Languages
from models.pool import ModelPool
from models.steps import Event
from models.store import Store
from models.translate.route import Router
from models.translate.sentence import Candidate, Sentence, SentenceTranslator, Source

FACTS = frozenset(("date", "place", "name", "number"))


def wrong(candidate: Candidate) -> int:
    return sum(flag.kind in FACTS for flag in candidate.flags)


def has_facts(text: str, language: str) -> bool:
    reading = Reading(text, language)
    return bool(mentions(reading) or reading.numerals)


def mended(
    first: SentenceTranslator,
    hypotheses: SentenceTranslator,
    rows: list[dict[str, Any]],
    source: str,
    target: str,
) -> dict[str, Any]:
    told: list[list[Candidate]] = [[] for _ in rows]

    def event_of(i: int, candidate: Candidate) -> Event:
        told[i].append(candidate)
        return Event()

    clocks = [(time.perf_counter(), time.process_time())]
    run_all([first.generate(Source(row[source], ())) for row in rows], wait=True)
    clocks.append((time.perf_counter(), time.process_time()))
    run(hypotheses.translate([Sentence(row[source]) for row in rows], event_of), wait=True).unwrap()
    clocks.append((time.perf_counter(), time.process_time()))
    (alone_s, alone_cpu_s), (all_s, all_cpu_s) = [
        (wall - wall_before, cpu - cpu_before) for (wall_before, cpu_before), (wall, cpu) in pairwise(clocks)
    ]
    bad = [i for i, each in enumerate(told) if wrong(each[0])]
    chrf = [[_chrf(told[i][at].text, rows[i][target]) for i in bad] for at in (0, -1)]
    changed = [i for i, each in enumerate(told) if each[0].text != each[-1].text]
    return {
        "pair": f"{source}-{target}",
        "sentences": len(rows),
        "wrong": len(bad),
        "wrong after": sum(wrong(told[i][-1]) > 0 for i in bad),
        "facts": sum(wrong(told[i][0]) for i in bad),
        "facts after": sum(wrong(told[i][-1]) for i in bad),
        "chrf": round(float(np.mean(chrf[0])), 1) if bad else None,
        "chrf after": round(float(np.mean(chrf[1])), 1) if bad else None,
        "tried again": sum(len(each) > 1 for each in told),
        "changed": len(changed),
        "tokens": hypotheses.usage().output_tokens / first.usage().output_tokens,
        "seconds": all_s / alone_s,
        "cpu_s": round(alone_cpu_s, 1),
        "cpu_s of all": round(all_cpu_s, 1),
        "examples": [(rows[i][source], told[i][0].text, told[i][-1].text) for i in changed],
    }


def _chrf(text: str, reference: str) -> float:
    return float(sacrebleu.sentence_chrf(text, [reference]).score)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pairs", default="en-fr,en-de,en-es,fr-en,de-en")
    parser.add_argument("--sentences", type=int, default=60)
    parser.add_argument("--model", default="dragoman/gemma3-270m-translate")
    parser.add_argument("--cache", type=Path, default=Path(platformdirs.user_cache_dir("dragoman")))
    options = parser.parse_args()
    with gzip.open(options.folder / "news_dev.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [row for row in map(json.loads, lines) if has_facts(row["en"], "en")]
    rows = rows[:: max(1, len(rows) // options.sentences)][: options.sentences]
    languages = Languages.load()
    catalog, store = Catalog.load(languages), Store(options.cache)
    pool = ModelPool(catalog, store, languages, EngineMaker(store))
    router = Router(pool, languages, options.model)
    for pair in options.pairs.split(","):
        source, target = pair.split("-")
        first, every = (
            SentenceTranslator(pool, router.route(router.entry(None), source, target), quality="fast")
            for _ in range(2)
        )
        print(json.dumps(mended(first, every, rows, source, target), ensure_ascii=False), flush=True)
    pool.close()


if __name__ == "__main__":
    main()
