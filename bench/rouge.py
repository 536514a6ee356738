"""ROUGE of the bundled summarizer and of plain beginnings of the article, as one table.

    python bench/rouge.py --data FOLDER [--lengths short medium]

FOLDER holds `NAME.jsonl.gz` files of {"article", "summaries"}. ROUGE F1 as rouge-score computes it,
stemmed, RL over the whole text; of several references the best by each measure; averaged over articles.
"First N words" has the mean length of the line above it.
"""

import argparse
import gzip
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from rouge_score import rouge_scorer  # type: ignore[import-untyped]

from models.choices import LENGTHS, Length
from models.summarize.summarizer import SummaryRequest
from models.text.sentences import sentences
from service.runtime import Runtime
from service.settings import Settings

KINDS = ["rouge1", "rouge2", "rougeL"]
SCORER = rouge_scorer.RougeScorer(KINDS, use_stemmer=True)
Row = dict[str, str | list[str]]


def read(path: Path) -> list[Row]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def rouge(references: Sequence[str], summary: str) -> list[float]:
    """F1 in percent for each of KINDS, against the reference that it is best for."""
    scores = [SCORER.score(reference, summary) for reference in references]
    return [100 * max(score[kind].fmeasure for score in scores) for kind in KINDS]


def extractive(runtime: Runtime, length: Length) -> Callable[[str], str]:
    """Summaries by the service's own way, from the pasted text on."""
    return lambda text: (
        runtime.run_all([runtime.summarizer.steps(SummaryRequest(text=text, length=length))])[0]
        .unwrap()
        .summary
    )


def first_sentences(count: int) -> Callable[[str], str]:
    return lambda text: " ".join(text[s.start : s.end] for s in sentences(text, "en")[:count])


def first_words(count: int) -> Callable[[str], str]:
    return lambda text: " ".join(text.split()[:count])


def report(name: str, system: str, rows: Sequence[Row], write: Callable[[str], str]) -> int:
    """Print one line of the table; returns the mean length in words."""
    written = [write(str(row["article"])) for row in rows]
    scores = [rouge(list(row["summaries"]), text) for row, text in zip(rows, written, strict=True)]
    means = [sum(column) / len(rows) for column in zip(*scores, strict=True)]
    words = sum(len(text.split()) for text in written) / len(rows)
    figures = " | ".join(f"{mean:.1f}" for mean in means)
    print(f"| {name} | {system} | {len(rows)} | {figures} | {words:.0f} |", flush=True)
    return round(words)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--lengths", nargs="+", choices=list(LENGTHS), default=list(LENGTHS))
    args = parser.parse_args()
    logging.getLogger("absl").setLevel(logging.WARNING)
    runtime = Runtime(Settings(summarize_model="dragoman/extractive"))
    print("| set | summary | n | R1 | R2 | RL | words |\n|---|---|---|---|---|---|---|")
    for path in sorted(args.data.glob("*.jsonl.gz")):
        name, rows = path.name.removesuffix(".jsonl.gz"), read(path)
        report(name, "first 3 sentences", rows, first_sentences(3))
        for length in args.lengths:
            words = report(name, f"extractive, {length}", rows, extractive(runtime, length))
            report(name, f"first {words} words", rows, first_words(words))


if __name__ == "__main__":
    main()
