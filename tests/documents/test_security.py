"""Each line of the page about security names tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.documents.pages import ROOT, read

PAGE = read("security")
TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| threat |")
]


@cache
def named_in(path: Path) -> frozenset[str]:
    """The test functions at the top of a file, and in its classes."""
    nodes = ast.parse(path.read_text()).body
    nodes += [inner for node in nodes if isinstance(node, ast.ClassDef) for inner in node.body]
    return frozenset(
        node.name
        for node in nodes
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    )


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row[0]))
def test_each_threat_has_a_test_that_exists(row: list[str]) -> None:
    threat, stops, named = row
    assert threat
    assert stops
    tests = TEST.findall(named)
    assert ", ".join(f"`{file}::{name}`" for file, name in tests) == named.strip(" |")
    for file, name in tests:
        assert name in named_in(ROOT / "tests" / file)


def test_each_kind_of_attacker_has_lines() -> None:
    assert len(ROWS) > 40
    assert len(PAGE.splitlines()) <= 120
