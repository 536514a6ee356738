"""The page loses nothing: what is done stays when the rest fails, is stopped, or the page is loaded anew."""

import re
from pathlib import Path

import docx
import pytest
from playwright.sync_api import Page, expect
from web_page import browser, copied, done, folder, go, needs_chromium, page, server

pytestmark = needs_chromium

SHORT = "The ministers met. They signed nothing. {} They left on Sunday."
SMALL = "fake/m is a small model. Whoever runs this server can add a better one."
LONG = "\n\n".join(f"In paragraph {i} the ministers met. They signed 14 papers. {{}}" for i in range(24))
"""Beyond the server's 1,000 characters for a request, and within its 5,000 for a job."""


def _long(**special: str) -> str:
    return LONG.format(*(special.get(f"p{i}", "") for i in range(24)))


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("!late", "The request took longer than the server allows"),
        ("!breaks", "The model failed on this text."),
    ],
)
def test_sentences_stay_when_something_fails_and_the_rest_can_be_had(
    page: Page, word: str, reason: str
) -> None:
    text = SHORT.format(f"It is {word}.")
    go(page, text, make="translation")
    unfinished = page.locator("#unfinished")
    expect(unfinished).to_contain_text(f"2 sentences are done; the rest is missing. {reason}")
    expect(page.locator(".segment")).to_have_count(2)
    expect(page.locator(".gap")).to_have_count(1)
    assert copied(page) == "THE MINISTERS MET. THEY SIGNED NOTHING."
    page.get_by_role("button", name="Continue").click()
    done(page)
    expect(page.locator(".segment")).to_have_count(4)
    expect(unfinished).to_be_hidden()
    assert copied(page) == text.upper()


def test_stop_keeps_what_is_done_and_a_reload_too(page: Page) -> None:
    text = SHORT.format("!slow " * 3 + ". ") + " More !slow." * 9
    go(page, text, make="translation")
    expect(page.locator(".segment").nth(1)).to_be_visible()
    expect(page.locator("#status")).to_contain_text(re.compile(r"\d of \d+ sentences"))
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#status")).to_have_text("Stopped.")
    expect(page.locator("#unfinished")).to_contain_text("Stopped.")
    rows = page.locator(".segment").count()
    assert rows >= 2
    page.reload()
    expect(page.locator(".segment")).to_have_count(rows)
    expect(page.locator("#article")).to_have_value(text)
    page.get_by_role("button", name="Continue").click()
    done(page)
    assert copied(page) == text.upper()


def test_a_long_text_is_sent_as_jobs_and_goes_on_after_a_reload(page: Page) -> None:
    text = _long(p20="!slow !slow of all.")
    go(page, text, make="translation")
    expect(page.locator(".segment").first).to_be_visible()
    page.reload()
    done(page)
    assert copied(page) == text.strip().upper()
    expect(page.locator(".gap")).to_have_count(0)


def test_a_long_text_is_one_job_whose_sentences_are_shown_and_kept(page: Page) -> None:
    text = _long(p3="All of it is !slow. " * 9)
    handed_in: list[str] = []
    page.on("request", lambda asked: handed_in.extend([asked.url] if asked.method == "POST" else []))
    go(page, text, make="translation")
    expect(page.locator(".segment").nth(8)).to_be_visible()
    expect(page.locator("#status")).to_contain_text(re.compile(r"\d of 57 sentences"))
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#unfinished")).to_contain_text(re.compile(r"\d+ sentences are done"))
    assert sum(url.endswith("/v1/jobs") for url in handed_in) == 1
    rows = page.locator(".segment").count()
    assert 9 <= rows < 57
    page.reload()
    expect(page.locator(".segment")).to_have_count(rows)
    page.get_by_role("button", name="Continue").click()
    done(page)
    expect(page.locator(".segment")).to_have_count(57)
    assert copied(page) == text.strip().upper()


def test_a_document_s_sentences_have_their_flags_and_doubt(page: Page, tmp_path: Path) -> None:
    document = docx.Document()
    document.add_paragraph("They signed 14 [sic] papers. All [?] left.")
    document.save(str(tmp_path / "report.docx"))
    page.locator("#file").set_input_files(tmp_path / "report.docx")
    page.locator("input[name=make][value=translation]").check()
    page.locator("#target").select_option("fr")
    page.get_by_role("button", name="Go", exact=True).click()
    done(page)
    expect(page.locator("#document .tally")).to_contain_text(
        "2 possible problems in 2 sentences: 1 × number, 1 × doubtful."
    )
    expect(page.locator("#document .trust")).to_have_text("About 1 of 2 sentences are likely right.")
    expect(page.locator("#document .fine")).to_contain_text(f"{SMALL} Only the sentences are shown here;")
    expect(page.locator("#document mark.whole")).to_have_text(["ALL ", " LEFT."])
    expect(page.locator("#document mark.weak")).to_have_text("[?]")
    expect(page.locator("#document .segment > :first-child").last).to_have_text("All [?] left.")
    assert copied(page, "document") == "THEY SIGNED 14 [SIC] PAPERS. ALL [?] LEFT."
    page.reload()
    expect(page.get_by_role("button", name="Download report.fr.docx")).to_be_enabled()


def test_a_long_text_that_fails_keeps_what_is_done(page: Page) -> None:
    text = _long(p9="A job is !late too.")
    go(page, text, make="translation")
    expect(page.locator("#unfinished")).to_contain_text("the rest is missing")
    expect(page.locator(".gap")).to_have_count(1)
    expect(page.locator(".segment").last).to_contain_text("THEY SIGNED 14 PAPERS.")
    page.get_by_role("button", name="Continue").click()
    done(page)
    assert copied(page) == text.strip().upper()


def test_what_is_refused_for_now_is_tried_again_by_itself(page: Page) -> None:
    refusals = iter([429])

    def refuse_once(route) -> None:  # type: ignore[no-untyped-def]
        if next(refusals, None):
            body = '{"type": "/problems/overloaded", "detail": "the server is busy", "status": 429}'
            route.fulfill(status=429, headers={"Retry-After": "1"}, body=body)
        else:
            route.continue_()

    page.route("**/v1/translate", refuse_once)
    go(page, "Hello there.", make="translation")
    expect(page.locator("#status")).to_contain_text("The server is busy. Trying again")
    done(page)


def test_a_server_that_is_not_there_is_told_in_words(page: Page) -> None:
    page.route("**/v1/clean", lambda route: route.abort())
    go(page, "Hello there.", make="translation")
    expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached.")
    page.unroute("**/v1/clean")
    go(page, "Hello there.", make="translation")
    done(page)


def test_how_much_is_likely_right_comes_first_and_what_was_checked_is_named(page: Page) -> None:
    go(page, "They signed 14 papers. All left.", make="translation")
    trust, tally = page.locator("#translation .trust"), page.locator("#translation .tally")
    expect(trust).to_have_text("About 2 of 2 sentences are likely right.")
    expect(tally).to_contain_text(
        "No wrong number, date or name found in 2 sentences; wording is not checked."
    )
    page.get_by_role("button", name="Edit").click()
    go(page, "They [?] signed. All [?] left. Nobody spoke.", make="translation")
    expect(trust).to_have_text("About 1 of 3 sentences are likely right: compare with the source.")
    expect(trust).to_have_class("trust low")
    assert trust.bounding_box()["y"] < tally.bounding_box()["y"]
    expect(page.locator("#translation .fine")).not_to_contain_text("likely right")
    expect(page.locator("#translation .fine")).to_contain_text(SMALL)
    expect(page.locator("#translation .fine")).not_to_contain_text("`")


def test_only_the_sentence_that_is_pointed_at_lights_up(page: Page) -> None:
    go(page, "They signed 14 papers. All left.", make="translation")
    done(page)
    page.locator(".segment").last.hover()
    expect(page.locator("#read .lit")).to_have_text("All left.")
    page.locator(".segment").first.hover()
    expect(page.locator("#read .lit")).to_have_text("They signed 14 papers.")


def test_marks_and_shades_tell_their_reason_and_are_counted(page: Page) -> None:
    go(page, "They signed 14 [sic] papers. All [?] left.", make="translation")
    expect(page.locator("#translation .tally")).to_contain_text(
        "2 possible problems in 2 sentences: 1 × number, 1 × doubtful."
    )
    shade = page.locator("#translation mark.whole").first
    expect(page.locator("#translation mark")).to_have_text(["[SIC]", "ALL ", "[?]", " LEFT."])
    reason = page.locator("#reason")
    shade.hover()
    expect(reason).to_have_text("The model was unsure.")
    page.mouse.move(0, 0)
    expect(reason).to_be_hidden()
    page.get_by_role("button", name="Next").click()
    expect(page.locator("#translation mark").first).to_be_focused()
    expect(reason).to_have_text("The source has no such number.")
    page.mouse.move(300, 300)  # the one that has the keyboard keeps its reason
    expect(reason).to_be_visible()
    page.keyboard.press("Escape")
    expect(reason).to_be_hidden()


def test_work_that_is_cleared_away_is_in_the_history_and_goes_on_from_there(page: Page) -> None:
    go(page, "All of it is !slow. " * 6, make="translation")
    expect(page.locator(".segment").first).to_be_visible()
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.locator("#status")).to_have_text("Cleared.")
    expect(page.get_by_role("button", name="Go", exact=True)).to_be_visible()
    page.get_by_text("History", exact=True).click()
    page.locator("#history .entry").first.click()
    expect(page.locator("#unfinished")).to_contain_text("Stopped.")
    page.get_by_role("button", name="Continue").click()
    done(page)
    expect(page.locator(".segment")).to_have_count(6)


def test_clear_is_undone_once_by_its_button_or_by_the_keyboard(page: Page) -> None:
    go(page, "The ministers met.", make="translation")
    done(page)
    clear, undo = page.get_by_role("button", name="Clear"), page.get_by_role("button", name="Undo")
    for bring_back in (undo.click, lambda: page.keyboard.press("Control+z")):
        clear.click()
        expect(page.locator("#article")).to_have_value("")
        expect(page.locator("#translation")).to_be_hidden()
        bring_back()
        expect(page.locator("#article")).to_have_value("The ministers met.")
        expect(page.locator(".segment")).to_have_count(1)
        expect(undo).to_be_hidden()
    clear.click()
    page.locator("#article").fill("Another text.")
    expect(undo).to_be_hidden()


def test_go_while_the_server_is_away_keeps_what_is_shown(page: Page) -> None:
    go(page, "The ministers met.", make="translation")
    done(page)
    row = page.locator(".segment")
    row.hover()
    row.get_by_role("button", name="Rewrite this sentence").click()
    row.locator("textarea").fill("In my words.")
    row.get_by_role("button", name="Save", exact=True).click()
    page.route("**/v1/*", lambda route: route.abort())
    page.get_by_role("button", name="Edit").click()
    go(page, "The ministers met again.", make="translation")
    expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached.")
    expect(row.locator("> :last-child")).to_have_text("In my words.")
    expect(page.locator(".results")).to_have_class("results old")
    expect(page.locator("#article")).to_have_value("The ministers met again.")
    page.unroute("**/v1/*")
    page.locator("#article").press("Control+Enter")
    done(page)
    expect(page.get_by_role("alert")).to_be_hidden()
    assert copied(page) == "THE MINISTERS MET AGAIN."


def test_another_file_takes_the_first_one_s_result_away_and_undo_brings_it_back(
    page: Page, tmp_path: Path
) -> None:
    for name in ("first", "second"):
        document = docx.Document()
        document.add_paragraph(f"The {name} report.")
        document.save(str(tmp_path / f"{name}.docx"))
    card = page.locator("#file-card")
    page.locator("#file").set_input_files(tmp_path / "first.docx")
    expect(card).to_contain_text(re.compile(r"first\.docxDOCX, \d+ kB"))
    page.locator("input[name=make][value=translation]").check()
    page.get_by_role("button", name="Go", exact=True).click()
    download = page.get_by_role("button", name="Download first.fr.docx")
    expect(download).to_be_enabled()
    page.locator("#file").set_input_files(tmp_path / "second.docx")
    expect(card).to_contain_text("second.docx")
    expect(download).to_be_hidden()
    page.get_by_role("button", name="Undo").click()
    expect(card).to_contain_text("first.docx")
    expect(download).to_be_enabled()
    page.get_by_role("button", name="Remove").click()
    expect(card).to_be_hidden()
    expect(page.locator("#article")).to_be_visible()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.txt", "un café".encode()),
        ("a.txt", b"\xff\xfe" + "un café".encode("utf-16-le")),
        ("a.html", '<meta charset="iso-8859-1">un café'.encode("latin-1")),
        ("a.xml", '<?xml version="1.0" encoding="iso-8859-1"?>un café'.encode("latin-1")),
    ],
)
def test_a_text_file_is_read_in_the_encoding_that_it_says(page: Page, name: str, data: bytes) -> None:
    page.locator("#file").set_input_files({"name": name, "mimeType": "text/plain", "buffer": data})
    expect(page.locator("#article")).to_have_value(re.compile("un café$"))


def test_a_text_file_in_another_encoding_is_refused_and_nothing_is_lost(page: Page) -> None:
    page.locator("#article").fill("A draft.")
    latin = {"name": "a.txt", "mimeType": "text/plain", "buffer": "un café".encode("latin-1")}
    page.locator("#file").set_input_files(latin)
    expect(page.get_by_role("alert")).to_contain_text("a.txt is not UTF-8 text; save it as UTF-8")
    expect(page.locator("#article")).to_have_value("A draft.")


def test_a_file_may_be_dropped_anywhere_on_the_page(page: Page) -> None:
    taken = page.evaluate(
        """() => {
            const data = new DataTransfer();
            data.items.add(new File(["Dropped words."], "a.txt", { type: "text/plain" }));
            const drop = new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
            document.querySelector("header").dispatchEvent(drop);
            return drop.defaultPrevented;
        }"""
    )
    assert taken
    expect(page.locator("#article")).to_have_value("Dropped words.")
