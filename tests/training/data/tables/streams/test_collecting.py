"""One pass over a streamed table against the same table in memory: columns, statistics, rows of each part."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from numpy.typing import NDArray

from tests.training.data.tables.streams import tables
from training.config import Config
from training.data import categories, source, split, summary
from training.data.dataset import REST, TEST, VALIDATION, Dataset, Division
from training.data.tables.streams import row_hash
from training.errors import DataError

FRACTIONS = 0.2, 0.25


def loaded(folder: Path, *, stream: str, **options: Any) -> Dataset:
    given = {"targets": ("y",), "categorical": ("code",), "drop": ("patient", "part")} | options
    return source.load(str(folder), given | {"stream": stream})


def streamed(folder: Path, **options: Any) -> Dataset:
    look = loaded(folder, stream="always", **options)
    assert look.collect is not None
    return look.collect(*FRACTIONS)


def parts_by_hash(rows: int) -> NDArray[np.int8]:
    validation, test = FRACTIONS
    shares = row_hash.shares(row_hash.of_rows(0, rows))
    parts = np.where(shares < test + validation * (1 - test), VALIDATION, REST)
    return np.where(shares < test, TEST, parts).astype(np.int8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tables.write(tables.mixed(), tmp_path_factory.mktemp("streams") / "mixed")


@pytest.fixture(scope="module")
def expected(folder: Path) -> tuple[Dataset, NDArray[np.int8]]:
    """The table in memory with the same rows in each part, and rare categories grouped."""
    dataset = loaded(folder, stream="never")
    known = tables.mixed()["y"].is_valid().to_numpy()
    parts = parts_by_hash(tables.ROWS)[known]
    return categories.group_rare(dataset, np.flatnonzero(parts == REST)), parts


def test_columns_classes_and_dtype_are_those_in_memory(folder: Path, expected: tuple[Dataset, Any]) -> None:
    found, (whole, _) = streamed(folder), expected
    assert found.columns == whole.columns
    assert [column.name for column in found.columns if column.other] == ["city"]
    assert (found.labels, found.shape, found.inputs.dtype) == (whole.labels, whole.shape, whole.inputs.dtype)
    assert (found.cells, found.source["dropped"]) == (whole.cells, whole.source["dropped"])
    assert found.notes[1:] == whole.notes


def test_rows_of_each_part_are_those_in_memory(folder: Path, expected: tuple[Dataset, Any]) -> None:
    found, (whole, parts) = streamed(folder), expected
    for part in (REST, VALIDATION, TEST):
        rows = found.division.rows_of(part)
        np.testing.assert_array_equal(found.inputs[rows], whole.inputs[parts == part])
        np.testing.assert_array_equal(found.targets[rows], whole.targets[parts == part])


def test_statistics_are_those_of_all_training_rows(folder: Path, expected: tuple[Dataset, Any]) -> None:
    found, (whole, parts) = streamed(folder), expected
    train = np.flatnonzero(parts == REST)
    for ours, theirs in zip(summary.statistics(found, train), summary.statistics(whole, train), strict=True):
        assert ours.counts == theirs.counts
        assert [ours.missing, ours.mean, ours.std, ours.min, ours.max] == pytest.approx(
            [theirs.missing, theirs.mean, theirs.std, theirs.min, theirs.max], rel=1e-9
        )
    assert found.streamed is not None
    assert found.streamed.class_rows is not None
    assert found.streamed.class_rows.tolist() == np.bincount(whole.targets[train]).tolist()
    assert (found.streamed.rows, split.streamed(found).train_rows) == (len(train), len(train))


def test_an_epoch_has_each_training_row_once(folder: Path) -> None:
    found = streamed(folder)
    assert found.streamed is not None
    chunks = list(found.streamed.files.chunks(np.random.default_rng(0), (0, 1)))
    inputs = np.concatenate([chunk.inputs for chunk in chunks])
    targets = np.concatenate([chunk.targets for chunk in chunks])
    rows = found.division.rows_of(REST)
    assert targets.dtype == np.int64
    assert not np.array_equal(inputs, found.inputs[rows], equal_nan=True)  # the order is another
    assert sorted_rows(inputs, targets) == sorted_rows(found.inputs[rows], found.targets[rows])


def test_shards_share_no_row_and_lack_none(folder: Path) -> None:
    found = streamed(folder)
    assert found.streamed is not None
    files = found.streamed.files
    shards = [list(files.chunks(np.random.default_rng(0), (index, 3))) for index in range(3)]
    assert [sum(len(chunk.targets) for chunk in chunks) for chunks in shards] == [
        files.rows_of((index, 3)) for index in range(3)
    ]
    inputs, targets = (np.concatenate([chunk[field] for chunks in shards for chunk in chunks]) for field in (0, 1))
    rows = found.division.rows_of(REST)
    assert sorted_rows(inputs, targets) == sorted_rows(found.inputs[rows], found.targets[rows])


def sorted_rows(inputs: NDArray[Any], targets: NDArray[Any]) -> list[bytes]:
    return sorted(row.tobytes() for row in np.column_stack([inputs, targets]))


def test_groups_stay_together_and_split_says_the_parts(folder: Path) -> None:
    def divided(**options: str) -> Division:
        return streamed(folder, drop=("patient", "part"), **options).division

    by_group = divided(group="patient")
    assert by_group.given["test"] == "0.25 of the rows, by a hash of 'patient'"
    patients, known = np.unique(tables.mixed()["patient"].to_numpy(), return_inverse=True)[1], tables.mixed()["y"]
    patients = patients[known.is_valid().to_numpy()]
    shares = row_hash.shares(
        row_hash.of_values(pa.chunked_array([[f"p{n}" for n in range(100)]]), np.zeros(100, np.uint64))
    )
    assert len(by_group.rows_of(TEST)) == pytest.approx(0.25 * len(patients), abs=0.1 * len(patients))
    assert shares.min() < 0.25
    by_split = divided(split="part")
    values = tables.mixed().filter(pc.is_valid(tables.mixed()["y"]))["part"].to_pylist()
    assert len(by_split.rows_of(TEST)) == values.count("Test")
    assert len(by_split.rows_of(VALIDATION)) == values.count("val")


def test_numbers_are_predicted_as_in_memory(folder: Path) -> None:
    options: dict[str, Any] = {"targets": ("float", "price"), "drop": ("patient", "part", "number")}
    found, whole = streamed(folder, **options), loaded(folder, stream="never", **options)
    parts = parts_by_hash(tables.ROWS)
    np.testing.assert_array_equal(found.targets[found.division.rows_of(TEST)], whole.targets[parts == TEST])
    assert found.streamed is not None
    assert found.streamed.class_rows is None


@pytest.mark.parametrize(
    ("column", "fault"),
    [
        ({"x": np.append(np.arange(899) % 7, np.inf)}, "column 'x' has values up to ±inf"),
        ({"y": pa.array([0, 1] * 400 + [*range(100)])}, "target 'y' has 100 different integers"),
    ],
)
def test_what_a_first_look_did_not_see_is_refused(
    column: dict[str, Any], fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.data.tables.streams.loading.LOOK_ROWS", 100)
    monkeypatch.setattr("training.data.tables.streams.loading._FEW_PIECES", 1)
    table = pa.table({"x": np.arange(900.0) % 7, "z": np.arange(900.0) % 5, "y": ["a", "b"] * 450} | column)
    folder = tables.write(table, tmp_path / "table", files=1, row_group=300)
    with pytest.raises(DataError, match=fault):
        streamed(folder, categorical=(), drop=())


def test_kept_rows_are_a_sample_of_limited_size(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.data.tables.streams.streaming._KEPT_ROWS", (100, 100))
    found = streamed(folder)
    parts = split.streamed(found)
    assert found.streamed is not None
    assert len(parts.train) == 100
    assert parts.train_rows == found.streamed.rows > 900
    assert len(parts.test) == pytest.approx(90, abs=30)  # no more are held out than are kept


def test_a_data_set_of_a_look_says_so(folder: Path) -> None:
    look = loaded(folder, stream="always")
    assert look.notes[0] == "mixed is streamed: --stream always says so"
    assert replace(look, collect=None).streamed is None
    assert Config().test_fraction == 0.2
