"""One column of an Arrow table to the numbers of a model's column: the same as of the same values in JSON."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service import dates
from service.errors import BodyTooLarge, Fault, InvalidInput, MalformedBody
from service.inference.columns import Boolean, Category, Column, DateTime
from service.inference.row_faults import FirstBadRow, RowFaults
from service.inference.schema import Schema

# The most values that are remembered of a column of strings, and their longest.
_REMEMBERED: Final = 10_000
_REMEMBERED_CHARS: Final = 128
# No category is so long. Longer strings are counted as often as they occur: each can be the whole body.
_LONG_CHARS: Final = 1024
# Of Arrow's longest decimal numbers. A stream can claim any, and then one number would take gigabytes.
_MOST_DECIMALS: Final = 76
_VIEW_BYTES: Final = 16
_PER_DAY: Final = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": dates.NANOSECONDS}


def check_type(name: str, arrow_type: Any, column: Column, schema: Schema) -> None:
    """Raise `InvalidInput` if no value of ``arrow_type`` can be one of a feature's."""
    from pyarrow import types  # noqa: PLC0415 - an extra

    inner = arrow_type.value_type if types.is_dictionary(arrow_type) else arrow_type
    if isinstance(column, DateTime):
        _check_date_type(name, arrow_type, inner, column)
        return
    is_decimal = types.is_decimal(inner) and abs(inner.scale) <= _MOST_DECIMALS
    is_number = types.is_integer(inner) or types.is_floating(inner) or is_decimal
    is_text = types.is_string(inner) or types.is_large_string(inner) or types.is_string_view(inner)
    is_time = types.is_temporal(inner) and not types.is_interval(inner)  # an interval has no text
    is_written = isinstance(column, Category) and is_time and getattr(inner, "tz", None) is None
    if not (is_number or is_text or is_written or types.is_boolean(inner) or types.is_null(inner)):
        detail = f"column {name!r} has the type {str(arrow_type)!s:.60}, expected numbers, booleans or strings"
        raise InvalidInput(Fault(f"{detail}; convert it first", feature=name))
    is_short = types.is_float16(inner) or types.is_float32(inner)
    if is_short and "float32" not in schema.raw_dtypes and not isinstance(column, Boolean | Category):
        detail = f"column {name!r} has the type {inner}, which cannot hold this model's values apart"
        raise InvalidInput(Fault(f"{detail}; make it float64 or int64 from the start", feature=name))


def _check_date_type(name: str, arrow_type: Any, inner: Any, column: DateTime) -> None:
    from pyarrow import types  # noqa: PLC0415 - an extra

    is_text = types.is_string(inner) or types.is_large_string(inner) or types.is_string_view(inner)
    is_digits = column.form in dates.INTEGERS and (types.is_integer(inner) or types.is_floating(inner))
    fits = types.is_time(inner) if column.form == "time" else types.is_date(inner) or types.is_timestamp(inner)
    if not (is_text or is_digits or fits or types.is_null(inner)):
        wanted = "times or strings" if column.form == "time" else "timestamps, dates or strings"
        detail = f"column {name!r} has the type {str(arrow_type)!s:.60}, expected {wanted}"
        raise InvalidInput(Fault(f"{detail}; convert it first", feature=name))


class LongStrings:
    """Counts the long strings of a stream, which may have ``most_chars`` together.

    Arrow's views and dictionaries can name the same text in every row, so that a short stream says gigabytes.
    """

    def __init__(self, most_chars: float) -> None:
        self._most_chars = most_chars
        self._in_views = self._in_rows = 0

    def count_views(self, array: Any) -> None:
        """Count the strings of an Arrow ``array``, or of its dictionary, if they are views. Raises `BodyTooLarge`.

        To validate them in full would take as long as to read them.
        """
        from pyarrow import types  # noqa: PLC0415 - an extra

        if types.is_dictionary(array.type):
            array = array.dictionary
        if not types.is_string_view(array.type) or not len(array):
            return
        lengths = np.frombuffer(array.buffers()[1], np.int32)[:: _VIEW_BYTES // 4]
        valid = array.is_valid().to_numpy(zero_copy_only=False)
        found = lengths[array.offset : array.offset + len(array)][valid]
        self._in_views += int(found[found > _LONG_CHARS].sum(dtype=np.int64))
        self._check(self._in_views)

    def counted(self, value: Any) -> Any:
        """Return the value of a row, which is counted if it is a long string. Raises `BodyTooLarge`."""
        if type(value) is str and len(value) > _LONG_CHARS:
            self._in_rows += len(value)
            self._check(self._in_rows)
        return value

    def _check(self, chars: int) -> None:
        if chars > self._most_chars:
            raise BodyTooLarge(
                f"the long strings of the Arrow stream have more than {self._most_chars} characters, counted as often "
                "as they occur; send shorter ones"
            )


class ColumnReader:
    """Reads the arrays of one column, some rows after the other. Bad values are 0, and in ``faults``.

    ``strings`` are counted over all columns of a stream; None allows any.
    """

    def __init__(self, column: Column, faults: RowFaults | FirstBadRow, strings: LongStrings | None = None) -> None:
        self._column = column
        self._faults = faults
        self._strings = strings or LongStrings(math.inf)
        self._known: dict[str, float] = {}
        self._marks = np.array(sorted(column.sentinels), np.float64)

    def numbers(self, array: Any, first: int) -> NDArray[np.float64]:
        """The numbers of an Arrow ``array`` (rows,) that begins at row ``first``. Raises `InvalidInput`."""
        from pyarrow import types  # noqa: PLC0415 - an extra

        if types.is_boolean(array.type) and type(self._column) is Boolean and not array.null_count:
            result: NDArray[np.float64] = array.to_numpy(zero_copy_only=False).astype(np.float64)
            return result
        if types.is_dictionary(array.type) and types.is_temporal(array.type.value_type):
            array = array.dictionary_decode()
        if types.is_temporal(array.type):
            if isinstance(self._column, DateTime):
                return self._of_ticks(array, first)
            array = array.cast("string")
        if isinstance(self._column, Category | DateTime) or not (
            types.is_integer(array.type) or types.is_floating(array.type)
        ):
            values = _listed(array, self._strings)
            return np.array([self._number(first + at, value) for at, value in enumerate(values)], np.float64)
        return self._of_numbers(array, first)

    def _of_ticks(self, array: Any, first: int) -> NDArray[np.float64]:
        """The days of dates, timestamps or times; the same as of their texts."""
        from pyarrow import types  # noqa: PLC0415 - an extra

        missing: NDArray[np.bool_] = array.is_null().to_numpy(zero_copy_only=False)
        is_short = types.is_date32(array.type) or types.is_time32(array.type)
        counted = array.cast("int32") if is_short else array
        ticks: NDArray[np.int64] = counted.cast("int64").fill_null(0).to_numpy()
        per_day = 1 if types.is_date32(array.type) else _PER_DAY[getattr(array.type, "unit", "ms")]
        numbers: NDArray[np.float64] = dates.days_of_ticks(ticks, per_day) * 1.0
        taken = (self._column.lowest <= numbers) & (numbers <= self._column.highest) & ~missing
        for row in np.flatnonzero(~taken).tolist():
            numbers[row] = self._of_bad_tick(first + row, None if missing[row] else float(numbers[row]))
        return numbers

    def _of_bad_tick(self, row: int, days: float | None) -> float:
        try:
            if days is not None:
                raise self._column.error(row, days)
            return self._column.number(row, None)
        except InvalidInput as error:
            if self._faults is None:
                raise
            self._faults.add(row, error)
            return np.nan

    def _of_numbers(self, array: Any, first: int) -> NDArray[np.float64]:
        """All at once; those that are not certainly right one by one."""
        column = self._column
        numbers: NDArray[np.float64] = array.to_numpy(zero_copy_only=False).astype(np.float64)
        with np.errstate(invalid="ignore"):
            taken = (column.lowest <= numbers) & (numbers <= column.highest)
            if column.whole:
                taken &= numbers == np.rint(numbers)
            if len(self._marks):
                taken &= ~np.isin(numbers, self._marks)
            if column.missing:
                taken |= np.isnan(numbers)
        for row in np.flatnonzero(~taken).tolist():
            numbers[row] = self._number(first + row, array[row].as_py())
        return numbers

    def _number(self, row: int, value: Any) -> float:
        if type(value) is str:
            known = self._known.get(value)
            if known is not None:
                return known
        elif isinstance(value, Decimal):
            value = int(value) if value == value.to_integral_value() else float(value)
        if self._faults.skips(row):
            return 0.0
        try:
            number = self._column.number(row, value)
        except InvalidInput as error:
            self._faults.add(row, error)
            return 0.0
        if type(value) is str and len(value) <= _REMEMBERED_CHARS and len(self._known) < _REMEMBERED:
            self._known[value] = number
        return number


def _listed(array: Any, strings: LongStrings) -> list[Any]:
    from pyarrow import types  # noqa: PLC0415 - an extra

    try:
        if types.is_dictionary(array.type):
            return _of_dictionary(array, strings)
        values: list[Any] = array.to_pylist()
    except ArithmeticError as error:  # Arrow does not check that the digits of a decimal number fit its type
        raise MalformedBody(f"the body is no Arrow stream: a value of type {array.type} has too many digits") from error
    return values


def _of_dictionary(array: Any, strings: LongStrings) -> list[Any]:
    """The values of a dictionary array, each of which is one object however often it occurs."""
    dictionary, values = array.dictionary, []
    found: dict[int | None, Any] = {None: None}
    for place in array.indices.to_pylist():
        if place not in found:
            found[place] = dictionary[place].as_py()
        values.append(strings.counted(found[place]))
    return values
