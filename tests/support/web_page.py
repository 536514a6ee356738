"""The page in a browser, headless: chromium, or with PAGE_BROWSER=firefox Firefox; and fixtures."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from server_process import ServerProcess

IS_FIREFOX = os.environ.get("PAGE_BROWSER") == "firefox"
FIREFOX = next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(
    (FIREFOX if IS_FIREFOX else CHROMIUM) is None, reason="there is no such browser on this machine"
)


def not_in_firefox(why: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(IS_FIREFOX, reason=f"playwright's driver of Firefox {why}")


expect.set_options(timeout=20_000)  # ms: a busy machine takes its time


class PageServer(ServerProcess):
    """One that translates sentence by sentence, and fails where the text says so."""

    program = "page_runtime.py"


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        if IS_FIREFOX:
            browser = playwright.firefox.launch(executable_path=FIREFOX, channel="moz-firefox")
        else:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def server(request: pytest.FixtureRequest, folder: Path) -> Iterator[ServerProcess]:
    """A `PageServer`, or what the module has as SERVER."""
    server = getattr(request.module, "SERVER", PageServer)(folder)
    yield server
    server.kill()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, server: ServerProcess) -> Iterator[Page]:
    with opened(browser, server.port) as page:
        yield page


@contextmanager
def opened(browser: Browser, port: int, path: str = "", **options: Any) -> Iterator[Page]:
    """The page, open; fails the test if it asks another host or says anything on its console."""
    own = f"http://127.0.0.1:{port}/"
    context = browser.new_context(
        permissions=[] if IS_FIREFOX else ["clipboard-read", "clipboard-write"],
        **{"locale": "en-GB", **options},
    )
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(own + path)
    expect(page.locator("#target option")).to_have_count(4)
    yield page
    context.close()
    assert not [url for url in asked if not url.startswith((own, "blob:"))]
    assert not [words for words in said if "status of 4" not in words and "net::" not in words]


def go(page: Page, text: str, *, make: str = "both", target: str = "fr") -> None:
    page.locator("#article").fill(text)
    page.locator(f"input[name=make][value={make}]").check()
    page.locator("#target").select_option(target)
    page.get_by_role("button", name="Go", exact=True).click()


def done(page: Page) -> None:
    expect(page.locator("#status")).to_have_text("Done.")


def sent(asked: Any) -> Any:
    """The JSON of a request that was waited for; in Firefox the test ends here."""
    if IS_FIREFOX:
        pytest.skip("playwright's driver of Firefox tells no request's body")
    return json.loads(asked.value.post_data)


def copied(page: Page, what: str = "translation") -> str:
    page.locator(f"[data-copy={what}]").click()
    return str(page.evaluate("() => navigator.clipboard.readText()"))
