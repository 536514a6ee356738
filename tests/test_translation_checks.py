"""Each check on translations: what it finds, what it lets pass, and that no text breaks it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.checks.flag import Flag, any_error, penalty
from models.checks.language.reading import Reading, word_forms
from models.checks.pair import Check, Pair
from models.checks.registry import TRANSLATION_CHECKS, run
from models.checks.translation.facts import check_numbers
from models.checks.translation.form import (
    check_echo,
    check_length,
    check_marks,
    check_repetition,
    check_script,
)
from models.checks.translation.verbatim import check_names, check_tokens, tokens
from models.cooperative import finish
from models.text.span import Span


def found(check: Check, source: str, output: str, languages: str = "en-fr") -> list[Flag]:
    one, other = languages.split("-")
    return list(check(Pair(Reading(source, one), Reading(output, other))))


def places(flags: list[Flag], output: str) -> list[str]:
    return [output[flag.span.start : flag.span.end] for flag in flags]


@pytest.mark.parametrize(
    ("languages", "source", "output"),
    [
        ("en-fr", "It weighs 1,234.5 tonnes.", "Il pèse 1 234,5 tonnes."),
        ("en-th", "They met on 3 May 2021.", "พวกเขาพบกันเมื่อวันที่ 3 พฤษภาคม 2564"),
        ("th-en", "พวกเขาพบกันเมื่อวันที่ 3 พฤษภาคม 2564", "They met on 3 May 2021."),
        ("en-ar", "It cost 3.5 million dollars.", "بلغت التكلفة 3.5 مليون دولار."),
        ("en-pl", "They are 2.3 billion.", "Jest ich 2,3 miliarda."),
        ("en-el", "It cost 3.5 million.", "Κόστισε 3,5 εκατομμύρια."),
        ("en-de", "It weighs 1,234.5 tonnes.", "Er wiegt 1.234,5 Tonnen."),
        ("en-zh", "It cost 2.5 million.", "花了250万。"),
        ("en-de", "It cost $1.2bn.", "Es kostete 1,2 Mrd. Dollar."),
        ("en-es", "It cost 2 billion.", "Costó 2000 millones."),
        ("en-ru", "up by 5%", "на пять процентов"),
        ("fr-en", "quatre-vingt-dix-sept maisons", "97 houses"),
        ("en-ru", "on April 29, 2018", "29.04.2018"),
        ("en-de", "on 4/29/2018", "am 29.4.2018"),
        ("en-zh", "on 29 April 2018", "2018年4月29日"),
        ("en-fr", "on 2018-04-29", "le 29 avril 2018"),
        ("en-fr", "at 3:30 p.m.", "à 15 h 30"),
        ("en-fr", "at 10 a.m.", "à 10 h 00"),
        ("en-de", "at 3pm", "um 15 Uhr"),
        ("en-it", "at 1.29 p.m.", "alle 13.29"),
        ("en-fr", "in the 21st century", "au XXIe siècle"),
        ("en-ru", "in the 1990s", "в 90-е годы"),
        ("en-zh", "in the 1990s", "20世纪90年代"),
        ("en-de", "They won 3-2.", "Sie gewannen 3:2."),
        ("en-fr", "hundreds of people", "beaucoup de gens"),
        ("en-fr", "one of two", "un des deux"),
        ("zh-en", "三名男子", "3 men"),
    ],
)
def test_a_number_may_be_written_in_the_other_languages_way(languages, source, output):
    assert found(check_numbers, source, output, languages) == []
    assert found(check_numbers, output, source, "-".join(reversed(languages.split("-")))) == []


def test_a_changed_number_is_one_flag_with_both_places():
    source, output = "It cost 1,250 euros.", "Cela a coûté 1 520 euros."
    (flag,) = found(check_numbers, source, output)
    assert (flag.kind, flag.severity) == ("number", "error")
    assert output[flag.span.start : flag.span.end] == "1 520"
    assert flag.source is not None
    assert source[flag.source.start : flag.source.end] == "1,250"
    assert "1,250" in flag.reason
    assert "1 520" in flag.reason


def test_lost_and_made_up_numbers():
    (lost,) = found(check_numbers, "Twenty-three people and 47 dogs came.", "23 personnes sont venues.")
    assert lost.source == Span(24, 26)
    output = "23 personnes et 99 chiens."
    (added,) = found(check_numbers, "Twenty-three people came.", output)
    assert places([added], output) == ["99"]
    assert added.source is None


@pytest.mark.parametrize(
    "token",
    [
        "https://a.example/b?c=1#d",
        "www.a-b.example.org/x",
        "ana.b@mail.example.org",
        "@ana_b",
        "#OpenDay2024",
        "{name}",
        "{{ user.name }}",
        "%s",
        "%(count)d",
        "%1$s",
        "$HOME",
        "${path}",
        "<br/>",
        '<a href="x.html">',
        ":smile:",
        "read_file",
        "notes.txt",
        "--dry-run",
    ],
)
def test_what_has_to_stay_to_the_letter(token):
    assert found(check_tokens, f"See {token} now.", f"Voir {token} maintenant.") == []
    (flag,) = found(check_tokens, f"See {token} now.", "Voir maintenant.")
    assert flag.severity == "error"
    assert flag.source == Span(4, 4 + len(token))
    assert token in flag.reason


def test_a_token_lost_once_of_twice_and_one_made_up():
    assert len(found(check_tokens, "{a} and {a}", "{a} et")) == 1
    output = "Voir https://a.example/2."
    lost, added = found(check_tokens, "See https://a.example/1.", output)
    assert lost.source == Span(4, 23)
    assert places([added], output) == ["https://a.example/2"]


def test_an_address_ends_before_punctuation_and_chinese():
    assert found(check_tokens, "See (https://a.example/b), now.", "https://a.example/b。", "en-zh") == []
    assert found(check_tokens, "参见https://a.example/b中的说明。", "See https://a.example/b.", "zh-en") == []


@pytest.mark.parametrize("text", ["Prices rose 50% so far.", "It cost US$300.", "3 < 4 > 2", "at 10:30: go"])
def test_signs_in_prose_are_no_tokens(text):
    assert tokens(text) == []


def test_an_echo_is_found_and_names_are_none():
    source = "The ministers met in the old town on Sunday."
    (flag,) = found(check_echo, source, source)
    assert (flag.kind, flag.severity, flag.span) == ("echo", "error", Span(0, len(source)))
    assert found(check_echo, source, source, "en-en") == []
    for same in ("Berlin", "OK", "Karine Jean-Pierre, Vienna", "12 345", "https://a.example", ""):
        assert found(check_echo, same, same) == []
    assert found(check_echo, source, "Les ministres se sont réunis dimanche.") == []


def test_a_half_translated_text_is_an_echo_and_a_title_a_warning():
    source = "The ministers met in the old town on Sunday and talked about the new law for hours."
    output = "Les ministres met in the old town on Sunday and talked about the new law."
    assert [flag.severity for flag in found(check_echo, source, output)] == ["error"]
    output = (
        "Les ministres se sont réunis, puis « met in the old town on Sunday and talked », et il a plu toute "
        "la journée dans la région, ce qui n'a surpris personne parmi les habitants."
    )
    assert [flag.severity for flag in found(check_echo, source, output)] == ["warning"]


@pytest.mark.parametrize(
    ("output", "loop"),
    [
        ("Il a dit que oui, que oui, que oui, que oui.", "que oui, que oui, que oui, que oui"),
        ("非常好的天气天气天气天气天气", "天气天气天气天气天气"),
        ("Nous avons mangé du pain. " * 2, None),
        ("aaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaa"),
        ("Bien, bien, bien, bien, bien !", "Bien, bien, bien, bien, bien"),
    ],
)
def test_loops(output, loop):
    flags = found(check_repetition, "We ate bread.", output)
    assert places(flags, output) == ([loop] if loop else [])


def test_a_repetition_of_the_source_is_no_loop():
    assert found(check_repetition, "No, no, no, no, no!", "Non, non, non, non, non !") == []
    assert found(check_repetition, "It was very, very good.", "C'était très, très bon.") == []


def test_a_long_text_twice_is_a_loop():
    text = "La maire a ouvert le pont lundi devant une foule venue de toute la région malgré la pluie"
    assert len(found(check_repetition, "The mayor opened the bridge.", f"{text}. {text}.")) == 1


LONG = (
    "The mayor opened the new bridge over the river on Monday, in front of a crowd that had come from all "
    "over the region in spite of the rain, and thanked the workers."
)
FRENCH = (
    "La maire a inauguré lundi le nouveau pont sur la rivière, devant une foule venue de toute la région "
    "malgré la pluie, et elle a remercié les ouvriers."
)


def test_lengths():
    assert found(check_length, LONG, FRENCH) == []
    (flag,) = found(check_length, LONG, FRENCH[:50])
    assert (flag.kind, flag.severity) == ("omission", "error")
    (flag,) = found(check_length, LONG, FRENCH * 3)
    assert (flag.kind, flag.severity) == ("addition", "error")
    (flag,) = found(check_length, LONG, " \n")
    assert (flag.kind, flag.severity, flag.source) == ("omission", "error", Span(0, len(LONG)))
    assert found(check_length, "", "") == []


@pytest.mark.parametrize("ending", ["...", "…", " et", ","])
def test_an_output_that_breaks_off(ending):
    (flag,) = found(check_length, LONG, FRENCH.rstrip(".") + ending)
    assert (flag.kind, flag.severity) == ("omission", "warning")


@pytest.mark.parametrize(
    ("language", "output", "severities"),
    [
        ("fr", "Привет, как дела?", ["error"]),
        ("ru", "Privet, kak dela?", ["error"]),
        ("ru", "Привет, как дела?", []),
        ("ru", "Компания IBM и журнал Time", []),
        ("zh", "你好，世界", []),
        ("ja", "你好世界今天的天气非常好我们去公园吧", ["error"]),
        ("ja", "今日は天気がとても良いので公園に行きましょう", []),
        ("sr", "Dobar dan, svete", []),
        ("sr", "Добар дан, свете", []),
        ("sr-Cyrl", "Dobar dan, svete", ["error"]),
        ("zh-Hant", "你好，世界", []),
        ("fr", "La maison Русский est ici", ["error"]),
        ("fr", "La mаison", ["error"]),  # a Cyrillic letter that looks Latin
        ("ru", "Ласкаво просимо до міста", ["warning"]),
        ("und", "Привет", []),
        ("xx", "Привет", []),
        ("ar", "مرحبا بالعالم", []),
        ("fr", "L'angle π vaut 3.", []),
    ],
)
def test_scripts(language, output, severities):
    flags = (
        found(check_script, "Hello, world", output, f"en-{language}")
        if "-" not in language
        else list(check_script(Pair(Reading("Hello, world", "en"), Reading(output, language))))
    )
    assert [flag.severity for flag in flags] == severities


def test_names_across_scripts():
    source = "Later Brett Kavanaugh met Karine Dupont."
    assert found(check_names, source, "Позже Бретт Кавано встретил Карин Дюпон.", "en-ru") == []
    (flag,) = found(check_names, source, "Позже он встретил Карин Дюпон.", "en-ru")
    assert (flag.kind, flag.severity, flag.source) == ("name", "warning", Span(6, 21))
    assert found(check_names, source, "后来他见了她。", "en-zh") == []


def test_a_misspelled_name_and_an_inflected_one():
    source, output = "Later Brett Kavanaugh spoke.", "Plus tard, Brett Kavenaugh a parlé."
    flags = found(check_names, source, output)
    assert places(flags, output) == ["Kavenaugh"]
    assert found(check_names, "He met Brett Kavanaugh.", "Er traf Brett Kavanaughs.", "en-de") == []
    assert found(check_names, "On Sunday in Germany it rained.", "Dimanche en Allemagne il a plu.") == []
    cousin = found(check_names, "Il joue en Ligue Europa.", "He plays in the Europa League.", "fr-en")
    assert cousin == []


def test_brackets_and_quotations():
    (flag,) = found(check_marks, "It rained (a lot).", "Il a plu (beaucoup.")
    assert (flag.severity, flag.span) == ("warning", Span(9, 10))
    assert found(check_marks, "It rained (a lot).", "下雨了（很大）。", "en-zh") == []
    quoted = 'She said: "We have waited for this day for many years."'
    assert len(found(check_marks, quoted, "Elle a dit que nous avions attendu ce jour.")) == 1
    assert found(check_marks, quoted, "Elle a dit : « Nous avons attendu ce jour. »") == []


def test_a_translation_without_a_word_has_lost_all():
    assert [flag.severity for flag in found(check_length, "The cat.", "...")] == ["error"]
    assert found(check_length, "...", "...") == []


def test_thai_sentences_have_no_full_stop():
    assert found(check_length, "They met in Vienna.", "พวกเขาพบกันที่เวียนนา", "en-th") == []
    assert found(check_length, "They met in Vienna.", "Ils se sont vus à Vienne", "en-fr") != []


def test_penalty_puts_what_loses_most_first():
    source = LONG + " It cost 12 euros."
    good, wrong, loop = FRENCH + " Il a coûté 12 euros.", FRENCH + " Il a coûté 15 euros.", "le pont " * 30
    one, two, three = (
        finish(run(TRANSLATION_CHECKS, Pair(Reading(source, "en"), Reading(output, "fr"))))
        for output in (good, wrong, loop)
    )
    assert penalty(one) == 0 < penalty(two) < penalty(three)
    assert not any_error(one)
    assert any_error(two)
    assert penalty([Flag("name", Span(0, 1), "", "warning")]) < penalty([Flag("name", Span(0, 1), "")])


def test_words_of_scripts_without_spaces_are_single_characters():
    assert [word.form for word in word_forms("L'été 2020: 天气好 OK")] == [
        "l'été",
        "2020",
        "天",
        "气",
        "好",
        "ok",
    ]


TEXTS = st.text(
    st.one_of(st.characters(), st.sampled_from(list(" .,:;!?\n()«»\"'%{}<>@#$/0123456789aAéЖя中国かな"))),
    max_size=80,
)
LANGUAGES = st.sampled_from(["en", "fr", "de", "ru", "zh", "ja", "ar", "sr-Latn", "pt-BR", "und", "xx", ""])


@settings(max_examples=300)
@given(TEXTS, TEXTS, LANGUAGES, LANGUAGES)
def test_any_texts_can_be_checked_and_flags_lie_within_them(source, output, one, other):
    for flag in finish(run(TRANSLATION_CHECKS, Pair(Reading(source, one), Reading(output, other)))):
        assert 0 <= flag.span.start <= flag.span.end <= len(output)
        assert flag.source is None or 0 <= flag.source.start < flag.source.end <= len(source)
        assert flag.reason.endswith(".")


@given(TEXTS, LANGUAGES)
def test_what_is_the_same_in_both_texts_is_never_missing(text, language):
    assert found_in(check_tokens, text, language) == []
    assert found_in(check_numbers, text, language) == []
    assert found_in(check_repetition, text, language) == []


def found_in(check: Check, text: str, language: str) -> list[Flag]:
    return list(check(Pair(Reading(text, language), Reading(text, language))))


@given(st.integers(0, 10**9), st.sampled_from([",", ".", "\u00a0", "\u202f", ""]))
def test_separators_never_change_a_number(number, separator):
    assert (
        found(check_numbers, f"{number:,} of them", f"{number:,} d'entre eux".replace(",", separator)) == []
    )
