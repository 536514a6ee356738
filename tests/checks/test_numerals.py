import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.checks.language.numbers import numerals


def read(text: str, language: str = "en") -> list[tuple[str, float]]:
    return [(text[n.span.start : n.span.end], n.value) for n in numerals(text, language)]


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "It cost 1,950,000 in all.", [("1,950,000", 1950000)]),
        ("en", "It cost 1.95 million.", [("1.95 million", 1950000)]),
        ("en", "Some forty-one thousand came.", [("forty-one thousand", 41000)]),
        ("en", "Two boats, three crews.", [("Two", 2), ("three", 3)]),
        ("en", "Aged 8-17, they won 6-2.", [("8", 8), ("17", 17), ("6", 6), ("2", 2)]),
        ("en", "On the twenty-first and the 3rd.", [("twenty-first", 21), ("3rd", 3)]),
        ("en", "Nearly 3½ of them, or 1/4.", [("3½", 3.5), ("1/4", 0.25)]),
        ("en", "$3bn of 2 lakh.", [("3bn", 3e9), ("2 lakh", 200000)]),
        ("en", "12,34,567 rupees", [("12,34,567", 1234567)]),
        ("de", "1.234 Leute und 2,5 Millionen", [("1.234", 1234), ("2,5 Millionen", 2500000)]),
        ("de", "vierhundertzwölf, 3 Mrd. Euro", [("vierhundertzwölf", 412), ("3 Mrd", 3e9)]),
        ("fr", "12 500 euros, quatre-vingt-dix", [("12 500", 12500), ("quatre-vingt-dix", 90)]),
        ("es", "dos millones de 1.500 casas", [("dos millones", 2e6), ("1.500", 1500)]),
        ("ru", "двадцать пять тысяч и 3,5 млрд", [("двадцать пять тысяч", 25000), ("3,5 млрд", 3.5e9)]),
        ("zh", "约3万人,1.2亿元,三百二十只", [("3万", 30000), ("1.2亿", 1.2e8), ("三百二十", 320)]),
        ("zh", "保释金为 35 万美元", [("35 万", 350000)]),
        ("ja", "3万5000人と1億2300万円", [("3万5000", 35000), ("1億2300万", 123e6)]),
        ("ar", "١٢٣ كتابا", [("١٢٣", 123)]),
    ],
)
def test_values_are_read_in_any_locale(language, text, expected):
    assert read(text, language) == [(written, pytest.approx(value)) for written, value in expected]


def test_a_form_with_two_readings_keeps_both():
    assert numerals("1.234", "en")[0].values == (1.234, 1234)
    assert numerals("1.234", "de")[0].values == (1234, 1.234)
    assert numerals("5m wide", "en")[0].values == (5e6, 5)


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("40%", "%"),
        ("forty per cent", "%"),
        ("£12", "GBP"),
        ("12 dollars", "USD"),
        ("US$3bn", "USD"),
        ("12 km", ""),
    ],
)
def test_units(text, unit):
    assert numerals(text, "en")[0].unit == unit


@pytest.mark.parametrize(
    ("text", "minutes"), [("7.30pm", 1170), ("13:45", 825), ("7 a.m.", 420), ("12am", 0)]
)
def test_times_are_minutes_after_midnight(text, minutes):
    (time,) = numerals(text, "en")
    assert (time.kind, time.value) == ("time", minutes)


def test_a_new_line_parts_two_numbers():
    assert read("two\nthree thousand") == [("two", 2), ("three thousand", 3000)]


@given(st.integers(0, 10**12))
def test_separators_do_not_change_a_value(number):
    assert numerals(f"{number:,}", "en")[0].values[0] == number or number < 1000 * 1000
    assert number in numerals(f"{number:,}".replace(",", "."), "de")[0].values
    assert number in numerals(f"{number:,}".replace(",", "\u202f"), "fr")[0].values


@given(st.text(), st.sampled_from(["en", "de", "fr", "es", "ru", "zh", "ja", "ar", "und", "pt-BR", "xx"]))
def test_any_text_is_read_in_order_and_without_overlap(text, language):
    end = 0
    for number in numerals(text, language):
        assert end <= number.span.start < number.span.end <= len(text)
        assert number.values
        assert all(value >= 0 for value in number.values)
        end = number.span.end
