"""The card as a page: nothing of it runs or is loaded, and it can be read on a phone, in the dark, without a mouse."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.chromium import PATIENCE_MS, Watched, accessibility_problems, too_narrow
from tests.browser.conftest import HOSTILE, ROOT
from training.release import card_page
from training.release.markdown import code, table, text

SHIPPED = ROOT / "models" / "fashion-mnist" / "1"


def hostile_card() -> str:
    """A card whose names and labels all attack it."""
    names = (
        *HOSTILE,
        "[a](javascript:alert(4))",
        "![b](https://example.com/b.png)",
        "`</code><script>alert(5)</script>",
    )
    rows = [[text(name), code(name)] for name in names]
    parts = [f"## About {text(name)}\n\n{text(name)} {code(name)}\n\n- {text(name)}" for name in names]
    return "\n\n".join(["# small, version 1", *parts, table([text(names[0]), "name"], rows)]) + "\n"


@pytest.mark.parametrize("name", ["shipped", "hostile"])
def test_the_file_is_accessible_and_loads_nothing(browser: Browser, tmp_path: Path, name: str) -> None:
    path = SHIPPED / "card.html"
    if name == "hostile":
        path = tmp_path / "card.html"
        path.write_bytes(card_page.page(hostile_card(), {}))
    watched = Watched(browser, "file://")
    page = watched.page()
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    page.goto(path.as_uri())
    assert page.locator("h1").inner_text() == page.title()
    assert accessibility_problems(page) == []
    assert too_narrow(page) == []
    assert page.locator("script").count() == 0
    assert (watched.problems, dialogs) == ([], [])
    watched.close()


def test_the_page_links_to_it_and_its_pictures_are_shown(page: Page) -> None:
    page.goto("/#fashion-mnist@1")
    page.locator("#card-link").press("Enter")  # a click may miss it: pictures that load above move it
    page.wait_for_url("**/card.html", timeout=PATIENCE_MS)
    assert page.title() == "fashion-mnist, version 1"
    images = page.locator("img")
    assert images.count() == 5
    for index in range(images.count()):
        assert images.nth(index).evaluate("image => image.complete && image.naturalWidth > 0")
        assert images.nth(index).get_attribute("alt")
