"""Ask the fitted steps of a pipeline what single values of single columns add to what they compute."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from training.estimators.pipeline_steps import is_missing

# A missing value among those that a probe asks about.
MISSING: Final = object()
# Of a dense array in one go, so that thousands of columns or categories fit into memory.
BATCH_VALUES: Final = 2**22


class RawColumns:
    """The columns of ``X``, rows for a pipeline: a DataFrame of pandas, or an array (rows, columns)."""

    def __init__(self, X: Any) -> None:
        self._X = X
        self.framed = hasattr(X, "iloc")

    def column(self, position: int) -> Any:
        """The column at ``position``: a series of pandas, or an array (rows,)."""
        return self._X.iloc[:, position] if self.framed else self._X[:, position]

    def values(self, position: int) -> list[Any]:
        """The values of the column at ``position``."""
        found: list[Any] = self.column(position).tolist()
        return found

    def numbers(self, position: int) -> NDArray[np.float64]:
        """The values of the column at ``position`` (rows,), NaN where missing."""
        column = self.column(position)
        if self.framed:
            return np.asarray(column.to_numpy(np.float64, na_value=np.nan))
        return np.asarray(column, np.float64)

    def has_numbers(self, position: int) -> bool:
        """Whether the type of the column at ``position`` is one of numbers or booleans."""
        return self.column(position).dtype.kind in "biuf"

    def is_boolean(self, position: int) -> bool:
        """Whether all values of the column at ``position`` are booleans, but for missing ones."""
        if self.column(position).dtype.kind == "b":
            return True
        known = [each for each in self._objects(position) if not is_missing(each)]
        return bool(known) and all(isinstance(each, (bool, np.bool_)) for each in known)

    def moments(self, position: int) -> tuple[float, float]:
        """Mean and standard deviation of the column at ``position``; 0 and 1 without values, 1 if it is constant."""
        values = self.numbers(position)
        known = values[~np.isnan(values)]
        if not len(known):
            return 0.0, 1.0
        start = float(known.min())
        return start + float((known - start).mean()), float((known - start).std()) or 1.0

    def first_missing(self, position: int) -> Any:
        """How a missing value of the column looks: to scikit-learn, None and NaN are not the same objects."""
        return next(filter(is_missing, self._objects(position)), np.nan)

    def rows(self, changed: Mapping[int, list[Any]], count: int) -> Any:
        """``count`` rows with the values in ``changed``, and those of the first row in all other columns."""
        if self.framed:
            return self._frame(changed, count)
        dtype = np.float64 if self._X.dtype.kind in "biuf" else self._X.dtype
        X = np.repeat(self._X[:1].astype(dtype), count, axis=0)
        for position, values in changed.items():
            X[:, position] = values
        return X

    def _frame(self, changed: Mapping[int, list[Any]], count: int) -> Any:
        import pandas as pd  # noqa: PLC0415 - whoever fits on a DataFrame has it

        columns = {}
        for position, dtype in enumerate(self._X.dtypes):
            if position not in changed:
                columns[position] = self.column(position).array.take(np.zeros(count, np.int64))
            elif self.has_numbers(position):
                columns[position] = np.array(changed[position], np.float64)
            else:  # a category that is unknown would be missing in a column of categories
                columns[position] = pd.array(changed[position], object if dtype == "category" else dtype)
        return pd.DataFrame(columns).set_axis(self._X.columns, axis=1)

    def _objects(self, position: int) -> list[Any]:
        """The values of the column at ``position`` if they are objects, of which each may be of another type."""
        return self.values(position) if self.column(position).dtype.kind == "O" else []


class Probe:
    """What values of raw columns add to the ``constant`` that the fitted ``step`` computes from a first row.

    The row has ``start``, a value for each position of a column that is asked about.
    """

    def __init__(self, step: Any, raw: RawColumns, start: Mapping[int, Any]) -> None:
        self._step = step
        self._raw = raw
        self._start = start
        self._missing = {position: raw.first_missing(position) for position in start}
        self.constant = self._transformed(self._rows([]))[0]

    def effects(self, asked: Sequence[tuple[int, Sequence[Any]]]) -> Iterator[list[NDArray[np.float64] | None]]:
        """For each column, by its position, what each of its values adds; None if the step does not take it.

        Of many columns several are asked about at once.
        """
        most = max(1, BATCH_VALUES // max(len(self._start), len(self.constant), 1))
        questions = [(position, value) for position, values in asked for value in values]
        found = (
            effect
            for first in range(0, len(questions), most)
            for effect in self._answers(self._rows(questions[first : first + most]))
        )
        return (list(islice(found, len(values))) for _, values in asked)

    def _rows(self, questions: Sequence[tuple[int, Any]]) -> Any:
        """The first row, and for each question a row with this value."""
        count = 1 + len(questions)
        changed = {position: [value] * count for position, value in self._start.items()}
        for row, (position, value) in enumerate(questions, 1):
            changed[position][row] = self._missing[position] if value is MISSING else value
        return self._raw.rows(changed, count)[1:] if questions else self._raw.rows(changed, count)

    def _answers(self, rows: Any) -> list[NDArray[np.float64] | None]:
        try:
            found = self._transformed(rows) - self.constant
        except (ValueError, TypeError):  # of a row that the step does not take
            half = len(rows) // 2
            return [*self._answers(rows[:half]), *self._answers(rows[half:])] if half else [None]
        return [each if np.isfinite(each).all() else None for each in found]

    def _transformed(self, rows: Any) -> NDArray[np.float64]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of unknown categories
            return dense(self._step.transform(rows))


def dense(transformed: Any) -> NDArray[np.float64]:
    """What a step returned as an array (rows, columns)."""
    found = transformed.toarray() if sparse.issparse(transformed) else transformed
    return np.asarray(found, np.float64)
