"""Full stops in the middle of a sentence."""

import pytest

from models.text.sentences.segment import sentences


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", "Im 3. Quartal stieg der Umsatz."),
        ("de", "Der 2. Weltkrieg begann 1939."),
        ("de-AT", "Sie feierte in der 90. Minute ihren 80. Geburtstag."),
        ("fr", "Le ministre M. Dupont a vu MM. Roux et Petit."),
        ("it", "Secondo l'art. 3 il sig. Rossi ha ragione."),
        ("pl", "Dnia 3. maja był tu."),
        ("hu", "Itt volt 1939. május elején."),
        ("en", "It is approx. 5 km from here."),
    ],
)
def test_a_sentence_goes_on_after_an_ordinal_or_a_title(language, text):
    assert [text[a:b] for a, b in sentences(text, language)] == [text]


@pytest.mark.parametrize(
    ("language", "first", "second"),
    [
        ("de", "Es kamen 25.", "Dann ging er."),
        ("de", "Das war im Jahr 1939.", "Der Krieg begann."),
        ("fr", "Il aime la lettre b.", "Dupont aussi."),
        ("fr", "Ils étaient au 12.", "Puis ils sont partis."),
        ("en", "He drew it in fig. 4.", "It is good."),
        ("pl", "Byliśmy tam w 1939.", "Potem nie."),
    ],
)
def test_a_sentence_that_ends_in_a_number_or_a_letter_ends(language, first, second):
    text = f"{first} {second}"
    assert [text[a:b] for a, b in sentences(text, language)] == [first, second]
