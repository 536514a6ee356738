"""BLEU, chrF and speed of a translation model of the catalog by quality, and sheets of it to be read.

    python bench/translation.py --data FOLDER --pairs en-fr,fr-en --sentences 150 --sheet SHEETS
    python bench/translation.py --read SHEETS

FOLDER holds news_dev.jsonl.gz: lines of {"en": ..., "fr": ...}, a sentence each. The qualities take turns,
array after array and then sentence after sentence, so that what else the machine does slows all of them
alike. Prints one JSON line for each pair and quality.

`--sheet` writes sheet.jsonl, {"id", "direction", "source", "translation"}, which does not tell what quality
made which translation, and key.jsonl, which does. `--read` takes labels_*.jsonl of readers beside these,
{"id", "label"} with 0 good, 1 minor and 2 serious, and prints what each quality has of them.
"""

import argparse
import gzip
import itertools
import json
import random
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import platformdirs
import sacrebleu

from models.catalog import Catalog
from models.choices import Quality
from models.driver import run_all, stream
from models.engine_choice import EngineMaker
from models.languages import Languages
from models.pool import ModelPool
from models.store import Store
from models.text.detect import LanguageDetector
from models.translate.translator import SegmentReady, Translation, TranslationRequest, Translator

SERIOUS = 2
Row = dict[str, Any]


class Measured:
    """The translations of one pair by one quality, and the time that they took."""

    def __init__(self, translator: Translator, pair: str, quality: Quality):
        self.pair, self.quality = pair, quality
        self.done: list[Translation] = []
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.cpu_s = 0.0
        self._translator = translator
        self._source, self._target = pair.split("-")

    def _request(self, text: str) -> TranslationRequest:
        return TranslationRequest(
            text=text, source=self._source, target=self._target, quality=self.quality, memory=False
        )

    def array(self, texts: Sequence[str]) -> None:
        """Translate the texts together."""
        start, cpu_start = time.perf_counter(), time.process_time()
        tasks = [self._translator.steps(self._request(text)) for text in texts]
        self.done += [outcome.unwrap() for outcome in run_all(tasks, wait=True)]
        self.seconds["array"].append((time.perf_counter() - start) / len(texts))
        self.cpu_s += time.process_time() - cpu_start

    def lone(self, text: str) -> None:
        """Translate a text by itself."""
        start = time.perf_counter()
        run_all([self._translator.steps(self._request(text))], wait=True)[0].unwrap()
        self.seconds["lone"].append(time.perf_counter() - start)

    def stream(self, texts: Sequence[str]) -> None:
        """Translate a text of these sentences for a reader who watches."""
        start = time.perf_counter()
        for event in stream(self._translator.steps(self._request("\n".join(texts)))):
            if isinstance(event, SegmentReady):
                self.seconds["first_segment"].append(time.perf_counter() - start)
                break
        else:
            raise AssertionError("no segment was told")

    def told(self, references: Sequence[str]) -> Row:
        hypotheses = [each.translation for each in self.done]
        tokenize = "zh" if self._target == "zh" else "13a"
        segments = [segment for each in self.done for segment in each.segments]
        rates = {
            f"{name}_per_s": round(len(each) / sum(each), 2)
            for name, each in self.seconds.items()
            if name != "first_segment"
        }
        if first := self.seconds.get("first_segment"):
            rates["first_segment_s"] = round(sum(first) / len(first), 2)
        return {
            "pair": self.pair,
            "quality": self.quality,
            "sentences": len(hypotheses),
            "bleu": round(sacrebleu.corpus_bleu(hypotheses, [references], tokenize=tokenize).score, 1),
            "chrf": round(sacrebleu.corpus_chrf(hypotheses, [references]).score, 1),
            **rates,
            "array_sentences_per_cpu_s": round(len(hypotheses) / self.cpu_s, 2),
            "unfinished": sum(not each.complete for each in segments),
        }


def measured(
    translator: Translator, pair: str, texts: Sequence[str], options: argparse.Namespace
) -> list[Measured]:
    ways = [Measured(translator, pair, quality) for quality in options.qualities]
    turns = itertools.cycle([ways, ways[::-1]])
    for start in range(0, len(texts), options.array):
        for way in next(turns):
            way.array(texts[start : start + options.array])
    for text in texts[: options.lone]:
        for way in next(turns):
            way.lone(text)
    if options.lone:
        for way in next(turns):
            way.stream(texts[: options.lone])
    return ways


def write_sheet(folder: Path, made: Iterable[tuple[str, str, Measured]]) -> None:
    """Write each different translation of a sentence once, in random order and under a random number."""
    by_text: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for source, text, way in made:
        by_text[way.pair, source, text].append(way.quality)
    rng = random.Random()
    rows = rng.sample(list(by_text.items()), len(by_text))
    folder.mkdir(parents=True, exist_ok=True)
    with (
        (folder / "sheet.jsonl").open("w", encoding="utf-8") as sheet,
        (folder / "key.jsonl").open("w", encoding="utf-8") as key,
    ):
        for number, ((pair, source, text), qualities) in zip(
            rng.sample(range(10 * len(rows)), len(rows)), rows, strict=True
        ):
            row = {"id": str(number), "direction": pair, "source": source, "translation": text}
            sheet.write(json.dumps(row, ensure_ascii=False) + "\n")
            key.write(json.dumps({"id": str(number), "qualities": qualities}) + "\n")


def _lines(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def read(folder: Path) -> None:
    """Print what each reader found, and how often any two agree."""
    key = {row["id"]: row["qualities"] for row in _lines(folder / "key.jsonl")}
    labels = {
        path.stem.removeprefix("labels_"): {row["id"]: row["label"] for row in _lines(path)}
        for path in sorted(folder.glob("labels_*.jsonl"))
    }
    for reader, own in labels.items():
        found: dict[str, list[int]] = defaultdict(list)
        for number, qualities in key.items():
            for quality in qualities:
                found[quality].append(own[number])
        for quality, each in found.items():
            shares = {
                name: round(each.count(value) / len(each), 3)
                for value, name in enumerate(("good", "minor", "serious"))
            }
            print(json.dumps({"reader": reader, "quality": quality, "sentences": len(each), **shares}))
    for (one, own), (other, others) in itertools.combinations(labels.items(), 2):
        alike = [(own[number] == SERIOUS) == (others[number] == SERIOUS) for number in key]
        same = [own[number] == others[number] for number in key]
        shares = {
            "same": round(sum(same) / len(same), 3),
            "serious_or_not": round(sum(alike) / len(alike), 3),
        }
        print(json.dumps({"readers": [one, other], **shares}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path)
    parser.add_argument("--read", type=Path, help="a folder of sheets and labels: what readers found")
    parser.add_argument("--model", default="dragoman/gemma3-270m-translate")
    parser.add_argument("--pairs", default="en-fr,en-es,en-de,en-zh,en-ru,fr-en,ru-en")
    parser.add_argument("--sentences", type=int, default=150)
    parser.add_argument("--qualities", nargs="+", choices=get_args(Quality), default=["fast", "auto", "best"])
    parser.add_argument("--array", type=int, default=16, help="so many sentences are translated together")
    parser.add_argument(
        "--lone", type=int, default=0, help="translate so many one at a time, too, and as one text"
    )
    parser.add_argument("--sheet", type=Path, help="a folder to write sheets for readers to")
    parser.add_argument("--cache", type=Path, default=Path(platformdirs.user_cache_dir("dragoman")))
    options = parser.parse_args()
    if options.read:
        read(options.read)
        return
    if options.data is None:
        parser.error("--data or --read is needed")

    languages = Languages.load()
    catalog, store = Catalog.load(languages), Store(options.cache)
    pool = ModelPool(catalog, store, languages, EngineMaker(store))
    translator = Translator(pool, languages, LanguageDetector(), default_model=options.model)
    pool.load(options.model)
    with gzip.open(options.data / "news_dev.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    rows = rows[:: max(1, len(rows) // options.sentences)][: options.sentences]  # from all the documents

    made: list[tuple[str, str, Measured]] = []
    for pair in options.pairs.split(","):
        source, target = pair.split("-")
        texts = [row[source] for row in rows]
        for way in measured(translator, pair, texts, options):
            print(json.dumps(way.told([row[target] for row in rows])), flush=True)
            made += [(text, done.translation, way) for text, done in zip(texts, way.done, strict=True)]
    if options.sheet:
        write_sheet(options.sheet, made)
    pool.close()


if __name__ == "__main__":
    main()
