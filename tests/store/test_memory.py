"""Translation memory: what people made of sentences is taken as it stands, by its owner alone."""

from typing import cast

import pytest
from compat_runtime import CompatRuntime
from compat_runtime import settings as compat_settings
from fake_pool import FakePool, cipher
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from models.driver import run
from models.errors import InvalidInput
from models.languages import Languages
from models.text.detect import LanguageDetector
from models.translate.sentence import MemoryMatch
from models.translate.translator import TranslationRequest, Translator
from service.http.app import create_app
from service.job_schemas import stored_options
from service.jobs import JobService
from service.runtime import Runtime
from service.store import translation_memory
from service.store.database import FILE, Database
from service.store.tmx import TMX_TYPE, TmxPair, file_memory, nearest, normal, read_tmx, write_tmx
from service.store.translation_memory import TranslationMemory

ENGLISH, FRENCH = "The talks go on.", "Les pourparlers se poursuivent."
PAIR = TmxPair("en", "fr", ENGLISH, FRENCH)
REPORT = f"The ministers met on Sunday. {ENGLISH} Nobody left."

TMX = b"""<?xml version="1.0"?>
<!DOCTYPE tmx [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>
<tmx version="1.4"><header srclang="en-US" datatype="plaintext"/><body>
<tu><tuv xml:lang="fr-FR"><seg>Les <bpt i="1">&lt;b></bpt>pourparlers<ept i="1">&lt;/b></ept>
  se poursuivent.</seg></tuv><tuv xml:lang="en-US"><seg>The <hi>talks</hi> go on.</seg></tuv>
  <tuv xml:lang="de-DE"><seg>Die Gespr\xc3\xa4che dauern an.</seg></tuv></tu>
<tu><tuv xml:lang="fr-FR"><seg>Sans anglais.</seg></tuv></tu>
</body></tmx>"""


@pytest.fixture
def memory(database, languages):
    return TranslationMemory(database, languages, max_bytes=10_000)


def _translated(recall, **request):
    pool = FakePool(Languages.load(), change=cipher)
    translator = Translator(
        pool.as_pool, Languages.load(), LanguageDetector(), default_model="dragoman/gemma3-270m-translate"
    )
    given = TranslationRequest(**{"text": REPORT, "source": "en", "target": "fr", **request})
    return run(translator.steps(given, recall)).unwrap()


# ------------------------------------------------------------------------------------- translations


def test_a_sentence_that_is_there_is_taken_as_it_stands(memory):
    memory.add([PAIR])
    done = _translated(memory.recall)
    first, second, third = done.segments
    assert second.text == FRENCH
    assert (first.from_memory, second.from_memory, third.from_memory) == (None, True, None)
    assert (second.confidence, second.flags) == (None, ())
    assert done.translation == f"{first.text} {FRENCH} {third.text}"
    assert "1 of 3 segments are as your translation memory has them" in done.notes


def test_a_sentence_of_a_memory_is_checked(memory):
    memory.add([TmxPair("en", "fr", "They signed 14 papers.", "Ils ont signé 41 documents.")])
    (segment,) = _translated(memory.recall, text="They signed 14 papers.").segments
    assert segment.from_memory
    assert {flag.kind for flag in segment.flags} == {"number"}


def test_a_memory_that_cannot_be_read_is_a_note(tmp_path, languages):
    (tmp_path / FILE).write_bytes(b"no database" * 1000)
    memory = TranslationMemory(Database(tmp_path), languages)
    done = _translated(memory.recall)
    assert done.translation == _translated(None).translation
    assert any("the database (dragoman.db) cannot be used" in note for note in done.notes)


def test_it_is_not_looked_at_where_the_request_says_so_or_the_pair_is_another(memory):
    memory.add([PAIR])
    without = _translated(None).translation
    assert _translated(memory.recall, memory=False).translation == without
    assert _translated(memory.recall, target="de").translation != FRENCH
    assert FRENCH not in _translated(memory.recall, target="de").translation


def test_a_near_sentence_with_the_same_facts_is_an_alternative(memory):
    memory.add(
        [
            TmxPair("en", "fr", "The ministers met on Sundays.", "Presque."),
            TmxPair("en", "fr", "The ministers met on Monday.", "Un autre jour."),
            TmxPair("en", "fr", "Nobody was left.", "Trop court."),
        ]
    )
    known = {
        "The minister met 3 people on Sunday.": "trois",
        "The minister met 4 people on Sunday.": "quatre",
    }
    assert nearest("The ministers met 4 people on Sunday.", known, 3) == ("quatre",)
    assert nearest("Le ministre a été élu hier.", {"Le ministre était élu hier.": "elected"}, 1)
    assert not nearest("Il vient d'Italie, Émile aussi.", {"Il vient d'Italie, Élise aussi.": "Elise"}, 1)
    done = _translated(memory.recall, text="The minister met on Sunday.", alternatives=2)
    assert done.segments[0].alternatives is not None
    assert "Un autre jour." not in done.segments[0].alternatives
    assert _translated(memory.recall).segments[0].alternatives is None


def test_a_sentence_with_markup_inside_goes_through_the_model(memory):
    memory.add([PAIR])
    done = _translated(memory.recall, text="<p>The <b>talks</b> go on.</p>", format="html")
    assert done.segments[0].from_memory is None
    assert "<b>" in done.translation
    whole = _translated(memory.recall, text="<p>The talks go on.</p>", format="html")
    assert whole.translation == f"<p>{FRENCH}</p>"


# ------------------------------------------------------------------------------------- the store


def test_nothing_of_one_callers_memory_reaches_another(memory):
    anna, berta, nobody = memory.of("k1", "key-1"), memory.of("k2", "key-2"), memory.of(None, "address-1")
    anna.add([PAIR])
    assert anna.recall([ENGLISH], "en", "fr", 1) == [MemoryMatch(FRENCH)]
    for other in (berta, nobody):
        assert other.recall([ENGLISH], "en", "fr", 1) == [MemoryMatch()]
        assert other.pairs() == []
        assert list(other.sentences()) == []
        assert other.forget() == 0
    assert anna.forget("en", "fr", ENGLISH) == 1
    assert anna.pairs() == []


def test_the_later_of_two_counts_and_a_full_memory_keeps_what_it_had(memory):
    memory.add([PAIR, TmxPair("en", "fr", f"  {ENGLISH} ", "Ils continuent.")])
    assert memory.recall([ENGLISH], "en", "fr", 0) == [MemoryMatch("Ils continuent.")]
    many = [TmxPair("en", "fr", f"Sentence {i}.", "Phrase.") for i in range(100)]
    with pytest.raises(InvalidInput, match="would take"):
        memory.add(many)
    assert [(each.source, each.target, each.size) for each in memory.pairs()] == [("en", "fr", 1)]
    with pytest.raises(InvalidInput, match="0 and 7 characters"):
        memory.add([TmxPair("en", "fr", " ", "Phrase.")])
    with pytest.raises(InvalidInput, match="both sides"):
        memory.add([TmxPair("en", "en-GB", "A.", "B.")])


def test_the_nearest_of_long_sentences_are_looked_for_among_few(database, languages):
    memory = TranslationMemory(database, languages, max_bytes=64 << 20)
    memory.add([TmxPair("en", "fr", f"{i:03d} " + "word " * 900, f"{i}") for i in range(300)])
    compared = []
    near = translation_memory.nearest
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            translation_memory,
            "nearest",
            lambda text, known, most: (compared.append(len(known)), near(text, known, most))[1],
        )
        memory.recall(["123 " + "word " * 899], "en", "fr", 1)
        memory.recall(["A word."], "en", "fr", 1)
    assert 0 < compared[0] <= 60
    assert compared[1] == 0


@pytest.mark.parametrize("character", ["\0", "\x08", "\ud800", "\ufffe"])
def test_what_no_file_can_hold_is_refused(memory, character):
    with pytest.raises(InvalidInput, match="control characters"):
        memory.add([TmxPair("en", "fr", f"The{character}talks go on.", FRENCH)])


def test_many_sentences_are_looked_up_at_once(memory):
    memory.add([PAIR])
    texts = [f"Sentence {i}." for i in range(1000)] + [ENGLISH]
    assert [i for i, each in enumerate(memory.recall(texts, "en", "fr", 0)) if each.text] == [1000]


# ------------------------------------------------------------------------------------- TMX


def test_a_tmx_file_is_read_without_its_codes_and_entities():
    assert read_tmx(TMX) == [
        TmxPair("en-US", "fr-FR", ENGLISH, FRENCH),
        TmxPair("en-US", "de-DE", ENGLISH, "Die Gespräche dauern an."),
    ]
    for broken in (b"", b"<tmx>", b"<html/>", b"no xml", TMX[:-20]):
        with pytest.raises(InvalidInput, match="not a TMX file"):
            read_tmx(broken)


WORDS = (
    st.text(
        st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Co", "Cn")), min_size=1, max_size=30
    )
    .map(normal)
    .filter(bool)
)


@settings(max_examples=60)
@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=5))
def test_what_is_written_is_read_again(texts):
    pairs = [TmxPair("en", "fr", *each) for each in texts]
    written = "".join(write_tmx(pairs)).encode()
    assert etree.fromstring(written).tag == "tmx"
    assert [(normal(each.text), normal(each.translation)) for each in read_tmx(written)] == texts


def test_a_files_memory_is_by_languages(languages):
    own = file_memory(read_tmx(TMX), languages)
    assert own([ENGLISH], "en", "de", 0) == [MemoryMatch("Die Gespräche dauern an.")]
    assert own([ENGLISH], "en", "it", 0) == [MemoryMatch()]


# ------------------------------------------------------------------------------------- HTTP


@pytest.fixture
def runtime(tmp_path, each_database):
    return CompatRuntime(compat_settings(data_dir=tmp_path))


@pytest.fixture
def client(runtime):
    with create_app(runtime).test_client() as client:
        yield client


def test_what_is_kept_over_http_is_used_by_every_way_in(client):
    entries = {"source": "en", "target": "fr", "entries": {ENGLISH: FRENCH}}
    made = client.post("/v1/memory", json=entries)
    assert (made.status_code, made.json["kept"]) == (201, 1)
    assert client.get("/v1/memory").json == {"pairs": [{"source": "en", "target": "fr", "size": 1}]}
    body = {"source": "en", "target": "fr"}
    ours = client.post("/v1/translate", json={**body, "text": ENGLISH}).json
    assert (ours["translation"], ours["segments"][0]["from_memory"]) == (FRENCH, True)
    theirs = client.post("/translate", json={**body, "q": ENGLISH}).json
    assert theirs["translatedText"] == FRENCH
    assert client.delete("/v1/memory?source=en&target=fr").status_code == 204
    again = client.post("/v1/translate", json={**body, "text": ENGLISH}).json
    assert again["translation"] != FRENCH
    assert "from_memory" not in again["segments"][0]


def test_a_suggestion_is_the_operators_and_no_memory(client):
    suggestion = {"q": ENGLISH, "s": FRENCH, "source": "en", "target": "fr"}
    assert client.post("/suggest", json=suggestion).json == {"success": True}
    assert client.get("/v1/memory").json == {"pairs": []}
    done = client.post("/translate", json={"q": ENGLISH, "source": "en", "target": "fr"})
    assert done.json["translatedText"] != FRENCH


CROSS = {"Sec-Fetch-Site": "cross-site", "Origin": "https://page.example"}
FORWARDED = {"X-Forwarded-For": "192.0.2.1"}


@pytest.mark.parametrize(("headers", "has_key"), [(CROSS, False), (CROSS, True), (FORWARDED, False)])
def test_a_stranger_neither_writes_nor_reads_one(runtime, headers, has_key):
    jobs = JobService(cast(Runtime, runtime))
    client = create_app(cast(Runtime, runtime), jobs=jobs).test_client()
    own = {"X-API-Key": runtime.keys.create("reader")[1]} if has_key else {}
    headers = {**headers, **own}
    suggestion = {"q": ENGLISH, "s": FRENCH, "source": "en", "target": "fr"}
    assert client.post("/suggest", data=suggestion, headers=headers).json == {"success": True}
    assert client.get("/v1/memory", headers=own).json == {"pairs": []}
    entries = {"source": "en", "target": "fr", "entries": {ENGLISH: FRENCH}}
    assert client.post("/v1/memory", json=entries, headers=own).status_code == 201
    for path, field in (("/translate", "q"), ("/v1/translate", "text"), ("/v1/summarize", "text")):
        body = {field: ENGLISH, "target": "fr", **({"source": "en"} if "translate" in path else {})}
        assert FRENCH in client.post(path, json=body, headers=own).text
        assert FRENCH not in client.post(path, json=body, headers=headers).text
    translate = {"task": "translate", "text": ENGLISH, "source": "en", "target": "fr"}
    summarize = {"task": "summarize", "text": ENGLISH, "target": "fr"}
    for body, sent, memory in [
        (body, *each) for body in (translate, summarize) for each in ((own, True), (headers, False))
    ]:
        job = client.post("/v1/jobs", json=body, headers=sent).json["id"]
        owner = runtime.keys.all()[0].id if has_key else None
        assert stored_options(jobs.store.get(job, owner)).memory is memory


def test_tmx_goes_in_and_out(client):
    made = client.post("/v1/memory", data=TMX, content_type=TMX_TYPE)
    assert (made.status_code, made.json["kept"]) == (201, 2)
    out = client.get("/v1/memory.tmx?target=fr")
    assert out.mimetype == TMX_TYPE
    assert read_tmx(out.data) == [PAIR]
    wrong = client.post("/v1/memory", data=b"<tmx>", content_type=TMX_TYPE)
    assert (wrong.status_code, wrong.json["field"]) == (422, "file")
