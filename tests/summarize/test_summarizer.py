"""Summaries as a task: what is read, windows, whole sentences, the target language."""

import textwrap

import pytest
from fake_pool import CHARACTERS_A_TOKEN, FakePool, cipher

from models.checker import Checker
from models.driver import run
from models.errors import InvalidInput, UnknownModel, UnsupportedLanguage
from models.languages import Languages
from models.summarize.summarizer import Summarizer, SummaryRequest
from models.text.detect import Detection, LanguageDetector
from models.translate.translator import Translator

BART = "facebook/bart-large-cnn"
GEMMA = "dragoman/gemma3-270m-translate"

SENTENCES = [
    "The foreign ministers of the two countries met in Vienna on Sunday for the first time in six years.",
    "They agreed to reopen the border crossing that has been closed since the conflict of 2019.",
    "Observers from neighbouring states welcomed the step but warned that much remains to be settled.",
    "A joint commission will meet every month and report to both parliaments before the summer.",
]
READ = 3 * len(" ".join(SENTENCES))
ARTICLE = "Ministers meet in Vienna\n\n" + "\n\n".join(" ".join(SENTENCES) for _ in range(3))


@pytest.fixture(scope="session")
def detector():
    return LanguageDetector()


def _first_sentences(n):
    return lambda text: ". ".join(text.split(". ")[:n]).rstrip(".") + "."


def _summarize(pool, detector, request):
    languages = Languages.load()
    translator = Translator(pool.as_pool, languages, detector, default_model=GEMMA)
    checker = Checker(pool.as_pool, languages, detector)
    summarizer = Summarizer(pool.as_pool, languages, detector, translator, checker, default_model=BART)
    return run(summarizer.steps(request))


def test_an_article_is_read_and_summarized(languages, detector):
    pool = FakePool(languages, _first_sentences(2), max_source_tokens=4000, max_new_tokens=400)
    result = _summarize(pool, detector, SummaryRequest(text=ARTICLE)).unwrap()
    assert result.summary == " ".join(SENTENCES[:2])
    assert [s.text for s in result.sentences] == SENTENCES[:2]
    assert result.source.title == "Ministers meet in Vienna"
    assert (result.source.sentences, result.source.characters, result.source.windows) == (12, READ, 1)
    assert (result.model, result.language, result.translation_model) == (BART, "en", None)
    decoding = pool.engine.submissions[0][0].decoding
    assert 0 < decoding.min_new_tokens < decoding.max_new_tokens == 400


def test_sentences_of_a_wrapped_mail_go_on_over_its_lines(languages, detector):
    pool = FakePool(languages, _first_sentences(2), max_source_tokens=4000, max_new_tokens=400)
    mail = "\n\n".join(textwrap.fill(" ".join(SENTENCES), 70) for _ in range(3))
    result = _summarize(pool, detector, SummaryRequest(text=mail)).unwrap()
    assert [s.text for s in result.sentences] == SENTENCES[:2]
    assert result.source.sentences == 12


def test_a_long_article_is_read_whole_in_windows(languages, detector):
    pool = FakePool(languages, _first_sentences(1), max_source_tokens=500, max_new_tokens=200)
    paragraphs = [" ".join(SENTENCES).replace("Sunday", day) for day in ("Sunday", "Monday", "Friday")]
    result = _summarize(pool, detector, SummaryRequest(text="\n\n".join(paragraphs))).unwrap()
    first, *_, last = pool.engine.submissions
    assert result.source.windows == len(first) > 1
    assert len(last) == 1
    read = {"".join(map(chr, g.source_ids[1:-1])) for g in first}
    assert read == set(paragraphs)
    assert result.usage.source_tokens == sum(len(g.source_ids) for s in pool.engine.submissions for g in s)


def test_a_model_that_does_not_shorten_ends(languages, detector):
    pool = FakePool(languages, lambda text: text, max_source_tokens=500, max_new_tokens=500, free_length=True)
    result = _summarize(pool, detector, SummaryRequest(text=ARTICLE)).unwrap()
    assert result.summary == " ".join(SENTENCES * 3)


def test_an_unfinished_sentence_is_left_out_and_told(languages, detector):
    pool = FakePool(languages, lambda text: text, max_source_tokens=4000, max_new_tokens=150)
    result = _summarize(pool, detector, SummaryRequest(text=ARTICLE)).unwrap()
    assert result.summary == SENTENCES[0]
    assert "unfinished" in result.notes[0]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"format": "bullets"}, "\n".join(f"- {s}" for s in SENTENCES[:3])),
        ({"max_sentences": 1}, SENTENCES[0]),
        ({"length": "headline"}, SENTENCES[0]),
    ],
)
def test_forms(languages, detector, changes, expected):
    pool = FakePool(languages, _first_sentences(3), max_source_tokens=4000, max_new_tokens=900)
    request = SummaryRequest(**{"text": ARTICLE, **changes})
    assert _summarize(pool, detector, request).unwrap().summary == expected


def test_a_target_translates_the_sentences(languages, detector):
    def change(text):
        return _first_sentences(2)(text) if len(text) > 200 else cipher(text)

    pool = FakePool(languages, change, max_source_tokens=4000, max_new_tokens=900)
    result = _summarize(pool, detector, SummaryRequest(text=ARTICLE, target="fr")).unwrap()
    assert result.summary == cipher(" ".join(SENTENCES[:2]))
    assert [s.original for s in result.sentences] == SENTENCES[:2]
    assert (result.language, result.translation_model, set(pool.used)) == ("fr", GEMMA, {BART, GEMMA})


def test_a_short_text_comes_back_whole(languages, detector):
    pool = FakePool(languages)
    text = " ".join(SENTENCES[:2])
    result = _summarize(pool, detector, SummaryRequest(text=text)).unwrap()
    assert result.summary == text
    assert [text[s.source.start : s.source.end] for s in result.sentences if s.source] == SENTENCES[:2]
    assert "no longer than its summary" in result.notes[0]
    assert pool.used == []


def test_a_headline_of_a_short_text_is_one_sentence(languages, detector):
    pool = FakePool(languages, _first_sentences(1), max_new_tokens=400)
    request = SummaryRequest(text="The talks failed. Nobody was surprised.", length="headline")
    assert _summarize(pool, detector, request).unwrap().summary == "The talks failed."


def test_html_is_read_and_its_text_told(languages, detector):
    pool = FakePool(languages, _first_sentences(2), max_source_tokens=4000, max_new_tokens=400)
    paragraphs = "".join(f"<p>{sentence} {sentence[::-1]}.</p>" for sentence in SENTENCES)
    html = f"<html><body><nav>Home</nav><article><h1>Talks</h1>{paragraphs}</article></body></html>"
    result = _summarize(pool, detector, SummaryRequest(html=html)).unwrap()
    assert result.summary.startswith(SENTENCES[0])
    assert result.source.text is not None
    assert "Home" not in result.source.text


@pytest.mark.parametrize(
    ("fields", "error", "field"),
    [
        ({"text": " "}, InvalidInput, "text"),
        ({"html": ""}, InvalidInput, "html"),
        ({}, InvalidInput, "text"),
        ({"text": "a", "html": "b"}, InvalidInput, "text"),
        ({"text": ARTICLE, "model": "none"}, UnknownModel, "model"),
        ({"text": ARTICLE, "model": GEMMA}, UnknownModel, "model"),
        ({"text": ARTICLE, "target": "xx"}, UnsupportedLanguage, "target"),
        ({"text": ARTICLE, "target": "ja"}, UnsupportedLanguage, "target"),
        ({"text": "Les ministres se sont rencontrés dimanche à Vienne. " * 20}, UnsupportedLanguage, "model"),
    ],
)
def test_what_is_refused_names_its_field(languages, detector, fields, error, field):
    outcome = _summarize(FakePool(languages), detector, SummaryRequest(**fields))
    assert isinstance(outcome.error, error)
    assert outcome.error.field == field


@pytest.mark.parametrize(
    ("asked", "limits"),
    [
        ({"max_tokens": 60}, (60, 24)),
        ({"max_tokens": 60, "min_tokens": 50}, (60, 50)),
        ({"max_tokens": 40, "min_tokens": 50}, (40, 40)),
        ({"min_tokens": 150}, (201, 150)),
    ],
)
def test_a_length_in_tokens_is_the_models_own(asked, limits, languages, detector):
    pool = FakePool(languages, _first_sentences(1), max_source_tokens=4000, max_new_tokens=2000)
    request = SummaryRequest(text=ARTICLE, model="google/pegasus-cnn_dailymail", **asked)
    _summarize(pool, detector, request).unwrap()
    decoding = pool.engine.submissions[0][0].decoding
    most, least = (tokens * CHARACTERS_A_TOKEN for tokens in limits)  # as the fake model counts
    assert (decoding.max_new_tokens, min(decoding.min_new_tokens, decoding.max_new_tokens)) == (most, least)


def test_a_text_within_the_length_in_tokens_comes_back_whole(languages, detector):
    pool = FakePool(languages)
    text = " ".join(SENTENCES)
    request = SummaryRequest(text=text, max_tokens=200)
    assert _summarize(pool, detector, request).unwrap().summary == text
    assert pool.engine.submissions == []


WRONG = "They agreed to reopen 47 border crossings that have been closed since the conflict of 2019."


def test_evidence_and_flags_of_a_written_summary(languages, detector):
    pool = FakePool(languages, lambda text: f"{SENTENCES[0]} {WRONG}", max_source_tokens=4000)
    result = _summarize(pool, detector, SummaryRequest(text=ARTICLE)).unwrap()
    good, bad = result.sentences
    assert not good.flags
    assert {ARTICLE[e.span.start : e.span.end] for e in good.evidence} >= {SENTENCES[0]}
    assert good.evidence[0].score > 0.9
    (flag,) = bad.flags
    assert (flag.kind, bad.text[flag.span.start : flag.span.end]) == ("number", "47")
    assert SENTENCES[1] in {ARTICLE[e.span.start : e.span.end] for e in bad.evidence}


def test_a_copied_sentence_is_never_flagged(languages, detector):
    pool = FakePool(languages, _first_sentences(3), max_source_tokens=4000, max_new_tokens=1000)
    result = _summarize(pool, detector, SummaryRequest(text=ARTICLE, length="medium")).unwrap()
    assert len(result.sentences) == 3
    assert not any(sentence.flags for sentence in result.sentences)


def test_an_unsupported_sentence_is_left_out_if_asked(languages, detector):
    pool = FakePool(languages, lambda text: f"{SENTENCES[0]} {WRONG}", max_source_tokens=4000)
    result = _summarize(pool, detector, SummaryRequest(text=ARTICLE, on_unsupported="drop")).unwrap()
    assert result.summary == SENTENCES[0]
    assert result.notes == ("1 sentence was left out: the article does not support all of it",)


@pytest.mark.parametrize("second", [SENTENCES[1], WRONG])
def test_an_unsupported_summary_is_written_again_if_asked(languages, detector, monkeypatch, second):
    answers = iter([WRONG, second])
    pool = FakePool(languages, lambda text: next(answers), max_source_tokens=4000)
    examined = []
    check = Checker.check_summary

    def counted(checker, source, output, *languages):
        examined.append(output)
        return check(checker, source, output, *languages)

    monkeypatch.setattr(Checker, "check_summary", counted)
    result = _summarize(pool, detector, SummaryRequest(text=ARTICLE, on_unsupported="retry")).unwrap()
    assert result.summary == second and examined == [WRONG, second]
    assert bool(result.sentences[0].flags) is (second == WRONG)
    first, again = (submission[0].decoding for submission in pool.engine.submissions)
    assert again.num_beams > first.num_beams
    assert again.min_new_tokens == 0
    assert "written twice" in result.notes[-1]
    assert result.usage.source_tokens == 2 * len(pool.engine.submissions[0][0].source_ids)


def test_a_supported_summary_is_written_once(languages, detector):
    pool = FakePool(languages, _first_sentences(1), max_source_tokens=4000)
    _summarize(pool, detector, SummaryRequest(text=ARTICLE, on_unsupported="retry")).unwrap()
    assert len(pool.engine.submissions) == 1


class Guessing(LanguageDetector):
    def __init__(self, *candidates):
        self.found = list(candidates)

    def candidates(self, text, limit=3):
        return self.found


@pytest.mark.parametrize(("target", "language"), [(None, "en"), ("fr", "fr")])
def test_a_guess_at_a_language_that_the_model_lacks_is_not_refused(languages, target, language):
    guess = Guessing(Detection("nl", 0.6), Detection("en", 0.3))
    request = SummaryRequest(text="The ministers met in Vienna.", target=target)
    result = _summarize(FakePool(languages, cipher), guess, request).unwrap()
    assert (result.language, result.detected) == (language, Detection("en", 0.3))
    assert any("the text is probably in en (confidence 0.30)" in note for note in result.notes)
    sure = Guessing(Detection("nl", 0.95), Detection("en", 0.03))
    assert isinstance(_summarize(FakePool(languages), sure, request).error, UnsupportedLanguage)


def test_all_of_the_text_is_read_if_asked(languages, detector):
    text = ARTICLE + "\n\nLeave a Reply\n\nClick here to subscribe to our newsletter."
    read = []
    for clean in (True, False):
        pool = FakePool(languages, _first_sentences(1), max_source_tokens=4000)
        result = _summarize(pool, detector, SummaryRequest(text=text, clean=clean)).unwrap()
        read.append("".join(map(chr, pool.engine.submissions[0][0].source_ids)))
        assert bool(result.source.dropped) is clean
    assert "Leave a Reply" not in read[0]
    assert "Leave a Reply" in read[1]
    assert "Ministers meet in Vienna" in read[1]


def test_how_much_was_read_is_counted(languages, detector):
    for window in (300, 4000):
        pool = FakePool(languages, _first_sentences(1), max_source_tokens=window, max_new_tokens=200)
        result = _summarize(pool, detector, SummaryRequest(text=ARTICLE)).unwrap()
        assert result.source.coverage == 1.0


def test_a_translated_summary_is_checked_against_its_draft(languages, detector):
    figure = "Some 4,500 people came."
    pool = FakePool(
        languages,
        lambda text: figure if len(text) > 200 else "Quelques personnes sont venues.",
        max_source_tokens=4000,
    )
    article = ARTICLE + "\n\n" + figure
    result = _summarize(pool, detector, SummaryRequest(text=article, target="fr")).unwrap()
    (sentence,) = result.sentences
    assert (sentence.text, sentence.original) == ("Quelques personnes sont venues.", figure)
    assert "number" in {flag.kind for flag in sentence.flags}
    assert all(0 <= flag.span.start <= flag.span.end <= len(sentence.text) for flag in sentence.flags)
    assert len(pool.engine.submissions) == 3, "the summary, its translation, and one more try"
