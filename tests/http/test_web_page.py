"""The page, in a real browser against the real server over fake tasks: Debian's chromium, headless."""

import json
import re
from pathlib import Path

import docx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from server_process import ServerProcess
from web_page import browser, folder, go, needs_chromium, not_in_firefox, page, server

ARTICLE = "The ministers met in Vienna. They signed 14 [sic] papers on Sunday."

pytestmark = needs_chromium
SERVER = ServerProcess
needs_downloads = not_in_firefox("ignores downloads, to which Firefox 153 gives no id")


def test_an_article_goes_in_and_its_brief_and_translation_come_out(page: Page) -> None:
    go(page, ARTICLE)
    expect(page.get_by_role("status")).to_have_text("Done.")
    expect(page.locator("#summary .body")).to_have_text(ARTICLE)
    expect(page.locator("#summary .body")).to_have_attribute("lang", "fr")
    row = page.locator(".segment")
    expect(row).to_have_count(1)
    expect(row.locator("> :first-child")).to_have_text(ARTICLE)
    expect(row.locator("> :last-child")).to_have_text(ARTICLE.upper())


def test_evidence_lights_up_by_pointer_and_by_keyboard(page: Page) -> None:
    go(page, ARTICLE, make="summary")
    sentence = page.locator(".sentence")
    expect(sentence).to_have_count(1)
    expect(page.locator("#read .lit")).to_have_count(0)
    sentence.hover()
    expect(page.locator("#read .lit").first).to_be_visible()
    page.mouse.move(0, 0)
    expect(page.locator("#read .lit")).to_have_count(0)
    page.locator("#summary [data-download]").focus()
    page.keyboard.press("Tab")
    expect(sentence).to_be_focused()
    assert "".join(page.locator("#read .lit").all_inner_texts()) == ARTICLE


def test_evidence_is_told_in_words_to_who_cannot_see_it_lit(page: Page) -> None:
    go(page, ARTICLE, make="summary")
    page.set_viewport_size({"width": 390, "height": 844})
    evidence = page.locator("#summary .evidence")
    expect(evidence).to_have_attribute("aria-live", "polite")
    page.locator(".sentence").click()
    expect(evidence).to_have_text(ARTICLE)
    expect(evidence).to_be_visible()


def test_characters_beyond_the_first_plane_do_not_shift_the_light(page: Page) -> None:
    text = "🕊 Peace 🕊 was [sic] signed in Vienna on Sunday."
    go(page, text, make="summary")
    expect(page.locator("mark")).to_have_text("[sic]")
    page.locator(".sentence").hover()
    assert "".join(page.locator("#read .lit").all_inner_texts()) == text


def test_what_is_flagged_is_marked_with_the_reason(page: Page) -> None:
    go(page, ARTICLE, make="summary")
    mark = page.locator("#summary mark")
    expect(mark).to_have_text("[sic]")
    mark.hover()
    expect(page.get_by_role("tooltip")).to_have_text("The source has no such thing.")
    expect(page.get_by_role("list", name="Possible problems in the summary")).to_contain_text(
        "[sic] (number): the source has no such thing"
    )


def test_an_error_is_told_in_words(page: Page) -> None:
    go(page, "!wrong", make="translation")
    expect(page.get_by_role("alert")).to_have_text("The text holds no sentence.")
    expect(page.get_by_role("button", name="Go")).to_be_enabled()
    go(page, ARTICLE, make="translation")
    expect(page.get_by_role("alert")).to_be_hidden()


def test_no_language_chosen_is_told(page: Page) -> None:
    go(page, ARTICLE, target="")
    expect(page.get_by_role("alert")).to_have_text("Choose the language to translate into.")


def test_it_can_be_stopped(page: Page, server: ServerProcess) -> None:
    go(page, "!never", make="summary")
    stop, start = page.get_by_role("button", name="Stop"), page.get_by_role("button", name="Go", exact=True)
    expect(stop).to_be_focused()  # it stands where Go stood, for the keyboard too
    expect(start).to_be_hidden()
    expect(page.locator("[data-copy=summary]")).to_be_disabled()
    stop.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Stopped.")
    expect(start).to_be_focused()
    server.wait_for_work(0)


@needs_downloads
def test_a_file_is_opened_and_a_result_copied_and_downloaded(page: Page, tmp_path: Path) -> None:
    (tmp_path / "article.txt").write_text(ARTICLE)
    page.locator("#file").set_input_files(tmp_path / "article.txt")
    expect(page.locator("#article")).to_have_value(ARTICLE)
    go(page, page.locator("#article").input_value(), make="translation")
    expect(page.get_by_role("status")).to_have_text("Done.")
    page.locator("[data-copy=translation]").click()
    assert page.evaluate("() => navigator.clipboard.readText()") == ARTICLE.upper()
    with page.expect_download() as download:
        page.locator("[data-download=translation]").click()
    assert download.value.path().read_text() == ARTICLE.upper()
    page.get_by_role("button", name="Edit").click()
    expect(page.locator("#article")).to_be_visible()


@needs_downloads
def test_a_word_document_comes_back_as_one(page: Page, tmp_path: Path) -> None:
    document = docx.Document()
    document.add_paragraph("Hello there.")
    document.save(str(tmp_path / "report.docx"))
    page.locator("#file").set_input_files(tmp_path / "report.docx")
    expect(page.get_by_role("status")).to_have_text("report.docx is ready.")
    page.locator("#target").select_option("fr")
    page.get_by_role("button", name="Go").click()
    expect(page.locator("#summary .body")).to_have_text("Hello there.")
    expect(page.locator("#document .segment > :last-child")).to_contain_text("HELLO THERE.")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download report.fr.docx").click()
    assert download.value.suggested_filename == "report.fr.docx"
    assert docx.Document(str(download.value.path())).paragraphs[0].text == "HELLO THERE."


def test_a_picture_is_told_what_can_be_opened(page: Page) -> None:
    page.locator("#file").set_input_files({"name": "photo.png", "mimeType": "image/png", "buffer": b"x"})
    expect(page.get_by_role("alert")).to_contain_text("photo.png is a picture that cannot be read here.")
    expect(page.get_by_role("alert")).to_contain_text(".docx")


def test_the_theme_is_kept(page: Page) -> None:
    button = page.get_by_role("button", name="Dark")
    light = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    dark = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert dark != light
    page.reload()
    expect(page.get_by_role("button", name="Dark")).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize("width", [900, 1400, 1920])
def test_header_and_content_share_their_left_edge(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    lefts = [page.locator(each).bounding_box()["x"] for each in ("header img", "#form", "#source")]  # type: ignore[index]
    assert max(lefts) - min(lefts) <= 1


@not_in_firefox("cannot print, and sets media by a command that Firefox 153 lacks")
def test_print_has_the_result_and_no_controls(page: Page) -> None:
    page.emulate_media(media="print")
    expect(page.locator("#source")).to_be_visible()
    page.emulate_media(media="screen")
    go(page, ARTICLE)
    expect(page.get_by_role("status")).to_have_text("Done.")
    page.emulate_media(media="print")
    expect(page.locator("#translation .body")).to_be_visible()
    for hidden in ("#form", "header", "#source", "#status", "[data-copy=summary]"):
        expect(page.locator(hidden)).to_be_hidden()


@pytest.mark.parametrize("width", [320, 390])
def test_it_fits_a_phone(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 740})
    article, options = page.locator("#article"), page.locator("#form")
    assert article.bounding_box()["y"] < options.bounding_box()["y"]  # type: ignore[index]
    article.press("Tab")
    expect(options.locator(":checked").first).to_be_focused()  # read and reached in the same order
    go(page, ARTICLE + " " + "x" * 300)
    expect(page.locator(".segment")).to_have_count(1)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_stands_in_a_screen_readers_way(browser: Browser, server: ServerProcess, theme: str) -> None:
    context = browser.new_context(bypass_csp=True, color_scheme=theme)  # axe is put into the page
    page = context.new_page()
    page.goto(f"http://127.0.0.1:{server.port}/")
    expect(page.locator("#target option")).to_have_count(4)
    go(page, ARTICLE)
    expect(page.get_by_role("status")).to_have_text("Done.")
    found = Axe().run(page).response["violations"]
    context.close()
    assert not [(each["id"], each["help"], [node["html"] for node in each["nodes"]]) for each in found]


def test_its_policy_is_strict(server: ServerProcess) -> None:
    response, body = server.request("GET", "/")
    policy = response.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    text = body.decode()
    assert not re.search(r"\son\w+=|<style|style=|<script(?![^>]*src)", text), "nothing inline"
    paths = re.findall(r'(?:src|href)="(?!#)([^"]+)"', text)
    assert len(paths) >= 4
    for path in paths:  # relative ones, so that it works at any path of a proxy
        assert re.match(r"\w+(/|$)", path)
        assert server.request("GET", f"/{path}")[0].status == 200
    assert json.loads(server.request("GET", "/web/nothing")[1])["status"] == 404
