"""The options of a table, and rejecting those that do not fit it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.training.data.errors import message_of
from tests.training.data.tables.tables import BODY, HEADER, rejection
from training.data.dataset import Column
from training.data.tables import table_file
from training.data.tables.options import TableOptions


def test_options_override_what_was_inferred(path: Path) -> None:
    path.write_text("zip,id,grade\n" + "".join(f"{row % 3 + 10115},{row},{row % 4}\n" for row in range(24)))
    dataset = table_file.load(path, TableOptions(("grade",), "regression", ("zip",), ("id",)))
    assert dataset.columns == (Column("zip", "categorical", categories=("10115", "10116", "10117")),)
    assert dataset.source["dropped"] == ["id"]
    assert (dataset.labels, dataset.targets[:5].tolist()) == ((), [[0], [1], [2], [3], [0]])


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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decimal": ";"}, "--decimal is ';', expected one of . ,"),
        ({"thousands": "_"}, """--thousands is '_', expected one of . , ''"'"'' ' '"""),
        ({"decimal": ",", "thousands": ","}, "--decimal and --thousands are both ',', expected different marks"),
    ],
)
def test_invalid_marks_are_rejected(options: dict[str, Any], message: str) -> None:
    assert message_of(TableOptions(("label",), **options).cells) == message
