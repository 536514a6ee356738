"""The documentation page in a real browser: drawn under its own policy, from this server alone."""

from pathlib import Path

from playwright.sync_api import expect
from server_process import ServerProcess
from web_page import chromium, needs_chromium


@needs_chromium
def test_the_page_shows_the_routes_and_tries_one(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path)
    said: list[str] = []
    asked: list[str] = []
    try:
        with chromium() as browser:
            page = browser.new_page()
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("request", lambda request: asked.append(request.url))
            page.goto(f"http://127.0.0.1:{server.port}/docs")
            route = page.locator("#operations-translations-post_v1_translate")
            route.get_by_role("button").first.click()
            route.get_by_role("button", name="Try it out").click()
            route.get_by_role("button", name="Execute").click()
            expect(route.locator(".live-responses-table")).to_contain_text("THE MINISTERS MET IN VIENNA")
            page.emulate_media(color_scheme="dark")
            expect(page.locator("html")).to_have_class("dark-mode")
    finally:
        server.kill()
    assert all(url.startswith((f"http://127.0.0.1:{server.port}/", "data:")) for url in asked)
    assert said == []
