"""BLEU, chrF and speed of a translation model of the catalog, for the tables in docs/.

    python bench/translation.py --data FOLDER --pairs en-fr,fr-en --sentences 150

FOLDER holds news_dev.jsonl.gz: lines of {"en": ..., "fr": ...}, a sentence each. `--beams` replaces the
catalog's. Prints one JSON line a pair.
"""

import argparse
import gzip
import json
import time
from pathlib import Path

import platformdirs
import sacrebleu

from models.catalog import Catalog
from models.engines import EngineMaker
from models.languages import Languages
from models.loading import Store
from models.pool import ModelPool
from models.tasks.steps import run
from models.tasks.translator import Translator
from models.text.language import LanguageDetector


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="dragoman/gemma3-270m-translate")
    parser.add_argument("--pairs", default="en-fr,en-es,en-de,en-zh,en-ru,fr-en,ru-en")
    parser.add_argument("--sentences", type=int, default=150)
    parser.add_argument("--beams", type=int)
    parser.add_argument("--cache", type=Path, default=Path(platformdirs.user_cache_dir("dragoman")))
    options = parser.parse_args()

    languages = Languages.load()
    catalog = Catalog.load(languages)
    if options.beams:
        changed = {"decoding": {**catalog.get(options.model).decoding, "num_beams": options.beams}}
        catalog = Catalog([e.model_copy(update=changed) for e in catalog.entries])
    store = Store(options.cache)
    pool = ModelPool(catalog, store, languages, EngineMaker(store))
    translator = Translator(pool, languages, LanguageDetector(), default_model=options.model)
    pool.load(options.model)
    with gzip.open(options.data / "news_dev.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    rows = rows[:: max(1, len(rows) // options.sentences)][: options.sentences]  # from all the documents

    for pair in options.pairs.split(","):
        source, target = pair.split("-")
        start, cpu_start = time.perf_counter(), time.process_time()
        done = run(translator.translate([row[source] for row in rows], source, target), wait=True).unwrap()
        seconds, cpu_s = time.perf_counter() - start, time.process_time() - cpu_start
        references = [[row[target] for row in rows]]
        tokenize = "zh" if target == "zh" else "13a"
        result = {
            "pair": pair,
            "beams": options.beams,
            "sentences": len(rows),
            "bleu": round(sacrebleu.corpus_bleu(done.texts, references, tokenize=tokenize).score, 1),
            "chrf": round(sacrebleu.corpus_chrf(done.texts, references).score, 1),
            "sentences_per_s": round(len(rows) / seconds, 2),
            "sentences_per_cpu_s": round(len(rows) / cpu_s, 2),
            "output_tokens_per_s": round(done.usage.output_tokens / seconds, 1),
            "unfinished": done.complete.count(False),
        }
        print(json.dumps(result), flush=True)
    pool.close()


if __name__ == "__main__":
    main()
