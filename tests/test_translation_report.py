"""A translation held against its source: which sentence stands for which, what is missing, where."""

import pytest
from checked import check_translation
from hypothesis import given, settings
from hypothesis import strategies as st

from models.checks.flag import Flag
from models.checks.language.reading import Reading
from models.checks.registry import CheckedSentence
from models.checks.translation.alignment import align
from models.cooperative import finish
from models.text.span import Span

ENGLISH = [
    "The mayor of Linz opened the new bridge over the Danube on Monday morning.",
    "It cost 12 million euros and took three years to build.",
    "Some 400 people came in spite of the heavy rain.",
    "Her predecessor Karl Brandner was not invited to the ceremony.",
    "The first tram will cross the river in September 2031.",
]
FRENCH = [
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
    source = " ".join(ENGLISH)
    found = checked(ENGLISH, FRENCH)
    evidence = [source[e.span.start : e.span.end] for sentence in found for e in sentence.evidence]
    assert evidence == ENGLISH
    assert all(0.5 < e.score <= 1 for sentence in found for e in sentence.evidence)
    assert flags_of(found) == []


@pytest.mark.parametrize("separator", [" ", "\n", "\n\n"])
@pytest.mark.parametrize("lost", range(5))
def test_a_lost_sentence_is_flagged_where_it_should_be(lost, separator):
    output = FRENCH[:lost] + FRENCH[lost + 1 :]
    found = checked(ENGLISH, output, separator)
    (flag,) = flags_of(found)
    assert (flag.kind, flag.severity) == ("omission", "error")
    start = len(separator.join(ENGLISH[:lost])) + len(separator) * (lost > 0)
    assert flag.source == Span(start, start + len(ENGLISH[lost]))
    place = len(separator.join(FRENCH[:lost]))
    assert flag.span == Span(place, place)


@pytest.mark.parametrize("separator", [" ", "\n"])
@pytest.mark.parametrize("added", range(5))
def test_an_added_sentence_is_flagged_and_has_no_evidence(added, separator):
    source = ENGLISH[:added] + ENGLISH[added + 1 :]
    found = checked(source, FRENCH, separator)
    (flag,) = flags_of(found)
    assert (flag.kind, flag.severity) == ("addition", "error")
    assert flag.span == found[added].span
    assert found[added].evidence == ()
    assert flag.source is None


def test_sentences_joined_or_parted_by_the_translator():
    joined = [
        *FRENCH[:1],
        FRENCH[1].rstrip(".") + ", et " + FRENCH[2][0].lower() + FRENCH[2][1:],
        *FRENCH[3:],
    ]
    assert shapes(ENGLISH, joined) == [(1, 1), (2, 1), (1, 1), (1, 1)]
    parted = [
        *FRENCH[:1],
        "Il a coûté 12 millions d'euros.",
        "Sa construction a duré trois ans.",
        *FRENCH[2:],
    ]
    assert shapes(ENGLISH, parted) == [(1, 1), (1, 2), (1, 1), (1, 1), (1, 1)]
    assert [len(sentence.evidence) for sentence in checked(ENGLISH, joined)] == [1, 2, 1, 1]


def test_as_many_lines_are_aligned_line_by_line():
    source = ["Yes.", "The mayor of Linz opened the new bridge.", "No."]
    output = ["Oui. Oui.", "La maire de Linz a inauguré le nouveau pont.", "Non."]
    assert shapes(source, output, "\n") == [(1, 2), (1, 1), (1, 1)]


def test_flags_lie_in_the_whole_output():
    output = list(FRENCH)
    output[2] = output[2].replace("400", "4000")
    found = checked(ENGLISH, output)
    (flag,) = found[2].flags
    assert flag.kind == "number"
    assert " ".join(output)[flag.span.start : flag.span.end] == "4000"
    assert flag.source is not None
    assert " ".join(ENGLISH)[flag.source.start : flag.source.end] == "400"


def test_an_empty_output_still_says_what_is_missing():
    (sentence,) = checked(ENGLISH[:2], [""])
    assert (sentence.span, sentence.evidence) == (Span(0, 0), ())
    assert [flag.kind for flag in sentence.flags] == ["omission", "omission"]
    assert checked([""], [""]) == []


def test_a_long_document_is_aligned_in_time():
    source, output = ENGLISH * 60, FRENCH * 60
    del output[150]
    (flag,) = flags_of(checked(source, output))
    assert flag.source is not None
    assert abs(flag.source.start - len(" ".join(source[:150])) - 1) <= 2 * max(map(len, source))


TEXTS = st.lists(
    st.one_of(st.sampled_from([*ENGLISH, *FRENCH, "\n", "Oui.", "“Ah! ", "\u2028"]), st.text(max_size=12)),
    max_size=8,
).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(TEXTS, TEXTS, st.sampled_from(["en", "zh", "und"]), st.sampled_from(["fr", "ja", "und"]))
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
