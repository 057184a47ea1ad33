"""Which steps of a fitted scikit-learn pipeline can be folded into a graph, and which raw columns they use, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_selection import SelectorMixin
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)

from training.errors import PipelineError

_SCALERS: Final = (StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler)
_LINEAR: Final = (PCA, TruncatedSVD)
_ENCODERS: Final = (OneHotEncoder, OrdinalEncoder, TargetEncoder)
_IMPUTERS: Final = (SimpleImputer, MissingIndicator)
_NAMED: Final = (ColumnTransformer, Pipeline, FeatureUnion, *_SCALERS, *_IMPUTERS, *_ENCODERS, *_LINEAR)
FOLDABLE: Final = f"{', '.join(each.__name__ for each in _NAMED)}, feature selection, 'passthrough' and 'drop'"
_SKIPPED: Final = ("passthrough", None)


@dataclass
class Use:
    """How the steps use a raw column: as numbers, or by its categories (raw values, without missing ones).

    ``unknown`` is whether a category that is not known may occur.
    """

    numeric: bool = False
    categories: list[Any] = field(default_factory=list)
    encoded: bool = False
    unknown: bool = True


# A column between two steps: the position of the raw column whose values it has, missing ones perhaps imputed.
_Value: TypeAlias = int | None


class Steps:
    """Walks through fitted steps and finds the `uses` of raw columns. Raises `PipelineError` at a step it cannot fold.

    ``names`` are those of the raw columns.
    """

    def __init__(self, step: Any, names: Sequence[str]) -> None:
        self._names = names
        self.uses: dict[int, Use] = {}
        for value in self._walk(step, (), list(range(len(names)))):
            self._as_number(value, ())

    def _walk(self, step: Any, path: tuple[str, ...], values: list[_Value]) -> list[_Value]:
        if isinstance(step, str) and step == "drop":
            return []
        if step in _SKIPPED or (isinstance(step, FunctionTransformer) and step.func is None):
            return values
        if isinstance(step, Pipeline):
            for name, each in step.steps:
                values = self._walk(each, (*path, name), values)
            return values
        if isinstance(step, ColumnTransformer):
            names = list(getattr(step, "feature_names_in_", ()))
            parts = [
                self._walk(each, (*path, name), [values[index] for index in _positions(columns, len(values), names)])
                for name, each, columns in step.transformers_
            ]
            return [value for part in parts for value in part]
        if isinstance(step, FeatureUnion):
            parts = [self._walk(each, (*path, name), values) for name, each in step.transformer_list]
            return [value for part in parts for value in part]
        return self._leaf(step, path, values)

    def _leaf(self, step: Any, path: tuple[str, ...], values: list[_Value]) -> list[_Value]:
        if getattr(step, "clip", False) and isinstance(step, _SCALERS):
            raise _refused(step, path, "clip=True is not linear; use clip=False")
        if isinstance(step, SelectorMixin):
            return [value for value, kept in zip(values, step.get_support(), strict=True) if kept]
        if isinstance(step, _IMPUTERS):
            return self._impute(step, path, values)
        if isinstance(step, _ENCODERS):
            return self._encode(step, path, values)
        if not isinstance(step, (*_SCALERS, *_LINEAR)):
            raise _refused(step, path, "it is not known to be linear in each column")
        for value in values:
            self._as_number(value, path)
        count = len(values) if isinstance(step, _SCALERS) else len(step.components_)
        return [None] * count

    def _impute(self, step: Any, path: tuple[str, ...], values: list[_Value]) -> list[_Value]:
        if not is_missing(step.missing_values):
            raise _refused(step, path, f"missing_values is {step.missing_values!r}, and only NaN or None is missing")
        if isinstance(step, MissingIndicator):
            self._flag(values)
            return [None] * len(step.features_)
        empty = [not step.keep_empty_features and is_missing(each) for each in step.statistics_]
        if step.indicator_ is not None:
            self._flag(values)
        flags = [] if step.indicator_ is None else [None] * len(step.indicator_.features_)
        return [value for value, dropped in zip(values, empty, strict=True) if not dropped] + flags

    def _flag(self, values: list[_Value]) -> None:
        for value in values:
            if value is not None:
                self.uses.setdefault(value, Use())

    def _encode(self, step: Any, path: tuple[str, ...], values: list[_Value]) -> list[_Value]:
        for value, categories in zip(values, step.categories_, strict=True):
            if value is None:
                raise _refused(step, path, "it encodes what another step computed; let it take raw columns")
            use = self.uses.setdefault(value, Use())
            use.encoded = True
            use.categories += [
                each for each in categories.tolist() if not is_missing(each) and each not in use.categories
            ]
            use.unknown &= getattr(step, "handle_unknown", "ignore") != "error"
            if use.numeric:
                raise self._both(value, step, path)
        return [None] * len(step.get_feature_names_out())

    def _as_number(self, value: _Value, path: tuple[str, ...]) -> None:
        if value is None:
            return
        use = self.uses.setdefault(value, Use())
        use.numeric = True
        if use.encoded:
            raise self._both(value, None, path)

    def _both(self, raw: int, step: Any, path: tuple[str, ...]) -> PipelineError:
        return _refused(step, path, f"column {self._names[raw]!r} is used both as a number and by its categories")


def _positions(columns: Any, count: int, names: list[str]) -> list[int]:
    """The positions that ``columns`` of a `ColumnTransformer` select, of ``count`` columns that may have ``names``."""
    if isinstance(columns, slice):
        start = names.index(columns.start) if isinstance(columns.start, str) else columns.start
        stop = names.index(columns.stop) + 1 if isinstance(columns.stop, str) else columns.stop
        return list(range(count))[start : stop : columns.step]
    listed = [columns] if isinstance(columns, (str, int)) else list(columns)
    if listed and all(isinstance(each, (bool, np.bool_)) for each in listed):
        return [index for index, chosen in enumerate(listed) if chosen]
    return [names.index(each) if isinstance(each, str) else range(count)[each] for each in listed]


def is_missing(value: Any) -> bool:
    """Whether ``value`` is None, NaN or pandas' NA."""
    return value is None or type(value).__name__ == "NAType" or bool(value != value)  # noqa: PLR0124 - NaN


def _refused(step: Any, path: tuple[str, ...], reason: str) -> PipelineError:
    where = f"step {' → '.join(map(repr, path))}" if path else "the pipeline"
    kind = f" ({type(step).__name__})" if step is not None else ""
    return PipelineError(
        f"{where}{kind} cannot be part of the graph: {reason}; steps that can are {FOLDABLE}; or fit "
        "TableClassifier or TableRegressor, which take raw columns"
    )
