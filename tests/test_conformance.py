"""The README's table of clients matches the tests."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests import conformance
from tests.test_readme import section

TESTS = Path(__file__).parent


def test_the_table_matches_the_list() -> None:
    assert section("Clients") == conformance.rows()


@pytest.mark.parametrize("tested", conformance.TESTED, ids=lambda tested: tested.test)
def test_each_test_exists(tested: conformance.Tested) -> None:
    file, _, name = tested.test.partition("::")
    defined = {
        each.name for each in ast.walk(ast.parse((TESTS / file).read_text())) if isinstance(each, ast.FunctionDef)
    }
    assert name in defined
