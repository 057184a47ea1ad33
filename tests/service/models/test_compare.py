"""Two versions are scored on the same rows, as scikit-learn scores the oracle's answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from service import artifact
from tests.service.models.command_line import CommandLine
from tests.service.published import TABLE, Network, as_json, golden_file, publish, rewrite, values_of
from tests.service.trapped import replace
from training.release import evaluate

LABELS = ("ape", "bee", "cat")
ROWS = 500


def write_csv(path: Path, target: str, targets: NDArray[Any], rows: NDArray[np.float32]) -> None:
    lines = [[target, *(each.name for each in TABLE)]]
    for value, row in zip(targets.tolist(), rows, strict=True):
        cells = as_json(TABLE, row).values()
        lines.append([str(value), *("" if cell is None else str(cell) for cell in cells)])
    path.write_text("".join(",".join(line) + "\n" for line in lines))


@pytest.fixture
def networks(versions: Path) -> list[Network]:
    """Two versions of a classification of table rows."""
    return [publish(versions, "table", version, features=TABLE, seed=version) for version in (1, 2)]


@pytest.fixture
def labelled(tmp_path: Path) -> tuple[Path, NDArray[np.float32], NDArray[np.int64]]:
    """A CSV file of rows with labels, the same rows as the network's inputs, and the labels' indices."""
    rows, labels = values_of(TABLE, ROWS, 9), np.random.default_rng(8).integers(0, 3, ROWS)
    path = tmp_path / "rows.csv"
    write_csv(path, "animal", np.array(LABELS)[labels], rows)
    return path, rows, labels


def result(mlp_models: CommandLine, *arguments: str) -> dict[str, Any]:
    ended = mlp_models("compare", *arguments, "--json")
    assert (ended.status, ended.err) == (0, ""), ended
    document: dict[str, Any] = json.loads(ended.out)
    return document


def test_a_classification(
    mlp_models: CommandLine, networks: list[Network], labelled: tuple[Path, NDArray[np.float32], NDArray[np.int64]]
) -> None:
    path, rows, labels = labelled
    document = result(mlp_models, "table@1", "table", "--data", str(path))
    assert (document["rows"], document["skipped"]) == (ROWS, [])
    assert document["second"] == {"model": "table", "version": 2, "provider": "cpu", "precision": "fp32"}
    for side, network in zip(("first", "second"), networks, strict=True):
        for name, value in evaluate.classification(network.answer(rows), labels).items():
            assert document["scores"][name][side] == pytest.approx(value, rel=1e-4), name
    labels_of = [network.answer(rows).argmax(axis=1) for network in networks]
    assert document["agreement"] == pytest.approx((labels_of[0] == labels_of[1]).mean())


def test_labels_in_another_order(
    mlp_models: CommandLine, labelled: tuple[Path, NDArray[np.float32], NDArray[np.int64]]
) -> None:
    network = publish(mlp_models.models, "table", 1, features=TABLE)
    order = [2, 0, 1]
    swapped = publish(mlp_models.models, "table", 2, features=TABLE, labels=tuple(LABELS[index] for index in order))
    assert np.array_equal(network.last, swapped.last)
    path, rows, labels = labelled
    scores = result(mlp_models, "table@1", "table@2", "--data", str(path))["scores"]
    reordered = np.empty_like(network.answer(rows))
    reordered[:, order] = network.answer(rows)
    assert scores["accuracy"]["second"] == pytest.approx((reordered.argmax(axis=1) == labels).mean())


def test_a_regression(mlp_models: CommandLine, tmp_path: Path) -> None:
    networks = [
        publish(mlp_models.models, "house", version, features=TABLE, targets=("price",), seed=version)
        for version in (1, 2)
    ]
    rows, prices = values_of(TABLE, ROWS, 9), np.random.default_rng(8).normal(0, 3, ROWS)
    write_csv(tmp_path / "rows.csv", "sold for", prices, rows)
    document = result(mlp_models, "house@1", "house@2", "--data", str(tmp_path / "rows.csv"), "--target", "sold for")
    for side, network in zip(("first", "second"), networks, strict=True):
        for name, value in evaluate.regression(network.answer(rows), prices[:, None]).items():
            assert document["scores"][name][side] == pytest.approx(value, rel=1e-4), name


def test_arrays(
    mlp_models: CommandLine,
    networks: list[Network],
    labelled: tuple[Path, NDArray[np.float32], NDArray[np.int64]],
    tmp_path: Path,
) -> None:
    path, rows, labels = labelled
    np.savez(tmp_path / "rows.npz", inputs=rows, targets=np.array(LABELS)[labels])
    arrays = result(mlp_models, "table@1", "table@2", "--data", str(tmp_path / "rows.npz"))
    table = result(mlp_models, "table@1", "table@2", "--data", str(path))
    assert arrays | {"data": ""} == table | {"data": ""}
    assert networks


def test_the_text(
    mlp_models: CommandLine, networks: list[Network], labelled: tuple[Path, NDArray[np.float32], NDArray[np.int64]]
) -> None:
    assert networks
    path = labelled[0]
    with path.open("a") as file:
        file.write("ape,old,1,true,France,cook\nape,1,1,true,Spain,cook\n,1,1,true,France,cook\n")
    lines = mlp_models("compare", "table@1", "table@2", "--data", str(path)).out.splitlines()
    assert lines[0] == f"first: table@1 (cpu, fp32), second: table@2 (cpu, fp32), on {ROWS} rows of {path}"
    assert lines[2].split("  ")[0] == "score"
    assert [line.split()[0] for line in lines[3:8]] == ["accuracy", "balanced_accuracy", "log_loss", "brier", "ece"]
    assert lines[-2] == (
        "left out: 2 rows rejected by the models; first: row 501, feature 'age' is the string 'old', expected a number"
    )
    assert lines[-1] == "left out: 1 row without a target; first: row 503"


def test_a_row_that_one_model_rejects(
    mlp_models: CommandLine, networks: list[Network], labelled: tuple[Path, NDArray[np.float32], NDArray[np.int64]]
) -> None:
    assert networks
    path, rows, _ = labelled
    rewrite(mlp_models.models / "table" / "2", lambda manifest: manifest["features"][0].update(missing=False))
    rewrite(mlp_models.models / "table" / "1", lambda manifest: manifest["features"][3].update(missing=False))
    publish_golden(mlp_models.models / "table")
    first = np.isnan(rows[:, 3])
    second = np.isnan(rows[:, 0]) & ~first
    document = result(mlp_models, "table@1", "table@2", "--data", str(path))
    assert {each["reason"]: each["rows"] for each in document["skipped"]} == {
        "rows rejected by table@1": int(first.sum()),
        "rows rejected by table@2": int(second.sum()),
    }
    assert document["rows"] == ROWS - int(first.sum()) - int(second.sum())


def publish_golden(model_dir: Path) -> None:
    """Golden rows and examples without missing values."""
    values = np.nan_to_num(values_of(TABLE, 8, 3))
    for version in (1, 2):
        network = Network.random(len(TABLE), 3, version)
        replace(model_dir / str(version), artifact.GOLDEN, golden_file(network, values))
        body = json.dumps({"inputs": [as_json(TABLE, values[0])]}).encode()
        replace(model_dir / str(version), artifact.EXAMPLE, body)


def test_what_cannot_be_compared(mlp_models: CommandLine, networks: list[Network], tmp_path: Path) -> None:
    assert networks
    data = str(tmp_path / "none.csv")
    assert mlp_models.fails("compare", "small", "table", "--data", data).startswith(
        "small@3 and table@2 cannot be compared: the shapes of a row are (4,) and (5,); the features differ: only the "
        "first has 'f0', 'f1', 'f2', 'f3' and only the second has 'age', 'height', 'member', 'country', 'job'"
    )
    assert mlp_models.fails("compare", "table@1", "table@7", "--data", data).startswith(
        "model 'table' has no version 7"
    )
    assert "No such file or directory" in mlp_models.fails("compare", "table@1", "table@2", "--data", data)
    assert mlp_models.fails("compare", "table@1", "table@2", "--data", "x.parquet") == (
        "x.parquet is a Parquet file, which the service cannot read; save it as CSV or .npz"
    )
    assert mlp_models.fails("compare", "table@1", "table@2", "--data", data, "--target", "a", "b") == (
        "--target names 2 columns, and the models have 1 targets"
    )
    (tmp_path / "head.csv").write_text("animal,age,height,member,country,job\n")
    assert mlp_models.fails("compare", "table@1", "table@2", "--data", str(tmp_path / "head.csv")).endswith(
        "head.csv has no row to score: it has a header alone"
    )


def test_a_withdrawn_version_with_the_one_that_serves(
    mlp_models: CommandLine, networks: list[Network], labelled: tuple[Path, NDArray[np.float32], NDArray[np.int64]]
) -> None:
    assert networks
    before = result(mlp_models, "table@1", "table@2", "--data", str(labelled[0]))
    mlp_models("rollback", "table")
    assert result(mlp_models, "table", "table@2", "--data", str(labelled[0])) == before


def test_rows_whose_outputs_overflow(mlp_models: CommandLine, tmp_path: Path) -> None:
    for version in (1, 2):
        publish(mlp_models.models, "wide", version, targets=("y",), seed=version)
    rows = np.ones((3, 4))
    rows[1] = 3e38
    np.savez(tmp_path / "x.npz", inputs=rows, targets=np.ones(3))
    document = result(mlp_models, "wide@1", "wide@2", "--data", str(tmp_path / "x.npz"))
    assert document["rows"] == 2
    assert document["skipped"][0]["first"] == "its outputs are not finite"
