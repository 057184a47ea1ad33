"""--split, --group, --time and --weight: which rows are for what, what is no feature, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.training.data.errors import message_of
from tests.training.data.tables.tables import write_csv
from training.config import Config
from training.data.dataset import REST, TEST, VALIDATION, Dataset
from training.data.split import split
from training.data.tables import table_file
from training.data.tables.options import TableOptions

ROWS = 24
CELLS = {
    "x": [str(row % 7) for row in range(ROWS)],
    "fold": ["train", "Train", "TRAINING", "val", "Valid", " test "] * 4,
    "patient": [f"p{row // 2}" for row in range(ROWS)],
    "day": [f"2020-01-{row + 1:02}" for row in range(ROWS)],
    "w": [str(row / 4) for row in range(ROWS)],
    "label": ["yes", "no"] * 12,
}


def load(tmp_path: Path, changed: dict[str, list[str]] | None = None, **options: Any) -> Dataset:
    path = write_csv(tmp_path / "t.csv", CELLS | (changed or {}))
    roles = {name for name in (options.get(role) for role in ("split", "group", "time", "weight")) if name}
    drop = tuple(name for name in ("fold", "patient", "day", "w") if name not in roles)
    return table_file.load(path, TableOptions(("label",), **{"drop": drop, **options}))


def rejected(tmp_path: Path, changed: dict[str, list[str]] | None = None, **options: Any) -> str:
    return message_of(load, tmp_path, changed, **options).replace(str(tmp_path / "t.csv"), "FILE")


def test_a_column_gives_the_parts(tmp_path: Path) -> None:
    dataset = load(tmp_path, split="fold")
    assert dataset.division.parts is not None
    assert dataset.division.parts.tolist() == [REST, REST, REST, VALIDATION, VALIDATION, TEST] * 4
    assert [column.name for column in dataset.columns] == ["x"]
    assert dataset.notes[0] == (
        "column 'fold' divides the rows (12 for training, 8 for validation, 4 for test), and is not a feature"
    )
    found = split(dataset, Config())
    assert [len(found.train), len(found.validation), len(found.test)] == [12, 8, 4]
    assert found.how == dict.fromkeys(["validation", "test"], "those that column 'fold' says")
    assert dataset.source["dropped"] == ["patient", "day", "w", "fold"]


def test_a_part_that_the_column_does_not_have_is_drawn(tmp_path: Path) -> None:
    dataset = load(tmp_path, {"fold": ["train", "train", "train", "test"] * 6}, split="fold")
    found = split(dataset, Config(validation_fraction=0.5))
    assert [len(found.train), len(found.validation), len(found.test)] == [9, 9, 6]
    dataset = load(tmp_path, {"fold": ["train"] * ROWS}, split="fold")
    assert dataset.division.parts is None
    assert split(dataset, Config()).how["test"] == "drawn at random, stratified by class"


def test_rows_without_a_target_are_left_out_of_every_role(tmp_path: Path) -> None:
    changed = {"label": ["", *CELLS["label"][1:]]}
    dataset = load(tmp_path, changed, split="fold", weight="w")
    assert dataset.division.parts is not None
    assert dataset.weights is not None
    assert (len(dataset.inputs), len(dataset.division.parts), dataset.weights[0]) == (23, 23, 0.25)


def test_a_column_groups_the_rows(tmp_path: Path) -> None:
    dataset = load(tmp_path, {"patient": ["", "", *CELLS["patient"][2:]]}, group="patient")
    groups = dataset.division.groups
    assert groups is not None
    assert len(set(groups.tolist())) == 13
    assert groups[0] != groups[1]
    assert all(groups[row] == groups[row + 1] for row in range(2, ROWS, 2))
    assert dataset.notes[0] == (
        "column 'patient' has 11 groups, and is not a feature; 2 rows have no value, and each is a group of its own"
    )


def test_a_column_orders_the_rows(tmp_path: Path) -> None:
    found = split(load(tmp_path, time="day"), Config(test_fraction=0.25, validation_fraction=0.2))
    assert found.test.tolist() == [*range(18, 24)]
    assert found.validation.tolist() == [*range(14, 18)]


def test_a_column_weights_the_rows(tmp_path: Path) -> None:
    dataset = load(tmp_path, weight="w")
    assert dataset.weights is not None
    assert dataset.weights.tolist() == [row / 4 for row in range(ROWS)]
    assert dataset.source["weight"] == "w"
    assert dataset.notes[0] == "column 'w' weights the rows, from 0 to 5.75, and is not a feature"


def test_weights_have_the_decimal_mark_of_the_file(tmp_path: Path) -> None:
    dataset = load(tmp_path, {"w": ["1,5"] * ROWS}, weight="w", decimal=",")
    assert dataset.weights is not None
    assert set(dataset.weights) == {1.5}


def test_groups_and_weights_go_with_given_parts(tmp_path: Path) -> None:
    parts = ["train"] * 12 + ["val"] * 6 + ["test"] * 6
    dataset = load(tmp_path, {"fold": parts}, split="fold", group="patient", weight="w")
    found = split(dataset, Config())
    assert [len(found.train), len(found.validation), len(found.test)] == [12, 6, 6]


def test_typed_columns_have_roles(tmp_path: Path) -> None:
    columns = {
        "x": pa.array(range(ROWS), pa.int32()),
        "fold": pa.array(["train"] * 16 + ["test"] * 8).dictionary_encode(),
        "day": pa.array(range(ROWS), pa.date32()),
        "w": pa.array([None, *range(1, ROWS)], pa.int8()).fill_null(3),
        "label": CELLS["label"],
    }
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    dataset = table_file.load(tmp_path / "t.parquet", TableOptions(("label",), split="fold", time="day", weight="w"))
    found = split(dataset, Config(validation_fraction=0.25))
    assert (found.test.tolist(), found.validation.tolist()) == ([*range(16, 24)], [*range(12, 16)])
    assert dataset.weights is not None
    assert dataset.weights.dtype == np.float64


def test_given_rows_before_training_rows_are_noted(tmp_path: Path) -> None:
    dataset = load(tmp_path, {"fold": ["test"] * 8 + ["train"] * 16}, split="fold", time="day")
    assert "some of the given validation or test rows are earlier than training rows by 'day'" in dataset.notes


@pytest.mark.parametrize(
    ("changed", "options", "message"),
    [
        (
            {"fold": ["train", "", "7", "test"] * 6},
            {"split": "fold"},
            "--split: column 'fold' has '' (6 rows), '7' (6 rows), expected train, validation or test in each row",
        ),
        (
            {"fold": ["test", "val"] * 12},
            {"split": "fold"},
            "no row is left to train on: every row with a target is for validation or test",
        ),
        (
            {},
            {"split": "fold", "group": "patient"},
            "--group: rows with 'p1', 'p10', 'p11', 'p2', 'p4' and 3 more in column 'patient' are given to more than "
            "one part (training and validation rows for 'p1'); give all rows of a group to one part",
        ),
        (
            {},
            {"split": "fold", "time": "day"},
            "--time has nothing to divide, as validation and test rows are given; leave it out",
        ),
        (
            {"day": ["5 May"] * ROWS},
            {"time": "day"},
            "--time: column 'day' has '5 May' (string), expected numbers, dates, or texts such as 2024-05-17 or "
            "2024-05-17T08:30:00 in each row; write it so",
        ),
        (
            {"day": ["", *CELLS["day"][1:]]},
            {"time": "day"},
            "--time: column 'day' has no value in 1 row; fill them in, or leave them out",
        ),
        (
            {"w": ["-1", "", "2"] * 8},
            {"weight": "w"},
            "--weight: column 'w' has no value in 8 rows and is negative in 8 rows, expected numbers of at least 0",
        ),
        (
            {"w": ["heavy"] * ROWS},
            {"weight": "w"},
            "--weight: column 'w' has 'heavy', expected numbers of at least 0",
        ),
        ({"w": ["0"] * ROWS}, {"weight": "w"}, "--weight: column 'w' is 0 in every row, expected a sum above 0"),
        (
            {"w": ["heavy"] * ROWS, "day": ["5 May"] * ROWS},
            {"weight": "w", "time": "day"},
            "FILE has 2 errors:\n"
            "- --weight: column 'w' has 'heavy', expected numbers of at least 0\n"
            "- --time: column 'day' has '5 May' (string), expected numbers, dates, or texts such as 2024-05-17 or "
            "2024-05-17T08:30:00 in each row; write it so",
        ),
        ({}, {"time": "days"}, "--time: FILE has no column 'days'; did you mean 'day'?"),
        (
            {},
            {"split": "label", "group": "fold", "time": "fold", "categorical": ("fold",)},
            "the command has 5 errors:\n"
            "- 'label' is in both --target and --split; a column of --split is no feature and no target\n"
            "- 'fold' is in both --categorical and --group; a column of --group is no feature and no target\n"
            "- 'fold' is in both --categorical and --time; a column of --time is no feature and no target\n"
            "- 'fold' is in both --group and --time; name it once\n"
            "- --group and --time both say how to divide the rows; use one of them, or give the parts with --split",
        ),
        (
            {},
            {"split": "fold", "test": Path("t"), "validation": Path("v"), "time": "day"},
            "the command has 2 errors:\n"
            "- --split and --validation and --test both say which rows are for what; use one of them\n"
            "- --time has nothing to divide beside --validation and --test; leave it out",
        ),
    ],
)
def test_faults_are_rejected_together(
    tmp_path: Path, changed: dict[str, list[str]], options: dict[str, Any], message: str
) -> None:
    assert rejected(tmp_path, changed, **options) == message
