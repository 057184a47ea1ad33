"""Rows are encoded as the network was trained on them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from service.cells import Cells
from training.data.dataset import Column
from training.data.tables import rows
from training.errors import DataError

COLUMNS = (
    Column("age", missing=True),
    Column("member", "boolean"),
    Column("job", "categorical", categories=("cook", "nurse"), other=True),
    Column("zip", "categorical", categories=("1067", "99")),
)


def test_each_type_of_column() -> None:
    table = pa.table(
        {
            "other": ["is", "ignored", "here"],
            "zip": [99, 1067, 5],
            "job": ["nurse", None, "astronaut"],
            "member": [True, False, None],
            "age": [1.5, None, 3.0],
        }
    )
    np.testing.assert_array_equal(
        rows.encode("the table", table, COLUMNS, None),
        [[1.5, 1, 1, 1], [np.nan, 0, np.nan, 0], [3, np.nan, 2, np.nan]],
    )


def test_strings_are_read_by_the_rules_of_the_table() -> None:
    table = pa.table({"age": ["1,5", "-9"], "member": ["true", "false"], "job": [" cook ", "?"], "zip": ["99", "99"]})
    cells = Cells(missing_numbers=("-9",), missing_texts=("?",), decimal=",")
    np.testing.assert_array_equal(
        rows.encode("the table", table, COLUMNS, cells), [[1.5, 1, 0, 1], [np.nan, 0, np.nan, 1]]
    )


def test_missing_columns_are_named_together() -> None:
    with pytest.raises(DataError, match="the table has no column 'member', 'zip'; the network needs it"):
        rows.encode("the table", pa.table({"age": [1], "job": ["cook"]}), COLUMNS, None)


def test_a_column_of_another_type_is_named_with_a_value() -> None:
    table = pa.table({"age": ["12", "old"]})
    with pytest.raises(DataError, match="column 'age' has 'old', expected numeric values"):
        rows.encode("the table", table, COLUMNS[:1], None)


@pytest.mark.parametrize("odd", ["110 lb", "$5", "1,200", "1.2k"])
def test_numbers_in_another_style_than_the_columns_are_errors(odd: str) -> None:
    weight = Column("weight", cells=Cells(symbols=True, units=("kg",)))
    table = pa.table({"weight": ["12 kg", "7.5kg", "(3)", odd]})
    np.testing.assert_array_equal(rows.encode("the table", table[:3], (weight,), None), [[12], [7.5], [-3]])
    with pytest.raises(DataError) as caught:
        rows.encode("the table", table, (weight,), None)
    assert str(caught.value) == f"column 'weight' has {odd!r}, expected numeric values"
    with pytest.raises(DataError):
        rows.encode("the table", table[3:], (weight,), None)
