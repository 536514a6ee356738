# ruff: noqa: E501 - a prompt is a line
"""What other programs' prompts and system messages are read as: a task, its languages, and the text to the letter."""

import tomllib
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import InvalidInput
from models.languages import Languages
from service.http.compat.openai_prompts import (
    SYSTEM_CHARACTERS,
    Form,
    LanguageNames,
    PromptReader,
    PromptTask,
)

READER = PromptReader(Languages.load())
NOTHING = PromptTask()

IMMERSIVE = """You are a professional Simplified Chinese native translator who needs to fluently translate text into Simplified Chinese.

## Translation Rules
1. Output only the translated content, without explanations or additional content (such as "Here's the translation:" or "Translation as follows:")
2. The returned translation must maintain exactly the same number of paragraphs and format as the original text
5. If input contains %%, use %% in your output, if input has no %%, don't use %% in your output

## Document Metadata for Context Awareness
Title: Talks
Summary: The ministers met in Vienna.

## Examples
### Multi-paragraph Input:
Paragraph A
%%
Paragraph B"""
PDF2ZH = (
    ";; Treat next line as plain text input and translate it into German, output translation ONLY. If translation "
    "is unnecessary (e.g. proper nouns, codes, {{1}}, etc. ), return the original text. NO explanations. NO notes. "
    "Input:\n\n"
)
BABELDOC = (
    "You are a professional, authentic machine translation engine. Only Output the translated text, do not include "
    "any other text.\n\nTranslate the following markdown source text to French. Keep the formula notation {v*} "
    "unchanged. Output translation directly without any additional text.\n\nSource Text: "
)
SUBTITLE_EDIT = (
    "Translate from English to {}, keep punctuation as input, do not censor the translation, "
    "give only the output without comments:\n\n"
)
SUBTITLE_EDIT_5 = (
    "Translate from English to {}, keep punctuation as input, keep line breaks exactly the same, "
    "do not censor the translation, give only the output without comments:\n\n"
)
NEXTCLOUD = (
    "Summarize the following text. Detect the language of the text. Use the same language as the text. "
    " Output only the summary.  Here is the text:\n\n"
)
NEXTCLOUD_END = "\n\nHere is your summary in the same language as the text:"
FRESHRSS = (
    "You are a summarization assistant.\nCreate a concise, informative summary of the article.\n"
    "Focus on the main points and key takeaways.\n"
    "Return only the summary text without any preamble or conclusion."
)
FRESHRSS_USER = (
    "Summarize the following article in 2-3 sentences, focusing on the key points:\\n\\n"
    "Title: The talks\\nContent: "
)
TEXT = "You are late.\n\nTranslate that to Latin: the summary said so."


def translation(target: str | None, source: str | None = None) -> PromptTask:
    return PromptTask("translate", source, target)


@pytest.mark.parametrize(
    ("system", "before", "after", "wish"),
    [
        pytest.param([IMMERSIVE], "Translate to Simplified Chinese:\n\n", "", translation("zh"), id="Immersive Translate"),
        pytest.param(
            [IMMERSIVE], "Translate to Simplified Chinese (output translation only):\n\n", "", translation("zh"),
            id="Immersive Translate, one paragraph",
        ),
        pytest.param(
            ["You are a professional, authentic machine translation engine."],
            "Translate the following text into 繁體中文, If translation is unnecessary (e.g. proper nouns, codes, etc.), "
            "return the original text. NO explanations. NO notes:\n\n",
            "", translation("zh-Hant"), id="Immersive Translate, of old",
        ),
        pytest.param(["You are a professional,authentic machine translation engine."], PDF2ZH, "", translation("de"), id="pdf2zh"),
        pytest.param([], f"You are a professional,authentic machine translation engine.\n\n{PDF2ZH}", "", translation("de"), id="pdf2zh in one"),
        pytest.param([], BABELDOC, "\n\nTranslated Text:", translation("fr"), id="pdf2zh-next"),
        pytest.param([], SUBTITLE_EDIT.format("French"), "", translation("fr", "en"), id="Subtitle Edit 4"),
        pytest.param([], SUBTITLE_EDIT_5.format("Brazilian Portuguese"), "", translation("pt-BR", "en"), id="Subtitle Edit 5"),
        pytest.param(
            [], "Translate from English to German, keep sentences in German as they are, do not censor the translation, "
            "give only the output without comments:\n\n", "", translation("de", "en"), id="Subtitle Edit, another",
        ),
        pytest.param(
            ['You are a translations expert that ONLY outputs a valid JSON with the translated text in the following '
             'format: { "translation": "<translated text>" } .'],
            "Translate the following text from Deutsch (Förmlich: Sie) to Español: \n\n", "", translation("es", "de"), id="Nextcloud",
        ),
        pytest.param([], "Translate the following text to français: \n\n", "", translation("fr"), id="Nextcloud, detecting"),
        pytest.param([], NEXTCLOUD, NEXTCLOUD_END, PromptTask("summarize"), id="Nextcloud, a summary"),
        pytest.param([FRESHRSS], FRESHRSS_USER, "", PromptTask("summarize", max_sentences=3), id="FreshRSS"),
        pytest.param(
            ["Please summarize the article in Chinese, in bullet points."], "Title: T\nAuthor: A\n\nContent: ", "",
            PromptTask("summarize", target="zh", format="bullets"), id="FreshRSS ArticleSummary",
        ),
        pytest.param(
            ["You are a professional news summarizer. Create a concise, informative summary of the article in 2-3 sentences."],
            "Please summarize this article:\n\n", "", PromptTask("summarize", max_sentences=3), id="a news reader",
        ),
    ],
)  # fmt: skip
def test_prompts_of_other_software(system: list[str], before: str, after: str, wish: PromptTask) -> None:
    found, text = READER.read(system, before + TEXT + after, NOTHING)
    assert (found, text) == (wish, TEXT)


def test_every_form_of_a_users_message_is_matched_whole() -> None:
    rows = tomllib.loads((files("service.http.compat") / "openai_prompts.toml").read_text("utf-8"))["user"]
    for row in rows:
        for form in row["forms"]:
            assert form.count("{text}") == 1, form
            said = (
                form.replace("{source}", "English").replace("{target}", "French").replace("{any}", "as it is")
            )
            wish, text = READER.read([], said.replace("{text}", TEXT), NOTHING)
            target = "fr" if "{target}" in form else None
            assert (wish.task, wish.target, text) == (row["task"], target, TEXT)
            changed = f"So: {said}".replace("{text}", TEXT)
            assert READER.read([], changed, NOTHING) == (NOTHING, changed)


@pytest.mark.parametrize(
    ("system", "wish"),
    [
        ("Translate everything from English to Italian.", translation("it", "en")),
        ("Translate the user's messages into French.", translation("fr")),
        ("You are a translator. Please translate to zh-TW, and keep names.", translation("zh-Hant-TW")),
        ("# Task\n- Translate German into **Brazilian Portuguese**\n- Be short.", translation("pt-BR", "de")),
        ("You do not abridge, censor or summarize any part of it. Translate all of it into pt-BR.", translation("pt-BR")),
        ("Summarize.", PromptTask("summarize")),
        ("You are helpful. Summarize the article in German.", PromptTask("summarize", target="de")),
        ("Summarize the article in bullet points.", PromptTask("summarize", format="bullets")),
        ("You are a helpful assistant.", NOTHING),
        ("Translate between {{English}} and {{Korean}}.", NOTHING),
        ("If the text is Chinese, translate it to English, otherwise translate it to Chinese.", NOTHING),
        ("You are a precise translator and summarizer.", NOTHING),
        ("Never translate to French.", NOTHING),
        ("Translate the text to the best of your ability.", NOTHING),
    ],
)  # fmt: skip
def test_a_system_message_says_the_task_in_a_plain_sentence(system: str, wish: PromptTask) -> None:
    assert READER.read([system], TEXT, NOTHING) == (wish, TEXT)


@pytest.mark.parametrize(
    "user",
    [
        "Translation of the Bible took years:\nThe first part was done in 1522.",
        "Translate this into French: Hello",
        "Summarize the report by Monday:\n\nThanks",
        "Please translate the following content into German.\n\nContent:\n\nHello",
        "```\nHello\n```\n",
        " Translate to French:\n\nHello",
        "Translate to nothing:\n\nHello",
        f"Translate to {'French ' * 200}:\n\nHello",
        TEXT,
    ],
)
@pytest.mark.parametrize("wish", [NOTHING, translation("fr"), PromptTask("summarize")])
def test_a_message_that_is_no_known_prompt_is_all_text(user: str, wish: PromptTask) -> None:
    assert READER.read([], user, wish) == (wish, user)


def test_a_prompt_for_another_task_than_the_named_one_is_text() -> None:
    user = "Translate to French:\n\nHello"
    assert READER.read([], user, PromptTask("summarize")) == (PromptTask("summarize"), user)


def test_the_models_name_goes_before_what_a_prompt_leaves_open() -> None:
    named = PromptTask("summarize", length="long", target="de")
    wish, text = READER.read([], FRESHRSS_USER + TEXT, named)
    assert (wish, text) == (PromptTask("summarize", None, "de", "long", None, 3), TEXT)


def test_two_languages_are_one_too_many() -> None:
    with pytest.raises(InvalidInput, match="says fr, and the message de"):
        READER.read([], "Translate to German:\n\nA text.", translation("fr"))


def test_system_messages_are_limited_together() -> None:
    half = "a" * (SYSTEM_CHARACTERS // 2)
    assert READER.read([half, half], TEXT, NOTHING) == (NOTHING, TEXT)
    with pytest.raises(InvalidInput, match="8001 characters together"):
        READER.read([half, half, "["], TEXT, NOTHING)


@pytest.mark.parametrize(
    "unit", ["the ministers met in Vienna and ", "[", "to zz: ", '"', "a.\n", "translate to "]
)
def test_what_is_read_of_system_messages_grows_no_faster_than_they(
    unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = 0

    def match(form: Form, said: str, names: LanguageNames) -> object:
        nonlocal read
        read += len(said) + 1
        return _match(form, said, names)

    _match = Form.match
    monkeypatch.setattr(Form, "match", match)
    spent = []
    for size in (SYSTEM_CHARACTERS // 2, SYSTEM_CHARACTERS):
        read = 0
        READER.read(["translate " + unit * ((size - 10) // len(unit))], "hello", NOTHING)
        spent.append(read)
    assert spent[1] < 2.2 * spent[0]


@settings(deadline=None, max_examples=100)
@given(st.text(), st.sampled_from(["", "Translate to French:\n\n", "Please summarize this article:\n\n"]))
def test_any_text_is_read(text: str, before: str) -> None:
    wish, read = READER.read(["You are helpful."], before + text, NOTHING)
    assert (read, bool(wish.task)) == (text, bool(before))
