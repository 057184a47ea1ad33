"""The page of GET /, in a browser: pictures, rows, CSV, versions, errors. numpy is the oracle of tables."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page, Request, Route, expect

from service.manifest import Feature
from tests.browser.chromium import accessibility_problems, too_narrow
from tests.browser.conftest import HOSTILE, ROOT
from tests.service.published import TABLE, Network
from tests.service.running import Running

VERSION = ROOT / "models" / "fashion-mnist" / "1"
BOOT = ROOT / "examples" / "boot.png"
Row = dict[str, object]
NOTHING = "\N{EN DASH}"  # where an answer will be
LABELS = ("ape", "bee", "cat")
ROW: Row = {"age": 0.5, "height": -0.75, "member": True, "country": "Italy", "job": "nurse"}


def headline(page: Page) -> Locator:
    return page.locator("#headline")


def problem(page: Page) -> Locator:
    return page.locator("#answer-problem")


def network(version: int) -> Network:
    """That of `table`, as `publish_with_reference` made it."""
    return Network.random(len(TABLE), len(LABELS), version - 1)


def encoded(row: Row) -> NDArray[np.float32]:
    """The row as the network takes it, (1, features)."""
    values = [_code(feature, row[feature.name]) for feature in TABLE]
    return np.array([values], np.float32)


def _code(feature: Feature, value: object) -> float:
    if value is None:
        return np.nan
    if not feature.categories:
        return float(value)
    return feature.categories.index(value) if value in feature.categories else len(feature.categories)


def percent(share: float) -> str:
    """A share as the page writes it."""
    if 0 < share < 0.0005:
        return "<0.1 %"
    return ">99.9 %" if 0.9995 < share < 1 else f"{100 * share:.1f} %"


def expect_answer(page: Page, row: Row, version: int = 2) -> None:
    """Wait until the page shows what the oracle answers."""
    probabilities = network(version).answer(encoded(row))[0]
    best = int(probabilities.argmax())
    expect(page.locator("#answer-note")).to_have_text(f"with a probability of {percent(probabilities[best])}")
    expect(headline(page)).to_have_text(LABELS[best])
    shown = [f"{label}{percent(share)}" for label, share in zip(LABELS, probabilities, strict=True)]
    expect(page.locator("#bars li")).to_have_text(shown)


@pytest.fixture
def images(page: Page) -> Page:
    """The page of `fashion-mnist`, the default model, with its first answer."""
    page.goto("/")
    expect(headline(page)).not_to_have_text(NOTHING)
    return page


@pytest.fixture
def table(page: Page) -> Page:
    """The page of `table`, with its first answer."""
    page.goto("/#table@2")
    expect(headline(page)).not_to_have_text(NOTHING)
    return page


def fill(table: Page, row: Row) -> None:
    """Put a row into the form."""
    for name, value in row.items():
        missing = table.get_by_role("checkbox", name=f"missing : {name}")
        if value is None:
            missing.check()
            continue
        if missing.count():
            missing.uncheck()
        if isinstance(value, str | bool):
            text = value if isinstance(value, str) else json.dumps(value)
            table.get_by_role("combobox", name=name, exact=True).select_option(text)
        else:
            table.get_by_role("textbox", name=name, exact=True).fill(str(value))


def drag(page: Page, *points: tuple[float, float]) -> None:
    """Draw a line through points of the canvas, from 0 to 1."""
    box = page.locator("#canvas").bounding_box()
    assert box is not None
    (x, y), *others = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in points]
    page.mouse.move(x, y)
    page.mouse.down()
    for x, y in others:
        page.mouse.move(x, y, steps=8)
    page.mouse.up()


def test_a_drawing_is_recognized(images: Page) -> None:
    images.get_by_role("button", name="Clear").click()
    images.locator("#brush").fill("4")
    drag(images, (0.38, 0.08), (0.36, 0.92))
    drag(images, (0.62, 0.08), (0.64, 0.92))
    drag(images, (0.36, 0.1), (0.64, 0.1))
    drag(images, (0.38, 0.2), (0.62, 0.2))
    expect(headline(images)).to_have_text("Trouser")
    expect(images.locator("#bars li.best")).to_contain_text("Trouser")
    images.get_by_role("button", name="Clear").click()
    images.get_by_role("button", name="Undo").click()
    expect(headline(images)).to_have_text("Trouser")


def test_an_uploaded_picture_is_recognized(images: Page) -> None:
    images.locator("#image-file").set_input_files(BOOT)
    expect(headline(images)).to_have_text("Ankle boot")
    expect(images.locator("#bars li.best")).to_contain_text("Ankle boot")
    expect(images.locator("#timing dt")).to_have_text(["decode", "queue", "infer", "encode"])


def test_a_pasted_picture_is_recognized(images: Page) -> None:
    images.get_by_role("button", name="Clear").click()
    images.evaluate(
        """(bytes) => {
            const clipboardData = new DataTransfer();
            clipboardData.items.add(new File([new Uint8Array(bytes)], "boot.png", { type: "image/png" }));
            document.dispatchEvent(new ClipboardEvent("paste", { clipboardData, cancelable: true }));
        }""",
        [*BOOT.read_bytes()],
    )
    expect(headline(images)).to_have_text("Ankle boot")


def test_held_out_pictures_get_the_answers_of_the_api(images: Page, server: Running) -> None:
    """The first is that of the example request, and then come golden rows."""
    example = json.loads((VERSION / "example.json").read_text())["inputs"][0]
    with np.load(VERSION / "golden.npz", allow_pickle=False) as golden:
        pixels = [np.ravel(example).tolist(), *golden["inputs"][:3].tolist()]
    with server.client() as client:
        answers = client.post("/predict", json={"inputs": pixels}).json()["predictions"]
    assert len(set(answers)) > 2
    for index, answer in enumerate(answers):
        button = images.get_by_role("button", name=f"Held-out example {index + 1}", exact=True)
        button.click()
        expect(headline(images)).to_have_text(answer)
        expect(button).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("notes.txt", b"no picture", "notes.txt is no picture that the server reads; choose a PNG, JPEG or WebP file."),
        ("cut.png", BOOT.read_bytes()[:100], "image"),
    ],
)
def test_a_bad_upload_is_explained(images: Page, name: str, content: bytes, message: str) -> None:
    kind = "image/png" if name.endswith(".png") else "text/plain"
    images.locator("#image-file").set_input_files({"name": name, "mimeType": kind, "buffer": content})
    expect(images.get_by_role("alert")).to_contain_text(message)
    images.locator("#image-file").set_input_files(BOOT)
    expect(headline(images)).to_have_text("Ankle boot")
    expect(problem(images)).to_be_hidden()


@pytest.mark.parametrize(
    "changed", [{}, {"age": None, "country": None}, {"member": False, "job": "cook", "height": 1.25}]
)
def test_the_form_gives_the_answer_of_the_network(table: Page, changed: Row) -> None:
    fill(table, ROW | changed)
    expect_answer(table, ROW | changed)


def test_the_form_says_which_value_is_wrong(table: Page) -> None:
    table.get_by_role("textbox", name="height", exact=True).fill("tall")
    expect(problem(table)).to_contain_text("'height'")
    fill(table, ROW)
    expect(problem(table)).to_be_hidden()
    expect_answer(table, ROW)


def test_a_held_out_row_fills_the_form(table: Page) -> None:
    def has_one_row(request: Request) -> bool:
        """Whether it is not the curve's."""
        return "/predict?" in request.url and len(json.loads(request.post_data or "")) == 1

    with table.expect_request(has_one_row) as sent:
        table.get_by_role("button", name="Held-out row", exact=True).click()
    (row,) = json.loads(sent.value.post_data or "")
    expect_answer(table, row)


def test_the_curve_goes_through_the_answer(table: Page) -> None:
    fill(table, ROW)
    table.locator("#curve-feature").select_option("country")
    table.locator("#curve-output").select_option(label="cat")
    rows = [ROW | {"country": country} for country in TABLE[3].categories]
    shares = [network(2).answer(encoded(row))[0, 2] for row in rows]
    shown = [f"{row['country']}{percent(share)}" for row, share in zip(rows, shares, strict=True)]
    expect(table.locator("#curve-plot li")).to_have_text(shown)
    expect(table.locator("#curve-plot li.best")).to_contain_text("Italy")


def test_another_version_answers_the_same_row(table: Page) -> None:
    fill(table, ROW)
    expect_answer(table, ROW)
    table.get_by_role("combobox", name="Version").select_option("1")
    expect(table).to_have_url(re.compile("#table@1$"))
    expect_answer(table, ROW, version=1)
    table.get_by_role("combobox", name="Version").select_option("2")
    expect_answer(table, ROW)


def test_the_last_choice_is_shown(table: Page) -> None:
    held: list[Route] = []
    table.route("**/page/models/rents/versions/1", lambda route: held.append(route))  # noqa: PLW0108 - Playwright marks it
    model = table.get_by_role("combobox", name="Model")
    with table.expect_request("**/page/models/rents/versions/1"):
        model.select_option("rents")
    model.select_option("table")
    with table.expect_response("**/page/models/rents/versions/1"):
        held[0].continue_()
    table.wait_for_timeout(200)
    expect(model).to_have_value("table")
    expect(table).to_have_url(re.compile("#table@2$"))
    expect(table.locator("#title")).to_have_text("table")


def test_a_number_is_predicted(page: Page) -> None:
    page.goto("/#rents")
    fill(page, ROW)
    rent = Network.random(len(TABLE), 1, 0, regression=True).answer(encoded(ROW))[0, 0]

    expect(headline(page)).to_have_text(re.compile(rf"^{re.escape(f'{rent:.3f}')}"))


CSV = "age,height,member,country,job\n0.5,-0.75,true,Italy,nurse\n,0.5,false,,cook\n30,tall,true,Italy,nurse\n"


def test_a_pasted_csv_is_answered_row_by_row(table: Page, tmp_path: Path) -> None:
    table.locator("#csv-text").fill(CSV)
    table.locator("#csv-run").click()
    expect(table.locator("#csv-summary")).to_have_text("2 rows answered, 1 with an error.")
    expect(table.locator("#csv-result tbody tr").nth(2)).to_contain_text("height")
    with table.expect_download() as started:
        table.get_by_role("link", name="Download as CSV").click()
    started.value.save_as(tmp_path / "answers.csv")
    rows = [*csv.DictReader((tmp_path / "answers.csv").read_text().splitlines())]
    second = {"age": None, "height": 0.5, "member": False, "country": None, "job": "cook"}
    for row, given in zip(rows, (ROW, second), strict=False):
        probabilities = network(2).answer(encoded(given))[0]
        assert row["prediction"] == LABELS[probabilities.argmax()]
        assert [float(row[f"probability {label}"]) for label in LABELS] == pytest.approx(probabilities, abs=1e-5)
    assert rows[2]["prediction"] == ""
    assert "height" in rows[2]["error"]


def test_an_uploaded_csv_is_answered(table: Page, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(CSV)
    table.locator("#csv-file").set_input_files(tmp_path / "rows.csv")
    expect(table.locator("#csv-summary")).to_have_text("2 rows answered, 1 with an error.")


def test_a_csv_that_is_no_table_is_explained(table: Page) -> None:
    table.locator("#csv-run").click()
    expect(table.get_by_role("alert").filter(has_text="There are no rows yet")).to_be_visible()
    table.locator("#csv-text").fill("animals,plants\n1,2\n")
    table.locator("#csv-run").click()
    expect(table.get_by_role("alert").filter(has_text="animals")).to_be_visible()


def test_a_server_that_is_away_is_explained(table: Page) -> None:
    table.route("**/predict?*", lambda route: route.abort())
    fill(table, ROW)
    expect(problem(table)).to_contain_text("The server does not answer.")
    table.unroute("**/predict?*")
    fill(table, ROW | {"height": 1.8})
    expect_answer(table, ROW | {"height": 1.8})


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until ``target`` has the focus."""
    for _ in range(150):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"Tab does not reach {target}")


def test_pictures_by_keyboard_alone(page: Page) -> None:
    page.on("filechooser", lambda _: None)  # expect_file_chooser alone does not wait until Chromium reports them
    page.goto("/")
    expect(headline(page)).not_to_have_text(NOTHING)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    tab_to(page, page.get_by_role("button", name="Clear"))
    page.keyboard.press("Enter")
    expect(headline(page)).not_to_have_text("Ankle boot")
    tab_to(page, page.locator("#image-file"))
    with page.expect_file_chooser() as opened:
        page.keyboard.press("Space")
    opened.value.set_files(BOOT)
    expect(headline(page)).to_have_text("Ankle boot")
    tab_to(page, page.get_by_role("button", name="Held-out example 3", exact=True))
    page.keyboard.press("Enter")
    expect(headline(page)).not_to_have_text("Ankle boot")
    tab_to(page, page.get_by_role("combobox", name="Model"))
    page.keyboard.press("t")
    expect(page.get_by_role("heading", level=1)).to_have_text("table")
    tab_to(page, page.get_by_role("link", name="Live view"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Live view")


def test_a_table_by_keyboard_alone(table: Page) -> None:
    for name, value in (("age", "0.5"), ("height", "-0.75")):
        tab_to(table, table.get_by_role("textbox", name=name, exact=True))
        table.keyboard.press("Control+A")
        table.keyboard.type(value)
    for name, first in (("member", "t"), ("country", "I"), ("job", "n")):
        tab_to(table, table.get_by_role("combobox", name=name, exact=True))
        table.keyboard.press(first)
    expect_answer(table, ROW)
    tab_to(table, table.locator("#csv-text"))
    table.keyboard.insert_text(CSV)
    tab_to(table, table.locator("#csv-run"))
    table.keyboard.press("Enter")
    expect(table.locator("#csv-summary")).to_have_text("2 rows answered, 1 with an error.")
    tab_to(table, table.get_by_role("link", name="Download as CSV"))
    with table.expect_download():
        table.keyboard.press("Enter")
    tab_to(table, table.get_by_role("tab", name="curl"))
    table.keyboard.press("ArrowRight")
    expect(table.get_by_role("tab", name="Python")).to_be_focused()
    expect(table.get_by_role("tabpanel")).to_contain_text("import httpx")
    tab_to(table, table.get_by_role("combobox", name="Version"))
    table.keyboard.press("1")
    expect(table).to_have_url(re.compile("#table@1$"))
    expect_answer(table, ROW, version=1)


def test_labels_are_text_and_not_html(page: Page) -> None:
    page.goto("/#hostile")
    expect(headline(page)).not_to_have_text(NOTHING)
    assert headline(page).inner_text() in HOSTILE
    for label in HOSTILE:
        expect(page.locator("#bars li", has_text=label)).to_be_visible()
    assert page.locator("main img[onerror], main script").count() == 0


def test_the_request_as_a_program(table: Page, server: Running) -> None:
    fill(table, ROW)
    expect_answer(table, ROW)
    for language, call in (("curl", "curl 'http"), ("Python", "httpx.post("), ("JavaScript", "await fetch(")):
        table.get_by_role("tab", name=language, exact=True).click()
        shown = table.get_by_role("tabpanel").inner_text()
        assert call in shown
        assert f"{server.address}/models/table/predict" in shown
        assert "-0.75" in shown


@pytest.mark.parametrize("model", ["fashion-mnist", "table", "rents"])
def test_axe_finds_nothing(page: Page, model: str) -> None:
    page.goto(f"/#{model}")
    expect(headline(page)).not_to_have_text(NOTHING)
    if model == "table":
        page.locator("#csv-text").fill(CSV)
        page.locator("#csv-run").click()
        page.get_by_role("textbox", name="height", exact=True).fill("tall")
        expect(problem(page)).to_be_visible()
        expect(page.locator("#csv-summary")).to_be_visible()
    assert accessibility_problems(page) == []


@pytest.mark.parametrize("model", ["fashion-mnist", "table"])
def test_it_fits(page: Page, model: str) -> None:
    page.goto(f"/#{model}")
    expect(headline(page)).not_to_have_text(NOTHING)
    assert too_narrow(page) == []
