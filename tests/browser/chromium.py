"""A headless Chromium, and pages that watch what they do."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal
from urllib.parse import urlsplit

import psutil
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

# How long a page may take for anything: machines differ in speed.
PATIENCE_MS = 30_000
WIDTHS = (320, 768, 1440)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
NAMES = ("chromium", "google-chrome")
_REPORT_VIOLATIONS = """addEventListener("securitypolicyviolation", (event) =>
    console.error(`policy: ${event.violatedDirective} forbids ${event.blockedURI || "inline code"}`))"""
# How long something of the browser may take to close.
_CLOSING_S = 60.0
# What Chromium writes when an answer is an error; tests expect some of those.
_FAILED_REQUEST = "Failed to load resource"


def executable() -> str:
    """The path of Chromium."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    assert found, "there is no Chromium; run make chromium as root, or install Chromium so that it is on the PATH"
    return found


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Chromium. Until it ends, this thread cannot run another event loop."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable())
        yield browser
        with closing():
            browser.close()


@contextmanager
def closing() -> Iterator[None]:
    """Kill Chromium if what the block closes takes too long: Playwright would wait for it without limit."""
    overdue = threading.Timer(_CLOSING_S, _kill)
    overdue.start()
    try:
        yield
    finally:
        overdue.cancel()


def _kill() -> None:
    for process in psutil.Process().children(recursive=True):
        if process.name().startswith("chrom"):
            process.kill()


class Watched:
    """A browser's context whose pages may only ask ``origin``; ``problems`` are what went wrong in them.

    Problems are uncaught errors, errors in the console, violations of the security policy, and requests to elsewhere.
    """

    def __init__(self, browser: Browser, origin: str, **options: Any) -> None:
        self.problems: list[str] = []
        self._origin = origin
        self.context: BrowserContext = browser.new_context(base_url=origin, **options)
        self.context.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        self.context.add_init_script(_REPORT_VIOLATIONS)
        self.context.on("request", lambda request: self._check(request.url))
        self.context.on("weberror", lambda error: self.problems.append(f"uncaught: {error.error}"))
        self.context.on("console", lambda message: self._log(message.type, message.text))

    def page(self) -> Page:
        """A new page."""
        return self.context.new_page()

    def close(self) -> None:
        """Close the context with its pages."""
        with closing():
            self.context.close()

    def _check(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"data", "blob"} and f"{parts.scheme}://{parts.netloc}" != self._origin:
            self.problems.append(f"request to {url}")

    def _log(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"} and not text.startswith(_FAILED_REQUEST):
            self.problems.append(f"console: {text}")


def accessibility_problems(page: Page) -> list[str]:
    """What axe finds wrong with the page as it is, light and dark: https://github.com/dequelabs/axe-core."""
    found = []
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        found += [
            f"{scheme}: {violation['id']}: {violation['help']}: {node['html'][:200]}"
            for violation in Axe().run(page).response["violations"]
            for node in violation["nodes"]
        ]
    return found


def too_narrow(page: Page) -> list[int]:
    """The widths of a phone, a tablet and a desktop at which the page must be scrolled sideways."""
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        if page.evaluate("document.documentElement.scrollWidth") > width:
            found.append(width)
    return found
