"""Loading tables from CSV and Parquet files, and rejecting those that cannot be used."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from tests.training.data.errors import message_of
from training.data.dataset import Column, Dataset
from training.data.tables import table_file
from training.data.tables.options import TableOptions
from training.errors import DataError, OptionError

TARGET = TableOptions(("label",))
HEADER = "age,member,job,label\n"
ROWS = [
    "41,true,cook,yes",
    ",false,nurse,no",
    "2.5e1,True,,yes",
    "33,FALSE,nurse,no",
    "41,true,cook,yes",
    "7,,nurse,no",
]
BODY = "\n".join(ROWS) + "\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "people of 2024.csv"


def rejection(path: Path, content: str | bytes, options: TableOptions = TARGET) -> str:
    """Return the message, with FILE for the path."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return message_of(table_file.load, path, options).replace(str(path), "FILE")


def generate(rows: int, column: str = "{row}", label: str = "{label}") -> str:
    """Return a CSV table of two columns, formatted with the row's number."""
    lines = (f"{column},{label}".format(row=row, label="yes" if row % 2 else "no") for row in range(rows))
    return "x,label\n" + "".join(f"{line}\n" for line in lines)


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
        *(f"{name}: 1 missing ('' 1)" for name in ("age", "member", "job")),
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


def test_index_of_pandas_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "people.parquet"
    frame = pd.DataFrame({"age": [41.0, 7.0] * 6, "label": ["yes", "no"] * 6}).iloc[::-1]
    frame.to_parquet(path)
    assert [column.name for column in table_file.load(path, TARGET).columns] == ["age"]


@pytest.mark.parametrize("string", ["1,200", "1'200'000", "$12", "€ 3.5", "12 %", "3,14", "-1 000", "1.234,56"])
def test_formatted_number_is_not_a_category(path: Path, string: str) -> None:
    assert rejection(path, generate(9, f'"{string}"')).startswith(
        f"column 'x' has {string!r} in row 1 below the header"
    )


def test_delimiter_in_a_quoted_name_is_ignored(path: Path) -> None:
    path.write_text('"size, in m²";label\n' + "".join(f"{row / 2};{row % 2}\n" for row in range(9)))
    assert table_file.load(path, TARGET).columns == (Column("size, in m²"),)


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


def test_options_override_what_was_inferred(path: Path) -> None:
    path.write_text("zip,id,grade\n" + "".join(f"{row % 3 + 10115},{row},{row % 4}\n" for row in range(24)))
    dataset = table_file.load(path, TableOptions(("grade",), "regression", ("zip",), ("id",)))
    assert dataset.columns == (Column("zip", "categorical", categories=("10115", "10116", "10117")),)
    assert dataset.source["dropped"] == ["id"]
    assert (dataset.labels, dataset.targets[:5].tolist()) == ((), [[0], [1], [2], [3], [0]])


def test_id_has_a_note(path: Path) -> None:
    path.write_text(generate(12))
    assert table_file.load(path, TARGET).notes == (
        "column 'x' has a different integer in each row, as an id has; ids do not generalise to new rows, so if it is "
        "one, leave it out with --drop x",
        "target label: 2 classes (no, yes)",
    )


@pytest.mark.parametrize(
    ("column", "dtype"),
    [
        ("{row}.5", np.float32),
        ("{row}e11", np.float32),
        ("17000000{row:02}", np.float64),
        ("1000000000.{row}", np.float64),
    ],
)
def test_values_that_need_float64_have_a_note(path: Path, column: str, dtype: type) -> None:
    path.write_text(generate(24, column=column + ",0.{row}").replace("x,", "x,y,", 1))
    dataset = table_file.load(path, TARGET)
    assert dataset.inputs.dtype == dtype
    assert dataset.inputs.tolist() == [[dtype(column.format(row=row)), dtype(f"0.{row}")] for row in range(24)]
    note = "float32 cannot distinguish all values of 'x': inputs are float64"
    assert (note in dataset.notes) == (dtype is np.float64)


def test_outlier_has_a_note(path: Path) -> None:
    path.write_text(generate(24, column="17000000{row:02}").replace("1700000007", "0"))
    assert (
        "column 'x' has outliers, from 0 to 1.7e+09, that hide the differences between its other values; if they mean "
        "something else, such as 0 for never, leave them empty"
    ) in table_file.load(path, TARGET).notes


@pytest.mark.parametrize("column", ["90071992547410{row:02}", "900719925474099{row:02}000"])
def test_integers_that_float64_rounds_have_a_note(path: Path, column: str) -> None:
    path.write_text(generate(24, column=column))
    step = f"{np.spacing(float(column.format(row=23))):,.0f}"
    assert (
        f"column 'x' has integers so large that float64 rounds them to multiples of {step}; if that matters, treat "
        "them as categories with --categorical x, or leave them out with --drop x"
    ) in table_file.load(path, TARGET).notes


def test_rows_without_a_target_are_left_out(path: Path) -> None:
    path.write_text(HEADER + BODY + "8,true,cook, \n9,true,cook,\n")
    dataset = table_file.load(path, TARGET)
    assert len(dataset.inputs) == len(dataset.targets) == 6
    assert dataset.notes[0] == "2 of 8 rows have no label ('' 2) and are left out"


def test_several_targets_are_numeric(path: Path) -> None:
    path.write_text("x,a,b\n" + "".join(f"{row / 2},{row % 2},{row / 4}\n" for row in range(8)))
    dataset = table_file.load(path, TableOptions(("b", "a")))
    assert (dataset.target_names, dataset.labels, dataset.targets.dtype) == (("b", "a"), (), np.float64)
    assert dataset.targets[:3].tolist() == [[0, 0], [0.25, 1], [0.5, 0]]
    assert dataset.notes == ("target b (0 to 1.75), a (0 to 1): numbers",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "FILE is empty, expected a table with a header"),
        (" \n\n", "FILE is empty, expected a table with a header"),
        (HEADER, "FILE has a header but no rows; add rows"),
        (
            HEADER + '1,true,"a\nb",no\n\n' + BODY + "41,true\n",
            "FILE, line 11: 2 values, expected 4 as in the header (separated by ','); correct the line, or quote "
            "values that contain ','",
        ),
        *(
            (
                content,
                f"FILE, line 2: {found}, expected {header} as in the header (separated by ','); remove lines that "
                "begin with '#'",
            )
            for content, found, header in (
                ("# made in 2024\n" + HEADER + BODY, "4 values", 1),
                (HEADER + "# made in 2024\n" + BODY, "1 value", 4),
            )
        ),
        (
            HEADER + "41,true,cook,yes,\n" + BODY,
            "FILE, line 2: 5 values, expected 4 as in the header (separated by ','); correct the line, or quote "
            "values that contain ','",
        ),
        (
            HEADER + '41,true,"cook,yes\n' + BODY,
            'FILE has an odd number of double quotes; write one inside a quoted value as ""',
        ),
        (
            (HEADER + BODY).encode() + b"41,true,caf\xe9,yes\n",
            "FILE is not UTF-8: line 8 has the byte 0xe9; save it as UTF-8",
        ),
        ((HEADER + BODY).encode("utf-16"), "FILE is not UTF-8: line 1 has the byte 0xff; save it as UTF-8"),
        (
            "a,b,a,label\n" + BODY,
            "FILE has 2 columns named 'a'; rename them, clients send values by name",
        ),
        (
            ",b,c,label\n" + BODY,
            "FILE: column 1 has no name; name it, or write the file without it (in pandas: index=False)",
        ),
        (
            "a,b\x07,c,label\n" + BODY,
            "FILE: the name of column 2, 'b\\x07', has an unprintable character; rename the column",
        ),
        (
            HEADER + BODY + "unknown,true,cook,yes\n",
            "column 'age' has 'unknown' in row 7 below the header, but most of its values look like numbers; write it "
            "as a plain number such as 1200 or 3.14, leave it empty, treat it as missing with --missing unknown, or "
            "treat the column as categories with --categorical age",
        ),
        (
            HEADER + "1,true,cook,\n" + BODY + "unknown,true,cook,yes\n",
            "column 'age' has 'unknown' in row 8 below the header, but most of its values look like numbers; write it "
            "as a plain number such as 1200 or 3.14, leave it empty, treat it as missing with --missing unknown, or "
            "treat the column as categories with --categorical age",
        ),
        (
            generate(9, '"$1,{row}00"'),
            "column 'x' has '$1,000' in row 1 below the header, but most of its values look like numbers; write it as "
            "a plain number such as 1200 or 3.14, leave it empty, or treat the column as categories with --categorical "
            "x",
        ),
        (
            generate(9, "10.0.0.{row}"),
            "nothing can be learned from 'x' (9 different strings in 9 rows); use --drop x",
        ),
        (
            generate(9, "{row}.2.2024"),
            "'x' holds dates or times, expected numbers; convert them, such as to an age in days, a month or an hour, "
            "or leave them out with --drop x",
        ),
        (
            generate(9, "inf"),
            "column 'x' has inf in row 1 below the header, expected at most 3.4e+38, the largest float32; correct it, "
            "leave it empty, or use another unit",
        ),
        (
            generate(9, "2024-01-0{row}"),
            "'x' holds dates or times, expected numbers; convert them, such as to an age in days, a month or an hour, "
            "or leave them out with --drop x",
        ),
        (
            generate(9, "1/{row}/2024"),
            "'x' holds dates or times, expected numbers; convert them, such as to an age in days, a month or an hour, "
            "or leave them out with --drop x",
        ),
        (generate(9, "5"), "nothing can be learned from 'x' (5 in every row); use --drop x"),
        (generate(9, "cook"), "nothing can be learned from 'x' ('cook' in every row); use --drop x"),
        (generate(9, ""), "nothing can be learned from 'x' (no value in any row); use --drop x"),
        (
            generate(9, "Mr. {row}"),
            "nothing can be learned from 'x' (9 different strings in 9 rows); use --drop x",
        ),
        ("label\n" + "yes\nno\n" * 3, "FILE has no columns left to predict label from; drop fewer"),
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
            generate(9, label="{row}.5") + "3,n/k\n",
            "column 'label' has 'n/k' in row 10 below the header, but most of its values look like numbers; write it "
            "as a plain number such as 1200 or 3.14, leave it empty, treat it as missing with --missing n/k, or treat "
            "the column as categories with --task classification",
        ),
        (
            generate(9, label="2024-01-0{row}"),
            "target 'label' holds dates, expected classes or numbers; convert it, such as to days",
        ),
    ],
)
def test_unusable_table_is_rejected(path: Path, content: str | bytes, message: str) -> None:
    assert rejection(path, content) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (TableOptions(), "FILE needs a target; name a column with --target: age, member, job, label"),
        (TableOptions(("lable",)), "--target: FILE has no column 'lable'; did you mean 'label'?"),
        (TableOptions(("price",)), "--target: FILE has no column 'price'; it has age, member, job, label"),
        (TableOptions(("label",), drop=("Age",)), "--drop: FILE has no column 'Age'; did you mean 'age'?"),
        (
            TableOptions(("label",), categorical=("jobs",)),
            "--categorical: FILE has no column 'jobs'; did you mean 'job'?",
        ),
        (TableOptions(("label",), drop=("age", "age")), "--drop has 'age' twice; name it once"),
        (
            TableOptions(("label",), drop=("label",)),
            "'label' is in both --target and --drop; to predict it, do not drop it",
        ),
        (
            TableOptions(("age",), categorical=("age",)),
            "'age' is in both --target and --categorical; to predict it, use --task classification",
        ),
        (
            TableOptions(("age", "member"), "classification"),
            "--task is 'classification', which takes one --target, not 2",
        ),
        (
            TableOptions(("age", "label")),
            "target 'label' has type string, expected numbers for regression; remove it from --target",
        ),
        (
            TableOptions(("label",), "regression"),
            "target 'label' has type string, expected numbers for regression; remove it from --target",
        ),
    ],
)
def test_options_that_do_not_fit_are_rejected(path: Path, options: TableOptions, message: str) -> None:
    assert rejection(path, HEADER + BODY, options) == message


def test_remedies_are_valid_options(path: Path) -> None:
    table = "id,first name,when,label\n" + "".join(
        f"{row % 2},Mr. {row},2024-01-0{row},{'yes' if row % 3 else 'no'}\n" for row in range(1, 10)
    )
    first, second = rejection(path, table, TableOptions(("label",), drop=("id",))).splitlines()[1:]
    assert first.endswith("with --drop id when")
    assert second.endswith("--drop id when 'first name'")
    assert rejection(path, table, TableOptions(("label",), drop=("id", "when"))).endswith("--drop id when 'first name'")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            [[1], [2]] * 6,
            "column 'x' has type list<element: int64>, expected numbers, booleans or strings; leave it out",
        ),
        (
            [datetime(2024, 1, day, tzinfo=UTC) for day in range(1, 13)],
            "'x' holds dates or times, expected numbers; convert them, such as to an age in days, a month or an hour, "
            "or leave them out with --drop x",
        ),
    ],
)
def test_unsupported_types_are_rejected(tmp_path: Path, values: list[object], message: str) -> None:
    path = tmp_path / "table.parquet"
    parquet.write_table(pa.table({"x": values, "label": ["yes", "no"] * 6}), path)
    assert message_of(table_file.load, path, TARGET) == message


def test_damaged_parquet_file_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    whole = tmp_path / "whole.parquet"
    parquet.write_table(pa.table({"x": [1, 2], "label": ["yes", "no"]}), whole)
    for content in (b"x,label\n1,yes\n", whole.read_bytes()[:-20], whole.read_bytes()[:100]):
        path.write_bytes(content)
        assert message_of(table_file.load, path, TARGET).startswith(f"{path} is damaged or not a Parquet file: ")


def test_missing_file_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "none.csv"
    assert message_of(table_file.load, path, TARGET) == f"{path} cannot be read: No such file or directory"
