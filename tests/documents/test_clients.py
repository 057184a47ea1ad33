"""The table of clients matches the tests."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.documents import conformance
from tests.documents.pages import read, table

TESTS = Path(__file__).parents[1]


def test_the_table_matches_the_list() -> None:
    assert table(read("clients")) == conformance.rows()


@pytest.mark.parametrize("tested", conformance.TESTED, ids=lambda tested: tested.test)
def test_each_test_exists(tested: conformance.Tested) -> None:
    file, _, name = tested.test.partition("::")
    defined = {
        each.name for each in ast.walk(ast.parse((TESTS / file).read_text())) if isinstance(each, ast.FunctionDef)
    }
    assert name in defined
