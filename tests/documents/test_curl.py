"""Each curl command of the pages is answered as the pages say."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.documents.pages import DOCS, PAGES, README, ROOT, code, curl_lines, named, read
from tests.service.published import TABLE, publish
from tests.service.running import Running

HOST = "localhost:8000"
EVERY = [line for page in PAGES for line in curl_lines(page.read_text())]
ROWS = [line for line in curl_lines(read("api")) if "example.json" not in line]
IMAGES = [line for line in EVERY if ".png" in line]


@pytest.fixture(scope="module")
def bundled() -> Iterator[Running]:
    """A server with the bundled model."""
    with Running(ROOT / "models") as server:
        yield server


def answer(command: str, server: Running) -> Any:
    """What a command of a page prints, sent to ``server`` instead."""
    local = command.replace(HOST, server.address.removeprefix("http://")).replace("curl ", "curl -sS ")
    done = subprocess.run(["bash", "-c", local], cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_each_page_with_commands_is_tested() -> None:
    """The walk's are in test_walk.py, those of cloud.md in test_cloud.py, those of keys.md
    in test_keys.py, and the deployed server has the README's."""
    pages = [page for page in PAGES if curl_lines(page.read_text())]
    names = ("api", "cloud", "image-files", "keys", "open-inference", "walk")
    assert pages == [README, *(DOCS / f"{name}.md" for name in names)], [named(page) for page in pages]


def test_the_readme_s_request_returns_the_documented_response(bundled: Running) -> None:
    (documented,) = code(README.read_text(), "json")
    found, expected = answer(curl_lines(README.read_text())[0], bundled), json.loads(documented)
    # Rounding differs between processors.
    assert found.pop("probabilities")[0] == pytest.approx(expected.pop("probabilities")[0], abs=0.02)
    assert found == expected


def test_the_first_request_of_each_page_is_the_same() -> None:
    lines = {line for line in EVERY if line.startswith(f"curl {HOST}/predict -d @")}
    assert lines == {curl_lines(README.read_text())[0]}


def test_each_form_of_rows_is_answered(tmp_path: Path) -> None:
    publish(tmp_path, features=TABLE)
    assert len(ROWS) == 6
    with Running(tmp_path) as server:
        for command in ROWS:
            predictions = answer(command, server)["predictions"]
            assert [label is None for label in predictions] in ([False], [False] * 2, [False, True]), command


def test_each_line_with_an_image_is_answered_alike(bundled: Running) -> None:
    assert len(IMAGES) == 6
    for line in dict.fromkeys(IMAGES):
        assert set(answer(line, bundled)["predictions"]) == {"Ankle boot"}, line


def test_the_open_inference_protocol_prints_what_is_documented(bundled: Running) -> None:
    text = read("open-inference")
    printed = [answer(command, bundled) for command in code(text, "sh")]
    assert printed[:2] == [json.loads(each) for each in code(text, "json")]
    assert [len(row) for row in printed[2]["predictions"]] == [10]


def test_the_image_has_the_pixels_of_the_example() -> None:
    example = json.loads((ROOT / "models" / "fashion-mnist" / "1" / "example.json").read_text())["inputs"]
    pixels = np.array(example).reshape(28, 28)
    assert np.array_equal(np.asarray(Image.open(ROOT / "examples" / "boot.png")), pixels)
