"""What rows a model takes, and the checks that hold however the rows came."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.errors import Fault, InvalidInput
from service.http import columns
from service.http.columns import FLOAT32_MAX, Column
from service.http.slices import Steps
from service.manifest import Manifest

_FEW_VALUES: Final = 8192
_STEP_VALUES: Final = 32_768


@dataclass(frozen=True, slots=True)
class Schema:
    """The ``shape`` a row may be nested to, its columns, how many rows at most, and raw bodies' dtypes.

    ``numeric`` says that all columns are of numbers, so that JSON's numbers stand for themselves.
    """

    shape: tuple[int, ...]
    columns: tuple[Column, ...]
    max_rows: int
    raw_dtypes: tuple[str, ...] = ("float32",)
    width: int = field(init=False)
    names: dict[str, None] = field(init=False)  # in order, and quick to look one up
    numeric: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "width", len(self.columns))
        object.__setattr__(self, "names", dict.fromkeys(column.name for column in self.columns))
        object.__setattr__(self, "numeric", all(type(column) is Column for column in self.columns))

    @classmethod
    def of(cls, manifest: Manifest, max_rows: int) -> Schema:
        """The schema of a published model."""
        dtypes = ("float32", "uint8") if manifest.input_dtype == "uint8" else ("float32",)
        return cls(manifest.input_shape, tuple(map(columns.of, manifest.features)), max_rows, dtypes)

    def check_count(self, rows: int) -> None:
        """`InvalidInput` for no rows, or more than are taken at once."""
        if rows == 0:
            raise InvalidInput(Fault("there are zero rows; send one or more"))
        if rows > self.max_rows:
            detail = f"there are {rows} rows, and at most {self.max_rows} are taken; send several requests"
            raise InvalidInput(Fault(detail))

    def checked(self, rows: NDArray[Any]) -> NDArray[Any] | Steps[NDArray[Any]]:
        """``rows`` (rows, *shape) as (rows, features) if its columns take all their numbers, or steps that come to it.

        `InvalidInput`, now or in a step, for the first number that its column does not take.
        """
        if self.numeric and rows.flags.c_contiguous and (rows.dtype.kind != "f" or fits_float32(rows.reshape(-1))):
            return rows.reshape(-1, self.width)
        return self._checked_in_steps(rows)

    def _checked_in_steps(self, rows: NDArray[Any]) -> Steps[NDArray[Any]]:
        lowest, highest, whole, missing = np.array(
            [(column.lowest, column.highest, column.whole, column.missing) for column in self.columns]
        ).T
        result = np.empty((len(rows), self.width), rows.dtype if self.numeric else np.float64)
        step_rows = max(1, _STEP_VALUES // self.width)
        for first in range(0, len(rows), step_rows):
            if first:
                yield
            part = rows[first : first + step_rows].reshape(-1, self.width)
            with np.errstate(invalid="ignore"):
                numbers = part.astype(np.float64) * 1.0  # makes a signalling NaN one like others, of which nobody warns
                taken = (lowest <= numbers) & (numbers <= highest) & ((whole == 0) | (numbers == np.rint(numbers)))
                taken |= np.isnan(numbers) & (missing == 1)
                result[first : first + len(part)] = numbers
            if not taken.all():
                row, column = divmod(int(np.argmin(taken)), self.width)
                raise self.columns[column].refusal(first + row, float(numbers[row, column]))
        return result


def fits_float32(values: NDArray[Any]) -> bool:
    """Whether all of ``values`` (n,) are surely finite as float32; False where they are not, or it takes a closer look.

    For a few rows one product tells as much as two reductions: no value is larger than the root of the sum of squares.
    For many, BLAS would start threads.
    """
    if len(values) <= _FEW_VALUES:
        return float(np.vdot(values, values)) <= FLOAT32_MAX**2  # NaN compares false
    return bool(np.maximum.reduce(values) <= FLOAT32_MAX and np.minimum.reduce(values) >= -FLOAT32_MAX)
