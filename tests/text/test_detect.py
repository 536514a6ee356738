"""Telling languages apart, with the model inside the package and no network."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.text.detect import Detection, LanguageDetector, likeliest

SENTENCES = {
    "en": "The city council voted on Tuesday to close the old bridge.",
    "fr": "Le conseil municipal a voté mardi la fermeture du vieux pont.",
    "de": "Der Stadtrat hat am Dienstag beschlossen, die alte Brücke zu sperren.",
    "es": "El ayuntamiento votó el martes el cierre del puente viejo.",
    "ru": "Городской совет проголосовал во вторник за закрытие старого моста.",
    "zh": "市议会周二投票决定关闭这座旧桥。",
    "ar": "صوت مجلس المدينة يوم الثلاثاء على إغلاق الجسر القديم.",
}


@pytest.fixture(scope="module")
def detector():
    return LanguageDetector()


@pytest.mark.parametrize("language", SENTENCES)
def test_a_sentence_is_told_by_its_language(detector, language):
    found = detector.detect(SENTENCES[language])
    assert found.language == language
    assert 0.2 < found.confidence <= 1.0


def test_lines_and_odd_characters_are_no_obstacle(detector):
    text = "\n\n" + SENTENCES["fr"].replace(" ", "\r\n", 3) + "\0\ud800"
    assert detector.detect(text).language == "fr"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The ministers met in Vienna.", "en"),  # of which the model says: Dutch, with 0.62
        ("Schools reopen in Naples", "en"),
        ("Guten Morgen", "de"),
        ("Ministro pede demissão", "pt"),
        ("外交部长会谈", "zh"),
        ("안녕하세요", "ko"),
        ("Goedemiddag, de ministers zijn er nog niet", "nl"),
    ],
)
def test_a_few_words_are_taken_to_be_in_a_usual_language_unless_they_are_clearly_not(
    detector, text, language
):
    assert detector.detect(text).language == language


def test_a_whole_sentence_speaks_for_itself(detector):
    dutch = "De ministers van Buitenlandse Zaken kwamen zondag bijeen in Wenen."
    [best, *others] = detector.candidates(dutch)
    assert best.language == "nl"
    assert sum(each.confidence for each in (best, *others)) <= 1.0001


@given(st.text(alphabet="abc ABC éß 部长 Гда", max_size=80))
def test_confidences_are_shares_and_in_order(detector, text):
    confidences = [each.confidence for each in detector.candidates(text, limit=5)]
    assert 1 <= len(confidences) <= 5 and sum(confidences) <= 1.0001
    assert confidences == sorted(confidences, reverse=True) and confidences[-1] >= 0


NL, EN, IT = Detection("nl", 0.6), Detection("en", 0.05), Detection("it", 0.03)


@pytest.mark.parametrize(
    ("candidates", "read", "taken"),
    [
        ([NL, EN, IT], {"en", "it"}, EN),
        ([NL, EN, IT], {"en", "nl"}, NL),
        ([NL, EN, IT], {"fr"}, NL),
        ([Detection("nl", 0.9), EN], {"en"}, Detection("nl", 0.9)),
    ],
)
def test_what_is_read_takes_the_place_of_a_guess_that_is_not(candidates, read, taken):
    assert likeliest("Ministers in Vienna", candidates, read.__contains__) == taken


@pytest.mark.parametrize(("confidence", "taken"), [(0.09, "nl"), (0.1, "en")])
def test_of_a_sentence_it_has_to_be_possible(confidence, taken):
    found = [Detection("nl", 0.7), Detection("en", confidence)]
    assert likeliest("a" * 50, found, {"en"}.__contains__).language == taken


@pytest.mark.parametrize("text", ["", " \n", "1234 - 5678!", "😀"])
def test_a_text_without_letters_is_undetermined(detector, text):
    assert detector.detect(text) == Detection("und", 0.0)
    assert detector.candidates(text) == [Detection("und", 0.0)]


def test_candidates_come_best_first(detector):
    found = detector.candidates(SENTENCES["es"], limit=3)
    assert found[0].language == "es"
    assert 1 <= len(found) <= 3
    assert found == sorted(found, key=lambda d: -d.confidence)


def test_threads_may_share_a_detector(detector):
    texts = list(SENTENCES.values()) * 20
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(detector.detect, texts))
    assert [d.language for d in found] == list(SENTENCES) * 20


def test_nothing_is_fetched(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("the detector reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert LanguageDetector().detect(SENTENCES["de"]).language == "de"
