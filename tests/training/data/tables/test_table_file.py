"""Loading tables from CSV and Parquet files, and rejecting those that cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from tests.training.data.errors import message_of
from tests.training.data.tables.tables import BODY, HEADER, TARGET, generate, rejection, write_csv
from training.data.dataset import Column, Dataset
from training.data.tables import table_file
from training.data.tables.options import TableOptions
from training.errors import DataError, OptionError


def test_types_missing_values_and_categories_are_inferred(path: Path) -> None:
    path.write_text(HEADER + BODY)
    dataset = table_file.load(path, TARGET)
    assert dataset.columns == (
        Column("age", "numeric", missing=True),
        Column("member", "boolean", missing=True),
        Column("job", "categorical", missing=True, categories=("cook", "nurse")),
    )
    nan = np.nan
    expected = [[41, 1, 0], [nan, 0, 1], [25, 1, nan], [33, 0, 1], [41, 1, 0], [7, nan, 1]]
    assert dataset.inputs.dtype == np.float32
    assert np.array_equal(dataset.inputs, np.array(expected, np.float32), equal_nan=True)
    assert dataset.labels == ("no", "yes")
    assert dataset.targets.tolist() == [1, 0, 1, 0, 1, 0]
    assert (dataset.name, dataset.target_names, dataset.shape) == ("people-of-2024", ("label",), (3,))
    assert dataset.notes == (
        *(f"{name}: 1 missing (empty 1)" for name in ("age", "member", "job")),
        "target label: 2 classes (no, yes)",
    )


def test_parquet_file_is_the_same_table(path: Path, tmp_path: Path) -> None:
    path.write_text(HEADER + BODY)
    twin = tmp_path / "people of 2024.parquet"
    table = pa.table(
        {
            "age": pa.array([41, None, 25, 33, 41, 7], pa.int16()),
            "member": [True, False, True, False, True, None],
            "job": pa.array(["cook", "nurse", None, "nurse", "cook", "nurse"]).dictionary_encode(),
            "label": ["yes", "no", "yes", "no", "yes", "no"],
        }
    )
    parquet.write_table(table, twin)
    one, other = (table_file.load(each, TableOptions(("label",))) for each in (path, twin))
    assert one.columns == other.columns
    assert np.array_equal(one.inputs, other.inputs, equal_nan=True)
    assert (one.labels, one.targets.tolist()) == (other.labels, other.targets.tolist())


def test_parquet_file_of_pandas_is_read(tmp_path: Path) -> None:
    path = tmp_path / "people.parquet"
    frame = pd.DataFrame(
        {
            "age": [41.0, np.nan, 25.0, 33.0, 41.0, 7.0],
            "member": pd.array([True, False, True, False, True, None], "boolean"),
            "job": pd.Categorical(["cook", "nurse", None, "nurse", "cook", "nurse"]),
            "grade": pd.Categorical([3, 1, 2, 3, 1, 2]),
            "label": ["yes", "no"] * 3,
        }
    )
    frame.to_parquet(path)
    dataset = table_file.load(path, TableOptions(("label",), categorical=("age",)))
    assert dataset.columns == (
        Column("age", "categorical", missing=True, categories=("25", "33", "41", "7")),
        Column("member", "boolean", missing=True),
        Column("job", "categorical", missing=True, categories=("cook", "nurse")),
        Column("grade", "numeric"),
    )
    assert dataset.inputs[:, 3].tolist() == [3, 1, 2, 3, 1, 2]


def loaded(path: Path, options: TableOptions) -> Dataset | str:
    try:
        return table_file.load(path, options)
    except (DataError, OptionError) as error:
        return str(error)


WHOLE = (HEADER + BODY * 3).encode()


@given(
    st.lists(
        st.tuples(
            st.integers(0, len(WHOLE)),
            st.integers(0, 40),
            st.sampled_from(
                [b"", b",", b'"', b"\n", b"\r", b";", b"\0", b"nan", b"inf", b"1e999", b"\xff", b"NULL", b"9" * 30]
            ),
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(["age", "member", "job", "label"]),
    st.sampled_from(["auto", "classification", "regression"]),
)
def test_damaged_file_is_loaded_or_rejected_with_a_message_per_error(
    path: Path, changes: list[tuple[int, int, bytes]], target: str, task: str
) -> None:
    content = WHOLE
    for at, removed, added in changes:
        content = content[:at] + added + content[at + removed :]
    path.write_bytes(content)
    dataset = loaded(path, TableOptions((target,), task))
    if isinstance(dataset, str):
        head, *errors = dataset.split("\n")
        if errors and errors[-1].startswith("- to go on without"):
            errors.pop()
        assert (len(errors) > 1 and head.endswith(f" has {len(errors)} errors:")) if errors else head
        assert all(error.startswith("- ") for error in errors)
        return
    assert np.isfinite(dataset.targets).all()
    for column, values in zip(dataset.columns, dataset.inputs.T, strict=True):
        assert not np.isinf(values).any()
        assert column.missing == np.isnan(values).any()
        if column.type == "categorical":
            assert set(values[~np.isnan(values)]) == set(range(column.codes))


@pytest.mark.parametrize("delimiter", [";", "\t", "|", ", "])
def test_delimiter_is_detected_and_blanks_are_stripped(path: Path, delimiter: str) -> None:
    path.write_text(("\ufeff" + HEADER + BODY).replace(",", delimiter))
    dataset = table_file.load(path, TARGET)
    assert [column.name for column in dataset.columns] == ["age", "member", "job"]
    assert dataset.columns[2].categories == ("cook", "nurse")
    assert dataset.labels == ("no", "yes")


def test_rows_without_a_target_are_left_out(path: Path) -> None:
    path.write_text(HEADER + BODY + "8,true,cook, \n9,true,cook,\n")
    dataset = table_file.load(path, TARGET)
    assert len(dataset.inputs) == len(dataset.targets) == 6
    assert dataset.notes[0] == "2 of 8 rows have no label (empty 2) and are left out"


def test_several_targets_are_numeric(path: Path) -> None:
    path.write_text("x,a,b\n" + "".join(f"{row / 2},{row % 2},{row / 4}\n" for row in range(8)))
    dataset = table_file.load(path, TableOptions(("b", "a")))
    assert (dataset.target_names, dataset.labels, dataset.targets.dtype) == (("b", "a"), (), np.float64)
    assert dataset.targets[:3].tolist() == [[0, 0], [0.25, 1], [0.5, 0]]
    assert dataset.notes == ("target b (0 to 1.75), a (0 to 1): numbers",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            generate(9, "inf"),
            "column 'x' has inf in row 1 below the header, expected at most 3.4e+38, the largest float32; correct it, "
            "leave it empty, or use another unit; to go on without it, use --drop x",
        ),
        ("label\n" + "yes\nno\n" * 3, "FILE has no columns left to predict label from; add some"),
        (generate(9, label="yes"), "target 'label' is 'yes' in every row; choose another --target"),
        (generate(9, label="7"), "target 'label' is '7' in every row; choose another --target"),
        (generate(9, label="7.5"), "target 'label' is 7.5 in every row; choose another --target"),
        (generate(9, label=""), "FILE has no row with a value for target 'label'; choose another --target"),
        (
            generate(9, label="Mr. {row}"),
            "target 'label' has 9 different values in 9 rows, expected at least 3 rows per class; choose "
            "another --target",
        ),
        (
            generate(9, label="2024-01-0{row}"),
            "target 'label' holds dates or durations, expected classes or numbers; convert it, such as to days",
        ),
    ],
)
def test_unusable_table_is_rejected(path: Path, content: str | bytes, message: str) -> None:
    assert rejection(path, content) == message


def test_lists_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    parquet.write_table(pa.table({"x": [[1], [2]] * 6, "y": [1.5, 2.5, 3.5] * 4, "label": ["yes", "no"] * 6}), path)
    dataset = table_file.load(path, TARGET)
    assert [column.name for column in dataset.columns] == ["y"]
    assert dataset.notes[0] == (
        "left out, as nothing can be learned from it: 'x' (values of type list<element: int64>)"
    )
    assert message_of(table_file.load, path, TableOptions(("x",))) == (
        "column 'x' has type list<element: int64>, expected numbers, booleans or strings; leave it out"
    )


def test_errors_of_all_columns_are_reported_at_once_with_a_command(tmp_path: Path) -> None:
    cells = {
        "price": ["1,200.5", "1,30"] * 12,
        "rate": ["1", "2", "3", "1e99"] * 6,
        "good": ["1", "2"] * 12,
        "label": ["0,5", "1.200,50", "1,200.5"] * 8,
    }
    path = write_csv(tmp_path / "t.csv", cells)
    head, *errors = message_of(table_file.load, path, TableOptions(("label",))).split("\n- ")
    assert head == f"{path} has 3 errors:"
    assert [error.split(" has ")[0] for error in errors] == [
        "column 'price'",
        "column 'rate'",
        "column 'label'",
        "to go on without these columns as numbers, use --categorical price --drop rate",
    ]


def test_clients_may_send_a_column_without_a_name_that_is_left_out(path: Path) -> None:
    path.write_text(",age,label\n" + "".join(f"{row},{row % 9},{'yes' if row % 2 else 'no'}\n" for row in range(30)))
    assert table_file.load(path, TARGET).source["dropped"] == ["", "Unnamed: 0"]
