"""How often the language of a text is told right, for whole sentences and for their first words.

    python bench/detection.py DATA [--messages /usr/share/locale]

DATA holds xx.tsv.xz files of sentence pairs: English, the language xx, their source. From every source come
up to 120 sentences a language. `--messages` adds languages of programs' own messages (.mo files), of which
those of ten words and more are taken. Prints a JSON line for each group of texts.
"""

import argparse
import gettext
import json
import lzma
import random
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from models.text.language import LanguageDetector

FIRST = range(3, 9)
UNSPACED = ("zh", "ja", "th", "my", "km")
FROM_SOURCE = 120
ENGLISH = 60
MESSAGES = 150
LEAST_MESSAGES = 60


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--messages", type=Path)
    options = parser.parse_args()
    random.seed(5)
    groups = {"read": _sentences(options.data)}
    if options.messages:
        groups["other"] = _messages(options.messages, known=set(groups["read"]))
    detector = LanguageDetector()
    for group, by_language in groups.items():
        right, all_of_them = defaultdict[str, int](int), defaultdict[str, int](int)
        for language, sentences in by_language.items():
            for size, text in _pieces(language, sentences):
                all_of_them[size] += 1
                right[size] += detector.detect(text).language == language
        told = {size: round(right[size] / number, 3) for size, number in all_of_them.items()}
        print(json.dumps({"group": group, "languages": len(by_language), "right": told}))


def _pieces(language: str, sentences: list[str]) -> Iterator[tuple[str, str]]:
    for sentence in sentences:
        yield "whole", sentence
        words = list(sentence) if language in UNSPACED else sentence.split()
        for n in FIRST:
            piece = ("" if language in UNSPACED else " ").join(words[:n])
            if len(words) > n and any(map(str.isalpha, piece)):
                yield f"first {n}", piece


def _sentences(data: Path) -> dict[str, list[str]]:
    found = defaultdict[str, list[str]](list)
    for path in sorted(data.glob("*.tsv.xz")):
        by_source = defaultdict[str, list[tuple[str, str]]](list)
        with lzma.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                english, other, source = line.rstrip("\n").split("\t")
                by_source[source].append((english, other))
        taken = [
            p for pairs in by_source.values() for p in random.sample(pairs, min(FROM_SOURCE, len(pairs)))
        ]
        found[path.name[:2]] = [other for _, other in taken]
        found["en"] += [english for english, _ in random.sample(taken, ENGLISH)]
    return found


def _messages(folder: Path, known: set[str]) -> dict[str, list[str]]:
    found = defaultdict[str, list[str]](list)
    for path in sorted(folder.glob("??/LC_MESSAGES/*.mo")):
        language = path.parts[-3]
        if language in known or language == "nb":  # the detector has `no` and `nn`
            continue
        try:
            with path.open("rb") as file:
                catalog = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
        except (OSError, ValueError):
            continue
        for key, text in catalog.items():
            plain = key and text != key and not set("%\n/_<") & set(text)
            if plain and len(text.split()) > 9:
                found[language].append(text)
    return {
        language: random.sample(texts, min(MESSAGES, len(texts)))
        for language, texts in found.items()
        if len(texts) >= LEAST_MESSAGES
    }


if __name__ == "__main__":
    main()
