"""A CSV file is read as training reads it, row by row."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from service import artifact
from service.inference.schema import Schema
from service.manifest import CLASSIFICATION, REGRESSION, Feature, Manifest
from service.models import csv_rows, labelled_rows
from service.models.command import CommandError
from service.models.labelled_rows import Skipped, View
from tests.service.published import publish
from training.data.dataset import Dataset
from training.data.tables import table_file
from training.data.tables.options import TableOptions

ROWS = 120


@pytest.fixture
def base(tmp_path: Path) -> Manifest:
    """A manifest to be changed."""
    publish(tmp_path / "base")
    return artifact.read_manifest(tmp_path / "base" / "small" / "1")


def manifest_of(base: Manifest, data: Dataset) -> Manifest:
    """The manifest of a model of a data set, without its rare categories."""
    features = tuple(
        Feature(each.name, each.type, each.missing, each.categories, each.other, 0.0, 1.0, 0.0, 1.0, cells=each.cells)
        for each in data.columns
    )
    return replace(
        base,
        task=CLASSIFICATION if data.classifies else REGRESSION,
        classes=data.labels,
        targets=data.target_names,
        features=features,
        input_shape=data.shape,
        cells=data.cells,
        target_cells=data.target_cells,
    )


def read(path: Path, manifest: Manifest, targets: tuple[str, ...] = ()) -> tuple[NDArray[Any], NDArray[Any], Skipped]:
    """All rows of a file, as one model reads them."""
    skipped = Skipped()
    view = View.of("small@1", manifest, Schema.of(manifest, 10))
    batches = [
        (batch.inputs[0].copy(), batch.targets)
        for batch in csv_rows.batches(path, [view], manifest, targets or manifest.targets, skipped)
    ]
    inputs, found = zip(*batches, strict=True)
    return np.concatenate(inputs), np.concatenate(found), skipped


def fault(path: Path, manifest: Manifest) -> str:
    with pytest.raises(CommandError) as caught:
        read(path, manifest)
    return str(caught.value)


def columns(random: np.random.Generator) -> dict[str, list[str]]:
    """Cells as people write them: blanks, quotes, missing values in many spellings, codes, European numbers."""
    return {
        "size": random.choice(["12", " 0.5 ", "-1e3", "+.25", "NA", "", "7."], ROWS).tolist(),
        "zip": random.choice(["01067", "1067", "10115", " 10115 "], ROWS).tolist(),
        "city": random.choice(['"Bern, BE"', "NA", "Zürich", '"He said ""no"""', '"two\nlines"', " "], ROWS).tolist(),
        "new": random.choice(["true", "False", "TRUE", "?", "1"], ROWS).tolist(),
    }


TARGETS = {
    "strings": (["yes", " no", "NA", ""], {}),
    "codes": (["01", "1", "NA", "10"], {"task": "classification"}),
    "integers": (["1", "2", "3.0", "NA", ""], {}),
    "booleans": (["true", "FALSE", "0", "", "None"], {}),
    "numbers": (["1.25", "-3", "1e3", "NA", "", " 2 "], {"task": "regression"}),
    "sentinels": (["1.25", "-999", "7", "999"], {"task": "regression", "missing": ("-999", "NA", "?")}),
}


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_inputs_and_targets_are_those_of_training(tmp_path: Path, base: Manifest, kind: str, delimiter: str) -> None:
    random = np.random.default_rng(len(kind))
    cells, options = TARGETS[kind]
    table = columns(random) | {"answer": random.choice(cells, ROWS).tolist()}
    path = tmp_path / "table.csv"
    lines = [list(table), *map(list, zip(*table.values(), strict=True))]
    path.write_bytes(b"\xef\xbb\xbf" + "".join(delimiter.join(line) + "\r\n" for line in lines).encode())
    data = table_file.load(path, TableOptions(targets=("answer",), categorical=("zip",), **options))
    inputs, targets, skipped = read(path, manifest_of(base, data))
    assert np.array_equal(inputs, data.inputs, equal_nan=True)
    assert np.array_equal(targets, data.targets)
    dropped = ROWS - len(data.targets)
    assert skipped.counts == ({"without a target": dropped} if dropped else {})


def test_european_numbers(tmp_path: Path, base: Manifest) -> None:
    path = tmp_path / "table.csv"
    rows = [f"{number % 7 + 1}.118,5;{number % 3},25;{'ab'[number % 2]}" for number in range(60)]
    path.write_text("\n".join(["price;rent;kind", *rows]))
    options = TableOptions(targets=("rent",), thousands=".", task="regression")
    data = table_file.load(path, options)
    inputs, targets, _ = read(path, manifest_of(base, data))
    assert np.array_equal(inputs, data.inputs)
    assert np.array_equal(targets, data.targets)


def simple(base: Manifest, **changes: Any) -> Manifest:
    """A model of one number and one category, with the labels yes and no."""
    features = (
        Feature("size", "numeric", False, (), False, 0.0, 1.0, 0.0, 1.0),
        Feature("job", "categorical", False, ("cook", "nurse"), False, 0.0, 0.0, 0.0, 0.0),
    )
    defaults: dict[str, Any] = {"classes": ("no", "yes"), "targets": ("answer",), "input_shape": (2,)}
    return replace(base, features=features, **(defaults | changes))


def test_rows_that_cannot_be_scored_are_counted(tmp_path: Path, base: Manifest) -> None:
    path = tmp_path / "table.csv"
    path.write_text(
        "job,answer,size,more\ncook,yes,1,x\n\nnurse,no,old,x\npilot,no,2,x\ncook,perhaps,3,x\ncook,,4,x\n"
        "nurse,no,1e999,x\nnurse,no,2,x\n"
    )
    inputs, targets, skipped = read(path, simple(base))
    assert inputs.tolist() == [[1, 0], [2, 1]]
    assert targets.tolist() == [1, 0]
    assert skipped.counts == {
        "rejected by small@1": 3,
        "with a target that the models do not know": 1,
        "without a target": 1,
    }
    assert skipped.first["rejected by small@1"] == "row 2, feature 'size' is the string 'old', expected a number"
    assert skipped.first["with a target that the models do not know"] == "row 4: 'perhaps' is no label of the models"


def test_another_target_column(tmp_path: Path, base: Manifest) -> None:
    path = tmp_path / "table.csv"
    path.write_text("job,truth,size\ncook,yes,1\n")
    assert fault(path, simple(base)) == (
        f"{path} has no column 'answer'; there are: job, truth, size; name the target column with --target"
    )
    assert read(path, simple(base), ("truth",))[1].tolist() == [1]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty, expected a table with a header"),
        (b"\n \n", "is empty, expected a table with a header"),
        (b"job,answer,siz\ncook,yes,1\n", "has no column 'size'; did you mean siz?"),
        (b"job,answer,size,size\ncook,yes,1,1\n", "has 2 columns named 'size'; rename them"),
        (b"job,answer,size\ncook,yes\n", ", line 2: 2 values, expected 3 as in the header (separated by ',')"),
        (b"job,answer,size\ncook,yes,1,2\n", ", line 2: 4 values, expected 3 as in the header (separated by ',')"),
        (b"job,answer,size\ncook,yes,\xff\n", "is not UTF-8: it has the byte 0xff; save it as UTF-8"),
        (b'job,answer,size\n"cook,yes,1\n', "has an odd number of double quotes"),
        (b'job,answer,size\n"' + b"x" * 200_000 + b'",yes,1\n', "is not a CSV file: field larger than field limit"),
        (b"job,answer,size\n" + b"x" * (2**24 + 5), "has a line of more than 16,777,216 letters"),
    ],
)
def test_what_is_no_table(tmp_path: Path, base: Manifest, content: bytes, reason: str) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    assert fault(path, simple(base)).startswith(f"{path}{reason}" if reason[0] == "," else f"{path} {reason}")


def test_no_file(tmp_path: Path, base: Manifest) -> None:
    assert fault(tmp_path / "none.csv", simple(base)).endswith(
        "none.csv cannot be read: No such file or directory; give a CSV or .npz file"
    )
    assert "Is a directory" in fault(tmp_path, simple(base))


def test_memory_does_not_grow_with_the_file(tmp_path: Path, base: Manifest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labelled_rows, "_BATCH_ROWS", 100)
    peaks = []
    for rows in (1_000, 10_000):
        path = tmp_path / f"{rows}.csv"
        path.write_text("job,answer,size\n" + "cook,yes,1.5\n" * rows)
        manifest = simple(base)
        view = View.of("small@1", manifest, Schema.of(manifest, 10))
        tracemalloc.start()
        count = sum(len(each.targets) for each in csv_rows.batches(path, [view], manifest, ("answer",), Skipped()))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert count == rows
    assert peaks[1] < 1.5 * peaks[0]
