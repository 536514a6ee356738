"""Extractive summaries in languages that the sentence encoder does not know: done all the same, and said."""

import pytest

from models.catalog import Catalog
from service.http.app import create_app
from service.runtime import Runtime
from service.settings import Settings

FRENCH = (
    "Le ministre a rencontré dimanche son collègue du pays voisin dans la capitale pour parler du commerce. "
    "Ils ont évoqué la frontière, les échanges d'étudiants et la construction d'un pont sur le fleuve. "
)


@pytest.fixture(scope="module")
def client(tiny_hub, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runtime")
    runtime = Runtime(
        Settings(
            catalog=tiny_hub.catalog_file("marian"),
            cache_dir=folder / "cache",
            data_dir=folder / "data",
            translate_model="tiny/marian",
            device="cpu",
        )
    )
    yield create_app(runtime).test_client()
    runtime.close()


def _notes(client, text):
    answer = client.post("/v1/summarize", json={"text": text, "length": "headline"})
    assert answer.status_code == 200, answer.text
    return [note for note in answer.json["notes"] if "was trained on" in note]


def test_a_language_that_the_encoder_does_not_know_is_said(client):
    lines = [FRENCH + f"La prochaine rencontre aura lieu au printemps {year}." for year in range(2020, 2026)]
    assert _notes(client, "\n\n".join(lines)) == [
        "dragoman/extractive was trained on English: in French it picks less surely"
    ]
    english = "The ministers met in Vienna on Sunday. They spoke about trade and the border. " * 6
    assert _notes(client, english) == []


def test_another_encoder_is_in_the_catalog(languages):
    entry = Catalog.load(languages).get("sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2")
    assert entry.kind == "extractive" and {"fr", "ru", "zh"} < set(entry.trained_languages)
    assert entry.languages == (), "it takes others too"
