"""Summaries as a task: what is read, windows, whole sentences, the target language."""

from collections.abc import Callable

import pytest
from fake_pool import CHARACTERS_A_TOKEN, FakePool

from models.errors import InvalidInput, UnknownModel, UnsupportedLanguage
from models.languages import Languages
from models.tasks.steps import Outcome, run
from models.tasks.summarizer import Summarizer
from models.tasks.summary import Summary, SummaryRequest
from models.tasks.translator import Translator
from models.text.language import LanguageDetector

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
def detector() -> LanguageDetector:
    return LanguageDetector()


def _first_sentences(n: int) -> Callable[[str], str]:
    return lambda text: ". ".join(text.split(". ")[:n]).rstrip(".") + "."


def _summarize(pool: FakePool, detector: LanguageDetector, request: SummaryRequest) -> Outcome[Summary]:
    languages = Languages.load()
    translator = Translator(pool.as_pool, languages, detector, default_model=GEMMA)
    summarizer = Summarizer(pool.as_pool, languages, detector, translator, default_model=BART)
    return run(summarizer.steps(request))


def test_an_article_is_read_and_summarized(languages: Languages, detector: LanguageDetector) -> None:
    pool = FakePool(languages, _first_sentences(2), max_source_tokens=4000, max_new_tokens=400)
    result = _summarize(pool, detector, SummaryRequest(text=ARTICLE)).unwrap()
    assert result.summary == " ".join(SENTENCES[:2])
    assert [s.text for s in result.sentences] == SENTENCES[:2]
    assert result.source.title == "Ministers meet in Vienna"
    assert (result.source.sentences, result.source.characters, result.source.windows) == (12, READ, 1)
    assert (result.model, result.language, result.translation_model) == (BART, "en", None)
    decoding = pool.engine.submissions[0][0].decoding
    assert 0 < decoding.min_new_tokens < decoding.max_new_tokens == 400


def test_a_long_article_is_read_whole_in_windows(languages: Languages, detector: LanguageDetector) -> None:
    pool = FakePool(languages, _first_sentences(1), max_source_tokens=500, max_new_tokens=200)
    result = _summarize(pool, detector, SummaryRequest(text=ARTICLE)).unwrap()
    first, *_, last = pool.engine.submissions
    assert result.source.windows == len(first) > 1
    assert len(last) == 1
    read = " ".join("".join(map(chr, g.source_ids[1:-1])) for g in first)
    assert read == " ".join(SENTENCES * 3)
    assert result.usage.source_tokens == sum(len(g.source_ids) for s in pool.engine.submissions for g in s)


def test_a_model_that_does_not_shorten_ends(languages: Languages, detector: LanguageDetector) -> None:
    pool = FakePool(languages, lambda text: text, max_source_tokens=500, max_new_tokens=500, free_length=True)
    result = _summarize(pool, detector, SummaryRequest(text=ARTICLE)).unwrap()
    assert result.summary == " ".join(SENTENCES * 3)


def test_an_unfinished_sentence_is_left_out_and_told(
    languages: Languages, detector: LanguageDetector
) -> None:
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
def test_forms(
    languages: Languages, detector: LanguageDetector, changes: dict[str, object], expected: str
) -> None:
    pool = FakePool(languages, _first_sentences(3), max_source_tokens=4000, max_new_tokens=900)
    request = SummaryRequest(**{"text": ARTICLE, **changes})  # type: ignore[arg-type]
    assert _summarize(pool, detector, request).unwrap().summary == expected


def test_a_target_translates_the_sentences(languages: Languages, detector: LanguageDetector) -> None:
    def change(text: str) -> str:
        return _first_sentences(2)(text) if len(text) > 200 else text.upper()

    pool = FakePool(languages, change, max_source_tokens=4000, max_new_tokens=900)
    result = _summarize(pool, detector, SummaryRequest(text=ARTICLE, target="fr")).unwrap()
    assert result.summary == " ".join(SENTENCES[:2]).upper()
    assert [s.original for s in result.sentences] == SENTENCES[:2]
    assert (result.language, result.translation_model, pool.used) == ("fr", GEMMA, [BART, GEMMA])


def test_a_short_text_comes_back_whole(languages: Languages, detector: LanguageDetector) -> None:
    pool = FakePool(languages)
    text = " ".join(SENTENCES[:2])
    result = _summarize(pool, detector, SummaryRequest(text=text)).unwrap()
    assert result.summary == text
    assert [text[s.source.start : s.source.end] for s in result.sentences if s.source] == SENTENCES[:2]
    assert "no longer than its summary" in result.notes[0]
    assert pool.used == []


def test_a_headline_of_a_short_text_is_one_sentence(languages: Languages, detector: LanguageDetector) -> None:
    pool = FakePool(languages, _first_sentences(1), max_new_tokens=400)
    request = SummaryRequest(text="The talks failed. Nobody was surprised.", length="headline")
    assert _summarize(pool, detector, request).unwrap().summary == "The talks failed."


def test_html_is_read_and_its_text_told(languages: Languages, detector: LanguageDetector) -> None:
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
def test_what_is_refused_names_its_field(
    languages: Languages,
    detector: LanguageDetector,
    fields: dict[str, str],
    error: type[InvalidInput],
    field: str,
) -> None:
    outcome = _summarize(FakePool(languages), detector, SummaryRequest(**fields))  # type: ignore[arg-type]
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
def test_a_length_in_tokens_is_the_models_own(
    asked: dict[str, int], limits: tuple[int, int], languages: Languages, detector: LanguageDetector
) -> None:
    pool = FakePool(languages, _first_sentences(1), max_source_tokens=4000, max_new_tokens=2000)
    request = SummaryRequest(text=ARTICLE, model="google/pegasus-cnn_dailymail", **asked)
    _summarize(pool, detector, request).unwrap()
    decoding = pool.engine.submissions[0][0].decoding
    most, least = (tokens * CHARACTERS_A_TOKEN for tokens in limits)  # as the fake model counts
    assert (decoding.max_new_tokens, min(decoding.min_new_tokens, decoding.max_new_tokens)) == (most, least)


def test_a_text_within_the_length_in_tokens_comes_back_whole(
    languages: Languages, detector: LanguageDetector
) -> None:
    pool = FakePool(languages)
    text = " ".join(SENTENCES)
    request = SummaryRequest(text=text, max_tokens=200)
    assert _summarize(pool, detector, request).unwrap().summary == text
    assert pool.engine.submissions == []
