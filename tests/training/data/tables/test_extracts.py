"""Small tables of the kinds that real files are: each loads with no option but the target, with no column misread."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.data.tables import table_file
from training.data.tables.options import TableOptions

ROWS = range(40)
TYPES = {"n": "numeric", "b": "boolean", "c": "categorical", "d": "datetime"}


def lines(header: str, row: str, rows: range = ROWS) -> str:
    """Return a header and a line for each row; ``{i}`` is its number, ``{c}`` one of three words, ``{d}`` 1 to 9."""
    return header + "\n" + "".join(row.format(i=i, c="abc"[i % 3], d=i * 7 % 9 + 1, l=i * 3 % 2) + "\n" for i in rows)


EXTRACTS = {
    "an index, a car's name, ? for missing and a leading zero": (
        lines(",name,horsepower,zip,origin,mpg", "{i},ford {i},1{d}0,0{d}134,{c},{i}.5").replace("130", "?"),
        {"horsepower": "n", "zip": "c", "origin": "c"},
    ),
    "ids, constants and empty columns": (
        lines("customerID,gender,country,remark,charges,churn", "C-{i:05},{c},US,,{d}{d}.5,{l}"),
        {"gender": "c", "charges": "n"},
    ),
    "dollars, percents, thousands and negatives in parentheses": (
        lines("price,rate,people,profit,y", '"${d},250",{d}.{i:02}%,"{d},123,456","({d}.5)",{i}.25'),
        {"price": "n", "rate": "n", "people": "n", "profit": "n"},
    ),
    "a German export": (
        "Bericht 2024;;;\n" + lines("Fläche;Preis;Ort;y", "{i},5;{d}.200,50 €;{c};{i},25") + "Summe;;;\n",
        {"Fläche": "n", "Preis": "n", "Ort": "c"},
    ),
    "top-coded counts, grades and a typo": (
        lines("dependents,grade,hours,y", "{d}+,K,{d}.{i:02},{i}.5", range(4))
        + lines("", "{l},{d},{d}.{i:02},{i}.5", range(4, 200)).lstrip("\n").replace("3.04", "3.O4"),
        {"dependents": "c", "grade": "c", "hours": "n"},
    ),
    "words for missing values among numbers and texts": (
        lines("income,region,member,y", "{d}00.5,{c},true,{i}.5", range(20))
        + lines("", "unknown,NA,N/A,{i}.5", range(20, 40)).lstrip("\n").replace("39.5", "39.5\n7,a,false,1.5"),
        {"income": "n", "region": "c", "member": "b"},
    ),
    "comments, a repeated header and a total": (
        "# survey\n" + lines("age,job,y", "{d}{d},{c},{i}.5") + lines("age,job,y", "{d}{d},{c},{i}.5") + "Total,,\n",
        {"age": "n", "job": "c"},
    ),
    "a table of R": (
        lines('"length" "species" "y"', '"{i}" {d}.5 "{c} x" {i}.25'),
        {"length": "n", "species": "c"},
    ),
    "years and codes that count": (
        lines("year,month,quarter,y", "20{i:02},{d},Q{l},{i}.5"),
        {"year": "n", "month": "n", "quarter": "c"},
    ),
    "counts to predict, of which the largest is rare, beside the months of a series": (
        lines("t,persons,income,y", "{i},{d},{d}00.5,{l}") + "40,2,300.5,7\n",
        {"t": "n", "persons": "n", "income": "n"},
    ),
    "a class of one row, NA among words and codes with a letter": (
        lines("family,sex,state,churn", "1{i},{c},{d}0,no", range(10, 40)).replace(",a,", ",NA,")
        + lines("", "1{i},{c},?,yes", range(10, 40)).lstrip("\n")
        + "136A,b,20,NA\n136A,b,20,maybe\n",
        {"family": "c", "sex": "c", "state": "n"},
    ),
    "quarters, and a height of another style": (
        lines("quarter,height,y", "20{i:02} Q{l},7{d}.{i},{i}.5").replace(" Q0", " Q4").replace("76.15", '"5,3"'),
        {"quarter": "d", "height": "n"},
    ),
    "what R writes, with commas in quotes": (
        '"name" "team" "y"\n' + "".join(f'"{i}" "Law, {i}" "{"abc"[i % 3]}" {i}.5\n' for i in ROWS),
        {"team": "c"},
    ),
}


@pytest.mark.parametrize("kind", EXTRACTS)
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_table_loads_with_its_target_alone(tmp_path: Path, kind: str, encoding: str) -> None:
    content, expected = EXTRACTS[kind]
    path = tmp_path / "t.txt"
    path.write_text(content, encoding=encoding)
    target = next(name for name in ("mpg", "churn", "y") if name in content.replace(";", ",").replace('"', ","))
    dataset = table_file.load(path, TableOptions((target,)))
    assert {column.name: column.type for column in dataset.columns} == {
        name: TYPES[letter] for name, letter in expected.items()
    }
    assert dataset.classifies == (target == "churn")
