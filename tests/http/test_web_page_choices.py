"""What can be chosen on the page, what a text is taken for, and what this browser keeps of it."""

import json
from pathlib import Path

import pytest
from page_runtime import SUGGESTIONS
from playwright.sync_api import Browser, Page, expect
from web_page import PageServer, browser, copied, done, folder, go, needs_chromium, opened, page, sent, server

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
    assert sent(asked)["format"] == "bullets"
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
    assert sent(asked)["format"] == "markdown"
    done(page)
    expect(page.locator("#count")).to_contain_text("looks like Markdown")
    expect(page.locator(".segment.li")).to_contain_text("one item")
    expect(page.locator(".code")).to_have_text("let a")
    assert copied(page) == MARKDOWN.upper()
    with page.expect_download() as download:
        page.locator("[data-download=translation]").click()
    assert download.value.suggested_filename == "On-peace.fr.md"


def test_xml_is_summarized_by_its_words_and_translated_as_what_it_is(page: Page) -> None:
    xml = '<?xml version="1.0"?><news><para>The ministers met.</para></news>'
    with page.expect_request("**/v1/translate") as asked:
        go(page, xml)
    assert sent(asked)["format"] == "xml"
    done(page)
    expect(page.locator("#count")).to_contain_text("looks like XML")
    expect(page.locator("#summary .body")).to_have_text("The ministers met.")
    page.get_by_role("button", name="Clear").click()
    go(page, "<?xml version='1.0'?><news><para><![CDATA[They left & went.]]></para></news>")
    done(page)
    expect(page.locator("#summary .body")).to_have_text("They left & went.")


def test_pasted_html_is_never_run(page: Page) -> None:
    html = '<p>The <b>ministers</b> met.</p><img src="x" onerror="document.title = 1"><p>They left.</p>'
    with page.expect_request("**/v1/translate") as asked:
        go(page, html)
    assert sent(asked)["format"] == "html"
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
    checked = sent(asked)
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
    assert "alternatives" not in sent(ordinary)
    done(page)
    row = page.locator(".segment").first
    row.hover()
    with page.expect_request("**/v1/translate") as asked:
        row.get_by_role("button", name="Rewrite this sentence").click()
    body = sent(asked)
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


def test_a_sentence_is_kept_in_the_memory_marked_mended_and_forgotten(page: Page, server: PageServer) -> None:
    text = "The talks go on. They left."
    go(page, text, make="translation")
    done(page)
    row = page.locator(".segment").first
    row.hover()
    row.get_by_role("button", name="Rewrite this sentence").click()
    row.get_by_role("textbox").fill("Les pourparlers [sic] se poursuivent.")
    row.get_by_label("Keep in the translation memory").check()
    row.get_by_role("button", name="Save").click()
    expect(page.locator("#status")).to_have_text("Kept in the translation memory.")
    expect(row.locator("> :last-child")).to_have_attribute("data-tag", "your words")
    page.get_by_role("button", name="Edit").click()
    go(page, text, make="translation")
    done(page)
    expect(row.locator("> :last-child")).to_have_attribute("data-tag", "from the translation memory")
    expect(row.locator("mark")).to_have_text("[sic]")  # it is checked like any other
    page.get_by_text("More options").click()
    page.get_by_role("button", name="Show translation memory").click()
    memory = page.get_by_role("dialog", name="Translation memory")
    expect(memory.locator("tbody tr")).to_have_count(1)
    memory.get_by_role("textbox", name="Its translation").fill("Les pourparlers durent.")
    memory.get_by_role("button", name="Save").click()
    expect(memory.get_by_role("button", name="Save")).to_be_disabled()
    tmx = server.request("GET", "/v1/memory.tmx")[1].decode()
    assert "Les pourparlers durent." in tmx and "[sic]" not in tmx
    memory.get_by_role("searchbox").fill("no such words")
    expect(memory.locator("tbody tr")).to_have_count(0)
    memory.get_by_role("searchbox").fill("TALKS")
    memory.get_by_role("button", name="Forget", exact=True).click()
    expect(memory).to_contain_text("Nothing is kept yet.")
    assert json.loads(server.request("GET", "/v1/memory")[1]) == {"pairs": []}


def test_a_glossary_is_edited_here_or_on_the_server(page: Page, server: PageServer) -> None:
    page.get_by_text("More options").click()
    open_, card = (
        page.get_by_role("button", name="Edit glossaries"),
        page.get_by_role("dialog", name="Glossary"),
    )
    open_.click()
    card.get_by_label("Term", exact=True).fill("Vienna")
    card.get_by_label("Its translation").fill("Vienne")
    card.get_by_role("button", name="Save").click()
    expect(page.locator("#glossary")).to_have_value("browser")
    with page.expect_request("**/v1/translate") as asked:
        go(page, "They met in Vienna.", make="translation")
    assert sent(asked)["glossary"] == {"Vienna": "Vienne"}
    done(page)
    before = json.loads(server.request("GET", "/v1/glossaries")[1])["glossaries"]
    open_.click()
    expect(card.get_by_label("Term", exact=True).first).to_have_value("Vienna")
    card.get_by_role("combobox", name="Glossary").select_option("New glossary")
    card.get_by_label("Name").fill("towns")
    card.get_by_label("From").select_option("en")
    card.get_by_label("Term", exact=True).fill("Rome")
    card.get_by_label("Its translation").fill("Rome, Italie")
    card.get_by_role("button", name="Save").click()
    expect(page.locator("#glossary option").last).to_have_text("towns")
    open_.click()
    expect(card.get_by_label("Term", exact=True).first).to_have_value("Rome")
    card.get_by_label("Its translation").first.fill("Rom")
    card.get_by_role("button", name="Save").click()
    expect(card).to_be_hidden()
    after = json.loads(server.request("GET", "/v1/glossaries")[1])["glossaries"]
    (made,) = [each for each in after if each not in before]
    whole = json.loads(server.request("GET", f"/v1/glossaries/{made['id']}")[1])
    assert whole["dictionaries"][0]["entries"] == {"Rome": "Rom"}
    both = f"/v1/glossaries/{made['id']}"
    more = {"name": "towns", "source": "de", "target": "fr", "entries": {"Wien": "Vienne"}}
    assert server.request("PUT", both, json.dumps(more))[0].status == 200
    open_.click()
    expect(card.get_by_label("Term", exact=True).first).to_have_value("Wien")
    card.get_by_label("Term", exact=True).last.fill("Bern")
    card.get_by_label("From").select_option("en")
    expect(card.get_by_label("Term", exact=True).first).to_have_value("Rome")
    expect(card.get_by_label("Term", exact=True).last).to_have_value("Bern")
    card.get_by_role("button", name="Remove this term").last.click()
    card.get_by_role("button", name="Add a term").click()
    card.get_by_label("Term", exact=True).last.fill("Rome")
    card.get_by_label("Its translation").last.fill("twice")
    card.get_by_role("button", name="Save").click()
    expect(card.locator(".problem")).to_contain_text("only once")
    card.get_by_label("Term", exact=True).last.fill("Paris")
    card.get_by_role("button", name="Save").click()
    expect(card).to_be_hidden()
    kept = json.loads(server.request("GET", both)[1])["dictionaries"]
    assert sorted(len(each["entries"]) for each in kept) == [1, 2], "those of the other pair stay"
    open_.click()
    card.get_by_role("button", name="Delete this glossary").click()
    card.get_by_role("button", name="Press again").click()
    expect(card).to_be_hidden()
    assert json.loads(server.request("GET", "/v1/glossaries")[1])["glossaries"] == before


@pytest.mark.parametrize(
    ("suffix", "kind"), [("html", "a web page"), ("xhtml", "a web page"), ("xml", "XML")]
)
def test_an_article_is_fetched_by_its_address(page: Page, suffix: str, kind: str) -> None:
    address = page.locator("#address")
    refused = "http://127.0.0.1/secret"
    address.locator("input").fill(refused)
    address.get_by_role("button", name="Fetch").click()
    expect(page.get_by_role("alert")).to_contain_text("URL leads to '127.0.0.1', which is not public")
    expect(address.locator("input")).to_have_value(refused)
    expect(address.locator("input")).to_be_focused()
    body = "<body><article><p>Le café fermé.</p></article></body>"
    headers = {"Content-Disposition": f"attachment; filename=news.{suffix}"}
    octets = "application/octet-stream"
    page.route("**/v1/fetch", lambda route: route.fulfill(body=body, headers=headers, content_type=octets))
    address.locator("input").fill("https://news.example/a")
    address.locator("input").press("Enter")
    expect(page.locator("#article")).to_have_value(body)
    expect(page.locator("#count")).to_contain_text(f"read as {kind}")
    expect(address).to_be_hidden()


def test_the_page_speaks_the_browser_s_language_and_another_if_asked(
    browser: Browser, server: PageServer
) -> None:
    with opened(browser, server.port, locale="fr-CA") as page:
        expect(page.locator("html")).to_have_attribute("lang", "fr")
        expect(page.get_by_role("button", name="Lancer")).to_be_visible()
        expect(page.locator("#from option").first).to_have_text("Détecter la langue")
        page.locator("#article").fill("Two ministers met. They left.")
        page.locator("#target").select_option("de")
        page.get_by_role("button", name="Lancer").click()
        expect(page.locator("#status")).to_have_text("Terminé.")
        expect(page.locator("#translation .fine [lang=en]")).to_have_text("fake/m is a small model.")
        page.get_by_label("Langue de cette page").select_option("Русский")
        expect(page.locator("#status")).to_have_text("Готово.")
        expect(page.locator("#target")).to_have_value("de")
        expect(page.locator("#translation .fine")).to_contain_text("Английский → немецкий")
        expect(page.locator("#translation .tally")).to_contain_text("В 2 предложениях не найдено")
        page.reload()
        expect(page.get_by_role("button", name="Начать")).to_be_visible()
        assert page.evaluate("() => document.querySelectorAll('[data-t]:empty').length") == 0
    with opened(browser, server.port, locale="sv-SE") as page:
        expect(page.locator("html")).to_have_attribute("lang", "en")
        expect(page.get_by_role("button", name="Go", exact=True)).to_be_visible()
