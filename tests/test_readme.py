"""The README and the pages in docs/: short enough, true to the code, no link that leads nowhere."""

import re
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from service.cli.main import cli

ROOT = Path(__file__).parent.parent
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
README_LINES = 180


def test_the_readme_is_of_one_sitting():
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= README_LINES


@pytest.mark.parametrize("package", ["models", "service"])
def test_the_readme_names_every_folder(package):
    tree = (ROOT / "README.md").read_text("utf-8").split("## How it is built")[1].split("```")[1]
    folders = {path.name for path in (ROOT / package).iterdir() if path.is_dir() and path.name[0] not in "_."}
    named = re.search(rf"^{package}/.*?(?=^\S)", tree, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"^  (\w+)/ ", named[0], re.MULTILINE)) == folders


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}, link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_in_commands_are_there(page):
    for name in re.findall(
        r"(?<![\w/])((?:examples|bench|docs|models|service)/[\w./-]+\.\w+)", page.read_text("utf-8")
    ):
        assert (ROOT / name).exists(), name


def test_settings_are_documented_as_they_are(monkeypatch):
    printed = CliRunner().invoke(cli, ["settings", "--markdown"])
    assert printed.exit_code == 0
    assert printed.output == (ROOT / "docs" / "settings.md").read_text("utf-8")


def test_the_settings_in_force_are_shown(monkeypatch):
    monkeypatch.setenv("DRAGOMAN_MAX_QUEUED_REQUESTS", "7")
    monkeypatch.setenv("DRAGOMAN_CALLBACK_SECRET", "a secret of ours")
    shown = CliRunner().invoke(cli, ["settings"]).output
    assert "DRAGOMAN_MAX_QUEUED_REQUESTS (64, now 7)" in shown
    assert "a secret of ours" not in shown


def test_a_class_name_stands_once():
    names = Counter(
        name
        for file in (*(ROOT / "models").rglob("*.py"), *(ROOT / "service").rglob("*.py"))
        for name in re.findall(r"^class (\w+)", file.read_text(), re.MULTILINE)
    )
    assert [name for name, number in names.items() if number > 1 and not name.startswith("_")] == []
