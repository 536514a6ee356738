"""The documentation page in a real browser: drawn under its own policy, from this server alone."""

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright
from test_server import ServerProcess

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

expect.set_options(timeout=20_000)  # ms: a busy machine takes its time
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")


def test_the_page_shows_the_routes_and_tries_one(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path)
    said: list[str] = []
    asked: list[str] = []
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            page = browser.new_page()
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("request", lambda request: asked.append(request.url))
            page.goto(f"http://127.0.0.1:{server.port}/docs")
            route = page.locator("#operations-translations-post_v1_translate")
            route.get_by_role("button").first.click()
            route.get_by_role("button", name="Try it out").click()
            route.get_by_role("button", name="Execute").click()
            expect(route.locator(".live-responses-table")).to_contain_text("GOOD MORNING.")
            browser.close()
    finally:
        server.kill()
    assert all(url.startswith((f"http://127.0.0.1:{server.port}/", "data:")) for url in asked)
    assert said == []
