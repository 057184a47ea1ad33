"""Tables as SQL clients and Markdown draw them."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.data.tables import reader

MYSQL = """\
+----+--------+-------------+
| id | amount | city        |
+----+--------+-------------+
|  1 |   2.50 | New York    |
|  2 |   NULL |             |
+----+--------+-------------+
2 rows in set (0.00 sec)
"""
PSQL = """\
 id | amount |   city
----+--------+----------
  1 |   2.50 | New York
  2 |   NULL |
(2 rows)

"""
MARKDOWN = """\
| id | amount | city     |
|---:|:------:|----------|
| 1  | 2.50   | New York |
| 2  | NULL   |          |
"""
SQLCMD = """\
id          amount   city
----------- -------- --------
          1     2.50 Berlin
          2     NULL Paris

(2 rows affected)
"""


@pytest.mark.parametrize("text", [MYSQL, PSQL, MARKDOWN, MARKDOWN.replace("\n", "\r\n")])
def test_lines_borders_and_counts_are_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.txt").write_bytes(text.encode())
    found = reader.read(tmp_path / "t.txt", ("city",))
    cells = {name: [cell.strip() for cell in column] for name, column in found.table.to_pydict().items()}
    assert cells == {"id": ["1", "2"], "amount": ["2.50", "NULL"], "city": ["New York", ""]}
    assert found.notes == ("the lines of dashes around the table are skipped",)


def test_columns_above_dashes_may_be_separated_by_blanks(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(SQLCMD)
    assert reader.read(tmp_path / "t.txt").table.to_pydict() == {
        "id": ["1", "2"],
        "amount": ["2.50", "NULL"],
        "city": ["Berlin", "Paris"],
    }


@pytest.mark.parametrize("row", ["--|--", "1|2\n--|--", "2020-01-05|--", "a|-"])
def test_dashes_among_the_values_are_values(tmp_path: Path, row: str) -> None:
    (tmp_path / "t.txt").write_text(f"x|y\n1|2\n3|4\n{row}\n")
    assert reader.read(tmp_path / "t.txt").table.num_rows == 3 + row.count("\n")
