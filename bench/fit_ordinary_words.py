"""The ordinary words of English and German for `models/checks/language/ordinary_words.toml`.

    python bench/fit_ordinary_words.py FOLDER > models/checks/language/ordinary_words.toml

FOLDER holds `xx.tsv.xz`: English, the other language and a tag, one pair a line. An English word is ordinary
if it comes in small letters at least a third as often as with a capital; a German one, which has a capital
anyway, if its translation seldom has a word that sounds like it.
"""

import argparse
import lzma
import re
import textwrap
from collections import Counter
from pathlib import Path

from models.checks.language.names import skeleton
from models.checks.language.reading import key_of

WORD = re.compile(r"[^\W\d_]{4,}")
SHARE = 0.3
LEAST = {"en": 4, "de": 3}
HEAD = """# Ordinary words that may have a capital within a name, and that a translation translates: `cold` in
# `Cold War`. In lower case without accents; counted by bench/fit_ordinary_words.py in licensed texts.
"""


class WordCounts:
    """How often a language's words come in small letters, with a capital, and so that their sound is kept."""

    def __init__(self) -> None:
        self.small: Counter[str] = Counter()
        self.capital: Counter[str] = Counter()
        self.kept: Counter[str] = Counter()

    def read(self, text: str, other: str) -> None:
        sounds = {skeleton(word) for word in WORD.findall(other)}
        for match in WORD.finditer(text):
            word, start = match[0], match.start()
            if word[0].islower():
                self.small[key_of(word)] += 1
            elif start and word[1:].islower() and text[start - 2 : start - 1] not in (*".!?:",):
                self.capital[key_of(word)] += 1
                self.kept[key_of(word)] += skeleton(word) in sounds

    def ordinary(self, language: str) -> list[str]:
        least = LEAST[language]
        found = {
            word
            for word, count in self.small.items()
            if count >= least
            and self.capital[word]
            and (language == "de" or count >= SHARE * self.capital[word])
        }
        if language == "de":
            found |= {w for w, n in self.capital.items() if n >= least and self.kept[w] <= SHARE * n}
        return sorted(found)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    counts = {"en": WordCounts(), "de": WordCounts()}
    for path in sorted(folder.glob("??.tsv.xz")):
        with lzma.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                english, other, _ = line.rstrip("\n").split("\t")
                counts["en"].read(english, other)
                if path.name.startswith("de"):
                    counts["de"].read(other, english)
    print(HEAD)
    for language, own in counts.items():
        print(f'{language} = """')
        print("\n".join(textwrap.wrap(" ".join(own.ordinary(language)), 110, break_on_hyphens=False)))
        print('"""')


if __name__ == "__main__":
    main()
