"""Takes docs/page.png of a running server: the example's summary in French, one sentence's evidence lit up.

    dragoman serve --models bundled &
    python bench/page_picture.py --url http://127.0.0.1:8080

Run it when the page or what the models write has changed. Needs playwright and chromium, as tests do.
"""

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

ROOT = Path(__file__).parent.parent
SIZE = {"width": 1280, "height": 860}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", default="http://127.0.0.1:8080")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "page.png")
    given = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(locale="en-GB", viewport=SIZE)
        page.goto(given.url)
        page.locator("#article").fill((ROOT / "examples" / "article.txt").read_text("utf-8"))
        page.get_by_role("radio", name="Summary").check()
        page.locator("#target").select_option("fr")
        page.get_by_role("button", name="Go", exact=True).click()
        expect(page.get_by_role("status")).to_have_text("Done.", timeout=120_000)
        page.locator(".sentence").last.focus()
        page.wait_for_timeout(500)  # ms: the light fades in
        page.screenshot(path=given.out)
        browser.close()


if __name__ == "__main__":
    main()
