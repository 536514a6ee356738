"""The checks on translations: what each finds and lets pass, and which sentence stands for which."""

from itertools import permutations

import pytest
from babel import Locale
from checked import check_translation
from hypothesis import given, settings
from hypothesis import strategies as st

from models.checks.flag import Flag, any_error, penalty
from models.checks.language.entities import Entity, hints, mentions, name_in
from models.checks.language.negation import denials
from models.checks.language.reading import Reading
from models.checks.pair import Check, Pair
from models.checks.registry import TRANSLATION_CHECKS, CheckedSentence, run
from models.checks.translation.alignment import align
from models.checks.translation.facts import (
    check_bounds,
    check_entities,
    check_negation,
    check_numbers,
    check_separators,
    check_times,
    right_forms,
)
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

FACT_LANGUAGES = ("en", "fr", "de", "es", "it", "pt", "ru", "zh", "pl", "nl", "ar", "ja", "tr", "sv")
ANY_LANGUAGE = st.sampled_from(FACT_LANGUAGES)


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
        ("en-fr", "half a million people", "500 000 personnes"),
        ("en-fr", "1.5 million people", "un million et demi de personnes"),
        ("en-it", "nine new houses", "nove case nuove"),
        ("zh-en", "三名男子", "3 men"),
    ],
)
def test_a_number_may_be_written_in_the_other_languages_way(languages, source, output):
    assert found(check_numbers, source, output, languages) == []
    assert found(check_numbers, output, source, "-".join(reversed(languages.split("-")))) == []


@pytest.mark.parametrize(
    ("check", "languages", "source", "right", "wrong"),
    [
        (check_numbers, "de-it", "eine Million Menschen", "un milione di persone", "mille persone"),
        (check_numbers, "en-es", "a billion dollars", "mil millones de dólares", "un billón de dólares"),
        (check_numbers, "en-de", "a billion dollars", "eine Milliarde Dollar", "eine Billion Dollar"),
        (check_numbers, "en-fr", "thousands of people", "des milliers de gens", "des millions de gens"),
        (check_numbers, "en-zh", "millions of people", "数百万人", "数千人"),
        (check_numbers, "it-en", "Dieci esperti", "Ten experts", "Eleven experts"),
        (check_bounds, "en-fr", "less than a month", "moins d'un mois", "au moins un mois"),
        (check_bounds, "en-fr", "less than a month", "moins d'un mois", "plus de un mois"),
        (check_bounds, "de-es", "mindestens sechs", "por lo menos seis", "no más de seis"),
        (check_bounds, "en-ru", "no more than six", "не более шести", "не менее шести"),
        (check_bounds, "en-zh", "more than six", "超过六个", "不到六个"),
        (check_bounds, "it-pt", "quasi sei", "cerca de seis", "mais de seis"),
    ],
)
def test_a_number_in_words_or_its_bound_that_became_another(check, languages, source, right, wrong):
    assert found(check, source, right, languages) == []
    (flag,) = found(check, source, wrong, languages)
    assert (flag.kind, flag.severity) == ("number", "error")


@pytest.mark.parametrize(
    ("languages", "source", "output"),
    [
        (
            "en-fr",
            "He wants more than ever to live near Paris.",
            "Il veut plus que jamais vivre près de Paris.",
        ),
        ("en-de", "More than ever she lives under pressure.", "Mehr denn je lebt sie unter Druck."),
        ("en-ru", "More than ever he thinks of life before the war.", "Он думает о жизни до войны."),
        ("fr-en", "Il n'y a plus de pain.", "There is nearly no bread left."),
        ("zh-en", "最近他很忙。", "He has been busy more than ever."),
    ],
)
def test_words_that_bound_no_number_bound_nothing(languages, source, output):
    assert found(check_bounds, source, output, languages) == []


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


# each as English, French, German, Spanish, Italian and Portuguese write it
FOREIGN_NAMES = """
Vladimir Putin, Vladimir Poutine, Wladimir Putin, Vladímir Putin, Vladimir Putin, Vladimir Putin
Boris Yeltsin, Boris Eltsine, Boris Jelzin, Borís Yeltsin, Boris Eltsin, Boris Ieltsin
Anton Chekhov, Anton Tchekhov, Anton Tschechow, Antón Chéjov, Anton Čechov, Anton Tchékhov
Alexei Navalny, Alexeï Navalny, Alexei Nawalny, Alekséi Navalni, Aleksej Navalnyj, Alexei Navalny
Viktor Yanukovych, Viktor Ianoukovitch, Viktor Janukowytsch, Víktor Yanukóvich, Viktor Janukovyč, Viktor Yanukovych
Sergei Shoigu, Sergueï Choïgou, Sergej Schoigu, Serguéi Shoigú, Sergej Šojgu, Serguei Shoigu
Andreas Papandreou, Andréas Papandréou, Andreas Papandreou, Andreas Papandréu, Andreas Papandreou, Andreas Papandreou
Bashar Mubarak, Bachar Moubarak, Baschar Mubarak, Bashar Mubarak, Bashar Mubarak, Bashar Mubarak
""".strip().splitlines()  # noqa: E501


def test_a_foreign_name_is_spelled_as_each_language_spells_it():
    languages = ("en", "fr", "de", "es", "it", "pt")
    for line in FOREIGN_NAMES:
        names = list(zip(languages, line.split(", "), strict=True))
        for (one, source), (other, output) in permutations(names, 2):
            pair = f"Later {source} spoke.", f"Later {output} spoke."
            assert found(check_names, *pair, f"{one}-{other}") == [], (source, output)
    for wrong in ("Vladimir Pudin", "Vlodimir Putin"):
        assert found(check_names, "Later Vladimir Putin spoke.", f"Plus tard, {wrong} a parlé.") != []


def test_a_name_may_become_its_initials_and_institutions_are_translated():
    source = "Later the Vereinte Brandtner left."
    assert found(check_names, source, "Puis la V.B. est partie.") == []
    assert found(check_names, source, "Puis la ville est partie.") != []
    assert found(check_names, "Habló el Partido Republicano.", "The other party spoke.", "es-en") == []


def test_a_misspelled_name_and_an_inflected_one():
    source, output = "Later Brett Kavanaugh spoke.", "Plus tard, Brett Kavenaugh a parlé."
    flags = found(check_names, source, output)
    assert places(flags, output) == ["Kavenaugh"]
    assert found(check_names, "He met Brett Kavanaugh.", "Er traf Brett Kavanaughs.", "en-de") == []
    assert found(check_names, "On Sunday in Germany it rained.", "Dimanche en Allemagne il a plu.") == []
    cousin = found(check_names, "Il joue en Ligue Europa.", "He plays in the Europa League.", "fr-en")
    assert cousin == []


def test_brackets():
    (flag,) = found(check_marks, "It rained (a lot).", "Il a plu (beaucoup.")
    assert (flag.severity, flag.span) == ("warning", Span(9, 10))
    assert found(check_marks, "It rained (a lot).", "下雨了（很大）。", "en-zh") == []


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
    assert [word.form for word in Reading("L'été 2020: 天气好 OK", "und").word_forms] == [
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


# Facts


@pytest.mark.parametrize(
    ("languages", "source", "output", "kinds"),
    [
        ("en-fr", "Germany left on Tuesday.", "L'Allemagne est partie mardi.", []),
        ("en-fr", "Germany left on Tuesday.", "L'Autriche est partie mercredi.", ["date", "place"]),
        ("en-de", "on Wednesday in May", "am Donnerstag im Juni", ["date", "date"]),
        ("en-de", "on Wednesday morning", "am Mittwochmorgen", []),
        ("en-fr", "on Dec. 26", "le 26\u00a0avril", ["date"]),
        ("en-de", "on Dec. 26", "am 26. August", ["date"]),
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
        ("en-es", "North Korea fired.", "Corea del Sur disparó.", ["place"]),
        ("en-es", "North Korean troops left.", "Las tropas surcoreanas se fueron.", ["place"]),
        ("en-fr", "the South Korean president", "le président sud-coréen", []),
        ("en-es", "In South America it rains.", "En América del Sur llueve.", []),
        ("de-en", "in Nordalgerien", "in northern Algeria", []),
        ("ru-en", "5000 долларов США", "$5,000", []),
        ("en-it", "discovered by Christopher Columbus", "scoperto da Cristoforo Colombo", []),
        ("en-fr", "before the summer", "avant le printemps", ["date"]),
        ("en-fr", "before the summer", "avant l'été", []),
        ("en-zh", "in winter", "在夏季", ["date"]),
        ("en-fr", "from France to Italy", "de la France à la France", ["place"]),
        ("en-fr", "Italy beat France in Italy.", "L'Italie a battu la France en France.", ["place"]),
        (
            "en-fr",
            "The US envoy to China said Beijing hurt American and US firms.",
            "L'envoyé de la Chine en Chine a dit que Pékin nuit aux firmes américaines.",
            ["place"],
        ),
        (
            "en-zh",
            "The US envoy to China, from Iowa, a big exporter to China, said Beijing hurt American firms.",
            "来自爱荷华州的美国驻华大使说，爱荷华州是美国的主要出口州，美国北京伤害了美国企业。",
            ["place"],
        ),
        (
            "en-it",
            "US officials told of a campaign by Washington to press China over US elections and Beijing.",
            "Funzionari degli Stati Uniti dicono di una campagna di Washington sulle elezioni statunitensi e "
            "Pechino per far pressione sugli Stati Uniti.",
            ["place"],
        ),
        ("en-zh", "emitters like India and China are reducing", "印度和印度等国减排中的责任", ["place"]),
        ("en-zh", "the US sells bonds and US banks lend China money", "美国出售债券，美国银行借钱给中方", []),
        ("en-es", "The terror suspect is in NYC.", "El sospechoso está en Nueva York.", []),
        ("de-en", "aus Niederösterreich und Neuengland", "from Lower Austria and New England", []),
        ("zh-en", "沿海地区", "the coast", []),
        ("es-en", "el presidente de los EUA en Beijing", "the U.S. president in Beijing", []),
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
    st.sampled_from(FACT_LANGUAGES),
    st.sampled_from(FACT_LANGUAGES),
    st.integers(0, 6),
    st.integers(1, 12),
    st.data(),
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
        ("en-es", "No injuries were reported.", "Se informó de heridos.", True),
        ("en-es", "It is no doubt true.", "Es seguramente cierto.", False),
        ("es-en", "No obstante, vino.", "However, he came.", False),
        ("en-fr", "It arrived at No. 31.", "Il est arrivé à la 31e place.", False),
        ("en-fr", "She sang “I Didn't Know Why”.", "Elle a chanté « I Didn't Know Why ».", False),
        ("it-en", "Non l'ho mai visto, nemmeno ieri.", "I never saw him, even yesterday.", False),
        ("en-fr", "He never came without her.", "Il est venu sans elle.", True),
        ("en-fr", "He never came.", "Il est venu sans elle.", False),
        ("en-es", "However, they did not come.", "Sin embargo, vinieron.", True),
        ("en-es", "No study has been published.", "Se ha publicado ningún estudio.", True),
        ("en-es", "Nobody came and nothing happened.", "Nadie vino y nada ocurrió.", False),
        ("en-fr", "He no longer works.", "Il travaille plus.", True),
        ("en-de", "Not only France came.", "Nur Frankreich kam.", True),
        ("en-fr", "It is just not true.", "C'est vrai.", True),
        ("de-en", "Er war nie in Berlin.", "Annie in Berlin was.", True),
        ("es-en", "El misil no cayó.", "The missile fell.", True),
        ("en-pt", "The negotiations are not over.", "As negociações terminaram.", True),
        ("en-pt", "That does not just happen here.", "Isso não acontece só aqui.", False),
        ("en-ru", "He did not come despite the rain.", "Он пришёл, несмотря на дождь.", True),
        ("en-pl", "He did not come.", "On przyszedł.", False),
    ],
)
def test_lost_negations(languages, source, output, lost):
    flags = found(check_negation, source, output, languages)
    assert [flag.severity for flag in flags] == (["warning"] if lost else [])


def test_french_negates_with_two_words_at_once():
    assert denials(Reading("Il n'a pas dit que ce n'est jamais vrai.", "fr")).possible == 2
    assert len(denials(Reading("It's not true that he can't.", "en")).sure) == 2


def test_ordinary_words_of_a_name_are_translated_and_people_are_not():
    assert found(check_names, "The Cold War ended.", "La guerre froide a pris fin.") == []
    assert found(check_names, "He left the White House.", "Il a quitté la Maison-Blanche.") == []
    assert found(check_names, "Das Vereinigte Königreich geht.", "The UK leaves.", "de-en") == []
    source = "The ruling by Judge Helen Brandt came late."
    assert found(check_names, source, "La décision de la juge Helen Brandt est venue tard.") == []
    (flag,) = found(check_names, source, "La décision est venue tard.")
    assert source[slice(*flag.source)] == "Judge Helen Brandt"


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60), st.sampled_from([*FACT_LANGUAGES, "und", "", "x-y"]))
def test_any_text_can_be_read_and_what_it_names_it_may_name(text, language):
    reading = Reading(text, language)
    sure = mentions(reading)
    assert {mention.entity for mention in sure} <= hints(reading, sure).keys()
    assert all(0 <= m.span.start < m.span.end <= len(text) for m in sure)
    found = denials(reading)
    assert found is None or found.possible >= min(1, len(found.sure)) or language == "zh"


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


# Whole translations

ARTICLE = [
    "The mayor of Linz opened the new bridge over the Danube on Monday morning.",
    "It cost 12 million euros and took three years to build.",
    "Some 400 people came in spite of the heavy rain.",
    "Her predecessor Karl Brandner was not invited to the ceremony.",
    "The first tram will cross the river in September 2031.",
]
TRANSLATION = [
    "La maire de Linz a inauguré lundi matin le nouveau pont sur le Danube.",
    "Il a coûté 12 millions d'euros et sa construction a duré trois ans.",
    "Quelque 400 personnes sont venues malgré la forte pluie.",
    "Son prédécesseur Karl Brandner n'a pas été invité à la cérémonie.",
    "Le premier tramway traversera le fleuve en septembre 2031.",
]


def checked(source: list[str], output: list[str], separator: str = " ") -> list[CheckedSentence]:
    return check_translation(separator.join(source), separator.join(output), "en", "fr")


def flags_of(sentences: list[CheckedSentence]) -> list[Flag]:
    return [flag for sentence in sentences for flag in sentence.flags]


def shapes(source: list[str], output: list[str], separator: str = " ") -> list[tuple[int, int]]:
    beads = finish(align(Reading(separator.join(source), "en"), Reading(separator.join(output), "fr")))
    return [(len(bead.source), len(bead.output)) for bead in beads]


def test_each_sentence_has_the_one_it_translates_as_evidence():
    source = " ".join(ARTICLE)
    found = checked(ARTICLE, TRANSLATION)
    evidence = [source[e.span.start : e.span.end] for sentence in found for e in sentence.evidence]
    assert evidence == ARTICLE
    assert all(0.5 < e.score <= 1 for sentence in found for e in sentence.evidence)
    assert flags_of(found) == []


@pytest.mark.parametrize("separator", [" ", "\n", "\n\n"])
@pytest.mark.parametrize("lost", range(5))
def test_a_lost_sentence_is_flagged_where_it_should_be(lost, separator):
    output = TRANSLATION[:lost] + TRANSLATION[lost + 1 :]
    found = checked(ARTICLE, output, separator)
    (flag,) = flags_of(found)
    assert (flag.kind, flag.severity) == ("omission", "error")
    start = len(separator.join(ARTICLE[:lost])) + len(separator) * (lost > 0)
    assert flag.source == Span(start, start + len(ARTICLE[lost]))
    place = len(separator.join(TRANSLATION[:lost]))
    assert flag.span == Span(place, place)


@pytest.mark.parametrize("separator", [" ", "\n"])
@pytest.mark.parametrize("added", range(5))
def test_an_added_sentence_is_flagged_and_has_no_evidence(added, separator):
    source = ARTICLE[:added] + ARTICLE[added + 1 :]
    found = checked(source, TRANSLATION, separator)
    (flag,) = flags_of(found)
    assert (flag.kind, flag.severity) == ("addition", "error")
    assert flag.span == found[added].span
    assert found[added].evidence == ()
    assert flag.source is None


def test_sentences_joined_or_parted_by_the_translator():
    joined = [
        *TRANSLATION[:1],
        TRANSLATION[1].rstrip(".") + ", et " + TRANSLATION[2][0].lower() + TRANSLATION[2][1:],
        *TRANSLATION[3:],
    ]
    assert shapes(ARTICLE, joined) == [(1, 1), (2, 1), (1, 1), (1, 1)]
    parted = [
        *TRANSLATION[:1],
        "Il a coûté 12 millions d'euros.",
        "Sa construction a duré trois ans.",
        *TRANSLATION[2:],
    ]
    assert shapes(ARTICLE, parted) == [(1, 1), (1, 2), (1, 1), (1, 1), (1, 1)]
    assert [len(sentence.evidence) for sentence in checked(ARTICLE, joined)] == [1, 2, 1, 1]


def test_as_many_lines_are_aligned_line_by_line():
    source = ["Yes.", "The mayor of Linz opened the new bridge.", "No."]
    output = ["Oui. Oui.", "La maire de Linz a inauguré le nouveau pont.", "Non."]
    assert shapes(source, output, "\n") == [(1, 2), (1, 1), (1, 1)]


def test_flags_lie_in_the_whole_output():
    output = list(TRANSLATION)
    output[2] = output[2].replace("400", "4000")
    found = checked(ARTICLE, output)
    (flag,) = found[2].flags
    assert flag.kind == "number"
    assert " ".join(output)[flag.span.start : flag.span.end] == "4000"
    assert flag.source is not None
    assert " ".join(ARTICLE)[flag.source.start : flag.source.end] == "400"


def test_an_empty_output_still_says_what_is_missing():
    (sentence,) = checked(ARTICLE[:2], [""])
    assert (sentence.span, sentence.evidence) == (Span(0, 0), ())
    assert [flag.kind for flag in sentence.flags] == ["omission", "omission"]
    assert checked([""], [""]) == []


def test_a_long_document_is_aligned_in_time():
    source, output = ARTICLE * 60, TRANSLATION * 60
    del output[150]
    (flag,) = flags_of(checked(source, output))
    assert flag.source is not None
    assert abs(flag.source.start - len(" ".join(source[:150])) - 1) <= 2 * max(map(len, source))


SENTENCES = st.lists(
    st.one_of(
        st.sampled_from([*ARTICLE, *TRANSLATION, "\n", "Oui.", "“Ah! ", "\u2028"]), st.text(max_size=12)
    ),
    max_size=8,
).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(SENTENCES, SENTENCES, st.sampled_from(["en", "zh", "und"]), st.sampled_from(["fr", "ja", "und"]))
def test_every_sentence_of_both_is_accounted_for(source, output, one, other):
    theirs, ours = Reading(source, one), Reading(output, other)
    beads = finish(align(theirs, ours))
    assert [span for bead in beads for span in bead.source] == theirs.sentences
    assert [span for bead in beads for span in bead.output] == ours.sentences
    assert all(0 <= bead.score <= 1 for bead in beads)
    found = check_translation(source, output, one, other)
    assert [sentence.span for sentence in found] == (ours.sentences or [Span(0, 0)] * bool(theirs.sentences))
    for flag in flags_of(found):
        assert 0 <= flag.span.start <= flag.span.end <= len(output)
        assert flag.source is None or source[flag.source.start : flag.source.end].strip()
