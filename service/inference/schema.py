"""The rows that a model accepts, and the checks that apply to every encoding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.errors import Fault, InvalidInput
from service.inference import columns
from service.inference.columnar import CellColumnar, Columnar
from service.inference.columns import FLOAT32_MAX, Boolean, Category, Column, Pixel
from service.inference.row_faults import MOST_ERRORS, RowFaults, of_row
from service.inference.steps import Steps
from service.manifest import Feature, Manifest

_UINT8: Final = np.dtype(np.uint8)  # numpy has one object of it
_FEW_VALUES: Final = 8192
_STEP_VALUES: Final = 32_768
_NUMBERS: Final = (Column, Pixel)
_RAW_DTYPES: Final = {"float32": ("float32",), "uint8": ("float32", "uint8"), "float64": ("float64",)}


class _Bits(NamedTuple):
    """The bits of a dtype's 1 and of its brightest pixel, as unsigned integers of ``dtype``."""

    dtype: np.dtype[Any]
    one: int
    brightest: int

    @classmethod
    def of(cls, number: type[np.floating[Any]], unsigned: type[np.unsignedinteger[Any]]) -> _Bits:
        one, brightest = np.array([1, Pixel.highest], number).view(unsigned).tolist()
        return cls(np.dtype(unsigned), one, brightest)


_BITS: Final = {"f": _Bits.of(np.float32, np.uint32), "d": _Bits.of(np.float64, np.uint64)}


@dataclass(frozen=True, slots=True)
class Schema:
    """The ``shape`` that a row may be nested to, its columns, the most rows of a request, and the dtypes of raw bodies.

    ``raw_dtypes`` is float64 alone if float32 cannot tell the values of a column apart: rows that were rounded to
    float32 before they were sent would get wrong answers unnoticed. ``numeric`` says that all columns are numbers, so
    that JSON numbers need no encoding. ``brightest`` is the largest pixel in the training data of an image model, else
    None. ``ignored`` are names of other columns that clients may send: those of the target, and those that training
    dropped. ``defaults`` (features,) float64 stand for missing and unknown values where training saw none, and are NaN
    for columns without one; None if no value is imputed. ``short`` are the features that float32 can hold although
    ``raw_dtypes`` is float64 alone.
    """

    shape: tuple[int, ...]
    columns: tuple[Column, ...]
    max_rows: int
    raw_dtypes: tuple[str, ...] = ("float32",)
    brightest: float | None = None
    ignored: frozenset[str] = frozenset()
    defaults: NDArray[np.float64] | None = field(default=None, compare=False)
    short: frozenset[str] = frozenset()
    width: int = field(init=False)
    names: dict[str, None] = field(init=False)  # ordered, with fast lookup
    numeric: bool = field(init=False)
    nulls: dict[str, None] = field(init=False)  # for the features that a row by name may leave out
    by_name: Columnar = field(init=False, compare=False, repr=False)  # reads rows that are objects
    by_position: Columnar = field(init=False, compare=False, repr=False)  # reads rows that are lists
    of_cells: CellColumnar = field(init=False, compare=False, repr=False)  # reads lists of cells of a text table

    def __post_init__(self) -> None:
        object.__setattr__(self, "width", len(self.columns))
        object.__setattr__(self, "names", dict.fromkeys(column.name for column in self.columns))
        object.__setattr__(self, "numeric", all(type(column) in _NUMBERS for column in self.columns))
        object.__setattr__(self, "nulls", dict.fromkeys(column.name for column in self.columns if column.missing))
        object.__setattr__(self, "by_name", Columnar(self.columns, [column.name for column in self.columns]))
        object.__setattr__(self, "by_position", self.by_name.placed(range(self.width)))
        object.__setattr__(self, "of_cells", CellColumnar(self.columns, range(self.width)))

    @classmethod
    def of(cls, manifest: Manifest, max_rows: int, *, impute: bool = False) -> Schema:
        """The schema of a published model whose requests may have ``max_rows`` rows.

        With ``impute`` it also accepts missing and unknown values where training saw none, if there is a default.
        """
        pixels, features = manifest.input_dtype == "uint8", manifest.features
        imputes = impute and not pixels
        return cls(
            manifest.input_shape,
            tuple(columns.of(feature, manifest.cells, pixels=pixels, impute=imputes) for feature in features),
            max_rows,
            _RAW_DTYPES[manifest.input_dtype],
            max(feature.max for feature in features) if pixels else None,
            manifest.ignored_columns,
            _defaults(features) if imputes else None,
            frozenset(feature.name for feature in features if feature.float32),
        )

    def takes_float32(self, column: Column) -> bool:
        """Whether float32 can hold the values of a column apart."""
        coded = isinstance(column, Category | Boolean)
        return coded or "float32" in self.raw_dtypes or column.name in self.short

    @property
    def most_keys(self) -> int:
        """How many names of columns a table may have at most that the model knows."""
        return self.width + len(self.ignored)

    def check_count(self, rows: int) -> None:
        """Raise `InvalidInput` for zero rows, or more than a request may have."""
        if rows == 0:
            raise InvalidInput(Fault("there are zero rows; send one or more"))
        if rows > self.max_rows:
            detail = f"there are {rows} rows, expected at most {self.max_rows}; send several requests"
            raise InvalidInput(Fault(detail))

    def fits(self, values: NDArray[Any]) -> bool:
        """Whether all of ``values`` (n,) are certainly valid; False if only `checked_in_steps` can tell.

        Raises `InvalidInput` if all pixels of a request are scaled to lie from 0 to 1, as other networks want them.
        """
        if self.brightest is None:
            return self.numeric and (values.dtype.kind != "f" or fits_float32(values))
        if values.dtype is _UINT8 or _surely_pixels(values):
            return True
        brightest = np.maximum.reduce(values)
        if not (brightest <= Pixel.highest and np.minimum.reduce(values) >= Pixel.lowest):  # NaN compares false
            return False
        if brightest <= 1 < self.brightest and not (values == np.rint(values)).all():
            raise InvalidInput(
                Fault(
                    "all pixels are fractions from 0 to 1, and the model was trained on pixels from 0 to "
                    f"{self.brightest:g}; send them as they are in the image (multiply by 255)"
                )
            )
        return True

    def checked(self, rows: NDArray[Any], faults: RowFaults | None = None) -> NDArray[Any] | Steps[NDArray[Any]]:
        """``rows`` (rows, *shape) as (rows, features); steps if checking them takes long.

        Raises `InvalidInput`, now or in a step, for the first number that its column does not accept; with ``faults``
        they are added there instead, and their rows become zeros.
        """
        if rows.flags.c_contiguous and self.fits(rows.reshape(-1)):
            return rows.reshape(-1, self.width)
        return self.checked_in_steps(rows, faults)

    def checked_in_steps(
        self, rows: NDArray[Any], faults: RowFaults | None = None, *, trusted: NDArray[np.bool_] | None = None
    ) -> Steps[NDArray[Any]]:
        """The same, by checking each value, apart from the columns that are ``trusted`` (features,)."""
        lowest, highest, whole, missing = np.array(
            [(column.lowest, column.highest, column.whole, column.missing) for column in self.columns]
        ).T
        result = np.empty((len(rows), self.width), rows.dtype if self.numeric else np.float64)
        step_rows = max(1, _STEP_VALUES // self.width)
        for first in range(0, len(rows), step_rows):
            if first:
                yield
            part = rows[first : first + step_rows].reshape(-1, self.width)
            with np.errstate(invalid="ignore", over="ignore"):
                numbers = part.astype(np.float64) * 1.0  # the product quiets signalling NaNs, which would warn
                self._mark_missing(part, numbers)
                taken = (lowest <= numbers) & (numbers <= highest) & ((whole == 0) | (numbers == np.rint(numbers)))
                taken |= np.isnan(numbers) & (missing == 1)
                if trusted is not None:
                    taken |= trusted
                result[first : first + len(part)] = numbers
            if not taken.all():
                self._reject(first, numbers, taken, faults)
                result[first : first + len(part)][~taken.all(axis=1)] = 0
        self.check_pixels(result)
        return result

    def _reject(
        self, first: int, numbers: NDArray[np.float64], taken: NDArray[np.bool_], faults: RowFaults | None
    ) -> None:
        """Raise `InvalidInput` for the first of the ``numbers`` (rows, features) that is not ``taken``, or note all."""
        rows = np.flatnonzero(~taken.all(axis=1)).tolist()
        for index, row in enumerate(rows):
            if faults is not None and faults.full:
                faults.add_unexplained(first + each for each in rows[index:])
                return
            bad = np.flatnonzero(~taken[row])[: MOST_ERRORS if self.brightest is None else 1].tolist()
            error = of_row([self.columns[each].error(first + row, float(numbers[row, each])) for each in bad])
            if faults is None:
                raise error
            faults.add(first + row, error)

    def _mark_missing(self, rows: NDArray[Any], numbers: NDArray[np.float64]) -> None:
        """Write NaN into ``numbers`` wherever ``rows`` (rows, features) have a sentinel for a missing value."""
        for index, column in enumerate(self.columns):
            if column.sentinels:
                marks = np.array(sorted(column.sentinels)).astype(rows.dtype if rows.dtype.kind == "f" else np.float64)
                numbers[np.isin(rows[:, index], marks), index] = np.nan

    def check_pixels(self, rows: NDArray[Any]) -> None:
        """Raise `InvalidInput` if ``rows`` (rows, features) are images whose pixels were scaled."""
        if self.brightest is not None:
            self.fits(rows.reshape(-1))


def _defaults(features: Sequence[Feature]) -> NDArray[np.float64]:
    return np.array([math.nan if each.missing or each.default is None else each.default for each in features])


def _surely_pixels(values: NDArray[Any]) -> bool:
    """Whether ``values`` (n,) are from 0 to 255, and one is above 1. False if that is not certain."""
    bits = _BITS.get(values.dtype.char) if values.dtype.isnative else None
    if bits is None:
        return False
    # As unsigned integers, the bits of IEEE 754 numbers from 0 on have the order of the numbers, and those of negative
    # ones and of NaN are larger. One search is half the time of two, and for few values a third of a reduction.
    numbers = values.view(bits.dtype)
    largest: int = numbers.item(numbers.argmax())
    return bits.one < largest <= bits.brightest


def fits_float32(values: NDArray[Any]) -> bool:
    """Whether all of ``values`` (n,) are certainly finite as float32. False if that is not certain.

    For few values, one product is faster than two reductions: no value is larger than the root of the sum of squares.
    For many, BLAS would start threads.
    """
    if len(values) <= _FEW_VALUES:
        return float(np.vdot(values, values)) <= FLOAT32_MAX**2  # NaN compares false
    return float(np.maximum.reduce(values)) <= FLOAT32_MAX and float(np.minimum.reduce(values)) >= -FLOAT32_MAX
