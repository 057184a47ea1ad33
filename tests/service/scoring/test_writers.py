"""What is written can be read again."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import feather, parquet

from service.scoring.writers.delimited import DelimitedWriter
from tests.service.scoring.scoring import Scoring

ROWS = {f"f{at}": [0.5, 1.0, -1.0] for at in range(4)}
CELLS = st.text(st.sampled_from('ab,;"\n\r\t é'), max_size=5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 3).flatmap(lambda width: st.lists(st.lists(st.none() | CELLS, min_size=width, max_size=width))))
def test_pythons_module_reads_csv_as_it_was(tmp_path: Path, rows: list[list[str | None]]) -> None:
    width = len(rows[0]) if rows else 1
    names = [f"a,{at}" for at in range(width)]
    arrays = [pa.array([row[at] for row in rows], pa.string()) for at in range(width)]
    writer = DelimitedWriter(tmp_path / "x.csv", pa.schema([(name, pa.string()) for name in names]), bytes, ",")
    writer.write(writer.prepare(pa.RecordBatch.from_arrays(arrays, names)))
    writer.close()
    found = (tmp_path / "x.csv").read_bytes().decode()
    assert list(csv.reader(io.StringIO(found, newline=""), strict=True)) == [
        names,
        *([cell or "" for cell in row] for row in rows),
    ]
    expected = io.StringIO()
    csv.writer(expected, lineterminator="\n").writerows([names, *rows])
    assert found == expected.getvalue() or "\r" in found  # which that module does not quote alone


def test_csv_of_all_types(score: Scoring) -> None:
    columns = ROWS | {
        "flag": [True, None, False],
        "day": [date(2020, 1, 31), None, date(1969, 1, 1)],
        "when": pa.array([datetime(2020, 1, 31, 17, 30, tzinfo=UTC), None, None], pa.timestamp("us")),
        "price": [Decimal("1.50"), None, Decimal("-2.00")],
        "kind": pa.array(["a", "b,c", None]).dictionary_encode(),
        "short": pa.array([0.1, None, 1e-30], pa.float32()),
    }
    given_rows = score.write("rows.parquet", columns)
    score("small", given_rows, score.folder / "x.csv", "--keep", "flag", "day", "when", "price", "kind", "short")
    assert (score.folder / "x.csv").read_text().splitlines()[:3] == [
        "flag,day,when,price,kind,short,prediction",
        *("true,2020-01-31,2020-01-31 17:30:00.000000,1.50,a,0.1,ape", ',,,,"b,c",,ape'),
    ]


def test_json_lines(score: Scoring) -> None:
    columns = ROWS | {
        "tags": [["a"], None, []],
        "day": [date(2020, 1, 31), None, date(1969, 1, 1)],
        "short": pa.array([0.1, None, 1e-30], pa.float32()),
        "price": [Decimal("1.50"), None, Decimal("-2.00")],
        "nan": [float("nan"), 1.0, None],
        "ns": pa.array([1, None, 2], pa.timestamp("ns", "UTC")),
    }
    given_rows = score.write("rows.parquet", columns)
    score("small", given_rows, score.folder / "x.jsonl", "--keep", "tags", "day", "short", "price", "nan", "ns")
    lines = (score.folder / "x.jsonl").read_text().splitlines()
    assert lines[0] == (
        '{"tags":["a"],"day":"2020-01-31","short":0.1,"price":"1.50","nan":null,"ns":"1970-01-01T00:00:00+00:00",'
        '"prediction":"ape"}'
    )
    nulls = dict.fromkeys(["tags", "day", "short", "price", "ns"])
    assert json.loads(lines[1]) == nulls | {"nan": 1.0, "prediction": "ape"}


def test_all_formats_have_the_same_rows(score: Scoring) -> None:
    given_rows = score.write("rows.parquet", ROWS)
    for name in ("x.csv", "x.tsv", "x.csv.gz", "x.csv.zst", "x.jsonl", "x.jsonl.gz"):
        assert score("small", given_rows, score.folder / name, "--probabilities").status == 0
    plain = (score.folder / "x.csv").read_text()
    assert gzip.decompress((score.folder / "x.csv.gz").read_bytes()).decode() == plain
    with pa.CompressedInputStream(str(score.folder / "x.csv.zst"), "zstd") as file:
        assert file.read().decode() == plain
    assert (score.folder / "x.tsv").read_text() == plain.replace(",", "\t")
    assert gzip.decompress((score.folder / "x.jsonl.gz").read_bytes()) == (score.folder / "x.jsonl").read_bytes()
    found = [json.loads(line) for line in (score.folder / "x.jsonl").read_text().splitlines()]
    expected = score.rows("small", given_rows, "--probabilities").to_pylist()
    shares = [f"probability_{label}" for label in ("ape", "bee", "cat")]
    for mine, theirs in zip(found, expected, strict=True):
        assert [pa.scalar(mine[name], pa.float32()).as_py() for name in shares] == [theirs[name] for name in shares]
        assert mine["prediction"] == theirs["prediction"]


def test_row_groups_of_parquet(score: Scoring) -> None:
    rows = {f"f{at}": [0.5] * 300_000 for at in range(4)}
    score.rows("small", score.write("rows.parquet", rows))
    metadata = parquet.read_metadata(score.folder / "scored.parquet")
    assert [metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)] == [262_144, 37_856]


def test_what_csv_cannot_hold(score: Scoring) -> None:
    given_rows = score.write("rows.parquet", ROWS | {"tags": [["a"]] * 3, "raw": [b"x"] * 3})
    message = score.fails("small", given_rows, score.folder / "x.csv")
    assert message == (
        "CSV cannot hold the columns 'tags' (list<element: string>), 'raw' (binary); leave them out with --keep, "
        "or write Parquet"
    )
    arrow = score.folder / "rows.arrow"
    interval = pa.array([(1, 2, 3)] * 3, pa.month_day_nano_interval())
    feather.write_feather(pa.table(ROWS | {"since": interval}), str(arrow))
    message = score.fails("small", arrow, score.folder / "x.parquet")
    assert message == "Parquet cannot hold the column 'since' (month_day_nano_interval); leave it out with --keep"
    assert "'since' (month_day_nano_interval)" in score.fails("small", arrow, score.folder / "x.csv")
    message = score.fails("small", given_rows, score.folder / "x.xlsx")
    assert message.startswith(
        f"the format of the output {score.folder / 'x.xlsx'} is not known; expected a name with one"
    )
