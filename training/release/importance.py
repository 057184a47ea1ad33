"""Permutation importance: how much the score on test rows depends on each feature of a table.

Breiman, Random Forests, 2001, https://doi.org/10.1023/A:1010933404324, with scikit-learn's implementation, and the
network's own batched prediction as the model. It is measured on test rows: on training rows it would also show what was
learned by heart, and the validation rows chose the epoch and the calibration. Nothing is chosen by it here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.importance import FeatureImportance, Importance, Metric
from training.recipe.train import outputs_of
from training.release import evaluate, influence, onnx_export
from training.release.evaluate import Weights
from training.release.training_run import TrainingRun

MAX_COLUMNS: Final = 50
REPEATS: Final = 5
_MAX_ROWS: Final = 2000
_MIN_ROWS: Final = 100  # with fewer, the spread would be as large as the importance
_MAX_PRODUCTS: Final = 3_000_000_000  # multiplications of all predictions: about a second on two CPUs


def of(run: TrainingRun, order: Sequence[int]) -> Importance | None:
    """The importance of the first `MAX_COLUMNS` columns in ``order``, which has those first that move the outputs most.

    None if the table has too many columns to order them, or no column.
    """
    if not 0 < len(order) <= influence.MAX_FEATURES:
        return None
    from sklearn.frozen import FrozenEstimator  # noqa: PLC0415 - takes a third of a second
    from sklearn.inspection import permutation_importance  # noqa: PLC0415

    columns, rows = np.array(order[:MAX_COLUMNS]), _rows(run, min(len(order), MAX_COLUMNS))
    inputs, targets = run.test_inputs[rows], run.test_targets[rows]
    weights = None if run.test_weights is None or not run.test_weights[rows].any() else run.test_weights[rows]
    metric = metric_of(run)

    def negative_loss(_: Any, shuffled: NDArray[Any], targets: NDArray[Any], sample_weight: Weights = None) -> float:
        inputs[:, columns] = shuffled  # all of them are given each time
        return -_loss(metric, run, inputs, targets, sample_weight)

    original = inputs[:, columns]
    score = _loss(metric, run, inputs, targets, weights)
    found = permutation_importance(
        FrozenEstimator(run.network),
        original,
        targets,
        scoring=negative_loss,
        n_repeats=REPEATS,
        random_state=0,
        sample_weight=weights,
    )
    features = [
        FeatureImportance(run.dataset.columns[column].name, float(mean), float(std))
        for column, mean, std in zip(columns, found.importances_mean, found.importances_std, strict=True)
    ]
    features.sort(key=lambda each: -each.mean)
    return Importance(metric, 1 - score if metric == "r2" else score, len(rows), REPEATS, tuple(features))


def metric_of(run: TrainingRun) -> Metric:
    """The score that is measured: several numbers have no common unit, so theirs is R²."""
    if run.dataset.classifies:
        return "log_loss"
    return "mae" if len(run.dataset.target_names) == 1 else "r2"


def _loss(metric: Metric, run: TrainingRun, inputs: NDArray[Any], targets: NDArray[Any], weights: Weights) -> float:
    """The metric as a loss, lower being better: 1 - R² for R²."""
    outputs = onnx_export.outputs_of(outputs_of(run.network, inputs), run.output_activation)[0]
    if metric == "log_loss":
        return evaluate.log_loss(outputs, targets, weights)
    scores = evaluate.regression(outputs, targets, weights)
    return 1 - scores["r2"] if metric == "r2" else scores["mae"]


def _rows(run: TrainingRun, columns: int) -> NDArray[np.int64]:
    """Indices of the test rows that are used, at random: fewer for a large network and for many columns."""
    products = sum(each.numel() for each in run.network.parameters())
    affordable = _MAX_PRODUCTS // (max(products, 1) * columns * REPEATS)
    return np.random.default_rng(0).permutation(len(run.test_inputs))[: min(max(affordable, _MIN_ROWS), _MAX_ROWS)]
