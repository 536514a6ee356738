"""The page where a key is needed, in a real browser against the real server over fake tasks."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect
from server_process import ServerProcess
from web_page import chromium, needs_chromium

from service.store.database import Database
from service.store.keys import Keys

pytestmark = needs_chromium


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path, anonymous=False)
    yield server
    server.kill()


def test_the_page_asks_for_a_key_and_works_with_it(server: ServerProcess, tmp_path: Path) -> None:
    keys = Keys(Database(tmp_path / "data"))
    made, secret = keys.create("a reader")
    with chromium() as browser:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.port}/")
        card, key = page.get_by_role("dialog", name="API key"), page.get_by_label("Key", exact=True)
        problem, carry_on = card.get_by_role("alert"), page.get_by_role("button", name="Continue")
        expect(key).to_be_focused()
        expect(problem).to_be_hidden()
        expect(page.locator("#problem")).to_be_hidden()

        page.get_by_role("button", name="Cancel").click()
        assert page.locator("#length option").count() > 1
        page.locator("#article").fill("The ministers met.")
        page.get_by_role("button", name="Go").click()
        expect(card).to_be_visible()  # nothing can be done without a key
        expect(page.locator("#problem")).to_be_hidden()

        key.fill("drg_wrong")
        carry_on.click()
        expect(problem).to_have_text(re.compile("The server does not know this API key."))

        key.fill(secret)
        key.press("Enter")
        expect(card).to_be_hidden()
        expect(page.locator("#target option")).to_have_count(4)
        page.reload()
        expect(page.locator("#target option")).to_have_count(4)  # the key is kept in the tab
        expect(card).to_be_hidden()
        page.locator("#article").fill("The ministers met in Vienna.")
        page.get_by_role("button", name="Go").click()
        expect(page.get_by_role("status")).to_have_text("Done.")

        keys.revoke(made.id)
        page.get_by_role("button", name="Go").click()
        expect(problem).to_contain_text("This API key was revoked")
        expect(page.locator("#summary .body")).to_have_text("The ministers met in Vienna.")
