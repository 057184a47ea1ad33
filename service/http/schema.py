"""What rows a model takes, and the checks that hold however the rows came."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.artifact import Manifest
from service.errors import Fault, InvalidInput

FLOAT32_MAX: Final = float(np.finfo(np.float32).max)
_FEW_VALUES: Final = 8192


@dataclass(frozen=True, slots=True)
class Schema:
    """The ``shape`` a row may be nested to, its features' names, how many rows at most, and raw bodies' dtypes."""

    shape: tuple[int, ...]
    features: tuple[str, ...]
    max_rows: int
    raw_dtypes: tuple[str, ...] = ("float32",)
    width: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "width", len(self.features))

    @classmethod
    def of(cls, manifest: Manifest, max_rows: int) -> Schema:
        """The schema of a published model."""
        names = tuple(feature.name for feature in manifest.features)
        dtypes = ("float32", "uint8") if manifest.input_dtype == "uint8" else ("float32",)
        return cls(manifest.input_shape, names, max_rows, dtypes)

    def check_count(self, rows: int) -> None:
        """`InvalidInput` for no rows, or more than are taken at once."""
        if rows == 0:
            raise InvalidInput(Fault("there are zero rows; send one or more"))
        if rows > self.max_rows:
            detail = f"there are {rows} rows, and at most {self.max_rows} are taken; send several requests"
            raise InvalidInput(Fault(detail))

    def check_value(self, row: int, feature: str, value: object) -> None:
        """`InvalidInput` for what is no finite number that float32 holds."""
        fault = _fault_of(value)
        if fault is not None:
            raise InvalidInput(Fault(f"row {row}, feature {feature!r} is {fault}", row=row, feature=feature))


def fits_float32(values: NDArray[Any]) -> bool:
    """Whether all of ``values`` (n,) are surely finite as float32; False where they are not, or it takes a closer look.

    For a few rows one product tells as much as two reductions: no value is larger than the root of the sum of squares.
    For many, BLAS would start threads.
    """
    if len(values) <= _FEW_VALUES:
        return float(np.vdot(values, values)) <= FLOAT32_MAX**2  # NaN compares false
    return bool(np.maximum.reduce(values) <= FLOAT32_MAX and np.minimum.reduce(values) >= -FLOAT32_MAX)


def kind_of(value: object) -> str:
    """What a JSON value is, in words."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str):
        return f"the text {value!r:.60}"
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list) else "a number"


def _fault_of(value: object) -> str | None:
    if value is None:
        return "null, and the model allows no missing value; send a number"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"{kind_of(value)}, expected a number"
    if isinstance(value, float) and not math.isfinite(value):
        return f"{'NaN' if math.isnan(value) else 'infinite'}, expected a finite number"
    return None if abs(value) <= FLOAT32_MAX else "larger than float32 holds, expected at most 3.4e38"
