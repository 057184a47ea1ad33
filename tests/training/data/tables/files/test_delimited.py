"""Text files: delimiters, headers, and what stands around a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.data.errors import message_of
from training.data.tables import reader

ROWS = "1,2.5,x\n2,3.5,y\n3,2.5,x\n4,0.5,y\n"
TABLE = "a,b,c\n" + ROWS
COLUMNS = {"a": ["1", "2", "3", "4"], "b": ["2.5", "3.5", "2.5", "0.5"], "c": ["x", "y", "x", "y"]}


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (TABLE, None),
        (TABLE.replace(",", ";"), None),
        (TABLE.replace(",", "\t"), None),
        (TABLE.replace(",", "|"), None),
        (TABLE.replace(",", "   "), None),
        (" " + TABLE.replace(",", "  ").replace("\n", " \n  "), None),
        ("# made in 2024, by me\n" + TABLE, "1 line that begins with '#' is skipped"),
        ("a,b,c\n# one\n" + ROWS + "# two\n", "2 lines that begin with '#' are skipped"),
        ("#a,b,c\n" + ROWS, None),
        ("# a,b,c\n" + ROWS, None),
        ("Report of 2024\nby me\n\n" + TABLE, "2 lines before the header are skipped: 'Report of 2024'"),
        ("Report of 2024,,\n,,\n" + TABLE, "2 lines before the header are skipped: 'Report of 2024'"),
        (TABLE + "\nSource: me\n", "what stands below the table is skipped: 'Source: me'"),
        (TABLE + ",,\nSource: me,,\n*,,\n", "what stands below the table is skipped: 'Source: me *'"),
        ("sep=;\n" + TABLE.replace(",", ";"), "1 line before the header is skipped: 'sep='"),
        (TABLE + "Total,9,\n", "the last row is 'Total', a sum of the others, and is left out"),
        (TABLE + "Grand total:,9,\n", "the last row is 'Grand total:', a sum of the others, and is left out"),
        ("a,b,c\n" + ROWS[:16] + "a,b,c\n" + ROWS[16:], "1 row repeats the header and is left out"),
        ("a,b,c,,\n" + ROWS.replace("\n", ",,\n"), "columns 4, 5 are left out: no name and no values"),
        ("a,b,c\n" + ROWS.replace("\n", ",\n"), "column 4 is left out: no name and no values"),
        (
            ",a,b,c\n" + "".join(f"{index},{row}\n" for index, row in enumerate(ROWS.split())),
            "column 1 has no name and a different value in each row, as an index; it is left out",
        ),
        (
            "Unnamed: 0,a,b,c\n" + "".join(f"{index},{row}\n" for index, row in enumerate(ROWS.split())),
            "column 1 has no name and a different value in each row, as an index; it is left out",
        ),
        (  # as R's write.table writes the names of the rows
            '"a" "b" "c"\n' + "".join(f'"{row[0]}" {row.replace(",", " ")}\n' for row in ROWS.split()),
            "column 1 has no name and a different value in each row, as an index; it is left out",
        ),
    ],
)
def test_table_is_found_with_a_note_on_the_rest(path: Path, content: str, note: str | None) -> None:
    for newline in ("\n", "\r\n"):
        path.write_bytes(content.replace("\n", newline).encode())
        found = reader.read(path)
        assert found.table.to_pydict() == COLUMNS
        assert found.notes == (() if note is None else (note,))


def test_a_comma_in_quotes_does_not_separate_what_blanks_do(path: Path) -> None:
    path.write_text('"name" "y"\n' + "".join(f'"{row}" "Law, {row}" {row}.5\n' for row in range(9)))
    assert reader.read(path).table.to_pydict() == {
        "name": [f"Law, {row}" for row in range(9)],
        "y": [f"{row}.5" for row in range(9)],
    }


def test_column_without_a_name_that_is_no_index_gets_one(path: Path) -> None:
    path.write_text("a,,c\n1,x,2\n2,x,3\n3,y,4\n")
    found = reader.read(path)
    assert found.table.column_names == ["a", "column_2", "c"]
    assert found.notes == ("column 2 has no name; it is called 'column_2', and clients send it by that name",)


def test_comment_sign_that_is_a_value_is_kept(path: Path) -> None:
    path.write_text('color,text\n#ff0000,"a\n#b"\n#00ff00,c\n')
    assert reader.read(path).table.to_pydict() == {"color": ["#ff0000", "#00ff00"], "text": ["a\n#b", "c"]}


def test_semicolons_with_decimal_commas(path: Path) -> None:
    path.write_text("a;b\n0,5;1,5\n1,5;2,5\n2,5;3,5\n")
    found = reader.read(path)
    assert found.table.column_names == ["a", "b"]
    assert found.decimal_comma


def test_words_in_a_tab_separated_table_are_not_split(path: Path) -> None:
    path.write_text("first name\tplace\nMary Ann\tNew York\nJohn Boy\tLos Angeles\n")
    assert reader.read(path).table.column_names == ["first name", "place"]


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n7.0,3.2,versicolor\n", 3),
        ("39, State-gov, 77516, <=50K\n50, Private, 83311, >50K\n", 4),
        ('18.0   8  1\t"chevrolet chevelle"\n15.0   8  2\t"buick skylark"\n', 4),
        ("f, f, won\nf, t, lost\nf, f, lost\nt, f, won\n", 3),
        ("red,small,40-49,yes\nblue,small,40-49,no\nred,large,50-59,yes\n", 4),
        ("1,1,1\n1,2,1\n2,1,1\n", 3),
    ],
)
def test_table_without_a_header(tmp_path: Path, content: str, columns: int) -> None:
    path = tmp_path / "iris.data"
    path.write_text(content)
    found = reader.read(path)
    assert found.table.column_names == [f"column_{number}" for number in range(1, columns + 1)]
    assert found.table.num_rows == content.count("\n")
    assert found.notes == (
        f"the first row holds values, not names; the columns are named column_1 to column_{columns}",
    )


@pytest.mark.parametrize(
    "content",
    [
        "country,2019,2020\nA,1,2\nB,3,4\n",  # years
        "0,1,2\n5,3,2\n6,3,1\n",  # as pandas numbers columns
        "0,1,2\n0,1,2\n2,1,2\n",
        "red,size\nred,1\nblue,2\n",
        "red,size,size_\nred,1,1\nred,size,size_\nblue,2,1\n",  # repeated
        "id,0.25,0.75\n1,2,3\n2,3,4\n",  # quantiles beside an id
        "age,job\n41,cook\n",
    ],
)
def test_header_with_numbers_is_a_header(path: Path, content: str) -> None:
    path.write_text(content)
    assert reader.read(path).table.column_names == content.splitlines()[0].split(",")


def test_first_row_with_a_name_the_user_gave_is_a_header(path: Path) -> None:
    path.write_text("7,9,3\n1,2,3\n2,3,4\n")
    assert reader.read(path).table.column_names[0] == "column_1"
    assert reader.read(path, ["9"]).table.column_names == ["7", "9", "3"]


def test_ragged_row_below_titles_is_reported_with_its_line(path: Path) -> None:
    path.write_text("Report\n\n" + TABLE + "5,6\n")
    assert message_of(reader.read, path).startswith(f"{path}, line 8: 2 values, expected 3 as in the header")
    path.write_text(TABLE.replace(",", "  ") + "5  6\n7  8 9\n")
    assert message_of(reader.read, path).startswith(f"{path}, row 5 below the header: 2 values, expected 3")


def test_blanks_and_line_breaks_in_names_are_plain_blanks(path: Path) -> None:
    path.write_text('"a\n(years)", b\xa0c \n' + "1,2\n3,4\n5,6\n", encoding="utf-8")
    found = reader.read(path)
    assert found.table.column_names == ["a (years)", "b c"]
    assert found.notes == (
        "line breaks and special blanks in names are plain blanks: 'a (years)' for 'a\\n(years)', 'b c' for "
        "' b\\xa0c '",
    )


def test_a_column_that_is_left_out_keeps_its_name(path: Path) -> None:
    path.write_text("Unnamed: 0,,a,b\n" + "".join(f"{row},{row * 2},{row % 3},x\n" for row in range(9)))
    assert reader.read(path).left_out == ("Unnamed: 0", "", "Unnamed: 1")


def test_the_header_has_the_names_that_the_user_gave(path: Path) -> None:
    path.write_text("Person,,Money\n" + TABLE)
    assert reader.read(path, ("c",)).table.to_pydict() == COLUMNS
    path.write_text("c\nPerson,,Money\n" + TABLE)
    assert reader.read(path, ("c",)).table.to_pydict() == COLUMNS
    path.write_text("Person,,Money\n" + TABLE)
    assert reader.read(path, ("d",)).table.column_names == ["Person", "column_2", "Money"]
    path.write_text(TABLE)
    assert reader.read(path, ("x",)).table.to_pydict() == COLUMNS


def test_a_mark_of_inches_is_no_quote(path: Path) -> None:
    path.write_text('size,b,c\nTV 24",1,x\n5\'10",2,"y, z"\n9,3,x\n')
    assert reader.read(path).table["size"].to_pylist() == ['TV 24"', "5'10\"", "9"]
    path.write_text("a,b\n" + "5'10\",6'1\"\n" * 4)
    assert reader.read(path).table["b"].to_pylist() == ["6'1\""] * 4
