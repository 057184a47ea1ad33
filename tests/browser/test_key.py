"""The pages of a server with keys: they ask for one, go on with it, and do not show it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chromium import accessibility_problems
from tests.service.keys.made import make, write
from tests.service.running import Running

WEB = make()


@pytest.fixture(scope="module")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    keys = write(tmp_path_factory.mktemp("keys") / "keys", WEB)
    options = ("--model", "table", "--api-keys-file", str(keys), "--public", "page")
    with Running(models, *options) as running:
        yield running


def test_a_visitor_is_asked_for_a_key_once(page: Page) -> None:
    page.goto("/#table@2")
    dialog = page.get_by_role("dialog", name="This server needs an API key")
    expect(dialog).to_contain_text("Whoever runs it can give you one.")
    assert accessibility_problems(page) == []
    for wrong in ("", "é", " "):
        page.locator("#key").fill(wrong)
        page.keyboard.press("Enter")
        expect(dialog).to_be_visible()
    page.locator("#key").fill("mlp_wrong")
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("The server does not know that key.")
    page.locator("#key").fill(WEB.secret)
    page.get_by_role("button", name="Use this key").click()
    expect(dialog).to_have_count(0)
    expect(page.locator("#answer")).to_contain_text("%")
    for language in ("curl", "Python", "JavaScript"):
        page.get_by_role("tab", name=language).click()
        expect(page.locator("#snippet")).to_contain_text("YOUR-API-KEY")
    assert WEB.secret not in page.content()
    page.goto("/status")  # in the same tab
    expect(page.get_by_role("status")).to_contain_text("Live")


def test_a_visitor_without_a_key_sees_why_there_is_no_answer(page: Page) -> None:
    page.goto("/#table@2")
    page.get_by_role("button", name="Continue without a key").click()
    expect(page.locator("#answer")).to_contain_text("the request has no key")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.goto("/status")
    page.locator("#key").wait_for()
    page.keyboard.press("Escape")
    expect(page.get_by_role("status")).to_contain_text("GET /metrics was answered with 401")
