"""DataFrames as Arrow tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from training.data.tables import frames, reader
from training.errors import DataError


class Polars:
    """A DataFrame of another library, known by the Arrow C stream interface alone."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


TABLE = pa.table({"age": pa.array([1.5, None]), "job": pa.array(["cook", None], pa.large_string())})


@pytest.mark.parametrize(
    "frame",
    [
        TABLE,
        Polars(TABLE),
        pd.DataFrame({"age": [1.5, np.nan], "job": ["cook", None]}, index=[7, 9]),
        {"age": [1.5, None], "job": ["cook", None]},
    ],
    ids=["arrow", "polars", "pandas", "mapping"],
)
def test_each_kind_of_frame_gives_the_same_table(frame: Any) -> None:
    assert frames.is_frame(frame)
    found = frames.frame_of(frame, "the table")
    table = reader.read(found).table
    assert table.to_pydict() == {"age": [1.5, None], "job": ["cook", None]}
    assert table["job"].type == pa.string()
    assert found.categorical == ()


def test_categories_of_polars() -> None:
    """Polars stores their strings as views, for which Arrow has few functions."""
    codes = pa.array([1, None, 0], pa.uint32())
    categories = pa.DictionaryArray.from_arrays(codes, pa.array(["cook", "a name of more than twelve bytes"]))
    views = categories.cast(pa.dictionary(pa.uint32(), pa.string_view()))
    found = frames.frame_of(Polars(pa.table({"job": pa.chunked_array([views, views])})), "the table")
    assert found.categorical == ("job",)
    assert reader.read(found).table["job"].to_pylist() == 2 * ["a name of more than twelve bytes", None, "cook"]


def test_types_of_pandas() -> None:
    frame = pd.DataFrame(
        {
            "category": pd.Categorical([1, 2]),
            "nullable": pd.array([1, None], "Int64"),
            "object": np.array([True, None], object),
            "sparse": pd.arrays.SparseArray([0.0, 1.0]),
        }
    )
    found = frames.frame_of(frame, "the table")
    table = reader.read(found).table
    assert found.categorical == ("category",)
    assert table.to_pydict() == {
        "category": [1, 2],
        "nullable": [1, None],
        "object": [True, None],
        "sparse": [0.0, 1.0],
    }


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            pd.DataFrame([[1, 2]]),
            "the table has columns named 0, 1, expected strings; rename them, as by df.columns = ",
        ),
        (
            pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "mean")])),
            r"the table has columns named \('a', 'mean'\), expected strings; join the levels, as by df.columns = \[",
        ),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "Duplicate column names"),
        ({"a": [1, 2], "b": [1]}, "expected length 2"),
        ({"a": [1 + 2j]}, "complex"),
        ([1, 2], "the table is of type list, expected a DataFrame"),
        (pd.DataFrame({"a": []}), "has a header but no rows"),
        ({" ": [1]}, "the table has no columns with a name"),
    ],
)
def test_errors_say_what_is_wrong(frame: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        reader.read(frames.frame_of(frame, "the table"))


def test_an_array_is_no_frame() -> None:
    assert not frames.is_frame(np.zeros((2, 2)))


def test_all_rows_stay_where_none_may_be_left_out() -> None:
    frame = frames.frame_of({"job": ["cook", "nurse", "Total"], "pay": [1.0, 2.0, 3.0]}, "the table")
    assert frame.rows.num_rows == 3
    assert reader.read(frame).table.num_rows == 2
    with pytest.raises(DataError, match="the table has no rows, expected at least one"):
        frames.frame_of({"job": []}, "the table").rows  # noqa: B018 - a property that raises


def test_objects_of_several_types_are_read_like_cells_of_a_text() -> None:
    frame = pd.DataFrame(
        {
            "zip": np.array([10115, "02134", None], object),
            "size": np.array([np.int64(1), 2.5, "n/a"], object),
            "large": np.array([2**70, 1, None], object),
            "job": ["cook", None, "nurse"],
        },
        index=[5, 5, 7],
    )
    found = reader.read(frames.frame_of(frame, "the table"))
    assert found.table.to_pydict() == {
        "zip": ["10115", "02134", ""],
        "size": ["1", "2.5", "n/a"],
        "large": [2.0**70, 1.0, None],
        "job": ["cook", None, "nurse"],
    }
    assert found.typed == {"large", "job"}


def test_periods_and_intervals_are_strings() -> None:
    frame = pd.DataFrame(
        {
            "band": pd.cut([1, 5, 20], [0, 10, 30]),
            "range": pd.arrays.IntervalArray.from_tuples([(0, 1), (1, 2), None]),
            "month": pd.PeriodIndex(["2024-01", "2024-02", None], freq="M"),
        }
    )
    found = frames.frame_of(frame, "the table")
    assert found.categorical == ("band",)
    assert reader.read(found).table.to_pydict() == {
        "band": ["(0, 10]", "(0, 10]", "(10, 30]"],
        "range": ["(0.0, 1.0]", "(1.0, 2.0]", None],
        "month": ["2024-01", "2024-02", None],
    }
