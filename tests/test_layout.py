"""Lists and names in the project's files are of things that exist: slow tests, files in CONTRIBUTING.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.slow import SLOW

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("listed", SLOW)
def test_each_slow_test_exists(listed: str) -> None:
    file, _, name = listed.partition("::")
    text = (ROOT / "tests" / file).read_text()
    assert not name or re.search(rf"^(class|def|async def) {name}\b", text, re.MULTILINE)


def test_each_file_that_contributing_names_exists() -> None:
    named = set(re.findall(r"`([a-z_0-9/]+(?:\.py|/))`", (ROOT / "CONTRIBUTING.md").read_text()))
    assert len(named) > 10
    assert [name for name in named if "/" in name and not (ROOT / name).exists()] == []
