"""docs/search.md has the ranges of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from training.config import Kind, flag_of
from training.run.search.spaces import SEARCHED, SPACES, Range

TEXT = (Path(__file__).parents[4] / "docs/search.md").read_text()
ROWS = dict(re.findall(r"^\| `(--[\w-]+)` \| (.*) \|$", TEXT.split("## What is searched", 1)[1], re.MULTILINE))


@pytest.mark.parametrize(("column", "kind"), [(0, "table"), (1, "image")])
def test_every_range_is_in_the_table(column: int, kind: Kind) -> None:
    for name in SEARCHED[kind]:
        cell = ROWS[flag_of(name)].split("|")[column]
        numbers = [float(each) for each in re.findall(r"[\d.]+", cell)]
        for space in SPACES[kind][name].values():
            if isinstance(space, Range):
                assert space.low in numbers, name
                assert space.high in numbers, name
                assert not space.log or name == "hidden" or "log scale" in cell, name
            elif space.values != (False, True):
                assert all(f"{each:g}" in cell if isinstance(each, int) else each in cell for each in space.values), (
                    name
                )


def test_every_other_option_that_can_be_searched_is_named() -> None:
    others = {name for kind in SPACES for name in SPACES[kind] if name not in (*SEARCHED["table"], *SEARCHED["image"])}
    assert {name for name in others if f"`{name}`" not in TEXT} == set()
    assert {name for name in SPACES["image"] if name not in SEARCHED["image"] and f"`{name}`" not in TEXT} == set()
