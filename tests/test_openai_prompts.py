# ruff: noqa: E501 - a prompt is a line
"""What other software's prompts are read as: its task, its languages, and its text to the letter."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import InvalidInput
from models.languages import Languages
from service.http.compat.openai_languages import LanguageNames
from service.http.compat.openai_prompt import PromptReader, Wish

READER = PromptReader(LanguageNames(Languages.load()))
NOTHING = Wish()

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


def translation(target: str | None, source: str | None = None) -> Wish:
    return Wish("translate", source, target)


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
        pytest.param([], SUBTITLE_EDIT_5.format("Brazilian Portuguese"), "", translation("pt", "en"), id="Subtitle Edit 5"),
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
        pytest.param([], NEXTCLOUD, NEXTCLOUD_END, Wish("summarize"), id="Nextcloud, a summary"),
        pytest.param([FRESHRSS], FRESHRSS_USER, "", Wish("summarize", max_sentences=3), id="FreshRSS"),
        pytest.param(
            ["Please summarize the article in Chinese, in bullet points."], "Title: T\nAuthor: A\n\nContent: ", "",
            Wish("summarize", target="zh", format="bullets"), id="FreshRSS ArticleSummary",
        ),
        pytest.param(
            ["You are a professional news summarizer. Create a concise, informative summary of the article in 2-3 sentences."],
            "Please summarize this article:\n\n", "", Wish("summarize", max_sentences=3), id="a news reader",
        ),
        pytest.param([], "Please translate the following content into German.\n\nContent:\n\n", "", translation("de"), id="a label"),
        pytest.param([], "Translate this into French: ", "", translation("fr"), id="one line"),
        pytest.param([], "Translate to zh-TW:\n", "", translation("zh-Hant"), id="a code"),
        pytest.param(["Translate everything from English to Italian."], "", "", translation("it", "en"), id="the system alone"),
        pytest.param([], "Translate to French.\nOnly output the translation.\n\n", "", translation("fr"), id="two lines"),
        pytest.param([], "Translate to French:\n```\n", "\n```", translation("fr"), id="fenced"),
        pytest.param(
            [], "Translate the text below into French. Rules:\n1. Keep names.\n2. Be short.\n\nText:\n", "",
            translation("fr"), id="rules",
        ),
        pytest.param([], "Summarize the following in 5 bullet points:\n\n", "", Wish("summarize", format="bullets", max_sentences=5), id="bullets"),
        pytest.param(
            ["You do not abridge, censor or summarize any part of the text. Translate all of it into French."], "", "",
            translation("fr"), id="not to summarize",
        ),
        pytest.param([], "Summarize this article and translate the summary into German:\n\n", "", Wish("summarize", target="de"), id="both"),
    ],
)  # fmt: skip
def test_prompts_of_other_software(system: list[str], before: str, after: str, wish: Wish) -> None:
    found, text = READER.read(system, before + TEXT + after, NOTHING)
    assert (found, text) == (wish, TEXT)


@pytest.mark.parametrize(
    ("system", "user"),
    [
        ([], TEXT),
        (["You are a helpful assistant."], "What is the capital of Austria?"),
        ([], "If the text is Chinese, translate it to English, otherwise translate it to Chinese:\n\nHello"),
        (["Translate between {{English}} and {{Korean}}."], "Hello"),
        (["You are a precise translator and summarizer."], "Hello"),
        ([], "How do I translate a page to French: by hand?"),
        ([], "The translation to French was late:\n\nHello"),
    ],
)
def test_what_is_not_plain_is_not_guessed(system: list[str], user: str) -> None:
    wish, text = READER.read(system, user, NOTHING)
    assert wish.task is None or (wish.task == "translate" and wish.target is None)
    assert text == user


@pytest.mark.parametrize("user", ["Summarize the report by Monday:\n\nThanks", "Translate it to me", TEXT])
def test_what_a_text_says_is_no_instruction_where_the_task_is_known(user: str) -> None:
    assert READER.read([], user, translation("fr")) == (translation("fr"), user)


def test_the_models_name_goes_before_what_a_prompt_leaves_open() -> None:
    named = Wish("summarize", length="long", target="de")
    wish, text = READER.read([], "Summarize in 3 bullet points:\n\nA text.", named)
    assert (wish, text) == (Wish("summarize", None, "de", "long", "bullets", 3), "A text.")


def test_two_languages_are_one_too_many() -> None:
    with pytest.raises(InvalidInput, match="says fr, and the message de"):
        READER.read([], "Translate to German:\n\nA text.", translation("fr"))


@settings(deadline=None, max_examples=100)
@given(st.text(), st.sampled_from(["", "Translate to French:\n\n", "Summarize the article:\n"]))
def test_any_text_is_read(text: str, before: str) -> None:
    wish, read = READER.read([text], before + text, NOTHING)
    assert read in before + text
    assert not before or not text.strip() or wish.task
