"""--test and --validation: files that fit, files that do not, and rows that choose nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from tests.training.data.errors import message_of
from training.config import Config
from training.data import categories
from training.data.dataset import Column, Dataset
from training.data.split import Split, split
from training.data.tables import table_file
from training.data.tables.options import TableOptions
from training.recipe.train import train_network

Cells = dict[str, list[Any]]


def people(rows: int, **changed: Any) -> Cells:
    """The columns ``age``, ``job`` and ``label``; those that are ``changed`` replace them, or are added."""
    jobs = ["cook", "nurse"] * (rows // 2)
    cells: Cells = {"age": [row * 7 % 13 for row in range(rows)], "job": jobs, "label": ["yes", "no"] * (rows // 2)}
    return cells | changed


def rare(rows: int) -> list[str]:
    return ["pilot", *["cook", "nurse"] * (rows // 2)][:rows]


def load(folder: Path, train: Cells, *, suffix: str = ".csv", **others: Cells) -> Dataset:
    """The data set of ``train``, with the ``others`` as files of the options of these names."""
    files = {}
    for name, cells in {"train": train, **others}.items():
        files[name] = folder / f"{name}{suffix}"
        frame = pd.DataFrame(cells)
        if suffix == ".csv":
            frame.to_csv(files[name], index=False)
        else:
            frame.to_parquet(files[name])
    return table_file.load(files.pop("train"), TableOptions(("label",), **files))


def rejected(folder: Path, train: Cells, **others: Cells) -> str:
    return message_of(load, folder, train, **others).replace(f"{folder}/", "")


def divided(dataset: Dataset) -> tuple[Dataset, Split]:
    parts = split(dataset, Config())
    return categories.group_rare(dataset, parts.train), parts


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_files_give_the_parts(tmp_path: Path, suffix: str) -> None:
    test = people(10, age=[100 + row for row in range(10)])
    test = {name: test[name] for name in ("label", "age", "job")}  # in another order
    dataset, parts = divided(load(tmp_path, people(20), suffix=suffix, test=test, validation=people(6)))
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [20, 6, 10]
    assert dataset.inputs[parts.test, 0].tolist() == [*range(100, 110)]
    assert dataset.targets[parts.test].tolist() == [1, 0] * 5
    assert [column.name for column in dataset.columns] == ["age", "job"]
    assert parts.how == {
        "validation": f"those of the file validation{suffix}",
        "test": f"those of the file test{suffix}",
    }
    assert list(dataset.source["sha256"]) == [f"{name}{suffix}" for name in ("train", "validation", "test")]


def test_one_file_alone_leaves_the_other_part_to_be_drawn(tmp_path: Path) -> None:
    _, parts = divided(load(tmp_path, people(20), test=people(6)))
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [18, 2, 6]
    _, parts = divided(load(tmp_path, people(20), validation=people(6)))
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [16, 6, 4]


def test_parquet_files_may_differ_in_the_width_of_numbers(tmp_path: Path) -> None:
    test = people(6, age=[1.5, None, 2, 3, 4, 5])
    train = people(20, age=[None, *range(19)])
    dataset = load(tmp_path, train, suffix=".parquet", test=test)
    assert dataset.columns[0] == Column("age", "numeric", missing=True)
    assert dataset.inputs[20, 0] == 1.5


@pytest.mark.parametrize(
    ("train", "others", "message"),
    [
        (
            people(20),
            {"test": {"ages": [1], "label": ["no"]}, "validation": people(20)},
            "train.csv has 2 errors:\n"
            "- --validation validation.csv has the content of train.csv; give one with other rows\n"
            "- test.csv needs the columns of train.csv, but it lacks 'age', 'job'; it also has 'ages'",
        ),
        (
            people(20),
            {"test": people(4, age=[1, 2, 1e39, 3])},
            "column 'age' has 1e+39 in row 3 below the header of test.csv, expected at most 3.4e+38, the largest "
            "float32; correct it, leave it empty, or use another unit; to go on without it, use --drop age",
        ),
        (
            people(20, age=[row % 2 for row in range(20)]),
            {"test": people(4, age=[None, 2, 3, 4]), "validation": people(4, job=["cook", None, None, "cook"])},
            "no training row lacks a value of 'age' (1 row), 'job' (2 rows), but given validation or test rows do, and "
            "nothing is learned of what that means; fill the values in, leave out these rows, or use --drop age job",
        ),
        (
            people(20),
            {"test": people(4, label=["yes", "no", "maybe", "perhaps"])},
            "target 'label' is 'maybe' or 'perhaps' only in the given validation and test rows; add training rows of "
            "the class, or leave these out",
        ),
    ],
)
def test_files_that_do_not_fit_are_rejected(
    tmp_path: Path, train: Cells, others: dict[str, Cells], message: str
) -> None:
    found = rejected(tmp_path, train, **others)
    assert found == message


def test_a_column_that_never_changes_in_training_is_left_out(tmp_path: Path) -> None:
    dataset = load(tmp_path, people(20, age=[5] * 20), test=people(4))
    assert [column.name for column in dataset.columns] == ["job"]
    assert dataset.inputs.shape == (24, 1)


def test_types_that_do_not_fit_are_rejected_together(tmp_path: Path) -> None:
    test = people(4, age=["a", "b", "c", "d"], job=[True, False] * 2)
    message = message_of(load, tmp_path, people(20), suffix=".parquet", test=test)
    assert message.replace(f"{tmp_path}/", "") == (
        "test.parquet needs the columns of train.parquet, but it has string in 'age', which is int64 there; it has "
        "bool in 'job', which is string there"
    )
    test_file = tmp_path / "t.csv"
    pd.DataFrame(people(4)).to_csv(test_file, index=False)
    message = message_of(table_file.load, tmp_path / "train.parquet", TableOptions(("label",), test=test_file))
    assert message.replace(f"{tmp_path}/", "") == (
        "t.csv needs the columns of train.parquet, but it has another format: train.parquet stores the type of 'age', "
        "and t.csv does not"
    )


def test_new_categories_are_other_if_there_are_rare_ones(tmp_path: Path) -> None:
    test = people(6, job=["cook", "smith", "baker", "smith", "cook", "nurse"])
    dataset, _ = divided(load(tmp_path, people(40, job=rare(40)), test=test))
    assert dataset.columns[1] == Column("job", "categorical", categories=("cook", "nurse"), other=True)
    assert dataset.inputs[40:, 1].tolist() == [0, 2, 2, 2, 0, 1]
    assert dataset.notes[-1] == (
        "column 'job' has 'baker', 'smith' in 3 given validation or test rows and no other; they count as other, like "
        "its rare categories"
    )


def test_new_categories_are_rejected_if_there_are_no_rare_ones(tmp_path: Path) -> None:
    def load_and_divide() -> None:
        test = people(6, job=["cook", "smith", "a", "b", "c", "nurse"], pet=["cat", "dog", "cat", "cat", "cat", "eel"])
        divided(load(tmp_path, people(40, pet=["cat", "dog"] * 20), test=test))

    assert message_of(load_and_divide) == (
        "train: column 'job' has 'a', 'b', 'c' and 1 more in 4 given validation or test rows and no other; column "
        "'pet' has 'eel' in 1 given validation or test row and no other; they have no rare categories in training that "
        "these could count as: correct the values, leave out these rows, or leave out the columns with --drop job pet"
    )


def network_of(dataset: Dataset) -> tuple[dict[str, Any], tuple[Column, ...]]:
    """Everything that the graph is made of."""
    dataset, parts = divided(dataset)
    config = Config(hidden=(4,), epochs=2)
    network = train_network(dataset, parts, config, torch.device("cpu"), lambda _: None).network
    return {name: values.tolist() for name, values in network.state_dict().items()}, dataset.columns


def test_nothing_of_the_graph_depends_on_the_test_rows(tmp_path: Path) -> None:
    """Neither on their categories and labels, nor on numbers that only float64 tells apart, nor on their count."""
    train, validation = people(40, job=rare(40)), people(10)
    first = network_of(load(tmp_path, train, validation=validation, test=people(8)))
    others = people(
        30,
        age=[1e9 + row / 64 for row in range(30)],
        job=[f"job {row % 11}" for row in range(30)],
        label=["yes"] * 30,
    )
    assert network_of(load(tmp_path, train, validation=validation, test=others)) == first
    changed = people(40, job=rare(40), age=[row * 1.5 for row in range(40)])
    assert network_of(load(tmp_path, changed, validation=validation, test=others)) != first


def test_targets_of_test_rows_choose_no_task(tmp_path: Path) -> None:
    train = people(40, label=[row % 3 for row in range(40)])
    dataset = load(tmp_path, train, test=people(30, label=[2, 1, 0] * 10))
    assert dataset.labels == (0, 1, 2)
    dataset = load(tmp_path, people(40, label=[row / 3 for row in range(40)]), test=people(4, label=[1, 2, 1, 2]))
    assert dataset.targets[40:, 0].tolist() == [1, 2, 1, 2]


def test_a_split_column_is_as_strict_as_files(tmp_path: Path) -> None:
    cells = people(40, fold=["train"] * 30 + ["test"] * 10, job=["cook", "nurse"] * 15 + ["smith"] * 10)
    pd.DataFrame(cells).to_csv(tmp_path / "t.csv", index=False)
    dataset = table_file.load(tmp_path / "t.csv", TableOptions(("label",), split="fold"))
    assert "column 'job' has 'smith' in 10 given validation or test rows" in message_of(divided, dataset)
    assert np.isfinite(replace(dataset).inputs).all()
