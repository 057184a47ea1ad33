"""Fold the fitted preprocessing of a scikit-learn pipeline into one matrix, for the first layer of a network.

The steps that `pipeline_steps` lets through compute, together, a sum of functions of single columns: linear ones of
numbers, any ones of categories and of missing values. So the steps are asked: a row of means and first categories is
transformed, then the same row with one column changed at a time. What the matrix computes is compared with the steps on
all rows.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from training.data.dataset import Column
from training.errors import PipelineError
from training.estimators.pipeline_steps import Steps, Use, is_missing
from training.estimators.probe import BATCH_VALUES, MISSING, Probe, RawColumns, dense

_TOLERANCE: Final = 1e-6  # of the largest value: steps may compute in float32
_FAR: Final = (-1000.0, 1000.0)  # standard deviations, to see that a number's effect is linear
_UNKNOWN: Final = "\N{REPLACEMENT CHARACTER} unknown"
_UNKNOWN_NUMBER: Final = -7.25e30

_Effects = Sequence[NDArray[np.float64]]


@dataclass(frozen=True)
class Folded:
    """transformed = encoded @ ``matrix`` + ``constant``, where encoded rows are those of `ScaledColumns`.

    ``used`` are the positions of ``columns`` in the raw rows, ``values`` the raw value of each category. ``mean`` and
    ``scale`` float64 are those of the numeric columns. ``matrix`` is sparse (encoded, transformed).
    """

    columns: tuple[Column, ...]
    used: tuple[int, ...]
    values: tuple[tuple[Any, ...], ...]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    matrix: Any
    constant: NDArray[np.float64]

    def inputs(self, X: Any) -> NDArray[np.float64]:
        """``X``, rows for the pipeline, as raw rows of the graph (rows, columns)."""
        raw = RawColumns(X)
        encoded = np.empty((len(X), len(self.columns)))
        for index, (column, position) in enumerate(zip(self.columns, self.used, strict=True)):
            encoded[:, index] = (
                _codes(raw.values(position), column, self.values[index]) if column.codes else raw.numbers(position)
            )
        return encoded

    def encoded(self, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """What `ScaledColumns` computes from raw rows of the graph, in float64."""
        numeric = [index for index, column in enumerate(self.columns) if not column.codes]
        flagged = [index for index, column in enumerate(self.columns) if column.missing]
        one_hot = [(index, code) for index, column in enumerate(self.columns) for code in range(column.codes)]
        numbers = np.nan_to_num((inputs[:, numeric] - self.mean) * self.scale)
        hot = inputs[:, [index for index, _ in one_hot]] == np.array([code for _, code in one_hot])
        return np.hstack([numbers, np.isnan(inputs[:, flagged]), hot])


def fold(step: Any, X: Any) -> Folded:
    """Fold the fitted ``step``, all of a pipeline but its last step; ``X`` are rows that it was fitted on.

    Raises `PipelineError` with the step that cannot be folded.
    """
    found = getattr(step, "feature_names_in_", getattr(X, "columns", map("x{}".format, range(X.shape[1]))))
    names = [str(each) for each in found]
    uses = Steps(step, names).uses
    raw = RawColumns(X)
    _check_columns(raw, names, uses)
    parts = [_part(raw, names[position], position, uses[position]) for position in sorted(uses)]
    probe = Probe(step, raw, {each.position: each.start for each in parts})
    columns, linear, flags, hot = list[Column](), list[Any](), list[Any](), list[Any]()
    answers = probe.effects([(each.position, [MISSING, *each.asked]) for each in parts])
    for part, (missing, *effects) in zip(parts, answers, strict=True):
        columns.append(part.column(effects, missing=missing is not None))
        flags += [] if missing is None else _sparse([missing])
        (hot if part.categories else linear).extend(_sparse(part.rows(effects)))
    numbers = [each for each in parts if not each.categories]
    folded = Folded(
        tuple(columns),
        tuple(each.position for each in parts),
        tuple(each.categories for each in parts),
        np.array([float(each.start) for each in numbers]),
        np.array([1 / each.unit for each in numbers]),
        sparse.vstack([*linear, *flags, *hot], "csr"),
        probe.constant,
    )
    _check(folded, step, X)
    return folded


class _Part:
    """A raw column: what is asked about it, and what the answers mean.

    ``start`` is its value in the first row, ``asked`` are the values to ask about, besides a missing one.
    ``categories`` are its raw values if it is categorical; otherwise ``unit`` is what `rows` is the effect of.
    """

    start: Any
    asked: list[Any]
    categories: tuple[Any, ...] = ()
    unit = 1.0

    def __init__(self, name: str, position: int) -> None:
        self.name = name
        self.position = position

    @abstractmethod
    def column(self, effects: Sequence[NDArray[np.float64] | None], *, missing: bool) -> Column:
        """The column as clients send it, if the values ``asked`` about have these ``effects``."""

    @abstractmethod
    def rows(self, effects: Sequence[NDArray[np.float64] | None]) -> _Effects:
        """Its rows of the matrix, but for that of a missing value. Raises `PipelineError`."""

    def required(self, effects: Sequence[NDArray[np.float64] | None]) -> _Effects:
        """``effects`` of values that the steps must take. Raises `PipelineError`."""
        found = [each for each in effects if each is not None]
        if len(found) < len(effects):
            value = next(value for value, each in zip(self.asked, effects, strict=False) if each is None)
            raise PipelineError(f"the pipeline does not take {value!r} in column {self.name!r}; nothing is published")
        return found


class _Number(_Part):
    """A column of numbers, which have to be used linearly."""

    def __init__(self, raw: RawColumns, name: str, position: int) -> None:
        super().__init__(name, position)
        self.start, self.unit = raw.moments(position)
        self.asked = [self.start + factor * self.unit for factor in (1, *_FAR)]

    def column(self, effects: Sequence[NDArray[np.float64] | None], *, missing: bool) -> Column:  # noqa: ARG002 - as the base class
        return Column(self.name, "numeric", missing)

    def rows(self, effects: Sequence[NDArray[np.float64] | None]) -> _Effects:
        slope, *far = self.required(effects)
        for factor, found in zip(_FAR, far, strict=True):
            if np.abs(found - factor * slope).max(initial=0) > _TOLERANCE * max(np.abs(found).max(initial=0), 1):
                raise PipelineError(
                    f"the pipeline is not linear in column {self.name!r}, so that it cannot be part of the graph; fit "
                    "TableClassifier or TableRegressor, which take raw columns"
                )
        return [slope]


class _Boolean(_Part):
    """A column of booleans, 0 and 1, of which any function is linear."""

    def __init__(self, raw: RawColumns, name: str, position: int) -> None:
        super().__init__(name, position)
        self.start = next((bool(each) for each in raw.values(position) if not is_missing(each)), False)
        self.asked = [not self.start]

    def column(self, effects: Sequence[NDArray[np.float64] | None], *, missing: bool) -> Column:  # noqa: ARG002 - as the base class
        return Column(self.name, "boolean", missing)

    def rows(self, effects: Sequence[NDArray[np.float64] | None]) -> _Effects:
        (effect,) = self.required(effects)
        return [-effect if self.start else effect]


class _Categories(_Part):
    """A column of categories, and perhaps of unknown ones."""

    def __init__(self, name: str, position: int, use: Use) -> None:
        super().__init__(name, position)
        self.start = use.categories[0]
        self.categories = tuple(use.categories)
        unknown = [_UNKNOWN if isinstance(self.start, str) else _UNKNOWN_NUMBER] if use.unknown else []
        self.asked = [*self.categories, *unknown]

    def column(self, effects: Sequence[NDArray[np.float64] | None], *, missing: bool) -> Column:
        names = tuple(map(_spelling, self.categories))
        return Column(self.name, "categorical", missing, names, self._others(effects) != [])

    def rows(self, effects: Sequence[NDArray[np.float64] | None]) -> _Effects:
        return [*self.required(effects[: len(self.categories)]), *self._others(effects)]

    def _others(self, effects: Sequence[NDArray[np.float64] | None]) -> _Effects:
        """The effect of an unknown category, if one may occur."""
        return [each for each in effects[len(self.categories) :] if each is not None]


def _part(raw: RawColumns, name: str, position: int, use: Use) -> _Part:
    if raw.is_boolean(position):
        return _Boolean(raw, name, position)
    return _Categories(name, position, use) if use.encoded else _Number(raw, name, position)


def _sparse(effects: Iterable[NDArray[np.float64]]) -> list[Any]:
    """Rows of the matrix, most of which have few values that are not 0."""
    return [sparse.csr_array(each[None]) for each in effects]


def _check_columns(raw: RawColumns, names: Sequence[str], used: Iterable[int]) -> None:
    """Raise `PipelineError` if clients could not send a column that is used."""
    for position in used:
        dtype = raw.column(position).dtype
        if dtype.kind in "mM":
            raise PipelineError(
                f"column {names[position]!r} has type {dtype}, which the graph cannot read; make numbers or strings of "
                "it before the pipeline, or fit TableClassifier or TableRegressor, which take dates and durations"
            )


def _check(folded: Folded, step: Any, X: Any) -> None:
    inputs = folded.inputs(X)
    most = max(1, BATCH_VALUES // max(*folded.matrix.shape, X.shape[1]))
    worst = np.zeros(len(folded.constant))
    unit = np.ones(len(folded.constant))
    for first in range(0, len(X), most):
        chunk = slice(first, first + most)
        expected = dense(step.transform(X[chunk]))
        found = folded.encoded(inputs[chunk]) @ folded.matrix + folded.constant
        worst = np.maximum(worst, np.abs(found - expected).max(axis=0, initial=0))
        unit = np.maximum(unit, np.abs(expected).max(axis=0, initial=0))
    if not (worst <= 10 * _TOLERANCE * unit).all():
        raise PipelineError(
            "the pipeline's steps do not add up column by column, so that they cannot be part of the graph; fit "
            "TableClassifier or TableRegressor, which take raw columns"
        )


def _codes(values: Sequence[Any], column: Column, categories: tuple[Any, ...]) -> NDArray[np.float64]:
    known = {value: float(code) for code, value in enumerate(categories)}
    unknown = float(len(categories)) if column.other else np.nan
    return np.array([np.nan if is_missing(each) else known.get(each, unknown) for each in values])


def _spelling(value: Any) -> str:
    """The category as clients send it."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
