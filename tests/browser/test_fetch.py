"""`fetch()` of a browser: from the server's own page it predicts; a page of another origin is refused."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.chromium import Watched
from tests.browser.conftest import ROOT
from tests.service.running import Running

EXAMPLE = ROOT / "models" / "fashion-mnist" / "1" / "example.json"
BOOT = ROOT / "examples" / "boot.png"
FETCH = """async ([url, type, bytes]) => {
    const body = new Uint8Array(bytes);
    try {
        const response = await fetch(url, { method: "POST", body, headers: { "content-type": type } });
        return [response.status, await response.json()];
    } catch (error) {
        return String(error);
    }
}"""


def fetched(page: Page, url: str, content_type: str, body: bytes) -> Any:
    """The status and the document of an answer, or the error that the page sees."""
    return page.evaluate(FETCH, [url, content_type, [*body]])


@pytest.mark.parametrize(
    ("content_type", "file"), [("application/json", EXAMPLE), ("image/png", BOOT)], ids=["JSON", "image"]
)
def test_a_page_of_the_server_gets_predictions(page: Page, content_type: str, file: Path) -> None:
    page.goto("/status")
    status, answer = fetched(page, "predict", content_type, file.read_bytes())
    assert status == 200
    assert answer["predictions"] == ["Ankle boot"]


def test_a_form_with_image_files(page: Page) -> None:
    page.goto("/status")
    answer = page.evaluate(
        """async (bytes) => {
            const form = new FormData();
            for (const name of ["one.png", "two.png"]) {
                form.append("image", new File([new Uint8Array(bytes)], name, { type: "image/png" }));
            }
            return (await fetch("predict", { method: "POST", body: form })).json();
        }""",
        [*BOOT.read_bytes()],
    )
    assert answer["predictions"] == ["Ankle boot", "Ankle boot"]


def test_an_error_reaches_the_page_as_a_problem_document(page: Page) -> None:
    page.goto("/status")
    status, problem = fetched(page, "predict", "application/json", b"nonsense")
    assert (status, problem["type"]) == (400, "urn:mlp-serving:malformed-body")


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with an empty page."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "index.html").write_text("<!doctype html><title>Elsewhere</title><link rel=icon href=data:,>")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as other:
        thread = threading.Thread(target=other.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{other.server_port}/"
        other.shutdown()
        thread.join()


# A browser asks before it sends JSON, and sends text at once; it keeps either answer from the page.
@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
def test_a_page_of_another_origin_is_refused(
    browser: Browser, server: Running, elsewhere: str, content_type: str
) -> None:
    page = browser.new_page()
    page.goto(elsewhere)
    url = f"{server.address}/predict"
    assert fetched(page, url, content_type, EXAMPLE.read_bytes()) == "TypeError: Failed to fetch"
    page.close()


def test_no_page_may_frame_the_servers_pages(browser: Browser, server: Running, elsewhere: str) -> None:
    page = browser.new_page()
    page.goto(elsewhere)
    for path in ("/", "/status"):
        with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
            page.evaluate(
                "(url) => document.body.append(Object.assign(document.createElement('iframe'), { src: url }))",
                f"{server.address}{path}",
            )
    page.close()


def test_inline_scripts_are_forbidden(browser: Browser, server: Running) -> None:
    page = browser.new_page()
    page.goto(f"{server.address}/status")
    directive = page.evaluate(
        """() => new Promise((resolve) => {
            addEventListener("securitypolicyviolation", (event) => resolve(event.violatedDirective));
            const script = document.createElement("script");
            script.textContent = "globalThis.ran = true";
            document.body.append(script);
        })"""
    )
    assert directive == "script-src-elem"
    assert page.evaluate("globalThis.ran") is None
    page.close()


def test_the_watch_over_pages_sees_what_goes_wrong(browser: Browser, server: Running, elsewhere: str) -> None:
    watched = Watched(browser, server.address)
    page = watched.page()
    page.goto("/status")
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), { textContent: '1' }))")
    page.evaluate("(url) => fetch(url).catch(() => {})", elsewhere)
    page.evaluate("setTimeout(() => { throw new Error('broken'); })")
    page.evaluate("new Promise((resolve) => setTimeout(resolve))")
    watched.close()
    told = "\n".join(watched.problems)
    assert "policy: script-src-elem forbids inline" in told
    assert f"policy: connect-src forbids {elsewhere}" in told
    assert "uncaught: " in told
