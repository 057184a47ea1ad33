"""Fold the fitted preprocessing of a scikit-learn pipeline into one matrix, for the first layer of a network.

The steps that `pipeline_steps` lets through compute, together, a sum of functions of single columns: linear ones of
numbers, any ones of categories and of missing values. So the steps are asked: a row of means and first categories is
transformed, then the same row with one column changed at a time. What the matrix computes is compared with the steps on
all rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from training.data.dataset import Column
from training.errors import PipelineError
from training.estimators.pipeline_steps import Steps, Use, is_missing

_TOLERANCE: Final = 1e-6  # of the largest value: steps may compute in float32
_FAR: Final = (-1000.0, 1000.0)  # standard deviations, to see that a number's effect is linear
_UNKNOWN: Final = "\N{REPLACEMENT CHARACTER} unknown"
_UNKNOWN_NUMBER: Final = -7.25e30


@dataclass(frozen=True)
class Folded:
    """transformed = encoded @ ``matrix`` + ``constant``, where encoded rows are those of `ScaledColumns`.

    ``used`` are the positions of ``columns`` in the raw rows, ``values`` the raw value of each category. ``mean`` and
    ``scale`` float64 are those of the numeric columns.
    """

    columns: tuple[Column, ...]
    used: tuple[int, ...]
    values: tuple[tuple[Any, ...], ...]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    matrix: NDArray[np.float64]
    constant: NDArray[np.float64]

    def inputs(self, X: Any) -> NDArray[np.float64]:
        """``X``, rows for the pipeline, as raw rows of the graph (rows, columns)."""
        encoded = np.empty((len(X), len(self.columns)))
        for index, (column, position) in enumerate(zip(self.columns, self.used, strict=True)):
            encoded[:, index] = (
                _codes(X, position, column, self.values[index]) if column.codes else _numbers(X, position)
            )
        return encoded

    def encoded(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """What `ScaledColumns` computes from raw rows of the graph, in float64."""
        numeric = [index for index, column in enumerate(self.columns) if not column.codes]
        numbers = np.nan_to_num((inputs[:, numeric] - self.mean) * self.scale)
        flags = [np.isnan(inputs[:, index]) for index, column in enumerate(self.columns) if column.missing]
        hot = [inputs[:, index] == code for index, column in enumerate(self.columns) for code in range(column.codes)]
        return np.column_stack([numbers, *flags, *hot])


def fold(step: Any, X: Any) -> Folded:
    """Fold the fitted ``step``, all of a pipeline but its last step; ``X`` are rows that it was fitted on.

    Raises `PipelineError` with the step that cannot be folded.
    """
    found = getattr(step, "feature_names_in_", getattr(X, "columns", map("x{}".format, range(X.shape[1]))))
    names = [str(each) for each in found]
    uses = Steps(step, names).uses
    probe = _Probe(step, X, names, uses)
    used = tuple(sorted(uses))
    columns, values, mean, scale = [], [], [], []
    slopes, flags, hot = list[NDArray[Any]](), list[NDArray[Any]](), list[NDArray[Any]]()
    for position in used:
        use = uses[position]
        missing = probe.effect(position, None)
        if missing is not None:
            flags.append(missing)
        if use.encoded:
            other = probe.effect(position, _unknown(use)) if use.unknown else None
            hot += [probe.required(position, each) for each in use.categories]
            hot += [] if other is None else [other]
            categories = tuple(map(_spelling, use.categories))
            column = Column(names[position], "categorical", missing is not None, categories, other is not None)
        else:
            centre, deviation = probe.moments(position)
            slopes.append(probe.slope(position, centre, deviation))
            mean.append(centre)
            scale.append(1 / deviation)
            column = Column(names[position], probe.kind(position), missing is not None)
        columns.append(column)
        values.append(tuple(use.categories))
    matrix = np.array([*slopes, *flags, *hot])
    folded = Folded(tuple(columns), used, tuple(values), np.array(mean), np.array(scale), matrix, probe.constant)
    _check(folded, step, X)
    return folded


class _Probe:
    """Asks the ``step`` for the effect of one value of one column."""

    def __init__(self, step: Any, X: Any, names: Sequence[str], uses: dict[int, Use]) -> None:
        self._step = step
        self._X = X
        self._names = names
        self._framed = hasattr(X, "columns")
        self._missing = [_first_missing(X, index) for index in range(len(names))]
        self._row: list[Any] = [_first(X, index) for index in range(len(names))]
        for index, use in uses.items():
            self._row[index] = use.categories[0] if use.encoded else self.moments(index)[0]
        self.constant = self._transformed(self._row)

    def effect(self, position: int, value: Any) -> NDArray[Any] | None:
        """What ``value`` in the column at ``position`` adds to `constant`; None if the step does not take it."""
        row = list(self._row)
        row[position] = self._missing[position] if value is None else value
        try:
            found = self._transformed(row)
        except (ValueError, TypeError):
            return None
        return found - self.constant if np.isfinite(found).all() else None

    def required(self, position: int, value: Any) -> NDArray[Any]:
        """As `effect`, of a value that the step must take."""
        found = self.effect(position, value)
        if found is None:
            raise PipelineError(
                f"the pipeline does not take {value!r} in column {self._names[position]!r}; nothing is published"
            )
        return found

    def slope(self, position: int, centre: float, deviation: float) -> NDArray[Any]:
        """What a standard deviation of the column at ``position`` adds. Raises `PipelineError` if not linear."""
        slope = self.required(position, centre + deviation)
        for factor in _FAR:
            found = self.required(position, centre + factor * deviation)
            if np.abs(found - factor * slope).max(initial=0) > _TOLERANCE * max(np.abs(found).max(initial=0), 1):
                raise PipelineError(
                    f"the pipeline is not linear in column {self._names[position]!r}, so that it cannot be part of the "
                    "graph; fit TableClassifier or TableRegressor, which take raw columns"
                )
        return slope

    def moments(self, position: int) -> tuple[float, float]:
        """Mean and standard deviation of the column at ``position``; 0 and 1 without values, 1 if it is constant."""
        values = _numbers(self._X, position)
        known = values[~np.isnan(values)]
        if not len(known):
            return 0.0, 1.0
        start = float(known.min())
        return start + float((known - start).mean()), float((known - start).std()) or 1.0

    def kind(self, position: int) -> Literal["boolean", "numeric"]:
        """The type of the column at ``position``, which is not encoded."""
        return "boolean" if isinstance(_first(self._X, position), (bool, np.bool_)) else "numeric"

    def _transformed(self, row: list[Any]) -> NDArray[np.float64]:
        if self._framed:
            import pandas as pd  # noqa: PLC0415 - whoever fits on a DataFrame has it

            columns = zip(self._names, row, self._X.dtypes, strict=True)
            X: Any = pd.DataFrame(
                {name: pd.Series([value], dtype=_probe_dtype(dtype)) for name, value, dtype in columns}
            )
        else:
            numeric = all(isinstance(value, (int, float, np.number)) for value in row)
            X = np.array([row], np.float64 if numeric else object)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unknown categories
            found: NDArray[np.float64] = _dense(self._step.transform(X))[0]
        return found


def _check(folded: Folded, step: Any, X: Any) -> None:
    expected = _dense(step.transform(X))
    found = folded.encoded(folded.inputs(X)) @ folded.matrix + folded.constant
    unit = np.maximum(np.abs(expected).max(axis=0, initial=0), 1)
    if not (np.abs(found - expected) <= 10 * _TOLERANCE * unit).all():
        raise PipelineError(
            "the pipeline's steps do not add up column by column, so that they cannot be part of the graph; fit "
            "TableClassifier or TableRegressor, which take raw columns"
        )


def _dense(transformed: Any) -> NDArray[np.float64]:
    found = transformed.toarray() if sparse.issparse(transformed) else transformed
    return np.asarray(found, np.float64)


def _probe_dtype(dtype: Any) -> Any:
    """The dtype of a column like those of ``dtype`` that takes all values: a lone NaN would not be a string's."""
    if dtype.kind != "O":
        return np.float64
    return object if dtype == "category" else dtype


def _column(X: Any, position: int) -> Any:
    if hasattr(X, "iloc"):
        return X.iloc[:, position]
    return X[:, position]


def _first_missing(X: Any, position: int) -> Any:
    """How a missing value of the column looks: to scikit-learn, None and NaN are not the same."""
    return next(filter(is_missing, _column(X, position).tolist()), np.nan)


def _first(X: Any, position: int) -> Any:
    return _column(X, position).tolist()[0] if len(X) else 0.0


def _numbers(X: Any, position: int) -> NDArray[np.float64]:
    column = _column(X, position)
    if hasattr(column, "to_numpy"):
        return np.asarray(column.to_numpy(np.float64, na_value=np.nan))
    return np.asarray(column, np.float64)


def _codes(X: Any, position: int, column: Column, values: tuple[Any, ...]) -> NDArray[np.float64]:
    known = {value: float(code) for code, value in enumerate(values)}
    unknown = float(len(values)) if column.other else np.nan
    found = _column(X, position).tolist()
    return np.array([np.nan if is_missing(each) else known.get(each, unknown) for each in found])


def _unknown(use: Use) -> Any:
    return _UNKNOWN if isinstance(use.categories[0], str) else _UNKNOWN_NUMBER


def _spelling(value: Any) -> str:
    """The category as clients send it."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
