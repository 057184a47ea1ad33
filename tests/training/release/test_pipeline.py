"""The stages of a release: what is published, when int8 is, and what is rejected."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from service import artifact
from tests.training import small
from training.config import Config
from training.data.dataset import Column
from training.data.split import Split, split
from training.errors import DataError, ParityError
from training.recipe import train
from training.release import onnx_export, onnx_runtime, pipeline, quantize
from training.release.estimator_run import Fitted, training_run
from training.release.training_run import TrainingRun

ROWS = 6000


@pytest.fixture(autouse=True)
def small_graphs_in_int8(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quantize graphs that are too small to be faster in int8."""
    monkeypatch.setattr(quantize, "MIN_WEIGHTS", 0)


@cache
def finished() -> TrainingRun:
    """A small classifier of two classes, trained by the command line's recipe."""
    dataset = small.sides(ROWS)
    config = Config(hidden=(8,), epochs=2, lr=0.02)
    parts = split(dataset, config)
    trained = train.train_network(dataset, parts, config, torch.device("cpu"), lambda _epoch: None)
    return TrainingRun(
        name="small",
        command="a test",
        dataset=dataset,
        split=parts,
        network=trained.network,
        hidden=config.hidden,
        activation=config.activation,
        output_activation="softmax",
        config=asdict(config),
        seed=None,
        device="cpu",
        history=trained.history,
        best_epoch=trained.history[-1],
        fit_s=1.0,
    )


def without_validation(run: TrainingRun, train_rows: int) -> TrainingRun:
    """The run as an estimator publishes it: ``train_rows`` training rows and no validation rows."""
    rows = np.arange(train_rows + 100)
    return replace(run, split=Split(rows[:train_rows], rows[:0], rows[train_rows:]))


def test_a_release_has_the_graph_and_the_outputs_of_torch(tmp_path: Path) -> None:
    run = finished()
    released = pipeline.release(run, tmp_path)
    assert released.folder == tmp_path / "small" / "1"
    published = artifact.read(released.folder)
    outputs = onnx_runtime.run(published.model, run.test_inputs)
    assert np.abs(outputs[0] - released.candidate.outputs[0]).max() < 1e-5
    assert published.manifest.scores == released.candidate.scores
    assert pipeline.release(run, tmp_path).folder == tmp_path / "small" / "2"


@pytest.mark.parametrize(
    ("train_rows", "compared_rows", "is_published"), [(4001, 2001, True), (3999, None, False), (2000, None, False)]
)
def test_int8_needs_2000_training_rows_beyond_those_that_calibrate_it(
    train_rows: int, compared_rows: int | None, is_published: bool, tmp_path: Path
) -> None:
    released = pipeline.release(without_validation(finished(), train_rows), tmp_path)
    int8, published = released.candidate.int8, artifact.read(released.folder)
    assert (None if int8 is None else int8.measured.rows) == compared_rows
    assert (published.model_int8 is not None) == is_published
    assert (published.manifest.no_int8 is None) == is_published
    assert list(published.manifest.scores) == (["fp32", "int8"] if is_published else ["fp32"])
    assert ("The int8 graph is also published" in (released.folder / "README.md").read_text()) == (
        compared_rows is not None
    )


def test_the_stages_run_within_their_contexts_and_the_commit_is_last(tmp_path: Path) -> None:
    events: list[str] = []

    @contextmanager
    def stage(name: str) -> Iterator[None]:
        events.append(f"enter {name}")
        yield
        events.append(f"leave {name}")

    pipeline.release(
        finished(),
        tmp_path,
        quantizing=lambda: stage("quantizing"),
        publishing=lambda: stage("publishing"),
        on_commit=lambda: events.append("commit"),
    )
    assert events == ["enter quantizing", "leave quantizing", "enter publishing", "commit", "leave publishing"]


def test_an_error_at_the_commit_publishes_nothing(tmp_path: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pipeline.release(finished(), tmp_path, on_commit=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_label_that_cannot_be_shown_is_rejected(tmp_path: Path) -> None:
    run = finished()
    with pytest.raises(DataError, match=r"^label 'a\\x00' has the character U\+0000"):
        pipeline.release(replace(run, dataset=replace(run.dataset, labels=("a\x00", "b"))), tmp_path)


def fitted(run: TrainingRun, error: float) -> Fitted:
    """An estimator with the network of ``run``, whose own probabilities differ by ``error``."""
    probabilities = onnx_export.outputs_of(train.outputs_of(run.network, run.test_inputs), "softmax")[0]
    return Fitted(
        network=run.network,
        output_activation="softmax",
        columns=tuple(map(Column, "abc")),
        labels=run.dataset.labels,
        hidden=run.hidden,
        activation=run.activation,
        seed=None,
        config={},
        history=run.history,
        best_epoch=run.best_epoch,
        predictions=probabilities + error,
    )


def test_an_estimators_run_has_its_arrays_as_training_and_test_rows() -> None:
    run = finished()
    train_rows, test_rows = (
        (run.dataset.inputs[part], run.dataset.targets[part]) for part in (run.split.train, run.split.test)
    )
    found = training_run(fitted(run, 0.0), "mine", train_rows, test_rows)
    assert np.array_equal(found.dataset.inputs[found.split.train], train_rows[0])
    assert np.array_equal(found.test_targets, test_rows[1])
    assert len(found.split.validation) == 0
    assert [column.name for column in found.dataset.columns] == ["a", "b", "c"]


def test_an_estimator_that_float32_does_not_reproduce_is_rejected() -> None:
    run = finished()
    rows = (run.test_inputs, run.test_targets)
    message = (
        r"^in float32, as it would be served, the network's predictions differ by up to 0\.02 from the estimator's; "
    )
    with pytest.raises(ParityError, match=message):
        training_run(fitted(run, 0.02), "mine", rows, rows)
