"""Published versions whose rows were given and weighted: manifest, card, and the comparison with the version before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from service import artifact
from tests.training import small, trained
from tests.training.release.test_card import table
from tests.training.release.test_promotion import good
from training.data.dataset import last_rows_test
from training.data.split import Split
from training.release import evaluate, influence, onnx_runtime, pipeline, promotion
from training.release.training_run import TrainingRun


def weighted(weights: NDArray[np.float64]) -> TrainingRun:
    run = good()
    return replace(run, dataset=replace(run.dataset, weights=weights))


def test_scores_and_comparison_are_weighted(tmp_path: Path) -> None:
    weights = np.random.default_rng(0).exponential(1, 1500)
    run = weighted(weights)
    first, second = (pipeline.release(run, tmp_path) for _ in range(2))
    probabilities, test = first.candidate.outputs[0], run.split.test
    expected = evaluate.classification(probabilities, run.test_targets, weights[test])
    scores = artifact.read_manifest(first.folder).scores["fp32"]
    assert {name: scores[name] for name in expected} == expected
    assert set(scores) == {*expected, "roc_auc", "average_precision"}
    compared = second.candidate.judgement.compared
    assert compared is not None
    assert compared.seen_rows == 0
    assert compared.old == pytest.approx(expected, rel=1e-4)
    assert compared.new == expected


def test_a_version_that_is_worse_on_heavy_rows_alone_is_refused() -> None:
    old, new = np.zeros(400), np.zeros(400)
    new[:20] = 1
    weights = np.ones(400)

    def measure(weights: NDArray[np.float64] | None) -> promotion._Measure:
        return promotion._Measure("accuracy", "accuracy", old, new, lambda _: 0.06, str, weights)

    assert not measure(None).is_worse
    assert not measure(weights).is_worse
    assert measure(weights).allowed == pytest.approx(measure(None).allowed)
    weights[:20] = 20
    assert measure(weights).worse_by == pytest.approx(400 / 780)
    assert measure(weights).is_worse


def test_the_standard_error_without_weights_is_that_of_the_mean() -> None:
    losses = np.random.default_rng(1).normal(size=50)
    expected = losses.std(ddof=1) / np.sqrt(50)
    for weights in (None, np.full(50, 7.0)):
        measure = promotion._Measure("x", None, losses * 0, losses, lambda _: 0.0, str, weights)
        assert measure.allowed == pytest.approx(promotion.STANDARD_ERRORS * expected)


def test_rows_that_have_no_weight_are_not_compared(tmp_path: Path) -> None:
    run = good()
    pipeline.release(run, tmp_path)
    graph = artifact.read(tmp_path / "small" / "1").model
    weights = np.ones(1500)
    weights[run.split.test] = 0
    outputs = onnx_runtime.run(graph, run.test_inputs)
    dataset = replace(run.dataset, weights=weights)
    found = promotion.judge(dataset, run.split, outputs, tmp_path, "small", breaking=False)
    assert found.notes == ("not compared with version 1: the 300 test rows to compare on all have the weight 0",)


def test_given_test_rows_of_another_origin_may_have_been_seen(tmp_path: Path) -> None:
    """The same file, but another column says which rows are for the test."""
    run = good()
    rows = np.concatenate([run.split.train, run.split.validation, run.split.test])
    dataset = replace(
        run.dataset,
        inputs=run.dataset.inputs[rows],
        targets=run.dataset.targets[rows],
        division=last_rows_test(1500, 300),
    )
    found = []
    for how, order in (("a", np.arange(1500)), ("b", np.arange(1500)[::-1])):
        parts = Split(order[:1000], order[1000:1200], order[1200:], {"test": how})
        released = pipeline.release(replace(run, dataset=dataset, split=parts), tmp_path)
        found.append(released.candidate.judgement.compared)
    assert found[1] is not None
    assert (found[1].rows, found[1].seen_rows) == (300, 300)


def test_important_features_are_those_of_heavy_rows() -> None:
    inputs = small.noise(400, 3)
    flag = inputs[:, 2] > 0

    def outputs_of(rows: NDArray[Any]) -> NDArray[Any]:
        return np.where(rows[:, 2] > 0, rows[:, 0], rows[:, 1])[:, None]

    for heavy, order in ((flag, [0, 1]), (~flag, [1, 0])):
        found = influence.most_influential(outputs_of, inputs, np.where(heavy, 9.0, 0.1))
        assert [column for column in found if column < 2] == order
    assert influence.most_influential(outputs_of, inputs, np.zeros(400)) == influence.most_influential(
        outputs_of, inputs
    )


def test_a_run_of_the_command_line(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    path = tmp_path / "visits.csv"
    lines = ["age,fold,w,patient,ill"]
    for row in range(200):
        age = random.integers(1, 90)
        fold = "test" if row % 5 == 0 else "train"
        lines.append(f"{age},{fold},{random.integers(1, 4)},p{row % 5}{row // 5 % 8},{'yes' if age > 50 else 'no'}")
    path.write_text("\n".join(lines) + "\n")
    options = ("--target", "ill", "--split", "fold", "--weight", "w", "--group", "patient", "--epochs", "15")
    status, log = trained.run(tmp_path / "models", str(path), *options)
    assert status == 0, log
    folder = tmp_path / "models" / "visits" / "1"
    manifest, card = artifact.read_manifest(folder), (folder / "README.md").read_text()
    assert [feature.name for feature in manifest.features] == ["age"]
    assert manifest.data["rows"]["test"] == 40
    assert manifest.data["weight"] == "w"
    how = "whole groups of 'patient', drawn at random, stratified by class as far as possible"
    assert manifest.data["split"] == {"validation": how, "test": "those that column 'fold' says"}
    assert (
        f"40 held-out test rows. The validation rows are {how}. The test rows are those that column 'fold' says. "
        "Column 'w' weights the rows in training, validation, calibration and scores.\n"
    ) in card
    _, *rows = table(card, "Thresholds")
    assert [row[0] for row in rows] == [
        *(f"{step / 20:.2f}" for step in range(1, 20)),
        f"{manifest.f1_threshold:.4f}, best F1",
    ]
    assert "ROC-AUC and average precision are those of 'yes'." in card
    baseline = manifest.baseline
    assert baseline is not None
    listed = ", ".join(f"{name} {value:.4f}" for name, value in baseline.items())
    commonest = "no" if "always 'no'" in log else "yes"
    assert f"baseline, always {commonest!r}: {listed}\n" in log
    assert f"best F1 for 'yes' from a probability of {manifest.f1_threshold:.3f} on: " in log
