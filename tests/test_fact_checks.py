"""Facts in translations: days, months, places, times, separators, negation and names."""

import pytest
from babel import Locale
from hypothesis import given, settings
from hypothesis import strategies as st

from models.checks.flag import Flag
from models.checks.language.entities import Entity, hints, mentions, name_in
from models.checks.language.negation import negations, possible
from models.checks.language.reading import Reading
from models.checks.pair import Check, Pair
from models.checks.translation.facts import (
    check_entities,
    check_negation,
    check_numbers,
    check_separators,
    check_times,
    right_forms,
)
from models.checks.translation.verbatim import check_names

LANGUAGES = ("en", "fr", "de", "es", "it", "pt", "ru", "zh", "pl", "nl", "ar", "ja", "tr", "sv")


def found(check: Check, source: str, output: str, languages: str = "en-fr") -> list[Flag]:
    one, other = languages.split("-")
    return [flag for flag in check(Pair(Reading(source, one), Reading(output, other))) if flag]


@pytest.mark.parametrize(
    ("languages", "source", "output", "kinds"),
    [
        ("en-fr", "Germany left on Tuesday.", "L'Allemagne est partie mardi.", []),
        ("en-fr", "Germany left on Tuesday.", "L'Autriche est partie mercredi.", ["date", "place"]),
        ("en-de", "on Wednesday in May", "am Donnerstag im Juni", ["date", "date"]),
        ("en-de", "on Wednesday morning", "am Mittwochmorgen", []),
        ("en-de", "May you live long.", "Mögest du lange leben.", []),
        ("ru-en", "Он приехал в среду из Германии.", "He came on Wednesday from Germany.", []),
        ("ru-en", "Он приехал в среду из Германии.", "He came on Thursday from Germany.", ["date"]),
        ("ru-en", "охрана окружающей среды", "protection of the environment", []),
        ("en-pt", "He came on Thursday.", "Ele veio na quinta.", []),
        ("en-pt", "He came on Thursday.", "Ele veio na sexta-feira.", ["date"]),
        ("pt-en", "um marco da cultura", "a milestone of culture", []),
        ("en-zh", "on Thursday in May", "五月的星期四", []),
        ("en-zh", "on Thursday in May", "5月5日，周五", ["date"]),
        ("zh-en", "一周四天工作", "a four-day week", []),
        ("en-ar", "on Thursday from France", "يوم الجمعة من إيطاليا", ["date", "place"]),
        ("en-es", "U.S. forces left.", "Las fuerzas estadounidenses se fueron.", []),
        ("en-fr", "the Dutch and the Swiss", "les Néerlandais et les Suisses", []),
        ("en-zh", "Athens insists on it.", "希腊坚持认为如此。", []),
        ("en-fr", "She lives in Moscow.", "Elle vit à Moscou.", []),
        ("en-fr", "She lives in Moscow.", "Elle vit à Varsovie.", ["place"]),
        ("en-it", "He read the Sunday Times.", "Lesse il Sunday Times.", []),
        ("zh-en", "马里兰州", "Maryland", []),
    ],
)
def test_days_months_and_places(languages, source, output, kinds):
    assert sorted(flag.kind for flag in found(check_entities, source, output, languages)) == kinds


def test_a_changed_country_is_one_error_with_both_places_and_a_lost_one_a_warning():
    source, output = "Talks with Iran failed.", "Les pourparlers avec l'Irak ont échoué."
    (flag,) = found(check_entities, source, output)
    assert (flag.severity, output[slice(*flag.span)], source[slice(*flag.source)]) == (
        "error",
        "Irak",
        "Iran",
    )
    (flag,) = found(check_entities, source, "Les pourparlers ont échoué.")
    assert flag.severity == "warning"
    assert "Iran" in flag.reason
    (flag,) = found(check_entities, "Talks failed.", output)
    assert flag.severity == "warning"


def test_known_people_have_a_form_in_each_language():
    assert found(check_entities, "Putin spoke.", "Poutine a parlé.") == []
    (flag,) = found(check_entities, "Putin spoke.", "Putin a parlé.")
    assert (flag.kind, flag.severity) == ("name", "warning")
    assert "Poutine" in flag.reason
    assert found(check_entities, "Putin spoke.", "Putin hat gesprochen.", "en-de") == []
    assert name_in(Entity("place", "Beijing"), "fr") == "Pékin"
    assert name_in(Entity("weekday", "0"), "fr-CA") == "lundi"


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(LANGUAGES), st.sampled_from(LANGUAGES), st.integers(0, 6), st.integers(1, 12), st.data()
)
def test_the_same_day_month_and_country_are_found_in_any_two_languages(one, other, day, month, data):
    country = data.draw(st.sampled_from(["FR", "DE", "IT", "JP", "IN", "IR", "PL", "CA", "MX", "EG"]))
    texts = [_dated(language, day, month, country) for language in (one, other)]
    assert found(check_entities, *texts, f"{one}-{other}") == []
    changed = _dated(other, (day + 3) % 7, month % 12 + 1, "BR")
    kinds = [flag.kind for flag in found(check_entities, texts[0], changed, f"{one}-{other}")]
    assert {"date", "place"} <= set(kinds)


def _dated(language: str, day: int, month: int, country: str) -> str:
    locale = Locale(language)
    names = locale.days["format"]["wide"][day], locale.months["format"]["wide"][month]
    # a day of the month, for months whose name is another word, too
    return f"{names[0]} 1 {names[1]}, {locale.territories[country]}."


@pytest.mark.parametrize(
    ("languages", "source", "output", "wrong"),
    [
        ("en-de", "They met at 2 p.m. there.", "Sie trafen sich dort um 2 Uhr.", True),
        ("en-de", "They met at 2 p.m. there.", "Sie trafen sich dort um 14 Uhr.", False),
        ("en-de", "They met at 2 p.m. there.", "Sie trafen sich dort um 2 Uhr nachmittags.", False),
        ("en-fr", "at 2:30 p.m.", "à 2h30", True),
        ("en-fr", "at 2:30 p.m.", "à 14 h 30", False),
        ("en-fr", "at 9 a.m.", "à 21 heures", True),
        ("de-en", "um 14 Uhr", "at 2 p.m.", False),
        ("de-en", "um 14 Uhr", "at 2 a.m.", True),
        ("en-es", "at 2 p.m.", "a las 2 de la tarde", False),
    ],
)
def test_times_of_day(languages, source, output, wrong):
    assert bool(found(check_times, source, output, languages)) == wrong


def test_separators_that_mean_another_number():
    assert found(check_separators, "Es kostet 1.184 Euro.", "It costs 1,184 euros.", "de-en") == []
    (flag,) = found(check_separators, "Es kostet 1.184 Euro.", "It costs 1.184 euros.", "de-en")
    assert flag.severity == "error"
    assert found(check_separators, "It is 1,184 km.", "Son 1,184 km.", "en-es") != []
    assert found(check_separators, "version 2.4", "Version 2.4", "en-de") == []


@pytest.mark.parametrize(
    ("languages", "source", "output", "lost"),
    [
        ("en-fr", "The minister did not resign.", "Le ministre n'a pas démissionné.", False),
        ("en-fr", "The minister did not resign.", "Le ministre a démissionné.", True),
        ("en-fr", "The minister didn’t resign.", "Le ministre a refusé de démissionner.", False),
        ("en-fr", "He didn't go and she didn't stay.", "Il n'est pas allé et elle est restée.", True),
        ("en-de", "Not only France came.", "Auch Frankreich kam.", False),
        ("de-en", "Er ist nie gekommen.", "He came.", True),
        ("ru-en", "Он не пришёл.", "He came.", True),
        ("ru-en", "Никто никогда не приходил.", "Nobody came.", False),
        ("zh-en", "他没有来。", "He came.", True),
        ("en-zh", "He did not come.", "他来了。", True),
        ("en-pl", "He did not come.", "On przyszedł.", False),
    ],
)
def test_lost_negations(languages, source, output, lost):
    flags = found(check_negation, source, output, languages)
    assert [flag.severity for flag in flags] == (["warning"] if lost else [])


def test_french_negates_with_two_words_at_once():
    assert possible(Reading("Il n'a pas dit que ce n'est jamais vrai.", "fr")) == 2
    assert len(list(negations(Reading("It's not true that he can't.", "en")))) == 2


def test_ordinary_words_of_a_name_are_translated_and_people_are_not():
    assert found(check_names, "The Cold War ended.", "La guerre froide a pris fin.") == []
    assert found(check_names, "He left the White House.", "Il a quitté la Maison-Blanche.") == []
    assert found(check_names, "Das Vereinigte Königreich geht.", "The UK leaves.", "de-en") == []
    source = "The ruling by Judge Helen Brandt came late."
    assert found(check_names, source, "La décision de la juge Helen Brandt est venue tard.") == []
    (flag,) = found(check_names, source, "La décision est venue tard.")
    assert source[slice(*flag.source)] == "Judge Helen Brandt"


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60), st.sampled_from([*LANGUAGES, "und", "", "x-y"]))
def test_any_text_can_be_read_and_what_it_names_it_may_name(text, language):
    reading = Reading(text, language)
    sure = mentions(reading)
    assert {mention.entity for mention in sure} <= hints(reading, sure)
    assert all(0 <= m.span.start < m.span.end <= len(text) for m in sure)
    assert possible(reading) >= min(1, len(list(negations(reading))))


@pytest.mark.parametrize(
    ("languages", "source", "output", "forms"),
    [
        (
            "en-fr",
            "Germany met Putin on Tuesday.",
            "L'Autriche a vu Putin mercredi.",
            ["Allemagne", "Poutine", "mardi"],
        ),
        ("en-de", "It cost 12,500 euros.", "Es kostete 12.300 Euro.", ["12.500"]),
        ("en-ru", "He came on Tuesday.", "Он приехал в среду.", []),  # Russian inflects names
        ("en-fr", "He came on Tuesday.", "Il est venu mardi.", []),
        ("en-fr", "It cost 1.5 million.", "Cela a coûté 2 euros.", []),
    ],
)
def test_the_right_forms_of_wrong_facts(languages, source, output, forms):
    one, other = languages.split("-")
    pair = Pair(Reading(source, one), Reading(output, other))
    flags = [*check_entities(pair), *check_numbers(pair)]
    assert [form for _, form in sorted(right_forms(pair, flags))] == forms
