"""BLEU, chrF and speed of a translation model of the catalog, for the tables in docs/.

    python bench/translation.py --data FOLDER --pairs en-fr,fr-en --sentences 150

FOLDER holds news_dev.jsonl.gz: lines of {"en": ..., "fr": ...}, a sentence each. `--beams` replaces the
catalog's. Prints one JSON line a pair.
"""

import argparse
import gzip
import json
import time
from collections.abc import Sequence
from pathlib import Path

import platformdirs
import sacrebleu

from models.catalog import Catalog
from models.driver import run, stream
from models.engine_choice import EngineMaker
from models.languages import Languages
from models.pool import ModelPool
from models.steps import Event
from models.store import Store
from models.text.detect import LanguageDetector
from models.translate.translator import Segment, SegmentReady, TranslationRequest, Translator


def _event(_number: int, _segment: Segment, _again: bool) -> Event:
    return Event()


def lone(translator: Translator, texts: Sequence[str], source: str, target: str) -> dict[str, float]:
    """Return sentences a second one at a time, and when a text of them is done, and its first segment."""
    if not texts:
        return {}
    start, cpu_start = time.perf_counter(), time.process_time()
    for text in texts:
        run(translator.translate([text], source, target, _event)).unwrap()
    seconds, cpu_s = time.perf_counter() - start, time.process_time() - cpu_start
    request = TranslationRequest(text="\n".join(texts), source=source, target=target)
    start = time.perf_counter()
    events = stream(translator.steps(request))
    told = [time.perf_counter() - start for event in events if isinstance(event, SegmentReady)]
    return {
        "lone_sentences_per_s": round(len(texts) / seconds, 2),
        "lone_sentences_per_cpu_s": round(len(texts) / cpu_s, 2),
        "first_segment_s": round(told[0], 2),
        "all_segments_s": round(time.perf_counter() - start, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", default="dragoman/gemma3-270m-translate")
    parser.add_argument("--pairs", default="en-fr,en-es,en-de,en-zh,en-ru,fr-en,ru-en")
    parser.add_argument("--sentences", type=int, default=150)
    parser.add_argument("--beams", type=int)
    parser.add_argument("--lone", type=int, default=0, help="translate so many one at a time, too")
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
        texts = [row[source] for row in rows]
        start, cpu_start = time.perf_counter(), time.process_time()
        done = run(translator.translate(texts, source, target, _event), wait=True).unwrap()
        seconds, cpu_s = time.perf_counter() - start, time.process_time() - cpu_start
        hypotheses, references = [each.text for each in done.segments], [[row[target] for row in rows]]
        tokenize = "zh" if target == "zh" else "13a"
        result = {
            "pair": pair,
            "beams": options.beams,
            "sentences": len(rows),
            "bleu": round(sacrebleu.corpus_bleu(hypotheses, references, tokenize=tokenize).score, 1),
            "chrf": round(sacrebleu.corpus_chrf(hypotheses, references).score, 1),
            "sentences_per_s": round(len(rows) / seconds, 2),
            "sentences_per_cpu_s": round(len(rows) / cpu_s, 2),
            "output_tokens_per_s": round(done.usage.output_tokens / seconds, 1),
            "unfinished": sum(not each.complete for each in done.done),
            **lone(translator, texts[: options.lone], source, target),
        }
        print(json.dumps(result), flush=True)
    pool.close()


if __name__ == "__main__":
    main()
