"""How much the pages weigh and how soon they answer, measured by Chromium itself: the page of GET /, the live view.

    python -m benchmarks.pages

Each visit is the first one, without a cache. Weight is what came over the connection, headers and bodies of all files
and answers, until nothing came for half a second; the card's pictures come once they are scrolled into sight. Times are
Chromium's performance entries, from the start of the navigation; "first answer" is when the first prediction or figure
is in the page. Prints the median of the visits, and the longest time. Needs Chromium (make chromium).
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final, NamedTuple

from playwright.sync_api import Browser, sync_playwright

from benchmarks import provenance
from benchmarks.markdown import table
from benchmarks.servers import Running, ours


class View(NamedTuple):
    """A page, and the element whose text is its first answer."""

    name: str
    path: str
    answer: str


VIEWS: Final = (
    View("page of images", "/#fashion-mnist", "#headline"),
    View("page of a table", "/#flats", "#headline"),
    View("live view", "/status", "#tile-workers .value"),
)
# Marks the moment at which the element has a text with a letter or a digit.
_MARK_ANSWER: Final = """(() => {
    const look = () => {
        const isThere = /[\\p{L}\\d]/u.test(document.querySelector(SELECTOR)?.textContent ?? "");
        if (isThere && !performance.getEntriesByName("answer").length) performance.mark("answer");
    };
    new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true });
})()"""
_ENTRIES: Final = """async () => {
    const entry = (type, name) => new Promise((resolve) => {
        const observer = new PerformanceObserver((list) => list.getEntriesByName(name).slice(0, 1).forEach(resolve));
        observer.observe({ type, buffered: true });
    });
    const [answer, paint] = [await entry("mark", "answer"), await entry("paint", "first-contentful-paint")];
    const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
    return {
        requests: all.length,
        bytes: all.reduce((sum, { transferSize }) => sum + transferSize, 0),
        painted_ms: paint.startTime,
        answer_ms: answer.startTime,
    };
}"""


def train_flats(models: Path) -> None:
    """Publish `flats`, a small model of a table."""
    options = ["--target", "price", "--categorical", "zip", "--hidden", "32", "--epochs", "60", "--models", str(models)]
    command = [sys.executable, "-m", "training", "examples/flats.csv", *options]
    subprocess.run(command, cwd=provenance.ROOT, check=True, capture_output=True)


def visit(browser: Browser, address: str, view: View) -> dict[str, Any]:
    """The figures of one first visit."""
    context = browser.new_context(base_url=address)
    context.add_init_script(_MARK_ANSWER.replace("SELECTOR", repr(view.answer)))
    page = context.new_page()
    page.goto(view.path, wait_until="networkidle")
    found: dict[str, Any] = page.evaluate(_ENTRIES)
    context.close()
    return found


def row(view: View, visits: list[dict[str, Any]]) -> list[str]:
    """The row of the table for a page."""
    median = {figure: statistics.median(each[figure] for each in visits) for figure in visits[0]}
    longest_ms = max(each["answer_ms"] for each in visits)
    return [
        view.name,
        f"{median['requests']:.0f}",
        f"{median['bytes'] / 1000:.1f} kB",
        f"{median['painted_ms']:.0f} ms",
        f"{median['answer_ms']:.0f} ms",
        f"{longest_ms:.0f} ms",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", type=int, default=15, help="of each page; the default is %(default)s")
    options = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("there is no Chromium; run make chromium as root, or install Chromium so that it is on the PATH")
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        models = Path(temporary) / "models"
        shutil.copytree(provenance.MODEL, models / "fashion-mnist" / "1")
        train_flats(models)
        server = ours("ours", models, "--model", "fashion-mnist")
        with Running(server, [*os.sched_getaffinity(0)], Path(temporary) / "log"):
            browser = playwright.chromium.launch(executable_path=chromium)
            address = f"http://127.0.0.1:{server.port}"
            visits: dict[View, list[dict[str, Any]]] = {view: [] for view in VIEWS}
            for _ in range(options.visits):
                for view, found in visits.items():
                    found.append(visit(browser, address, view))
            version = browser.version
            browser.close()
    head = ["", ">requests", ">weight", ">first paint", ">first answer", ">longest"]
    print(table(head, [row(view, found) for view, found in visits.items()]))
    print(f"\n{options.visits} first visits each with Chromium {version} on {provenance.processor()},", end=" ")
    print(f"load {os.getloadavg()[0]:.1f}, commit {provenance.commit()}")


if __name__ == "__main__":
    main()
