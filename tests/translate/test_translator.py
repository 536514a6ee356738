"""Translation as a task: form, spans, languages, the way through English, and texts too long for a window."""

import math
import re
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import pytest
from fake_pool import FakeEngine, FakePool, cipher
from hypothesis import given, settings
from hypothesis import strategies as st

from models.catalog import Catalog
from models.driver import Driver, run, run_all
from models.engine.protocol import Decoding, Generation, Output
from models.errors import DeadlineExceeded, InvalidInput, UnknownModel, UnsupportedLanguage
from models.languages import Languages
from models.steps import Outcome
from models.text.detect import Detection, LanguageDetector
from models.translate.translator import Translation, TranslationRequest, Translator

GEMMA = "dragoman/gemma3-270m-translate"

REPORT = """Talks in Vienna

  The ministers met on Sunday. They spoke about trade!

- The first point was the border.
- The second was water.

2024
"""


LANGUAGES, DETECTOR = Languages.load(), LanguageDetector()


def _pool(**changes: Any) -> FakePool:
    return FakePool(LANGUAGES, **{"change": cipher, **changes})


def _translator(pool: FakePool, detector: LanguageDetector = DETECTOR) -> Translator:
    return Translator(pool.as_pool, LANGUAGES, detector, default_model=GEMMA)


def _outcome(pool: FakePool, detector: LanguageDetector = DETECTOR, **request: Any) -> Outcome[Translation]:
    return run(_translator(pool, detector).steps(TranslationRequest(**{"target": "fr", **request})))


def _translate(pool: FakePool, detector: LanguageDetector = DETECTOR, **request: Any) -> Translation:
    return _outcome(pool, detector, **request).unwrap()


def test_form_stays_and_every_segment_has_its_span() -> None:
    result = _translate(_pool(), text=REPORT)
    assert result.translation == cipher(REPORT)
    assert [REPORT[s.source.start : s.source.end] for s in result.segments] == [
        "Talks in Vienna",
        "The ministers met on Sunday.",
        "They spoke about trade!",
        "The first point was the border.",
        "The second was water.",
    ]
    assert all(s.text == cipher(REPORT[s.source.start : s.source.end]) for s in result.segments)
    assert (result.source, result.target, result.model, result.notes) == ("en", "fr", GEMMA, ())
    assert result.detected is not None
    assert result.detected.language == "en"
    tried_again = [s for s in result.segments if s.flags]  # the cipher loses the city and the day
    read = [len(s.text) + 2 for s in result.segments]
    assert result.usage.source_tokens > sum(read)
    assert len(tried_again) == 2


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.sampled_from("ab. \n-1é中。"), min_size=1, max_size=120))
def test_any_text_comes_back_whole(text: str) -> None:
    pool = _pool(change=lambda part: part)
    outcome = _outcome(pool, text=text, source="en", target="fr")
    if not text.strip():
        assert isinstance(outcome.error, InvalidInput)
        return
    result = outcome.unwrap()
    assert "".join(result.translation.split()) == "".join(text.split())
    assert [line.strip() == "" for line in result.translation.splitlines()] == [
        line.strip() == "" for line in text.splitlines()
    ]


def test_pairs_without_english_go_through_it() -> None:
    pool = _pool()
    result = _translate(pool, text="Les pourparlers ont échoué.", source="fr", target="de")
    assert result.via == "en"
    assert pool.used == [GEMMA, GEMMA]
    assert result.translation == cipher(cipher("Les pourparlers ont échoué."))


def test_a_pattern_takes_the_pair_or_two_that_meet() -> None:
    opus = {"model": "Helsinki-NLP/opus-mt-*", "source": "fr", "text": "Les pourparlers."}
    direct = _pool(pairs=["fr-de"])
    assert _translate(direct, target="de", **opus).via is None
    assert direct.used == ["Helsinki-NLP/opus-mt-fr-de"]
    pivot = _pool(pairs=["fr-en", "en-de"])
    assert _translate(pivot, target="de", **opus).via == "en"
    assert pivot.used == ["Helsinki-NLP/opus-mt-fr-en", "Helsinki-NLP/opus-mt-en-de"]


def test_the_models_really_used_say_whether_paragraphs_go_whole() -> None:
    """The default model reads paragraphs, the one that is loaded and takes this pair reads sentences."""
    pool = _pool()
    default = pool.catalog.get(GEMMA).model_copy(update={"segment": "paragraph", "languages": ("en", "fr")})
    other = pool.catalog.get("facebook/m2m100_418M").model_copy(update={"segment": "sentence"})
    pool.catalog = Catalog([default, other])
    pool.loaded = lambda: [other.name]  # type: ignore[method-assign]
    done = _translate(pool, text="Die Minister trafen sich. Sie sprachen.", source="de")
    assert (done.model, len(done.segments)) == (other.name, 2)
    assert len(_translate(pool, text="They met. They spoke.", source="en").segments) == 1


def test_a_sentence_over_the_window_goes_in_parts() -> None:
    pool = _pool(max_source_tokens=60, max_new_tokens=200)
    text = "The ministers spoke about trade, about the border, about water, " * 6 + "and about much else."
    result = _translate(pool, text=text, source="en")
    assert len(pool.engine.submissions[0]) > 4
    assert all(len(g.source_ids) <= 60 for g in pool.engine.submissions[0])
    assert result.translation == cipher(text)
    assert len(result.segments) == 1


def test_a_translation_cut_by_its_limit_is_told() -> None:
    pool = _pool(change=lambda text: text * 99)
    result = _translate(pool, text="The talks failed.", source="en")
    assert [segment.complete for segment in result.segments] == [False]
    assert "may be unfinished" in result.notes[0]


def test_what_needs_no_model_gets_none() -> None:
    pool = _pool()
    same = _translate(pool, text="Les pourparlers ont échoué dimanche à Vienne.")
    assert "already" in same.notes[0]
    nothing = _translate(pool, text="2024\n----\n")
    assert (nothing.translation, nothing.source) == ("2024\n----\n", "und")
    assert pool.used == []


@pytest.mark.parametrize(
    ("request_", "error", "field"),
    [
        ({"text": " \n"}, InvalidInput, "text"),
        ({"text": "Talks", "target": "xx"}, UnsupportedLanguage, "target"),
        ({"text": "Talks", "source": "qq"}, UnsupportedLanguage, "source"),
        ({"text": "Talks", "source": "en", "target": "ja"}, UnsupportedLanguage, "target"),
        ({"text": "Talks", "model": "none"}, UnknownModel, "model"),
        ({"text": "Talks", "model": "facebook/bart-large-cnn"}, UnknownModel, "model"),
    ],
)
def test_what_is_refused_names_its_field(
    request_: dict[str, str],
    error: type[InvalidInput],
    field: str,
) -> None:
    outcome = _outcome(_pool(), **request_)
    assert isinstance(outcome.error, error)
    assert outcome.error.field == field


def test_an_unsupported_language_names_models_that_have_it() -> None:
    outcome = _outcome(_pool(), text="Talks", source="en", target="ja")
    assert "facebook/m2m100_418M" in str(outcome.error)


def test_chinese_has_no_spaces() -> None:
    pool = _pool(change=lambda _: "会谈失败。")
    result = _translate(pool, text="The talks failed. They did.", source="en", target="zh")
    assert result.translation == "会谈失败。会谈失败。"


def test_a_script_that_a_model_cannot_write_is_refused() -> None:
    pool = _pool()
    assert _outcome(pool, text="會談失敗。", source="zh-TW", target="en").error is None
    for source in ("en", "zh"):
        outcome = _outcome(pool, text="Talks.", source=source, target="zh-TW")
        assert isinstance(outcome.error, UnsupportedLanguage)
        assert outcome.error.field == "target"


def test_a_region_that_the_model_does_not_tell_apart_is_told() -> None:
    done = _translate(_pool(), text="Talks.", source="en", target="pt-BR")
    assert (done.target, done.notes) == (
        "pt",
        (f"{GEMMA} writes one form of Portuguese, not that of the region BR",),
    )
    plain = _translate(_pool(), text="Talks.", source="en", target="pt")
    assert plain.notes == ()


@pytest.mark.parametrize(
    ("pair", "source", "target", "field"),
    [
        ("en-de", "en", "fr", "target"),
        ("en-de", "ja", "de", "source"),
        ("tc-big-en-de", "en", "fr", "target"),
        ("en-de", "en", "de", None),
        ("en-ROMANCE", "en", "fr", None),
        ("mul-en", "ja", "en", None),
        ("en-jap", "en", "ja", None),
        ("en-jap", "en", "fr", "target"),
    ],
)
def test_a_pairs_own_model_takes_that_pair(pair: str, source: str, target: str, field: str | None) -> None:
    name = f"Helsinki-NLP/opus-mt-{pair}"
    outcome = _outcome(_pool(), text="Talks.", model=name, source=source, target=target)
    assert getattr(outcome.error, "field", None) == field


@pytest.mark.parametrize(
    ("source", "target", "field", "allowed"),
    [
        ("en", "fr", None, None),
        ("de", "en", None, None),
        ("fr", "en", "source", ["en", "de"]),
        ("en", "de", "target", ["fr"]),
        ("ja", "en", "source", ["en", "fr", "de"]),
    ],
)
def test_a_model_for_some_directions_takes_no_other(
    source: str,
    target: str,
    field: str | None,
    allowed: list[str] | None,
) -> None:
    pool = _pool()
    entry = pool.catalog.get(GEMMA)
    pairs = (("en", "fr"), ("de", "en"))
    changes = {"pairs": pairs, "languages": ("en", "fr", "de"), "english_only": False}
    pool.catalog = Catalog([entry.model_copy(update=changes)])
    error = _outcome(pool, text="Talks.", source=source, target=target).error
    assert (getattr(error, "field", None), getattr(error, "allowed", None)) == (field, allowed)


class Fickle(FakeEngine):
    """Answers by what it is asked and how, and says how sure it is."""

    def __init__(self, answer: Callable[[str, Decoding], str], score: float | None = None):
        super().__init__(str)
        self.answer = answer
        self.score = score

    def _answer(self, generation: Generation) -> Future[Output]:
        self.change = lambda text: self.answer(text, generation.decoding)
        future = super()._answer(generation)
        done: Future[Output] = Future()
        done.set_result(replace(future.result(), score=self.score))
        return done


def _fickle(answer: Callable[[str, Decoding], str], score: float | None = None) -> FakePool:
    pool = FakePool(LANGUAGES)
    pool.engine = Fickle(answer, score)
    return pool


def test_a_segment_with_an_error_is_tried_once_more_in_another_way() -> None:
    def answer(text: str, decoding: Decoding) -> str:
        right = cipher(text)
        return right if decoding.num_beams > 1 or "12" not in text else right.replace("12", "13")

    pool = _fickle(answer)
    result = _translate(pool, text="It cost 12 euros in all. They paid.", source="en")
    assert result.translation == cipher("It cost 12 euros in all. They paid.")
    assert [len(batch) for batch in pool.engine.submissions] == [2, 1]
    assert pool.engine.submissions[1][0].decoding.no_repeat_ngram_size == 0
    assert result.usage.source_tokens == sum(len(g.source_ids) for b in pool.engine.submissions for g in b)
    assert result.notes == ()


def test_a_loop_is_tried_once_more_without_repetition() -> None:
    def answer(text: str, decoding: Decoding) -> str:
        return cipher(text) if decoding.no_repeat_ngram_size else cipher(text) * 99

    pool = _fickle(answer)
    result = _translate(pool, text="The talks failed in the end.", source="en")
    assert result.translation == cipher("The talks failed in the end.")
    assert result.segments[0].complete


def test_the_better_of_two_bad_attempts_is_kept_and_flagged() -> None:
    def answer(text: str, decoding: Decoding) -> str:
        return text if decoding.num_beams > 1 else cipher(text).replace("12", "13")

    text = "The talks in the old town cost 12 euros in all."
    result = _translate(_fickle(answer), text=text, source="en")
    assert result.translation == cipher(text).replace("12", "13")
    assert result.segments[0].flags
    assert "1 of 1 segments" in result.notes[0]


def test_segments_of_too_little_confidence_come_back_as_they_were() -> None:
    text = "<p>The talks <b>failed</b>.</p>"
    ask = {"text": text, "source": "en", "format": "html", "min_confidence": 0.5}
    sure = _translate(_fickle(lambda t, _: cipher(t), -0.1), **ask)
    assert not sure.segments[0].abstained
    assert 0.5 < (sure.segments[0].confidence or 0) < math.exp(-0.1)  # fitted: what it says is not all
    unsure = _translate(_fickle(lambda t, _: cipher(t), -2.0), **ask)
    assert unsure.translation == text
    assert unsure.segments[0].abstained
    assert "left in en" in unsure.notes[0]
    silent = _translate(_fickle(lambda t, _: cipher(t)), **ask)
    assert silent.segments[0].confidence is None
    assert "min_confidence" in silent.notes[0]


PAGE = """<h1>Talks in <em>Vienna</em></h1>
<p>The ministers used <code>pip install x</code> and <a href="/t?a=1&amp;b=2">met Blue Lantern</a> today.<br>
See https://a.example/x.</p>
<p translate="no">Not this.</p>"""


def test_html_through_the_whole_of_it() -> None:
    result = _translate(
        _pool(),
        text=PAGE,
        format="html",
        protect=("Blue Lantern",),
        glossary={"talks": "pour"},
    )
    assert result.translation == (
        "<h1>Pour jo <em>Wjfoob</em></h1>\n"
        "<p>Uif njojtufst vtfe <code>pip install x</code> boe "
        '<a href="/t?a=1&amp;b=2">nfu Blue Lantern</a> upebz.<br>'
        "Tff https://a.example/x.</p>\n"
        '<p translate="no">Not this.</p>'
    )
    first = result.segments[0]
    assert (PAGE[first.source.start : first.source.end], first.original) == (
        "Talks in <em>Vienna",
        "Talks in Vienna",
    )
    assert [(t.source, t.target, t.count, t.honoured) for t in result.terms] == [
        ("talks", "pour", 1, True),
        ("Blue Lantern", "Blue Lantern", 1, True),
    ]
    assert result.detected is not None
    assert result.detected.language == "en"


def test_a_term_whose_mask_is_lost_is_tried_by_its_name() -> None:
    def answer(text: str, _: Decoding) -> str:
        return cipher(text).replace("QX7", "").replace("Cmvf Mboufso", "Blue Lantern")

    text = "The talks with Blue Lantern failed in the end."
    result = _translate(_fickle(answer), text=text, source="en", protect=["Blue Lantern"])
    assert "Blue Lantern" in result.translation
    assert result.terms[0].honoured


def test_a_term_that_no_attempt_keeps_is_told() -> None:
    text = "The talks with Blue Lantern failed in the end. Blue Lantern left."
    pool = _fickle(lambda t, _: "Les pourparlers ont fini par échouer." if "talks" in t else cipher(t))
    result = _translate(pool, text=text, source="en", protect=["Blue Lantern"])
    assert [(t.count, t.honoured) for t in result.terms] == [(2, False)]
    assert [[flag.kind for flag in s.flags if flag.kind == "term"] for s in result.segments] == [["term"], []]
    assert "Blue Lantern" in result.notes[-1]


def test_a_segment_of_terms_alone_needs_no_model() -> None:
    pool = _pool()
    result = _translate(pool, text="Blue Lantern", source="en", protect=["Blue Lantern"])
    assert (result.translation, pool.engine.submissions) == ("Blue Lantern", [])


MARKDOWN = "# The talks\n\n> They **failed** in\n> the [end](http://x.example).\n\n- `code` stays\n"


def test_markdown_through_the_whole_of_it() -> None:
    result = _translate(_pool(), text=MARKDOWN, format="markdown", source="en")
    assert result.translation == (
        "# Uif ubmlt\n\n> Uifz **gbjmfe** jo uif [foe](http://x.example).\n\n- `code` tubzt\n"
    )


@pytest.mark.parametrize(
    ("text", "source", "target", "translate", "expected"),
    [
        ("أعلن الوزير القرار. وصل الوفد أمس؟", "ar", "en", "Talks.", "Talks. Talks."),
        ("השר הודיע על ההחלטה. המשלחת הגיעה.", "he", "en", "Talks.", "Talks. Talks."),
        ("会谈失败了。他们走了！", "zh", "en", "Talks.", "Talks. Talks."),
        ("会談は失敗した。彼らは帰った。", "ja", "en", "Talks.", "Talks. Talks."),
        ("The talks failed. They left.", "en", "ar", "فشلت المحادثات.", "فشلت المحادثات. فشلت المحادثات."),
        ("The talks failed. They left.", "en", "ja", "会談は失敗した。", "会談は失敗した。会談は失敗した。"),
        ("The talks failed. They left.", "en", "th", "การเจรจาล้มเหลว", "การเจรจาล้มเหลวการเจรจาล้มเหลว"),
    ],
)
def test_sentences_are_joined_as_their_language_does(
    text: str,
    source: str,
    target: str,
    translate: str,
    expected: str,
) -> None:
    pool = FakePool(LANGUAGES, change=lambda _: translate)
    model = "facebook/m2m100_418M"
    result = _translate(pool, text=text, source=source, target=target, model=model)
    assert result.translation == expected


@pytest.mark.parametrize(
    ("clause", "source"),
    [
        ("部长们谈到了贸易，", "zh"),
        ("大臣たちは貿易について話し、", "ja"),
        ("تحدث الوزراء عن التجارة، ", "ar"),
        ("รัฐมนตรีพูดถึงการค้า ", "th"),
    ],
)
def test_long_sentences_are_cut_at_clauses_in_every_script(clause: str, source: str) -> None:
    parts: list[str] = []
    pool = FakePool(
        LANGUAGES, change=lambda t: parts.append(t) or "Trade, ", max_source_tokens=60, max_new_tokens=200
    )
    model = "facebook/m2m100_418M"
    _translate(pool, text=clause * 12, source=source, target="en", model=model)
    whole = [part for part in parts if len(part) <= 58]
    assert len(whole) > 1
    assert all(part.strip().endswith(clause.strip()) for part in whole)


class Guessing(LanguageDetector):
    def __init__(self, *candidates: Detection):
        self.found = list(candidates)

    def candidates(self, text: str, limit: int = 3) -> list[Detection]:
        return self.found


def test_a_guess_at_the_targets_own_language_is_translated_all_the_same() -> None:
    guess = Guessing(Detection("fr", 0.3), Detection("ja", 0.2), Detection("en", 0.1))
    result = _translate(_pool(), guess, text="Radio")
    assert (result.source, result.translation) == ("en", "Sbejp")
    assert result.notes[0].startswith(f"the text is probably in {result.source}")
    sure = Guessing(Detection("fr", 0.9), Detection("en", 0.1))
    assert "already" in _translate(_pool(), sure, text="Radio").notes[0]
    alone = Guessing(Detection("fr", 0.3))
    note = _translate(_pool(), alone, text="Radio").notes[0]
    assert "probably in fr already (confidence 0.30); if not, give its language" in note


@pytest.mark.parametrize(
    ("target", "nearest"), [("gl", ["es", "pt"]), ("uk", ["ru"]), ("zh-Hant-HK", ["zh"]), ("ja", [])]
)
def test_an_unsupported_language_names_the_nearest(target: str, nearest: list[str]) -> None:
    outcome = _outcome(_pool(), text="Talks", source="en", target=target)
    assert isinstance(outcome.error, UnsupportedLanguage)
    assert list(outcome.error.allowed or ())[: len(nearest)] == nearest
    assert all(LANGUAGES.name(each) in str(outcome.error) for each in nearest)


def test_each_text_of_many_is_detected_by_itself() -> None:
    texts = [
        "The ministers met on Sunday and spoke about trade.",
        "Les ministres se sont réunis dimanche pour parler du commerce.",
        "部长们星期天开会，谈到了贸易问题。",
        "Министры встретились в воскресенье и говорили о торговле.",
    ]
    translator = _translator(_pool())
    tasks = [translator.steps(TranslationRequest(text=each, target="es")) for each in texts]
    done = [outcome.unwrap() for outcome in run_all(tasks)]
    assert [each.source for each in done] == ["en", "fr", "zh", "ru"]
    assert [each.via for each in done] == [None, "en", "en", "en"]


TAGS = ["<b>", "</b>", "<a href='x'>", "</a>", "<br>", "<p>", "</p>", "<img src=x>"]
WORDS = ["The talks ", "failed. ", "Blue Lantern ", "won in ", "12 days. ", "<code>a.b()</code>", " &amp; "]
SOUP = st.lists(st.sampled_from(TAGS + WORDS), min_size=1, max_size=20).map("".join)


@settings(max_examples=80, deadline=None)
@given(
    SOUP, st.sampled_from([cipher, lambda t: " ".join(reversed(t.split())), lambda t: t[:4], lambda t: ""])
)
def test_markup_and_code_survive_any_model(document: str, change: Callable[[str], str]) -> None:
    pool = FakePool(LANGUAGES, change=change)
    ask = {"source": "en", "format": "html", "protect": ("Blue Lantern",)}
    result = _translate(pool, text=document, **ask)
    markup = re.compile(r"<code>a\.b\(\)</code>|<[^>]*>")
    assert sorted(markup.findall(result.translation)) == sorted(markup.findall(document))
    assert result.translation.count("a.b()") == document.count("a.b()")
    for term in result.terms:
        there = sum("Blue Lantern" in segment.text for segment in result.segments)
        assert term.honoured <= (there > 0)


@pytest.mark.parametrize(("confidence", "taken"), [(0.6, "en"), (0.95, "nl")])
def test_a_language_that_the_model_lacks_has_to_be_certain(confidence: float, taken: str) -> None:
    guess = Guessing(Detection("nl", confidence), Detection("en", 0.3))
    outcome = _outcome(_pool(), guess, text="The ministers met in Vienna.")
    if taken == "en":
        result = outcome.unwrap()
        assert result.detected == Detection("en", 0.3)
        assert result.notes[0].startswith(f"the text is probably in {result.source}")
    else:
        with pytest.raises(UnsupportedLanguage, match="Dutch"):
            outcome.unwrap()


@pytest.mark.parametrize(
    ("candidates", "target", "source"),
    [
        ([("nl", 0.6), ("en", 0.05)], "fr", "en"),  # not refused, however little speaks for English
        ([("nl", 0.6), ("en", 0.3), ("it", 0.02)], "en", "en"),  # the target's own comes back as it is
        ([("nl", 0.6), ("en", 0.3), ("it", 0.2)], "en", "it"),
        ([("en", 0.7), ("nl", 0.2)], "fr", "en"),
    ],
)
def test_a_guess_is_never_refused_and_is_told(
    candidates: list[tuple[str, float]], target: str, source: str
) -> None:
    guess = Guessing(*(Detection(*each) for each in candidates))
    result = _translate(_pool(), guess, text="Ministers in Vienna", target=target)
    assert result.source == source
    assert result.notes[0].startswith(f"the text is probably in {result.source}")


def test_a_task_pauses_for_its_deadline_at_every_run() -> None:
    translator = _translator(_pool())
    text = "The ministers met. " * 300 + "\n\n" + "It rained.\n\n" * 50
    steps = translator.steps(TranslationRequest(text=text, source="en", target="fr"))
    pauses = 0
    while next(steps) is None:
        pauses += 1
    assert pauses >= 51 + 2  # one for each run, and more in the long one


def test_a_translation_of_many_sentences_pauses_at_each_before_and_after_the_model() -> None:
    request = TranslationRequest(text="It rained.\n" * 300, source="en", target="fr")
    pool = _pool()
    translator = _translator(pool)
    pauses = {"before": 0, "after": 0}
    for step in Driver([translator.steps(request)]).events(tick_s=10):
        pauses["after" if pool.engine.submissions else "before"] += step is None
    assert pauses["before"] >= 900, "split, masked and encoded"
    assert pauses["after"] >= 900, "decoded, checked and put in its place"


class _Slow(FakeEngine):
    """Never answers a sentence with ☡ in it."""

    def _answer(self, generation: Generation) -> Future[Output]:
        return Future() if ord("☡") in generation.source_ids else super()._answer(generation)


def _in_time(translator: Translator, request: TranslationRequest) -> Outcome[Translation]:
    deadline = time.monotonic() + 0.5
    (outcome,) = run_all([translator.steps(request)], deadline=deadline, in_rounds=False)
    return outcome


def test_time_that_runs_out_leaves_what_is_done_if_that_is_asked_for() -> None:
    pool = FakePool(LANGUAGES)
    pool.engine = _Slow(str.upper)
    translator = _translator(pool)
    text = "The talks <b>failed</b>. They ☡ met again. It rained."
    request = TranslationRequest(text=text, source="en", target="fr", format="html", partial=True)
    done = _in_time(translator, request).unwrap()
    assert done.translation == "THE TALKS <b>FAILED</b>. They ☡ met again. IT RAINED."
    assert [segment.missing for segment in done.segments] == [None, True, None]
    assert done.partial
    assert done.notes[0] == "time ran out: 1 of 3 segments are not translated"
    whole = _in_time(translator, replace(request, partial=False))
    assert isinstance(whole.error, DeadlineExceeded)
    nothing = replace(request, text="They ☡ met again.")
    assert _in_time(translator, nothing).error is not None
