"""Each format: rows in order, whole or from any position on, and what cannot be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from service.inference.schema import Schema
from service.models.prover import Bounds, Placement, Prover
from service.scoring.local_files import LocalPlace
from service.scoring.readers.source import Position, Source, Wanted
from service.scoring.readers.table import files_of, source_of
from tests.service.scoring.scoring import Scoring

ROWS = 100
VALUES = np.random.default_rng(0).normal(0, 1, (ROWS, 4)).astype(np.float32)
TABLE = pa.table({"id": np.arange(ROWS)} | {f"f{at}": VALUES[:, at] for at in range(4)})


def stream(path: Path) -> None:
    with pa.ipc.new_stream(str(path), TABLE.schema) as file:
        file.write_table(TABLE, max_chunksize=30)


def folder(path: Path) -> None:
    for part in range(4):
        (path / f"part={part}").mkdir(parents=True)
        parquet.write_table(TABLE.slice(25 * part, 25), path / f"part={part}" / "rows.parquet", row_group_size=10)
    (path / "_SUCCESS").touch()


def csv(path: Path) -> None:
    lines = [",".join(TABLE.column_names), *(",".join(map(repr, row.values())) for row in TABLE.to_pylist())]
    path.write_text("\n".join(lines))


FORMATS: dict[str, Callable[[Path], object]] = {
    "rows.parquet": lambda path: parquet.write_table(TABLE, path, row_group_size=30),
    "folder": folder,
    "rows.arrow": lambda path: feather.write_feather(TABLE, str(path), compression="uncompressed", chunksize=30),
    "rows.feather": lambda path: feather.write_feather(TABLE, str(path)),
    "rows.arrows": stream,
    "rows.csv": csv,
    "rows.jsonl": lambda path: path.write_text("\n".join(map(json.dumps, TABLE.to_pylist()))),
    "rows.npy": lambda path: np.save(path, VALUES),
    "rows.npz": lambda path: np.savez_compressed(path, inputs=VALUES),
}


@pytest.fixture(scope="module")
def schema(models: Path) -> Schema:
    prover = Prover(Placement("cpu", "fp32"), Bounds(2**31, 2**31, 1.0))
    return prover.load(models / "small" / "1").schema


def opened(path: Path, schema: Schema) -> Source:
    place = LocalPlace(path)
    return source_of(place, files_of(place), Wanted(schema, np.dtype(np.float32)))


@pytest.mark.usefixtures("short_chunks")
@pytest.mark.parametrize("name", FORMATS)
def test_rows_from_any_position(tmp_path: Path, schema: Schema, name: str) -> None:
    FORMATS[name](tmp_path / name)
    source = opened(tmp_path / name, schema)
    positions, read = [Position()], []
    for chunk in source.chunks(Position()):
        read.append(chunk.read())
        done = positions[-1]
        positions.append(Position(done.chunks + 1, done.amount + chunk.amount, done.rows + read[-1].kept.num_rows))
    assert len(read) > 10
    if source.total is not None:
        assert positions[-1].amount == source.total
    whole = np.concatenate([each.inputs for each in read])
    np.testing.assert_array_equal(whole, VALUES)
    kept = pa.Table.from_batches([each.kept for each in read], source.schema)
    assert kept.num_rows == ROWS
    for position in positions[:: 1 if "parquet" in name or "arrow" in name else 7]:
        rest = [chunk.read() for chunk in source.chunks(position)]
        np.testing.assert_array_equal(
            np.concatenate([VALUES[:0], *(each.inputs for each in rest)]), VALUES[position.rows :]
        )
        assert pa.Table.from_batches([each.kept for each in rest], source.schema).equals(kept.slice(position.rows))


def test_partitions(score: Scoring) -> None:
    """They are columns: features, or to keep. They are integers where all are, and strings elsewhere."""
    for city, year in (("K%C3%B6ln", "2024"), ("__HIVE_DEFAULT_PARTITION__", "2025")):
        score.write(f"rows/city={city}/year={year}/x.parquet", {"f0": [1.0], "f1": [2.0], "f2": [3.0]})
    (score.folder / "rows").rename(score.folder / "f3=4")
    (score.folder / "all").mkdir()
    (score.folder / "f3=4").rename(score.folder / "all" / "f3=4")
    found = score.rows("small", score.folder / "all")
    assert found.select(["f3", "city", "year"]).to_pylist() == [
        {"f3": 4, "city": "Köln", "year": 2024},
        {"f3": 4, "city": None, "year": 2025},
    ]
    alone = score.rows("small", score.write("x.parquet", {f"f{at}": [at + 1.0] for at in range(4)}))
    assert found["prediction"][0] == alone["prediction"][0]


def test_files_that_do_not_fit_together(score: Scoring) -> None:
    rows = {f"f{at}": [1.0] for at in range(4)}
    score.write("rows/a.parquet", rows | {"id": [1], "note": ["x"]})
    score.write("rows/b.parquet", rows | {"id": [2.5], "note": ["x"]})
    message = score.fails("small", score.folder / "rows", score.folder / "x.csv")
    assert message.endswith(
        "b.parquet: column 'id' is double, and int64 in the files before; make it the same, or leave it out with --keep"
    )
    score.write("rows/b.parquet", rows | {"id": [2]})
    message = score.fails("small", score.folder / "rows", score.folder / "x.csv")
    assert message.endswith("b.parquet has no column 'note', which the files before have; choose columns with --keep")
    assert score.rows("small", score.folder / "rows", "--keep", "id")["id"].to_pylist() == [1, 2]


def test_nothing_is_kept(score: Scoring) -> None:
    for name, write in FORMATS.items():
        write(score.folder / name)
        found = score.rows("small", score.folder / name, "--keep")
        assert (found.column_names, found.num_rows) == (["prediction"], ROWS), name


def test_no_rows(score: Scoring) -> None:
    score.write("zero.parquet", {f"f{at}": pa.array([], pa.int32()) for at in range(4)})
    np.save(score.folder / "zero.npy", np.zeros((0, 4)))
    score.write("zero.jsonl", "")
    for name in ("zero.parquet", "zero.npy"):
        assert score.rows("small", score.folder / name).num_rows == 0
    assert score.rows("small", score.folder / "zero.jsonl", "--keep").num_rows == 0


def test_json_rows_of_all_kinds(score: Scoring) -> None:
    lines = [
        '{"age": 3, "height": 1.5, "job": "cook", "n": 1, "tags": ["a"], "mixed": 1}',
        "",
        '{"age": null, "height": 1.5, "job": "cook", "n": 2.5, "more": 2, "mixed": "x"}',
        '{"age": 1, "age": 2, "height": 1.5, "job": "cook"}',
        "[1, 2]",
        "not json",
        '{"height": NaN, "job": "cook"}',
    ]
    given = score.write("rows.jsonl", "\n".join(lines))
    found = score.rows("table", given, "--on-error", "null").to_pylist()
    assert [row["n"] for row in found] == [1.0, 2.5, None, None, None, None]
    assert [row["mixed"] for row in found[:2]] == ["1", "x"]
    assert [row["more"] for row in found[:2]] == [None, 2]
    assert [row["tags"] for row in found[:2]] == [["a"], None]
    assert [row["prediction"] is None for row in found] == [False, False, True, True, True, True]
    reasons = [row["error"] for row in found]
    assert "age" in reasons[2]
    assert reasons[3] == "is a list, expected an object by feature name"
    assert reasons[4].startswith("is not JSON")
    assert reasons[5].startswith("feature 'height' is NaN")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 5)), "the array has shape (3, 5), expected (rows, 4)"),
        (np.zeros(4), "the array has shape (4,), expected (rows, 4)"),
        (np.array([["x"] * 4]), "the array is <U1, expected numbers of up to 64 bits"),
        (np.asfortranarray(np.zeros((3, 4))), "is stored by columns"),
    ],
)
def test_arrays_that_do_not_fit(
    score: Scoring, array: np.ndarray[tuple[int, ...], np.dtype[np.generic]], message: str
) -> None:
    np.save(score.folder / "rows.npy", array)
    assert message in score.fails("small", score.folder / "rows.npy", score.folder / "x.csv")


def test_bad_rows_of_arrays(score: Scoring) -> None:
    values = VALUES.copy()
    values[60, 1], values[61, 2] = np.nan, np.inf
    np.savez(score.folder / "rows.npz", inputs=values, targets=np.zeros(ROWS))
    found = score.rows("small", score.folder / "rows.npz", "--on-error", "skip")
    assert found["row"].to_pylist() == [row for row in range(ROWS) if row not in (60, 61)]
    message = score.fails("small", score.folder / "rows.npz", score.folder / "x.csv")
    assert "rows.npz: row 60, feature 'f1' is NaN, expected a finite number (rows are counted from 0)" in message


def test_pictures_of_another_size_and_damaged_ones(score: Scoring) -> None:
    from PIL import Image  # noqa: PLC0415 - one test needs it

    (score.folder / "drawn" / "cats").mkdir(parents=True)
    Image.new("L", (6, 4)).save(score.folder / "drawn" / "good.png")
    Image.new("RGB", (12, 8), "red").save(score.folder / "drawn" / "cats" / "large.jpg")
    score.write("drawn/damaged.png", b"\x89PNG\r\n\x1a\n")
    score.write("drawn/notes.txt", b"x")
    found = score.rows("pictures", score.folder / "drawn", "--on-error", "null").to_pylist()
    assert [row["file"] for row in found] == ["cats/large.jpg", "damaged.png", "good.png"]
    assert found[0]["error"] == (
        "cats/large.jpg has 8 x 12 pixels (height x width), expected 4 x 6; send it in this size, or with --resize"
    )
    assert found[1]["error"].startswith("damaged.png cannot be read as PNG")
    assert found[2]["error"] is None
    found = score.rows("pictures", score.folder / "drawn", "--on-error", "skip", "--resize").to_pylist()
    assert [row["file"] for row in found] == ["cats/large.jpg", "good.png"]
    message = score.fails("small", score.folder / "drawn", score.folder / "x.csv")
    assert message.endswith("is a folder of pictures, and the model takes rows of 4 values; give a table")


@pytest.mark.parametrize("name", ["rows.parquet", "rows.arrow", "rows.arrows", "rows.npy", "rows.npz"])
def test_damaged_files(score: Scoring, name: str) -> None:
    FORMATS[name](path := score.folder / name)
    content = path.read_bytes()
    for damaged in (b"", b"PAR1", content[: len(content) // 2], content[:100]):
        path.write_bytes(damaged)
        assert str(path) in score.fails("small", path, score.folder / "x.csv")


def test_types_that_do_not_fit(score: Scoring) -> None:
    rows = {f"f{at}": [1.0] for at in range(3)}
    given = score.write("rows.parquet", rows | {"f3": [[1]]})
    message = score.fails("small", given, score.folder / "x.csv")
    assert message.startswith(f"{given}: column 'f3' has the type list<element: int64>, expected numbers, booleans or")
    (score.folder / "empty").mkdir()
    assert "folder without Parquet files and pictures" in score.fails(
        "small", score.folder / "empty", score.folder / "x.csv"
    )
    assert "is of no known format" in score.fails("small", score.write("rows.xlsx", b""), score.folder / "x.csv")
    assert "does not exist" in score.fails("small", score.folder / "nothing.csv", score.folder / "x.csv")
