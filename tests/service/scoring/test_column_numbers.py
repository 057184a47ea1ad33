"""Columns read as a whole give what the server's readers give of each value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.cells import Cells
from service.errors import InvalidInput
from service.http.codecs.arrow_columns import ColumnReader
from service.inference import columns
from service.inference.columns import Column
from service.manifest import Feature
from service.scoring.faults import ChunkFaults
from service.scoring.readers import column_numbers

RULES = {
    "none": None,
    "default": Cells(),
    "sentinel": Cells(missing_numbers=("-999", "NA")),
    "European": Cells(decimal=",", thousands="."),
    "symbols": Cells(symbols=True, thousands=","),
    "unit": Cells(symbols=True, units=("kg",), multiples=True),
}


def of(kind: str, rules: str, *, missing: bool, impute: bool = False) -> Column:
    categories = ("France", "Italy", "7", "true") if kind == "categorical" else ()
    form: Any = "day-month-year" if kind == "datetime" else None
    feature = Feature("x", kind, missing, categories, False, 0.0, 1.0, 0.0, 1.0, format=form, default=1.0)  # type: ignore[arg-type]
    return columns.of(feature, RULES[rules], impute=impute)


COLUMNS = [
    of(kind, rules, missing=missing, impute=impute)
    for kind in ("numeric", "boolean", "categorical", "datetime")
    for rules in RULES
    for missing in (True, False)
    for impute in (True, False)
]
WRITTEN = (
    *("", " ", "NA", "?", "nan", "NaN", "inf", "-Infinity", "1", "-1.5e3", " 2 ", "+3", ".5", "5.", "1e400"),
    *(
        "-999",
        "-999.0",
        "0x10",
        "1_0",
        "1,5",
        "1.234",
        "1.234,5",
        "$3",
        "(4)",
        "96%",
        "5 kg",
        "1.2k",
        "7-",
        "9,-",
        "true",
        "False",
        "0",
    ),
    *("France", " Italy", "Spain", "31/01/2020", "2020-01-31", "30/02/2020", "1" * 401, "3.5e38", "1d5", "\u0663"),
)
CELLS = st.sampled_from(WRITTEN) | st.floats(width=32).map(repr) | st.integers().map(str) | st.text(max_size=5)


def one_by_one(column: Column, cells: list[str]) -> tuple[list[float], dict[int, str]]:
    numbers, reasons = [], {}
    for row, cell in enumerate(cells):
        try:
            numbers.append(column.cell(row, cell))
        except InvalidInput as error:
            numbers.append(0.0)
            reasons[row] = str(error)
    return numbers, reasons


def assert_agree(found: Any, faults: ChunkFaults, expected: Any, reasons: dict[int, str]) -> None:
    assert {fault.row: fault.detail for fault in faults.faults()} == reasons
    good = np.delete(np.arange(len(found)), faults.rows())
    np.testing.assert_array_equal(np.asarray(found)[good], np.asarray(expected, float)[good])


@given(st.sampled_from(COLUMNS), st.lists(CELLS, max_size=5))  # of more faults, only five have a suggestion
@example(of("numeric", "sentinel", missing=True), ["-999", "-999.0", "1", "NA"])
@example(of("numeric", "default", missing=False), ["1", "", "nan"])
def test_cells(column: Column, cells: list[str]) -> None:
    faults = ChunkFaults()
    found = column_numbers.of_cells(column, pa.array(cells, pa.string()), faults)
    assert_agree(found, faults, *one_by_one(column, cells))


VALUES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.float32(): st.floats(width=32),
    pa.float64(): st.floats(),
    pa.float16(): st.floats(width=16),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint8(): st.integers(0, 255),
    pa.string(): CELLS,
    pa.large_string(): CELLS,
    pa.dictionary(pa.int8(), pa.string()): CELLS,
    pa.bool_(): st.booleans(),
    pa.timestamp("us"): st.integers(-(2**60), 2**60),
}


@given(st.sampled_from(COLUMNS), st.sampled_from(list(VALUES)), st.data())
def test_values(column: Column, kind: pa.DataType, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.none() | VALUES[kind], max_size=8))
    array = pa.array(values, kind)
    faults, expected_faults = ChunkFaults(), ChunkFaults()
    found = column_numbers.of_values(column, array, faults)
    expected = ColumnReader(column, expected_faults).numbers(array, 0)
    assert_agree(found, faults, expected, {fault.row or 0: fault.detail for fault in expected_faults.faults()})


def test_integers_are_rounded_once_more_as_by_the_server() -> None:
    """2^53 + 1 is float64's 2^53, whatever float32 would make of it."""
    array = pa.array([2**53 + 1, 2**60 + 2**36 + 1])
    found = column_numbers.of_values(of("numeric", "none", missing=False), array, ChunkFaults())
    np.testing.assert_array_equal(found, np.array(array.to_pylist(), np.float64))


@pytest.mark.parametrize("kind", [pa.string_view(), pa.dictionary(pa.int32(), pa.string())])
def test_long_dictionaries_and_views(kind: pa.DataType) -> None:
    """A slice of an array whose dictionary has values that are not in it, and would not be taken."""
    column = of("categorical", "default", missing=False)
    array = pa.array(["Spain", "Italy", "France", "Italy"], pa.string()).cast(kind)[1:]
    faults = ChunkFaults()
    assert column_numbers.of_values(column, array, faults).tolist() == [1, 0, 1]
    assert not faults
