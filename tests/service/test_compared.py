"""The figures of a comparison must be possible."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from service.compared import Compared

COMPARED = Compared(1, 300, 0, {"accuracy": 0.9}, {"accuracy": 0.91}, ())


def test_possible_figures() -> None:
    for each in (COMPARED, replace(COMPARED, seen_rows=None), replace(COMPARED, seen_rows=300)):
        assert each.is_consistent


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"rows": 0},
        {"seen_rows": 301},
        {"seen_rows": -1},
        {"new": {"accuracy": math.nan}},
        {"old": {"accuracy": math.inf}},
        {"old": {}},
        {"new": {"mae": 1.0}},
    ],
)
def test_impossible_figures(change: dict[str, Any]) -> None:
    assert not replace(COMPARED, **change).is_consistent
