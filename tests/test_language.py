"""Telling languages apart, with the model inside the package and no network."""

import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from models.text.language import Detection, LanguageDetector

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
