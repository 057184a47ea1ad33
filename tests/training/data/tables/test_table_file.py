"""A table is understood as its reader would, and one that cannot be learned from is refused in one sentence."""

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

from training.data.dataset import Column, Dataset
from training.data.tables import table_file
from training.data.tables.options import TableOptions
from training.errors import DataError, OptionError

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


def refusal(path: Path, content: str | bytes, options: TableOptions | None = None) -> str:
    """The message, the path in it as FILE."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises((DataError, OptionError)) as caught:
        table_file.load(path, options or TableOptions(("label",)))
    return str(caught.value).replace(str(path), "FILE")


def grown(rows: int, column: str = "{row}", label: str = "{label}") -> str:
    """A table of two columns, each made from its row's number."""
    lines = (f"{column},{label}".format(row=row, label="yes" if row % 2 else "no") for row in range(rows))
    return "x,label\n" + "".join(f"{line}\n" for line in lines)


def test_kinds_missing_values_and_codes_are_told_by_the_values(path: Path) -> None:
    path.write_text(HEADER + BODY)
    dataset = table_file.load(path, TableOptions(("label",)))
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


def test_a_parquet_file_is_the_same_table(path: Path, tmp_path: Path) -> None:
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


def test_what_pandas_writes_is_read_as_it_was(tmp_path: Path) -> None:
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


def test_the_index_of_a_frame_is_no_column_of_its(tmp_path: Path) -> None:
    path = tmp_path / "people.parquet"
    frame = pd.DataFrame({"age": [41.0, 7.0] * 6, "label": ["yes", "no"] * 6}).iloc[::-1]
    frame.to_parquet(path)
    assert [column.name for column in table_file.load(path, TableOptions(("label",))).columns] == ["age"]


@pytest.mark.parametrize("slip", ["1,200", "1'200'000", "$12", "€ 3.5", "12 %", "3,14", "-1 000", "1.234,56"])
def test_a_number_as_people_write_it_is_no_category(path: Path, slip: str) -> None:
    assert refusal(path, grown(9, f'"{slip}"')).startswith(
        f"column 'x' has the text {slip!r} in row 1 below the header"
    )


def test_a_delimiter_in_a_quoted_name_is_none(path: Path) -> None:
    path.write_text('"size, in m²";label\n' + "".join(f"{row / 2};{row % 2}\n" for row in range(9)))
    assert table_file.load(path, TableOptions(("label",))).columns == (Column("size, in m²"),)


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
def test_whatever_is_in_a_file_it_is_a_table_or_a_sentence_for_each_fault(
    path: Path, changes: list[tuple[int, int, bytes]], target: str, task: str
) -> None:
    content = WHOLE
    for at, removed, added in changes:
        content = content[:at] + added + content[at + removed :]
    path.write_bytes(content)
    dataset = loaded(path, TableOptions((target,), task))
    if isinstance(dataset, str):
        head, *faults = dataset.split("\n")
        assert (len(faults) > 1 and head.endswith(f"for {len(faults)} reasons:")) if faults else head
        assert all(fault.startswith("- ") for fault in faults)
        return
    assert np.isfinite(dataset.targets).all()
    for column, values in zip(dataset.columns, dataset.inputs.T, strict=True):
        assert not np.isinf(values).any()
        assert column.missing == np.isnan(values).any()
        if column.type == "categorical":
            assert set(values[~np.isnan(values)]) == set(range(column.codes))


@pytest.mark.parametrize("delimiter", [";", "\t", "|", ", "])
def test_the_delimiter_is_found_and_spaces_around_names_and_texts_are_none_of_theirs(
    path: Path, delimiter: str
) -> None:
    path.write_text(("\ufeff" + HEADER + BODY).replace(",", delimiter))
    dataset = table_file.load(path, TableOptions(("label",)))
    assert [column.name for column in dataset.columns] == ["age", "member", "job"]
    assert dataset.columns[2].categories == ("cook", "nurse")
    assert dataset.labels == ("no", "yes")


def test_the_user_corrects_what_was_told_wrongly(path: Path) -> None:
    path.write_text("zip,id,grade\n" + "".join(f"{row % 3 + 10115},{row},{row % 4}\n" for row in range(24)))
    dataset = table_file.load(path, TableOptions(("grade",), "regression", ("zip",), ("id",)))
    assert dataset.columns == (Column("zip", "categorical", categories=("10115", "10116", "10117")),)
    assert dataset.source["dropped"] == ["id"]
    assert (dataset.labels, dataset.targets[:5].tolist()) == ((), [[0], [1], [2], [3], [0]])


def test_an_id_is_warned_of(path: Path) -> None:
    path.write_text(grown(12))
    assert table_file.load(path, TableOptions(("label",))).notes == (
        "column 'x' has another whole number in each row, as an id has, from which a network learns nothing that holds "
        "for new rows; if it is one, leave it out with --drop x",
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
def test_values_that_float32_blurs_are_kept_in_float64_and_told(path: Path, column: str, dtype: type) -> None:
    path.write_text(grown(24, column=column + ",0.{row}").replace("x,", "x,y,", 1))
    dataset = table_file.load(path, TableOptions(("label",)))
    assert dataset.inputs.dtype == dtype
    assert dataset.inputs.tolist() == [[dtype(column.format(row=row)), dtype(f"0.{row}")] for row in range(24)]
    told = "float32 cannot hold the values of 'x' apart: rows are taken in float64"
    assert (told in dataset.notes) == (dtype is np.float64)


def test_a_value_that_stands_for_something_else_far_away_is_warned_of(path: Path) -> None:
    path.write_text(grown(24, column="17000000{row:02}").replace("1700000007", "0"))
    assert (
        "column 'x' has values so far from the others, from 0 to 1.7e+09, that what tells those apart is lost beside "
        "them; where they stand for something else, such as 0 for never, leave them empty"
    ) in table_file.load(path, TableOptions(("label",))).notes


@pytest.mark.parametrize("column", ["90071992547410{row:02}", "900719925474099{row:02}000"])
def test_ids_that_even_float64_rounds_are_warned_of(path: Path, column: str) -> None:
    path.write_text(grown(24, column=column))
    step = f"{np.spacing(float(column.format(row=23))):,.0f}"
    assert (
        f"column 'x' has whole numbers so large that float64 rounds them to steps of {step}; where that matters, take "
        "them for categories with --categorical x, or leave them out with --drop x"
    ) in table_file.load(path, TableOptions(("label",))).notes


def test_rows_without_a_target_are_left_out_and_counted(path: Path) -> None:
    path.write_text(HEADER + BODY + "8,true,cook, \n9,true,cook,\n")
    dataset = table_file.load(path, TableOptions(("label",)))
    assert len(dataset.inputs) == len(dataset.targets) == 6
    assert dataset.notes[0] == "2 of 8 rows have no label ('' 2) and are left out"


def test_several_targets_are_numbers(path: Path) -> None:
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
        (HEADER, "FILE has a header and no rows; bring more rows"),
        (
            HEADER + '1,true,"a\nb",no\n\n' + BODY + "41,true\n",
            "FILE, line 11: 2 values, expected 4 as in the header (separated by ','); mend the line, or put quotes "
            "around a value that holds ','",
        ),
        *(
            (
                content,
                f"FILE, line 2: {found}, expected {header} as in the header (separated by ','); take out the lines "
                "that begin with '#', which are no part of a table",
            )
            for content, found, header in (
                ("# made in 2024\n" + HEADER + BODY, "4 values", 1),
                (HEADER + "# made in 2024\n" + BODY, "1 value", 4),
            )
        ),
        (
            HEADER + "41,true,cook,yes,\n" + BODY,
            "FILE, line 2: 5 values, expected 4 as in the header (separated by ','); mend the line, or put quotes "
            "around a value that holds ','",
        ),
        (
            HEADER + '41,true,"cook,yes\n' + BODY,
            'FILE has an odd number of double quotes, so one is not closed; write one in a text as ""',
        ),
        (
            (HEADER + BODY).encode() + b"41,true,caf\xe9,yes\n",
            "FILE is not UTF-8: line 8 has the byte 0xe9; save it as UTF-8",
        ),
        ((HEADER + BODY).encode("utf-16"), "FILE is not UTF-8: line 1 has the byte 0xff; save it as UTF-8"),
        (
            "a,b,a,label\n" + BODY,
            "FILE has 2 columns with the name 'a'; rename them, as clients send rows by name",
        ),
        (
            ",b,c,label\n" + BODY,
            "FILE: column 1 has no name; give it one, or write the file without it (pandas writes an index unless told "
            "index=False)",
        ),
        (
            "a,b\x07,c,label\n" + BODY,
            "FILE: the name of column 2, 'b\\x07', holds a character that cannot be printed, and clients could hardly "
            "send it; rename the column",
        ),
        (
            HEADER + BODY + "unknown,true,cook,yes\n",
            "column 'age' has the text 'unknown' in row 7 below the header, and most of its values look like numbers; "
            "write it as a plain number such as 1200 or 3.14, leave it empty, take it for missing with --missing "
            "unknown, or take the column's values for categories with --categorical age",
        ),
        (
            HEADER + "1,true,cook,\n" + BODY + "unknown,true,cook,yes\n",
            "column 'age' has the text 'unknown' in row 8 below the header, and most of its values look like numbers; "
            "write it as a plain number such as 1200 or 3.14, leave it empty, take it for missing with --missing "
            "unknown, or take the column's values for categories with --categorical age",
        ),
        (
            grown(9, '"$1,{row}00"'),
            "column 'x' has the text '$1,000' in row 1 below the header, and most of its values look like numbers; "
            "write it as a plain number such as 1200 or 3.14, leave it empty, or take the column's values for "
            "categories with --categorical x",
        ),
        (
            grown(9, "10.0.0.{row}"),
            "nothing can be learned from 'x' (9 different texts in 9 rows); leave out with --drop x",
        ),
        (
            grown(9, "{row}.2.2024"),
            "'x' holds dates or times, which no network takes as they are; replace them by numbers that matter (an age "
            "in days, a month, an hour), or leave them out with --drop x",
        ),
        (
            grown(9, "inf"),
            "column 'x' has inf in row 1 below the header, and float32 holds at most 3.4e+38; mend it, leave it empty, "
            "or use another unit",
        ),
        (
            grown(9, "2024-01-0{row}"),
            "'x' holds dates or times, which no network takes as they are; replace them by numbers that matter (an age "
            "in days, a month, an hour), or leave them out with --drop x",
        ),
        (
            grown(9, "1/{row}/2024"),
            "'x' holds dates or times, which no network takes as they are; replace them by numbers that matter (an age "
            "in days, a month, an hour), or leave them out with --drop x",
        ),
        (grown(9, "5"), "nothing can be learned from 'x' (5 in every row); leave out with --drop x"),
        (grown(9, "cook"), "nothing can be learned from 'x' ('cook' in every row); leave out with --drop x"),
        (grown(9, ""), "nothing can be learned from 'x' (no value in any row); leave out with --drop x"),
        (
            grown(9, "Mr. {row}"),
            "nothing can be learned from 'x' (9 different texts in 9 rows); leave out with --drop x",
        ),
        ("label\n" + "yes\nno\n" * 3, "FILE has no column left to predict label from; --drop fewer"),
        (grown(9, label="yes"), "target 'label' is 'yes' in every row; there is nothing to predict"),
        (grown(9, label="7"), "target 'label' is '7' in every row; there is nothing to predict"),
        (grown(9, label="7.5"), "target 'label' is 7.5 in every row; there is nothing to predict"),
        (grown(9, label=""), "FILE has no row with a value of target 'label'; name another --target"),
        (
            grown(9, label="Mr. {row}"),
            "target 'label' has 9 different values in 9 rows, and each class needs 3 rows or more; name another "
            "--target",
        ),
        (
            grown(9, label="{row}.5") + "3,n/k\n",
            "column 'label' has the text 'n/k' in row 10 below the header, and most of its values look like numbers; "
            "write it as a plain number such as 1200 or 3.14, leave it empty, take it for missing with --missing n/k, "
            "or take the column's values for categories with --task classification",
        ),
        (
            grown(9, label="2024-01-0{row}"),
            "target 'label' holds dates; turn it into a number, such as days, to predict it",
        ),
    ],
)
def test_a_table_that_cannot_be_learned_from_is_refused(path: Path, content: str | bytes, message: str) -> None:
    assert refusal(path, content) == message


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (TableOptions(), "FILE: which column is to be predicted? say --target NAME; it has age, member, job, label"),
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
            "'label' is both in --target and in --drop; to predict it, keep it",
        ),
        (
            TableOptions(("age",), categorical=("age",)),
            "'age' is both in --target and in --categorical; to predict it, say --task classification",
        ),
        (
            TableOptions(("age", "member"), "classification"),
            "--task is 'classification', which takes one --target, not 2",
        ),
        (
            TableOptions(("age", "label")),
            "target 'label' is of type string, and regression predicts numbers; leave it out",
        ),
        (
            TableOptions(("label",), "regression"),
            "target 'label' is of type string, and regression predicts numbers; leave it out",
        ),
    ],
)
def test_options_that_do_not_fit_the_table_are_refused(path: Path, options: TableOptions, message: str) -> None:
    assert refusal(path, HEADER + BODY, options) == message


def test_a_remedy_can_be_typed_as_it_stands(path: Path) -> None:
    table = "id,first name,when,label\n" + "".join(
        f"{row % 2},Mr. {row},2024-01-0{row},{'yes' if row % 3 else 'no'}\n" for row in range(1, 10)
    )
    first, second = refusal(path, table, TableOptions(("label",), drop=("id",))).splitlines()[1:]
    assert first.endswith("with --drop id when")
    assert second.endswith("with --drop id when 'first name'")
    assert refusal(path, table, TableOptions(("label",), drop=("id", "when"))).endswith(
        "with --drop id when 'first name'"
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1], [2]] * 6, "column 'x' holds values of type list<element: int64>, which no network takes; leave it out"),
        (
            [datetime(2024, 1, day, tzinfo=UTC) for day in range(1, 13)],
            "'x' holds dates or times, which no network takes as they are; replace them by numbers that matter (an age "
            "in days, a month, an hour), or leave them out with --drop x",
        ),
    ],
)
def test_types_that_no_network_takes_are_refused(tmp_path: Path, values: list[object], message: str) -> None:
    path = tmp_path / "table.parquet"
    parquet.write_table(pa.table({"x": values, "label": ["yes", "no"] * 6}), path)
    with pytest.raises(DataError) as caught:
        table_file.load(path, TableOptions(("label",)))
    assert str(caught.value) == message


def test_what_is_no_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    whole = tmp_path / "whole.parquet"
    parquet.write_table(pa.table({"x": [1, 2], "label": ["yes", "no"]}), whole)
    for content in (b"x,label\n1,yes\n", whole.read_bytes()[:-20], whole.read_bytes()[:100]):
        path.write_bytes(content)
        with pytest.raises(DataError) as caught:
            table_file.load(path, TableOptions(("label",)))
        assert str(caught.value).startswith(f"{path} is not a Parquet file, or a damaged one: ")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        table_file.load(tmp_path / "none.csv", TableOptions(("label",)))
    assert str(caught.value) == f"{tmp_path / 'none.csv'} cannot be read: No such file or directory"
