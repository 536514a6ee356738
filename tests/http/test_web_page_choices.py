"""What can be chosen on the page, what a text is taken for, and what this browser keeps of it."""

import json
from pathlib import Path

from page_runtime import SUGGESTIONS
from playwright.sync_api import Page, expect
from web_page import PageServer, browser, copied, done, folder, go, needs_chromium, page, server

pytestmark = needs_chromium

MARKDOWN = "# On **peace**\n\nThe ministers met. They [left](x).\n\n- one item\n\n```\nlet a\n```\n\nThe end."
ARABIC = "وصل الوزراء إلى فيينا. ولم يوقعوا شيئا."


def test_the_lists_are_the_servers_and_a_link_carries_the_choices(page: Page, server: PageServer) -> None:
    options = page.locator("#length option")
    assert options.all_inner_texts()[:2] == ["One sentence", "About 50 words"]
    models = page.locator("#model option").all_text_contents()
    assert [each for each in models if "fake/large" in each] == ["fake/large (downloading 41%)"]
    expect(page.locator("#coming")).to_have_text("Loading: fake/large (downloading 41%).")
    page.locator("#article").fill("A secret text.")
    page.locator("#length").select_option("long")
    page.locator("#from").select_option("de")
    page.get_by_text("More options").click()
    page.locator("#link").click()
    link = page.evaluate("() => navigator.clipboard.readText()")
    assert "secret" not in link
    entries = {"name": "capitals", "source": "en", "target": "fr", "entries": {"Vienna": "Vienne"}}
    server.request("POST", "/v1/glossaries", json.dumps(entries))
    page.goto("about:blank")
    page.goto(link)
    expect(page.locator("#glossary option")).to_have_text(["None", "capitals"])
    expect(page.locator("#length")).to_have_value("long")
    expect(page.locator("#from")).to_have_value("de")


def test_the_language_is_told_before_the_run_and_can_be_swapped(page: Page) -> None:
    page.locator("#article").fill("The ministers met in Vienna.")
    expect(page.locator("#from option").first).to_have_text("English (auto)")
    expect(page.locator("#count")).to_have_text("28 of at most 20,000,000 characters · looks like plain text")
    page.locator("#target").select_option("fr")
    page.get_by_role("button", name="Swap the two languages").click()
    expect(page.locator("#from")).to_have_value("fr")
    expect(page.locator("#target")).to_have_value("en")


def test_a_summary_is_in_the_article_s_language_until_another_is_chosen_for_it(page: Page) -> None:
    target = page.locator("#target")
    expect(target).to_have_value("fr")
    page.locator("input[name=make][value=summary]").check()
    expect(target).to_have_value("")
    target.select_option("de")
    page.locator("input[name=make][value=both]").check()
    expect(target).to_have_value("fr")
    page.locator("input[name=make][value=summary]").check()
    expect(target).to_have_value("de")


def test_a_summary_can_be_bullet_points(page: Page) -> None:
    page.get_by_text("More options").click()
    page.get_by_label("Summary as").select_option("bullets")
    with page.expect_request("**/v1/summarize") as asked:
        go(page, "The ministers met.", make="summary")
    assert json.loads(asked.value.post_data or "")["format"] == "bullets"
    done(page)


def test_a_text_that_is_in_the_target_language_already_is_told(page: Page) -> None:
    go(page, "The ministers met.", make="translation", target="en")
    expect(page.locator("#status")).to_have_text("The text is already in English: nothing was translated.")


def test_another_choice_makes_the_result_old_and_focus_stays(page: Page) -> None:
    go(page, "The ministers met.")
    done(page)
    target = page.locator("#target")
    target.focus()
    target.select_option("de")
    expect(page.locator(".results")).to_have_class("results old")
    expect(page.locator("#status")).to_contain_text("have changed since this result")
    expect(target).to_be_focused()
    target.select_option("fr")
    done(page)
    expect(page.locator(".results")).to_have_class("results")


def test_markdown_is_translated_as_what_it_is(page: Page) -> None:
    with page.expect_request("**/v1/translate") as asked:
        go(page, MARKDOWN, make="translation")
    assert json.loads(asked.value.post_data or "")["format"] == "markdown"
    done(page)
    expect(page.locator("#count")).to_contain_text("looks like Markdown")
    expect(page.locator(".segment.li")).to_contain_text("one item")
    expect(page.locator(".code")).to_have_text("let a")
    assert copied(page) == MARKDOWN.upper()
    with page.expect_download() as download:
        page.locator("[data-download=translation]").click()
    assert download.value.suggested_filename == "On-peace.fr.md"


def test_pasted_html_is_never_run(page: Page) -> None:
    html = '<p>The <b>ministers</b> met.</p><img src="x" onerror="document.title = 1"><p>They left.</p>'
    with page.expect_request("**/v1/translate") as asked:
        go(page, html)
    assert json.loads(asked.value.post_data or "")["format"] == "html"
    done(page)
    expect(page.locator("#summary .body")).to_contain_text("The ministers met.")
    assert page.locator("main img").count() == 0
    assert page.title() == "Dragoman"


def test_what_reads_from_right_to_left_does_and_both_says_what_it_cannot(page: Page) -> None:
    go(page, ARABIC)
    expect(page.locator("#summary .body")).to_have_text(ARABIC)
    assert page.locator("#summary .body").evaluate("box => getComputedStyle(box).direction") == "rtl"
    expect(page.locator("#summary .fine")).to_contain_text("It is in the article's own language")
    expect(page.locator("#unfinished")).to_contain_text("fake/m lacks Arabic (ar).")
    expect(page.locator("#unfinished")).to_contain_text("It knows English and French.")


def test_a_sentence_is_rewritten_and_suggested(page: Page, folder: Path) -> None:
    go(page, "The ministers met. They left.", make="translation")
    done(page)
    row = page.locator(".segment").first
    row.hover()
    row.get_by_role("button", name="Rewrite this sentence").click()
    row.get_by_role("textbox").fill("Les 15 ministres.")
    expect(row.get_by_label("Keep in the translation memory")).not_to_be_checked()
    row.get_by_label("Also suggest it").check()
    with page.expect_request("**/v1/check") as asked:
        row.get_by_role("button", name="Save").click()
    checked = json.loads(asked.value.post_data or "")
    assert (checked["source"], checked["output"], checked["target"]) == (
        "The ministers met.",
        "Les 15 ministres.",
        "fr",
    )
    expect(row.locator("mark")).to_have_text("15")
    expect(page.locator("#translation .tally")).to_contain_text("1 possible problem")
    expect(page.locator("#status")).to_have_text("Thank you. The suggestion was sent.")
    expect(row).to_be_focused()
    assert copied(page) == "Les 15 ministres. THEY LEFT."
    (line,) = (folder / "data" / SUGGESTIONS).read_text().splitlines()
    assert "Les 15 ministres." in line
    page.reload()
    expect(page.locator(".segment").first).to_contain_text("Les 15 ministres.")
    expect(row.locator("mark")).to_have_text("15")
    page.route("**/v1/check", lambda route: route.abort())
    row.hover()
    row.get_by_role("button", name="Rewrite this sentence").click()
    row.get_by_role("textbox").fill("Other words.")
    row.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#translation .tally")).to_contain_text("Not checked: 1 sentence that you rewrote.")


def test_other_translations_of_a_sentence_are_asked_for_when_it_is_rewritten(
    page: Page, folder: Path
) -> None:
    with page.expect_request("**/v1/translate") as ordinary:
        go(page, "The ministers met. They left.", make="translation")
    assert "alternatives" not in json.loads(ordinary.value.post_data or "")
    done(page)
    row = page.locator(".segment").first
    row.hover()
    with page.expect_request("**/v1/translate") as asked:
        row.get_by_role("button", name="Rewrite this sentence").click()
    body = json.loads(asked.value.post_data or "")
    assert (body["text"], body["source"], body["alternatives"]) == ("The ministers met.", "en", 3)
    expect(row.locator(".others button")).to_have_text(["The Ministers Met.", "the ministers met."])
    row.locator(".others button").first.click()
    expect(row.get_by_role("textbox")).to_have_value("The Ministers Met.")
    row.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("The Ministers Met.")
    assert copied(page) == "The Ministers Met. THEY LEFT."
    assert "The Ministers Met." not in (folder / "data" / SUGGESTIONS).read_text()


def test_a_history_is_kept_here_and_goes_by_a_click(page: Page) -> None:
    go(page, "The first text.", make="translation")
    done(page)
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.locator(".segment")).to_have_count(0)
    page.get_by_text("History", exact=True).click()
    page.locator("#history .entry").filter(has_text="The first text.").click()
    expect(page.locator(".segment")).to_contain_text("THE FIRST TEXT.")
    page.get_by_text("History", exact=True).click()
    page.get_by_label("Keep a history").uncheck()
    expect(page.locator("#history .entry")).to_have_count(0)
    page.get_by_text("History", exact=True).click()
    page.get_by_role("button", name="Edit").click()
    go(page, "The second text.", make="translation")
    done(page)
    assert page.evaluate("() => localStorage.getItem('dragoman.history')") is None
