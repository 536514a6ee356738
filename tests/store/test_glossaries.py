"""Named glossaries: what is kept, what is refused, and texts in and out."""

import csv
import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import InvalidInput, UnsupportedLanguage
from service.errors import UnknownGlossary
from service.store.database import Database
from service.store.glossaries import MOST_GLOSSARIES, Dictionary, Glossaries
from service.store.glossary_files import checked_entries, read_entries, write_tsv

PRINTABLE = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])
TERM = st.text(PRINTABLE, min_size=1, max_size=20).map(str.strip).filter(bool)
ENTRIES = st.dictionaries(TERM, TERM, min_size=1, max_size=8)


@pytest.fixture
def glossaries(database, languages):
    return Glossaries(database, languages)


def names(**entries):
    return Dictionary("en", "fr", entries)


# ---------------------------------------------------------------------- the store


def test_a_glossary_comes_back_as_it_was_put_in(glossaries, languages, tmp_path, database_url):
    made = glossaries.create(" Names ", [Dictionary("EN-us", "fra_Latn", {" the Hague ": "La Haye"})])
    again = Glossaries(Database(tmp_path, database_url), languages)  # as after a restart
    assert again.get(made.id) == made
    assert (made.name, [(p.source, p.target, p.size) for p in made.pairs]) == ("Names", [("en", "fr", 1)])
    assert again.entries(made.id, "en", "FR") == {"the Hague": "La Haye"}


def test_looking_one_up_reads_its_own_pair_alone(tmp_path, languages):
    steps = 0

    def count():
        nonlocal steps
        steps += 1

    database = Database(tmp_path)
    glossaries = Glossaries(database, languages)
    french = names(Vienna="Vienne")
    spent = []
    for number in (1, 3000):
        others = {f"word {i}": "Wort" for i in range(number)}
        made = glossaries.create(f"{number}", [french, Dictionary("en", "de", others)])
        with database.transaction(write=False) as db:  # the connection that is used again
            db.connection.driver_connection.set_progress_handler(count, 10)
        steps = 0
        assert glossaries.entries(made.name, "en", "fr") == french.entries
        assert glossaries.targets(made.name, "fr") == {"en": french.entries}
        spent.append(steps)
    assert 0 < spent[1] < 2 * spent[0]


def test_entries_are_added_or_replaced(glossaries):
    made = glossaries.create(
        "names", [names(cat="chat", dog="chien"), Dictionary("en", "de", {"cat": "Katze"})]
    )
    glossaries.update(made.id, dictionaries=[names(cat="minou", cow="vache")])
    assert glossaries.entries(made.id, "en", "fr") == {"cat": "minou", "cow": "vache", "dog": "chien"}
    after = glossaries.update(made.id, name="animals", dictionaries=[names(hen="poule")], replace=True)
    assert glossaries.entries(made.id, "en", "fr") == {"hen": "poule"}
    assert glossaries.entries(made.id, "en", "de") == {"cat": "Katze"}
    assert after.name == "animals"


def test_what_is_deleted_is_gone(glossaries):
    made = glossaries.create("names", [names(cat="chat"), Dictionary("en", "de", {"cat": "Katze"})])
    glossaries.delete_dictionary(made.id, "en", "fr")
    with pytest.raises(UnknownGlossary, match="nothing for en to fr"):
        glossaries.entries(made.id, "en", "fr")
    glossaries.delete(made.id)
    for call in (glossaries.get, glossaries.delete, lambda id: glossaries.entries(id, "en", "de")):
        with pytest.raises(UnknownGlossary):
            call(made.id)
    assert glossaries.all() == []
    remade = glossaries.create("names", [names(hen="poule")])
    assert glossaries.entries(remade.id, "en", "fr") == {"hen": "poule"}, "no entries are left over"


def test_it_is_found_by_id_and_by_name(glossaries):
    made = glossaries.create("names", [names(cat="chat"), Dictionary("de", "fr", {"Hund": "chien"})])
    by_source = {"en": {"cat": "chat"}, "de": {"Hund": "chien"}}
    assert glossaries.targets("names", "fr-CA") == glossaries.targets(made.id, "fr") == by_source
    with pytest.raises(UnknownGlossary) as wrong:
        glossaries.targets("names", "es")
    assert wrong.value.allowed == ["de to fr", "en to fr"]
    glossaries.create("names", [names(cow="vache")])
    with pytest.raises(UnknownGlossary, match="2 glossaries are named 'names'"):
        glossaries.targets("names", "fr")
    assert [g.name for g in glossaries.all()] == ["names", "names"]


@pytest.mark.parametrize(
    ("name", "dictionary", "field"),
    [
        ("  ", names(a="b"), "name"),
        ("n" * 1025, names(a="b"), "name"),
        ("n", Dictionary("en", "en-GB", {"a": "b"}), "target"),
        ("n", Dictionary("en", "fr", {}), "entries"),
        ("n", Dictionary("en", "fr", {"a": " "}), "entries"),
        ("n", Dictionary("en", "fr", {"a\n": "b\tc"}), "entries"),
        ("n", Dictionary("en", "fr", {"a": "b" * 1025}), "entries"),
        ("n", Dictionary("en", "fr", {"a": "b", " a ": "c"}), "entries"),
    ],
)
def test_what_is_no_glossary_is_refused_whole(glossaries, name, dictionary, field):
    with pytest.raises(InvalidInput) as wrong:
        glossaries.create(name, [Dictionary("de", "fr", {"gut": "bien"}), dictionary])
    assert wrong.value.field == field
    assert glossaries.all() == []


def test_a_wrong_update_changes_nothing(glossaries):
    made = glossaries.create("names", [names(cat="chat")])
    for wrong in (Dictionary("en", "xx", {"a": "b"}), Dictionary("en", "fr", {})):
        with pytest.raises((UnsupportedLanguage, InvalidInput)):
            glossaries.update(made.id, name="other", dictionaries=[wrong], replace=True)
    with pytest.raises(InvalidInput):
        glossaries.update(made.id, name=" ", dictionaries=[names(dog="chien")])
    assert glossaries.get(made.id) == made
    assert glossaries.entries(made.id, "en", "fr") == {"cat": "chat"}


def test_there_is_an_end_to_it(glossaries, monkeypatch):
    assert MOST_GLOSSARIES >= 1000
    monkeypatch.setattr("service.store.glossaries.MOST_GLOSSARIES", 2)
    monkeypatch.setattr("service.store.glossaries.MOST_CHARACTERS", 10)
    with pytest.raises(InvalidInput, match="12 characters"):
        glossaries.create("n", [names(cat="chat"), Dictionary("en", "de", {"cat": "ab"})])
    for _ in range(2):
        glossaries.create("n", [names(a="b")])
    with pytest.raises(InvalidInput, match="2 glossaries already"):
        glossaries.create("n", [names(a="b")])


def test_each_caller_has_a_share_of_the_disk(database, tmp_path, languages):
    all_of_them = Glossaries(database, languages, max_bytes=10_000)
    large = names(**{f"term{i}": "x" * 500 for i in range(12)})
    small = names(cat="chat")
    ann, bob = all_of_them.of("ann", "key-ann"), all_of_them.of("bob", "key-bob")
    made = ann.create("n", [large])
    more = names(**{f"other{i}": "x" * 500 for i in range(12)})
    for refused in (lambda: ann.create("m", [large]), lambda: ann.update(made.id, dictionaries=[more])):
        with pytest.raises(InvalidInput, match="of this caller would take") as wrong:
            refused()
        assert (wrong.value.field, wrong.value.allowed) == ("entries", "at most 10000 bytes")
    assert ann.get(made.id) == made and len(ann.all()) == 1, "what is refused changes nothing"
    ann.update(made.id, dictionaries=[small], replace=True)  # takes less than before
    ann.create("m", [large])
    bob.create("n", [large])

    # Without a key each address has a share, and all of them have eight.
    for i in range(9):
        nobody = all_of_them.of(None, f"address-{i}")
        nobody.create("n", [large])
        with pytest.raises(InvalidInput, match="of this caller"):
            nobody.create("n", [large])
    with pytest.raises(InvalidInput, match="of all callers without a key"):
        for i in range(20, 30):
            all_of_them.of(None, f"address-{i}").create("n", [large])
    bob.update(bob.all()[0].id, dictionaries=[small])
    assert sum(f.stat().st_size for f in tmp_path.iterdir()) < 1_000_000


def test_threads_may_share_it(glossaries):
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda i: glossaries.create(f"n{i}", [names(cat=f"chat{i}")]), range(16)))
    assert {g.id for g in glossaries.all()} == {g.id for g in made}
    assert all(glossaries.entries(g.id, "en", "fr") == {"cat": f"chat{g.name[1:]}"} for g in made)


# ---------------------------------------------------------------------- texts


@given(ENTRIES)
def test_tab_separated_lines_come_back(entries):
    assert read_entries(write_tsv(entries), "tsv") == entries


@given(ENTRIES, st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_comma_separated_lines_come_back(entries, end, codes):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=end)
    writer.writerows([*entry, "en", "fr"] if codes else entry for entry in entries.items())
    assert read_entries("\ufeff" + text.getvalue() + end, "csv") == entries


@pytest.mark.parametrize(
    ("text", "form", "said"),
    [
        ("", "tsv", "no entries"),
        ("\n \n", "csv", "no entries"),
        ("a\tb\nlonely\n", "tsv", "line 2 has 1 columns"),
        ("a\tb\tc\n", "tsv", "line 1 has 3 columns"),
        ("a,b,c\n", "csv", "line 1 has 3 columns"),
        ("a\tb\n\na\tc\n", "tsv", "line 3: 'a' appears twice"),
        ("a\t\n", "tsv", "line 1 has an empty side"),
        ('a,"b\n', "csv", "is not CSV"),
        ("a\tb\u2028c\n", "tsv", "control character"),
    ],
)
def test_a_wrong_line_refuses_the_text(text, form, said):
    with pytest.raises(InvalidInput, match=said) as wrong:
        read_entries(text, form, "tsv")
    assert wrong.value.field == "tsv"


def test_checked_names_the_term():
    check = checked_entries
    with pytest.raises(InvalidInput, match="'cat'"):
        check({"cat": ""})
