"""The article's own sentences as its summary: what is chosen, within which limits; headlines."""

import numpy as np
import pytest
from checked import check_summary
from hypothesis import given
from hypothesis import strategies as st

from models.choices import AIM, LENGTHS
from models.driver import run
from models.summarize.extractive import (
    DIMENSION,
    MOST_WORDS,
    choose,
    count_words,
    embedded,
    headline,
    pick_headline,
    pick_sentences,
)
from models.text.article import read_verbatim
from models.text.article.paste import read_pasted
from models.text.sentences import sentences

ARTICLE = """Harbour of Port Ellery to close for two weeks

The harbour of Port Ellery will close for two weeks in June while its sea wall is repaired, the council said.

Who will pay for it?

Scroll down for video.

Fishermen say that the closed harbour will cost each of them two weeks of income in the best month.

“We were never asked,” said Mara Quill, who owns two boats and has fished since she was a girl of twelve.

The council answers that the sea wall lost forty stones in the winter storms and that repairs can't wait.

Ferries to the islands will leave from Stonehaven while the harbour of Port Ellery is closed.

The council will pay fishermen a part of their income for the two weeks, and decides in May how large a part.

A baker in the town has named a cake after the wall, and it sells well on most Sundays."""


def unit(rows):
    array = np.array(rows, dtype=np.float32)
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def sentence(word, words=10):
    return " ".join([word] * words) + "."


# ------------------------------------------------------------------ choosing


def test_a_text_within_the_limits_is_taken_whole_junk_and_all():
    texts = ["Why?", sentence("one"), sentence("two")]
    assert choose(texts, unit([[1, 0], [0, 1], [1, 1]]), max_words=30) == [0, 1, 2]


def test_no_sentences_give_none():
    assert choose([], np.zeros((0, 2), dtype=np.float32), max_words=30) == []


def test_a_repetition_gives_way_to_something_new():
    texts = [sentence("one"), sentence("same"), sentence("other"), sentence("last")]
    vectors = unit([[1, 0, 0], [1, 0.05, 0], [0.6, 0.8, 0], [0, 0.2, 1]])
    assert choose(texts, vectors, max_words=27) == [1, 2]
    assert choose(texts, None, max_words=27) == [0, 1]


@pytest.mark.parametrize(
    "junk",
    [
        "Why did the council of the town not ask them?",
        "He said.",
        "Photo: The harbour in the morning light",
        "Scroll down for the video of the storm.",
        "What Comes Next After The Closing Of The Harbour",
        "Related: all about the storms of last winter:",
        "a line that stops without an end",
    ],
)
def test_what_cannot_stand_alone_is_left_out(junk):
    texts = [junk, sentence("one"), sentence("two")]
    assert 0 not in choose(texts, unit([[1, 0], [1, 0.1], [1, 0]]), max_words=12)


def test_if_nothing_can_stand_alone_something_is_taken_all_the_same():
    texts = ["Why one, and why now, and why here?", "Why two, and why now, and why there?"]
    assert choose(texts, unit([[1, 0], [0.5, 1]]), max_words=8) == [0]


def test_one_sentence_is_taken_even_if_all_are_too_long_but_a_shorter_one_is_preferred():
    vectors = unit([[1, 0], [1, 0.2]])
    assert len(choose([sentence("one", 30), sentence("two", 30)], vectors, max_words=20)) == 1
    assert choose([sentence("one", 30), sentence("two", 15)], vectors, max_words=20) == [1]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=25), st.integers(5, 120), st.integers(1, 6))
def test_the_limits_hold_and_the_order_is_the_articles(lengths, max_words, max_sentences):
    texts = [sentence(f"word{i}", n) for i, n in enumerate(lengths)]
    vectors = unit(np.random.default_rng(len(lengths)).normal(size=(len(lengths), 4)).tolist())
    taken = choose(texts, vectors, max_words=max_words, max_sentences=max_sentences)
    assert taken == sorted(set(taken))
    assert 1 <= len(taken) <= max_sentences
    assert len(taken) == 1 or sum(lengths[i] for i in taken) <= max_words


def test_lengths_grow_and_aim_at_what_they_promise():
    aims = {name: round(AIM * length.max_words) for name, length in LENGTHS.items()}
    assert 45 <= aims["short"] <= 55
    assert 80 <= aims["medium"] <= 100
    assert 160 <= aims["long"] <= 200


def test_words_are_counted_in_scripts_without_spaces_too():
    assert count_words("Two small words and three.") == 5
    assert count_words("市议会周二投票决定关闭这座旧桥。") == 8


# ------------------------------------------------------------------ summaries


def best_sentences(article, language, *, max_words, max_sentences=None):
    """The whole way from an article to the spans of its summary."""
    spans = [s for p in article.paragraphs for s in sentences(article.text, language, p)]
    texts = [" ".join(article.text[s.start : s.end].split()) for s in spans]
    steps = pick_sentences(texts, max_words=max_words, max_sentences=max_sentences)
    return [spans[i] for i in run(steps).unwrap()]


def test_a_summary_is_made_of_the_articles_own_sentences():
    article = read_pasted(ARTICLE)
    spans = best_sentences(article, "en", max_words=LENGTHS["short"].max_words)
    texts = [article.text[s.start : s.end] for s in spans]
    assert texts[0].startswith("The harbour of Port Ellery will close for two weeks")
    assert all(text in ARTICLE for text in texts)
    assert spans == sorted(spans)
    assert 30 <= sum(map(count_words, texts)) <= LENGTHS["short"].max_words
    assert not any("Scroll" in text or text.endswith("?") or "cake" in text for text in texts)


def test_a_headline_is_one_sentence():
    article = read_pasted(ARTICLE)
    assert len(best_sentences(article, "en", max_words=LENGTHS["headline"].max_words, max_sentences=1)) == 1


def test_a_short_article_comes_back_whole():
    article = read_verbatim("It rained.\n\nIt was cold. Nobody came.")
    spans = best_sentences(article, "en", max_words=66)
    assert [article.text[s.start : s.end] for s in spans] == ["It rained.", "It was cold.", "Nobody came."]


def test_an_article_without_sentences_has_no_summary():
    assert best_sentences(read_verbatim(" \n"), "en", max_words=66) == []


def test_a_chinese_article_is_cut_to_length_as_well():
    text = "市议会周二投票决定关闭这座旧桥。" * 3 + "居民们说这座桥对他们的生活非常重要。" * 3
    article = read_verbatim(text)
    spans = best_sentences(article, "zh", max_words=20)
    assert 1 <= len(spans) <= 2


def test_a_sentence_that_stands_twice_is_taken_once():
    article = read_verbatim(
        "The old bridge will close on Monday, the council said. The works cost two millions. " * 8
    )
    spans = best_sentences(article, "en", max_words=66)
    texts = [article.text[s.start : s.end] for s in spans]
    assert len(texts) == len(set(texts)) == 2


# ------------------------------------------------------------------ vectors of words


def _run(steps):
    return run(steps).unwrap()


def test_sentences_of_the_same_words_lie_close_in_any_language():
    same, also, other, none = _run(embedded(["旧桥 关闭 市议会", "市议会 关闭 旧桥", "妹妹 喜欢 李子", "?"]))
    assert same @ also > 0.9 > 0.1 > abs(same @ other)
    assert not none.any()


STORY = [
    "La vieille passerelle fermera lundi pour deux semaines de travaux urgents.",
    "Les travaux urgents sur la passerelle dureront deux semaines selon la mairie.",
    "La mairie paiera les travaux de la passerelle en deux semaines.",
    "Les travaux urgents de la vieille passerelle attendent la mairie.",
]
ASIDES = [
    "Mon voisin peignait ses volets de bleu pendant tout le printemps.",
    "Un boulanger vend beaucoup de gâteaux chaque dimanche après la messe.",
]


def test_the_first_sentences_are_taken_of_a_text_that_is_written_top_down():
    assert _run(pick_sentences([*STORY, *ASIDES], max_words=24, max_sentences=2)) == [0, 1]
    assert min(_run(pick_sentences([*ASIDES, *STORY], max_words=24, max_sentences=2))) >= len(ASIDES)
    assert _run(pick_headline([*STORY, *ASIDES], "fr", max_words=50)) == (0, STORY[0][:-1])
    assert _run(pick_headline([*ASIDES, *STORY], "fr", max_words=50))[0] >= len(ASIDES)


@given(st.lists(st.text(max_size=40), min_size=1, max_size=20))
def test_every_sentence_has_a_row_of_length_one_or_none(sentences):
    rows = _run(embedded(sentences))
    assert rows.shape == (len(sentences), DIMENSION)
    lengths = np.linalg.norm(rows, axis=1)
    assert np.all(np.isclose(lengths, 1, atol=1e-4) | (lengths == 0))


# ---------------------------------------------------------------------- headlines

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
    "All shops of the town will open again - but only for those who live in it, the old city said.",
    "The council will keep the bridge closed for all cars - until the court of the island has ruled.",
    "The council closed the bridge, which had not lost a single one of its stones since the war ended.",
    "The firm will sell two of its old ferries, one of its directors said in an interview on Sunday.",
    "The harbour will stay open in the winter - if the council can pay for a new sea wall by May.",
    "The mayor (a man of the north; his brother is a builder) took money from the bank of the town.",
    "The old mayor of the town, who has led the council for six years, has resigned in Ellery today.",
    "The new law could see the smaller farms - those in the hills - receive a good deal more money.",
    "“We have closed the harbour of the town; nobody will sail,” the mayor told the paper on Sunday.",
]


@pytest.mark.parametrize(("sentence", "expected"), CUTS)
def test_what_a_headline_does_without_is_cut(sentence, expected):
    language = "fr" if sentence.startswith("Le ") else "de" if sentence.startswith("Der ") else "en"
    assert headline(sentence, language) == expected


@pytest.mark.parametrize("sentence", KEPT)
def test_no_negation_condition_or_quotation_is_lost(sentence):
    assert headline(sentence, "en") == sentence.removesuffix(".")


def test_a_short_sentence_loses_its_full_stop_alone_and_an_abbreviation_keeps_it():
    assert headline("the harbour closed.", "en") == "The harbour closed"
    assert headline("He met Quill Inc.", "en") == "He met Quill Inc."
    assert headline("Has it closed?", "en") == "Has it closed?"
    assert headline("会议结束。", "zh") == "会议结束"


@given(st.text(alphabet="abc AB.,;–—- ()“”\"'"))
def test_a_headline_has_no_word_that_the_sentence_has_not(sentence):
    assert headline(sentence, "en").lower() in sentence.lower()


HARBOUR = [
    "He had not been told why.",
    "The harbour of Port Ellery will close for two weeks in June, the council said on Monday in a letter.",
    "Fishermen in the harbour of Port Ellery fear for two weeks of their income in the best month.",
    "The harbour has been closed twice before, both times in June, because its old sea wall was weak.",
]


def test_a_headline_is_short_stands_alone_and_is_supported():
    number, cut = run(pick_headline(HARBOUR, "en", max_words=50)).unwrap()
    assert 0 < len(cut.split()) <= 2 * MOST_WORDS
    assert number > 0 and not cut.endswith(".")
    [checked] = check_summary("\n".join(HARBOUR), cut, language="en")
    assert not checked.flags
    assert checked.evidence[0].span.start == sum(len(s) + 1 for s in HARBOUR[:number])
