"""What `alt` and `title` say in HTML is translated, in its place within the tags."""

import pytest
from fake_pool import FakePool
from hypothesis import given
from hypothesis import strategies as st

from models.driver import run_all
from models.languages import Languages
from models.text.detect import LanguageDetector
from models.text.markup import html
from models.translate.translator import TranslationRequest, Translator

LANGUAGES = Languages.load()
TRANSLATOR = Translator(
    FakePool(LANGUAGES).as_pool, LANGUAGES, LanguageDetector(), default_model="facebook/m2m100_418M"
)


def translated(text, form="html", **options):
    request = TranslationRequest(text=text, source="en", target="fr", format=form, **options)
    return run_all([TRANSLATOR.steps(request)], deadline=None, wait=True)[0].unwrap()


@pytest.mark.parametrize(
    ("page", "shown"),
    [
        (
            '<p>See <a href="/x" title="A &quot;big&quot; map">it</a>.</p>',
            '<p>SEE <a href="/x" title="A &quot;BIG&quot; MAP">IT</a>.</p>',
        ),
        ("<img alt='A picture' src='a.png'><p>Yes.</p>", "<img alt='A PICTURE' src='a.png'><p>YES.</p>"),
        ('<img alt="Logo"> <img alt="Logo">', '<img alt="LOGO"> <img alt="LOGO">'),
        ('<img alt="" title="12 &amp; 13">', '<img alt="" title="12 &amp; 13">'),
        (
            '<a data-title="no" title = "Yes &amp; no">x</a>',
            '<a data-title="no" title = "YES &amp; NO">X</a>',
        ),
        (
            '<p translate="no" title="Name">Name</p><p>It.</p>',
            '<p translate="no" title="Name">Name</p><p>IT.</p>',
        ),
    ],
)
def test_attributes_that_a_reader_reads(page, shown):
    assert translated(page).translation == shown


def test_each_is_a_segment_once_and_has_its_place():
    page = '<p>See it.</p><img alt="The map of it"><img alt="The map of it">'
    done = translated(page)
    assert [page[s.source.start : s.source.end] for s in done.segments] == ["See it.", "The map of it"]


@pytest.mark.parametrize("form", ["xml", "markdown"])
def test_other_formats_keep_them(form):
    page = '<div title="A map">\n\nIt is here.\n\n</div>'
    assert 'title="A map"' in translated(page, form).translation


@given(st.lists(st.text(alphabet="ab <>'&;.é", max_size=12), min_size=1, max_size=6))
def test_any_value_comes_back_in_its_tag(values):
    page = "".join(f'<p><img alt="{value}">a</p>' for value in values)
    said = {value: f"{value}!" for value in values}
    back = html.put_attributes(page, said)
    assert back.count("<img alt=") == len(values)
    assert back.replace("!", "") == page
