"""A browser that no longer answers holds up no run of the tests."""

from __future__ import annotations

from contextlib import suppress

import psutil
import pytest
from playwright.sync_api import Error

from tests.browser import chromium


def test_a_browser_that_does_not_close_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chromium, "_CLOSING_S", 0.5)
    ended: list[psutil.Process] = []
    with suppress(Error), chromium.chromium() as browser:
        browser.new_page()
        ended = [each for each in psutil.Process().children(recursive=True) if each.name().startswith("chrom")]
        for process in ended:
            process.suspend()
    assert ended
    assert psutil.wait_procs(ended, 10)[1] == []
