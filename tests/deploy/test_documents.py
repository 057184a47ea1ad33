"""The pages of deploy have the current version, and commands and variables that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from service.settings import PREFIX, Settings
from tests.deploy.rendered import COMPONENTS, DEPLOY, OVERLAYS, ROOT, version

PAGES = sorted(DEPLOY.glob("*.md"))

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@every_page
def test_every_image_has_this_version(page: Path) -> None:
    named = re.findall(r"mlp-serving:(\d[\w.]*)(?:-gpu)?\b|newTag: (\S+)", page.read_text())
    assert {first or second for first, second in named} <= {version()}


@every_page
def test_every_command_overlay_and_variable_exists(page: Path) -> None:
    text = page.read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|    )make ([a-z-]+)", text)) <= targets
    assert set(re.findall(r"deploy/overlays/([\w-]+)", text)) <= set(OVERLAYS)
    names = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(rf"\b{PREFIX}\w+", text)) <= names


@pytest.mark.parametrize(
    ("page", "folder", "found"), [("README.md", "overlays", OVERLAYS), ("components.md", "components", COMPONENTS)]
)
def test_every_overlay_and_component_is_in_a_table(page: str, folder: str, found: list[str]) -> None:
    named = re.findall(rf"^\| \[{folder}/([\w-]+)\]", (DEPLOY / page).read_text(), re.MULTILINE)
    assert sorted(named) == found
