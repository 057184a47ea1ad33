"""From a streamed folder of Parquet files to a published version, beside the same rows in memory."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from tests.training.data.tables.streams import tables
from training.cli.run import main
from training.config import RECIPES, Config
from training.data import source, split
from training.data.dataset import Dataset
from training.data.split import Split
from training.recipe.train import train_network

ROWS = 6000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(0)
    x = random.normal(0, 1, (ROWS, 3)).astype(np.float32)
    colour = random.integers(0, 3, ROWS)
    score = x[:, 0] - x[:, 1] * x[:, 2] + colour - 1 + random.logistic(0, 0.4, ROWS)
    table = pa.table(
        {f"x{index}": x[:, index] for index in range(3)}
        | {
            "colour": pa.array(["red", "green", "blue"]).take(pa.array(colour)),
            "y": pa.array(["no", "yes"]).take(pa.array((score > 0).astype(np.int8))),
            "score": score,
        }
    )
    return tables.write(table, tmp_path_factory.mktemp("streamed") / "rows", files=4, row_group=500)


def trained(dataset: Dataset, parts: Split, seed: int, **options: Any) -> tuple[float, int]:
    """The validation loss after training, and the number of steps."""
    steps: list[int] = []
    config = Config(**(RECIPES["fast"]["table"] | {"epochs": 4, "seed": seed} | options))
    history = train_network(
        dataset, parts, config, torch.device("cpu"), lambda _: None, on_step=lambda: steps.append(1)
    ).history
    return history[-1].validation_loss, len(steps)


def streamed(folder: Path, monkeypatch: pytest.MonkeyPatch, kept: int, buffer: int, **options: Any) -> Dataset:
    monkeypatch.setattr("training.data.tables.streams.streaming._KEPT_ROWS", (kept, kept))
    monkeypatch.setattr("training.data.tables.streams.streaming._BUFFER_ROWS", (buffer, buffer))
    look = source.load(str(folder), {"stream": "always", **options})
    assert look.collect is not None
    return look.collect(0.15, 0.2)


@pytest.mark.parametrize("options", [{"targets": ("y",), "drop": ("score",)}, {"targets": ("score",), "drop": ("y",)}])
def test_losses_are_those_in_memory_within_the_spread_over_seeds(
    folder: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = streamed(folder, monkeypatch, ROWS, 1000, **options)
    parts = split.streamed(dataset)
    ours = [trained(dataset, parts, seed)[0] for seed in range(3)]
    whole = replace(parts, streamed_rows=None)
    theirs = [trained(replace(dataset, streamed=None), whole, seed)[0] for seed in range(3)]
    assert ours != theirs
    assert np.mean(ours) == pytest.approx(np.mean(theirs), rel=0.03)


def test_all_training_rows_are_trained_on_though_few_are_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = streamed(folder, monkeypatch, 300, 500, targets=("y",), drop=("score",))
    parts = split.streamed(dataset)
    assert len(parts.train) == 300
    _, steps = trained(dataset, parts, 0, batch_size=100, class_weight="balanced")
    assert steps == 4 * -(-parts.train_rows // 100)
    assert parts.train_rows > 5000


def test_a_streamed_table_is_published_with_what_is_known_of_all_rows(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("training.data.tables.streams.streaming._KEPT_ROWS", (500, 500))
    command = [str(folder), "--target", "y", "--drop", "score", "--stream", "always", "--models", str(tmp_path)]
    assert main([*command, "--recipe", "fast", "--epochs", "2"]) == 0
    log = capsys.readouterr().err
    assert "rows is streamed: --stream always says so" in log
    version = tmp_path / "rows" / "1"
    manifest = json.loads((version / "metadata.json").read_text())
    rows = manifest["data"]["rows"]
    assert sum(rows.values()) == ROWS
    assert rows["test"] == pytest.approx(450, abs=49)
    assert manifest["parity"]["rows"] == rows["test"]
    assert manifest["scores"]["fp32"]["accuracy"] > 0.7
    assert manifest["data"]["split"]["test"] == "0.075 of the rows, by a hash of the row's number in the table"
    assert not (version / "seen-rows.npy").exists()
    card = (version / "README.md").read_text()
    assert f"Trained on {rows['train']:,} rows" in card
    assert "random sample of 500 training rows" in card
    assert main([*command, "--recipe", "fast", "--epochs", "2", "--seed", "1"]) in {0, 3}  # compared with the first
    assert f"compared with version 1 on {rows['test']:,} test rows" in capsys.readouterr().err


def test_options_that_need_the_whole_table_are_refused_before_it_is_read(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [str(folder), "--target", "y", "--time", "x0", "--weight", "x1", "--models", str(tmp_path)]
    assert main([*command, "--stream", "always"]) == 1
    assert "--time, --weight cannot be used with a table that is streamed" in capsys.readouterr().err
