"""Draw docs/pictures/: the page of images, the page of a table and the live view, at the widths of three devices.

python -m tests.browser.draw_pages
"""

from __future__ import annotations

import io
import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from benchmarks.pages import train_flats
from tests.browser.chromium import Watched, chromium
from tests.deploy.load import Load
from tests.service.running import Running, post

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"
BOOT = ROOT / "examples" / "boot.png"
MODEL = ROOT / "models" / "fashion-mnist" / "1"
WATCHED_MS = 60_000
ERROR_EVERY_MS = 100


class Device(NamedTuple):
    """A screen, in CSS pixels, and its color scheme."""

    name: str
    width: int
    height: int
    scheme: Literal["light", "dark"]


DEVICES = (
    Device("desktop", 1280, 960, "light"),
    Device("tablet", 820, 1100, "light"),
    Device("phone", 390, 844, "dark"),
)


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder)
        shutil.copytree(ROOT / "models" / "fashion-mnist", models / "fashion-mnist")
        train_flats(models)
        with Running(models, "--model", "fashion-mnist", workers=2) as server, chromium() as browser:
            draw_live_view(browser, server)
            for device in DEVICES:
                draw(browser, server, device)


def draw(browser: Browser, server: Running, device: Device) -> None:
    """Draw the page of images, with an uploaded boot, and that of a table."""
    page = opened(browser, server, device)
    page.goto("/")
    page.locator("#image-file").set_input_files(BOOT)
    expect(page.locator("#headline")).to_have_text("Ankle boot")
    save(page, f"images-{device.name}")
    page.goto("/#flats")
    expect(page.locator("#title")).to_have_text("flats")
    expect(page.locator("#curve-plot svg")).to_be_visible()
    save(page, f"table-{device.name}")
    page.context.close()


def draw_live_view(browser: Browser, server: Running) -> None:
    """Draw the live view, after most of a minute under load, with an error now and then."""
    with np.load(MODEL / "golden.npz", allow_pickle=False) as golden:
        images = golden["inputs"].tolist()
    flats = post((ROOT / "examples" / "flats.csv").read_bytes(), "/models/flats/predict", "content-type: text/csv")
    requests = [post({"inputs": images[:1]}), post({"inputs": images}), flats]
    views = {device: opened(browser, server, device) for device in DEVICES}
    for view in views.values():
        view.goto("/status")
    with ExitStack() as loads, server.client() as client:
        for request in requests:
            loads.enter_context(Load(server.port, request, clients=1))
        for _ in range(WATCHED_MS // ERROR_EVERY_MS):
            client.post("/predict", content=b"nonsense")
            views[DEVICES[0]].wait_for_timeout(ERROR_EVERY_MS)
        for device, view in views.items():
            save(view, f"status-{device.name}", full_page=device.name == "desktop")
            view.context.close()


def opened(browser: Browser, server: Running, device: Device) -> Page:
    size = {"width": device.width, "height": device.height}
    return Watched(browser, server.address, viewport=size, color_scheme=device.scheme).page()


def save(page: Page, name: str, *, full_page: bool = False) -> None:
    """Write what is on the screen, or the whole page, with 256 colors."""
    page.mouse.move(0, 0)
    drawn = Image.open(io.BytesIO(page.screenshot(animations="disabled", full_page=full_page))).convert("RGB")
    drawn.quantize(256, Image.Quantize.MAXCOVERAGE).save(PICTURES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
