"""`publish`: a fitted scikit-learn pipeline as a version whose clients send the raw columns."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.compose import TransformedTargetRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from training.data.dataset import join_names
from training.errors import OptionError, PipelineError
from training.estimators import folding, publishing
from training.estimators.base import BasePerceptron
from training.estimators.table_base import BaseTable

_EXPECTED = (
    "MLPClassifier, MLPRegressor, TableClassifier or TableRegressor of this package, or a Pipeline that ends with one"
)
_MAX_LISTED = 5
_PROBES = np.array([[0.0], [1.0], [-1000.0], [1000.0]])


def publish(
    estimator: Any,
    models_dir: str | os.PathLike[str],
    name: str,
    *,
    train: tuple[Any, Any],
    test: tuple[Any, Any],
    breaking: bool = False,
    force: bool = False,
) -> Path:
    """Publish the next version of a model for `mlp-serve`, with the steps before the network.

    The steps are folded into the graph, so that clients send the raw columns by name. These
    can be: StandardScaler, MinMaxScaler and MaxAbsScaler (without ``clip``), RobustScaler,
    SimpleImputer, MissingIndicator, OneHotEncoder, OrdinalEncoder, TargetEncoder, PCA,
    TruncatedSVD, feature selection, ``'passthrough'`` and ``'drop'``, in ColumnTransformer,
    FeatureUnion and Pipeline. An encoder must take raw columns, imputed ones included.

    Parameters
    ----------
    estimator : object
        A fitted `MLPClassifier`, `MLPRegressor`, `TableClassifier` or `TableRegressor`, a
        `sklearn.pipeline.Pipeline` that ends with one, a `TransformedTargetRegressor` of
        one with a linear transformer, or a search such as `GridSearchCV` whose best
        estimator is one of these.
    models_dir : str or path-like
        The folder of all models.
    name : str
        The name of the model.
    train : tuple of (X, y)
        The rows that `fit` was given. They describe the columns in the model card.
    test : tuple of (X, y)
        Rows that `fit` has not seen, for the scores and for the server's self-check.
    breaking : bool, default=False
        Publish even if clients of the newest version have to change.
    force : bool, default=False
        Publish even if it is worse than the newest version.

    Returns
    -------
    folder : pathlib.Path
        The folder of the new version, ``models_dir/name/<version>``.

    Raises
    ------
    PipelineError
        A `TrainingError`: if a step cannot be folded. The message names it.
    NotPromoted
        A `TrainingError`: if the version breaks clients, or is worse.
    TrainingError
        If the network cannot be served, or predicts something else than the pipeline.

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> from sklearn.compose import make_column_transformer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import OneHotEncoder, StandardScaler
    >>> from training import MLPClassifier, publish
    >>> X = pd.DataFrame({"age": [21.0, 35, 64] * 20, "job": ["cook", "nurse", "cook"] * 20})
    >>> y = ["no", "yes", "yes"] * 20
    >>> steps = make_column_transformer((StandardScaler(), ["age"]), (OneHotEncoder(), ["job"]))
    >>> model = make_pipeline(steps, MLPClassifier(solver="lbfgs", random_state=0)).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as models:
    ...     publish(model, models, "people", train=(X, y), test=(X[:20], y[:20])).name
    '1'
    """
    estimator = getattr(estimator, "best_estimator_", estimator)
    check_is_fitted(estimator)
    parts = _parts(estimator)
    publishing.check_rows("train", train)
    publishing.check_rows("test", test)
    if parts.plain:
        return parts.last.publish(models_dir, name, train=train, test=test, breaking=breaking, force=force)
    if isinstance(parts.last, BaseTable):
        raise PipelineError(
            f"{type(parts.last).__name__} takes raw columns and scales its targets itself, and there are other steps; "
            "fit it without them, or replace it by MLPClassifier or MLPRegressor"
        )
    raw = [_raw(parts.steps, name, X) for name, (X, _) in (("train", train), ("test", test))]
    folded = folding.fold(parts.steps, raw[0])
    rows = [(folded.inputs(X), parts.targets(y)) for X, (_, y) in zip(raw, (train, test), strict=True)]
    body, _ = parts.last._served_body()  # noqa: SLF001 - the same package
    network = publishing.folded_network(body, folded, publishing.dtype_of(rows[0][0]))
    if parts.target is not None:
        network.output_scale, network.output_offset = _target_scaling(parts.target, rows[0][1])
    classifies = hasattr(estimator, "predict_proba")
    predictions = (
        estimator.predict_proba(test[0]) if classifies else estimator.predict(test[0]).reshape(len(test[0]), -1)
    )
    fitted = parts.last._fitted(network, folded.columns, predictions)  # noqa: SLF001
    return publishing.publish(fitted, Path(models_dir), name, *rows, breaking=breaking, force=force)


@dataclass(frozen=True)
class _Parts:
    """The ``last`` step, the ``steps`` before it, and the transformer of its ``target``, if there is one."""

    steps: Any
    last: BasePerceptron | BaseTable
    target: Any

    @property
    def plain(self) -> bool:
        """Whether there is nothing but the last step."""
        return self.target is None and all(
            step in ("passthrough", None) for _, step in getattr(self.steps, "steps", ())
        )

    def targets(self, y: Any) -> NDArray[Any]:
        """Targets as a `Dataset` has them."""
        encoded = self.last._encode(np.asarray(y))  # noqa: SLF001
        return self.last._dataset_targets(encoded)  # noqa: SLF001


def _parts(estimator: Any) -> _Parts:
    inner, target = estimator, None
    if isinstance(estimator, TransformedTargetRegressor):
        inner, target = estimator.regressor_, estimator.transformer_
    steps, last = (inner[:-1], inner[-1]) if isinstance(inner, Pipeline) else (Pipeline([]), inner)
    if not isinstance(last, (BasePerceptron, BaseTable)):
        raise OptionError(f"publish got {type(last).__name__}, expected {_EXPECTED}")
    return _Parts(steps, last, target)


def _raw(steps: Any, name: str, X: Any) -> Any:
    """``X`` of the argument ``name`` as `folding` takes it, the columns in the order of fit. Raises `OptionError`."""
    X = np.asarray(X) if isinstance(X, list) else X
    framed = hasattr(X, "iloc")
    if getattr(X, "ndim", 0) != 2 or not (framed or isinstance(X, np.ndarray)):
        raise OptionError(
            f"{name} has X of type {type(X).__name__}, expected a DataFrame of pandas or an array (rows, columns)"
        )
    names = list(getattr(steps, "feature_names_in_", ()))
    if not framed or not names:
        return X
    if absent := [repr(each) for each in names if each not in X.columns]:
        raise OptionError(f"{name} has no column {join_names(absent, _MAX_LISTED)} in X, expected those of fit")
    return X[names]


def _target_scaling(transformer: Any, targets: NDArray[np.float64]) -> tuple[Tensor, Tensor]:
    """Scale and offset (targets,) of ``transformer``'s inverse, float64 if float32 would lose differences."""
    count = targets.shape[1]
    with np.errstate(all="ignore"):
        found = np.asarray(transformer.inverse_transform(np.repeat(_PROBES, count, axis=1)), np.float64)
    offset, scale = found[0], found[1] - found[0]
    expected = offset + _PROBES * scale
    if not np.allclose(found, expected, rtol=1e-6):
        raise PipelineError(
            f"the transformer of the target ({type(transformer).__name__}) is not linear, so that it cannot be part of "
            "the graph; use one that is, such as StandardScaler"
        )
    dtype = publishing.dtype_of(targets)
    return torch.tensor(scale, dtype=dtype), torch.tensor(offset, dtype=dtype)
