"""The live view of GET /status, in a browser: what it shows of a server with two workers, and of one that is away."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser, Locator, Page, expect

from service import artifact
from tests.browser.chromium import Watched, accessibility_problems, too_narrow
from tests.service.drifting import publish_with_reference
from tests.service.published import TABLE, as_json, values_of
from tests.service.running import PATIENCE_S, Running, post

EVERY_MS = 2000


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`table`, whose third version is refused, and `other`."""
    folder = tmp_path_factory.mktemp("models")
    for version in (1, 2, 3):
        publish_with_reference(folder, "table", version)
    publish_with_reference(folder, "other")
    (folder / "table" / "3" / artifact.MODEL).write_bytes(b"damaged")
    return folder


@pytest.fixture(scope="module")
def server(models: Path) -> Iterator[Running]:
    with Running(models, "--model", "table", workers=2) as running:
        yield running


@pytest.fixture
def view(page: Page) -> Page:
    """The live view, whose clock the test moves by `poll`."""
    page.clock.install()
    page.goto("/status")
    expect(connection(page)).to_contain_text("Live")
    return page


def connection(view: Page) -> Locator:
    return view.get_by_role("status")


def poll(view: Page) -> None:
    """Let the view ask the server, and wait for the answer."""
    with view.expect_response("**/models"), view.expect_response("**/metrics"):
        view.clock.run_for(EVERY_MS)


def send(server: Running, rows: int, model: str = "table", seed: int = 1) -> None:
    """Send valid rows, each in a request and on a connection of its own, so that both workers get some."""
    for row in values_of(TABLE, rows, seed):
        with server.connect() as connection:
            connection.send(post({"inputs": [as_json(TABLE, row)]}, f"/models/{model}/predict"))
            assert connection.answer().status == 200


def send_at_once(server: Running, rows: NDArray[np.float32], model: str) -> None:
    """Send valid rows in one request."""
    with server.connect() as connection:
        connection.send(post({"inputs": [as_json(TABLE, row) for row in rows]}, f"/models/{model}/predict"))
        assert connection.answer().status == 200


def cells(view: Page, heading: str, caption: str = "") -> dict[str, list[str]]:
    """The rows of a table by their first cell. The table is the one with the caption below the heading."""
    section = view.locator("section", has=view.get_by_role("heading", name=heading, exact=True))
    rows = section.get_by_role("table").filter(has_text=caption).get_by_role("row").all()[1:]
    texts = [[cell.inner_text() for cell in row.locator("th, td").all()] for row in rows]
    return {name: rest for name, *rest in texts}


def value(view: Page, tile: str) -> Locator:
    return view.locator("article", has=view.get_by_role("heading", name=tile)).locator(".value")


def test_it_counts_what_all_workers_answered(view: Page, server: Running) -> None:
    before = cells(view, "Answers by status")
    send(server, 40)
    with server.client() as client:
        for _ in range(10):
            assert client.post("/predict", content=b"nonsense").status_code == 400

    def counted() -> dict[str, int]:
        after = cells(view, "Answers by status", "By status")
        return {status: int(total) - int(before.get(status, ["0"])[0]) for status, (total, _) in after.items()}

    ends_s = time.monotonic() + PATIENCE_S
    while counted() != {"200": 40, "400": 10}:
        assert time.monotonic() < ends_s, counted()  # a worker writes its counts with a short delay
        poll(view)
    expect(view.locator("#reasons")).to_contain_text("malformed-body")
    assert cells(view, "Answers by status", "By reason")["malformed-body"][1] == "10"
    expect(value(view, "Errors")).to_have_text("20.0 %")
    assert float(value(view, "Requests per second").inner_text()) > 1
    expect(value(view, "Workers")).to_have_text("2")
    expect(value(view, "Median time")).to_have_text(re.compile(r"^[\d.]+ (µs|ms|s)$"))
    expect(value(view, "Slowest 1 %")).to_have_text(re.compile(r"^[\d.]+ (µs|ms|s)$"))
    expect(value(view, "Memory")).to_have_text(re.compile(r"^[\d.]+ MiB$"))
    assert [*cells(view, "Where the time goes")] == [
        "Reading the request", "Waiting", "The network", "Writing the answer"
    ]  # fmt: skip
    assert cells(view, "Batch sizes")["1"] == ["100 %"]


def test_its_own_requests_are_not_counted(view: Page) -> None:
    before = cells(view, "Answers by status", "By status")
    poll(view)
    poll(view)
    assert cells(view, "Answers by status", "By status") == before


def test_classes_and_drift_against_training(view: Page, server: Running) -> None:
    send_at_once(server, values_of(TABLE, 300, 1), "other")
    poll(view)
    expect(view.locator("#drift")).to_contain_text("other, version 1: 3")
    classes = cells(view, "Predicted classes", "other, version 1")
    assert [*classes] == ["ape", "bee", "cat"]
    for column in range(3):  # since the start, in the last minute, among the test rows
        assert sum(float(shares[column].removesuffix(" %")) for shares in classes.values()) == pytest.approx(100, abs=1)
    for since_start, _, test_rows in classes.values():
        assert float(since_start[:-2]) == pytest.approx(float(test_rows[:-2]), abs=12)
    drift = cells(view, "Drift against training", "other, version 1")
    assert {*drift} == {"Predictions: animal", *(feature.name for feature in TABLE)}
    assert {change for _, change, *_ in drift.values()} <= {"little", "some"}


def test_a_shifted_feature_is_to_be_looked_into(view: Page, server: Running) -> None:
    shifted = values_of(TABLE, 400, 6)
    shifted[:, 1] += 4
    send_at_once(server, shifted, "table")
    ends_s = time.monotonic() + PATIENCE_S
    while cells(view, "Drift against training", "table, version 2").get("height", ["", ""])[1] != "look into it":
        assert time.monotonic() < ends_s
        poll(view)  # the worker that answers knows what the others counted some seconds ago


def test_versions_and_why_one_is_refused(view: Page) -> None:
    versions = cells(view, "Models and versions", "table (default model)")
    assert versions["3"][:2] == ["refused", "no"]
    expect(view.locator("#versions")).to_contain_text("Version 3: table/3/model.onnx (7 bytes) is not the file")
    assert versions["2"][:3] == ["serving", "yes", "cpu, fp32"]
    assert versions["1"][:2] == ["available", "yes"]


def test_one_model_alone(view: Page, server: Running) -> None:
    send(server, 3)
    view.get_by_role("combobox", name="Model").select_option("other")
    assert [*cells(view, "Models and versions")] == ["1"]
    assert "malformed-body" not in view.locator("#reasons").inner_text()
    poll(view)
    expect(value(view, "Requests per second")).to_have_text("0")
    assert view.get_by_role("combobox", name="Model").input_value() == "other"


def test_it_can_be_paused_by_keyboard(view: Page) -> None:
    asked: list[str] = []
    pause = view.get_by_role("button", name="Pause")
    for _ in range(20):
        if pause.evaluate("button => button === document.activeElement"):
            break
        view.keyboard.press("Tab")
    view.keyboard.press("Enter")
    expect(connection(view)).to_contain_text("Paused")
    view.on("request", lambda request: asked.append(request.url))
    view.clock.run_for(10 * EVERY_MS)
    assert asked == []
    with view.expect_response("**/metrics"):
        view.keyboard.press("Enter")
    expect(connection(view)).to_contain_text("Live")


def test_it_does_not_ask_while_it_is_hidden(view: Page) -> None:
    asked: list[str] = []
    set_hidden = """(hidden) => {
        Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    view.evaluate(set_hidden, True)
    view.on("request", lambda request: asked.append(request.url))
    view.clock.run_for(10 * EVERY_MS)
    assert asked == []
    with view.expect_response("**/metrics"):
        view.evaluate(set_hidden, False)
        view.clock.run_for(1)


def test_a_server_that_is_away_and_comes_back(browser: Browser, tmp_path: Path) -> None:
    publish_with_reference(tmp_path)
    with Running(tmp_path) as first:
        watched = Watched(browser, first.address)
        view = watched.page()
        view.clock.install()
        send(first, 3)
        view.goto("/status")
        expect(view.locator("#statuses")).to_contain_text("200")
    with view.expect_event("requestfailed"):
        view.clock.run_for(EVERY_MS)
    expect(connection(view)).to_contain_text("The server cannot be reached. The figures are of")
    expect(view.locator("#statuses")).to_contain_text("200")
    with Running(tmp_path, "--port", str(first.port)) as second:
        poll(view)
        expect(connection(view)).to_contain_text("Live: updated every 2 seconds. The server was restarted")
        expect(view.locator("#statuses")).to_contain_text("No requests yet.")
        send(second, 5)  # more than before, or a count that fell would reveal the restart, too
        poll(view)
        expect(view.locator("#statuses")).to_contain_text("200")
        assert cells(view, "Answers by status", "By status")["200"] == ["5", "5"]
    watched.close()
    assert watched.problems == []


def test_a_worker_that_dies_is_counted(browser: Browser, models: Path) -> None:
    with Running(models, "--model", "other", workers=2) as server:
        watched = Watched(browser, server.address)
        view = watched.page()
        view.clock.install()
        view.goto("/status")
        send(server, 10, "other")
        ends_s = time.monotonic() + PATIENCE_S
        while not (before := cells(view, "Answers by status", "By status").get("200")) or before[0] != "10":
            assert time.monotonic() < ends_s  # a worker writes its counts with a short delay
            view.clock.run_for(EVERY_MS)
        os.kill(server.workers()[0], signal.SIGKILL)
        server.wait_for("ready on")
        view.clock.run_for(EVERY_MS)  # its connection may have been to the dead worker
        ends_s = time.monotonic() + PATIENCE_S
        while "1 replaced" not in view.locator("#tile-workers .note").inner_text():
            assert time.monotonic() < ends_s
            view.clock.run_for(EVERY_MS)
        assert cells(view, "Answers by status", "By status")["200"][0] == "10"
        assert "restarted" not in connection(view).inner_text()
        watched.close()
    assert watched.problems == []


def test_an_answer_that_is_an_error_is_shown(view: Page) -> None:
    view.route("**/metrics", lambda route: route.fulfill(status=500, body="no"))
    view.clock.run_for(EVERY_MS)
    expect(connection(view)).to_contain_text("GET /metrics was answered with 500. The figures are of")


def test_axe_finds_nothing(view: Page, server: Running) -> None:
    send(server, 5)
    poll(view)
    assert accessibility_problems(view) == []


def test_it_fits(view: Page) -> None:
    assert too_narrow(view) == []
