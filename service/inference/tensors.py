"""Named, typed tensors, as in the Open Inference Protocol: how they fill a model's rows, and which ones it has.

A model takes one tensor of all columns, or one tensor per column, by the column's name. Numeric tensors are read like
arrays (a category is its code, a date is days, NaN is missing), BYTES like the strings of JSON rows.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.errors import Fault, InvalidInput
from service.inference.columns import Boolean, Category, Column, DateTime, number_or_type
from service.inference.row_faults import FirstBadRow
from service.inference.schema import Schema
from service.inference.steps import Steps
from service.manifest import CLASSIFICATION, Manifest

BYTES: Final = "BYTES"
BOOL: Final = "BOOL"
# Little-endian, as the protocol sends them. BOOL is a byte, 0 or 1.
DTYPES: Final[Mapping[str, np.dtype[Any]]] = MappingProxyType(
    {
        BOOL: np.dtype("u1"),
        **{f"UINT{8 * size}": np.dtype(f"<u{size}") for size in (1, 2, 4, 8)},
        **{f"INT{8 * size}": np.dtype(f"<i{size}") for size in (1, 2, 4, 8)},
        **{f"FP{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
    }
)
# The datatype of each dtype that a model's inputs or outputs have.
DATATYPE_OF: Final = {"uint8": "UINT8", "float32": "FP32", "float64": "FP64"}
INPUT: Final = "inputs"
IGNORED: Final = -1
PROBABILITIES: Final = "probabilities"
PREDICTION: Final = "prediction"
LABEL: Final = "label"

_MAX_AXES: Final = 32
_SHOWN: Final = 20
# What is assembled at once, without pausing.
_STEP_VALUES: Final = 8192


class Tensor(NamedTuple):
    """A tensor's description; in one of a model, -1 in ``shape`` stands for the rows."""

    name: str
    datatype: str
    shape: tuple[int, ...]


class Layout(NamedTuple):
    """How the tensors of a request fill its rows.

    ``columns`` has the index of each tensor's column, and `IGNORED` for one that the model does not need; it is None if
    one tensor has all columns.
    """

    rows: int
    columns: tuple[int, ...] | None


def inputs_of(manifest: Manifest, schema: Schema) -> tuple[Tensor, ...]:
    """The tensors that a model asks for: one of all columns if all are numbers, else one per column."""
    number = DATATYPE_OF[manifest.input_dtype]
    if not any(isinstance(column, Category | Boolean | DateTime) for column in schema.columns):
        return (Tensor(INPUT, number, (-1, *schema.shape)),)
    return tuple(Tensor(column.name, _datatype(column, number), (-1, 1)) for column in schema.columns)


def outputs_of(manifest: Manifest) -> tuple[Tensor, ...]:
    """The tensors that a model answers."""
    if manifest.task != CLASSIFICATION:
        return (Tensor(PREDICTION, DATATYPE_OF[manifest.output_dtype], (-1, len(manifest.targets))),)
    return (
        Tensor(PROBABILITIES, "FP32", (-1, len(manifest.classes))),
        Tensor(PREDICTION, "INT64", (-1,)),
        Tensor(LABEL, BYTES, (-1,)),
    )


def layout(given: Sequence[Tensor], schema: Schema) -> Layout:
    """How the ``given`` tensors fill the rows of a request. Raises `InvalidInput` unless they describe complete rows.

    A single tensor of any name may have all columns, with the shape (rows, features) or (rows, *shape). A tensor of one
    column has the shape (rows,) or (rows, 1). A column whose values may be missing may be left out.
    """
    if not given:
        raise InvalidInput(Fault(f"there are no inputs; {_expected(schema)}"))
    rows = _rows(given[0], schema)
    only = given[0]
    is_whole = only.shape[1:] in ((schema.width,), schema.shape)
    if len(given) == 1 and (is_whole or only.name not in schema.names):
        if not is_whole and (schema.width > 1 or len(only.shape) > 1):
            detail = f"input {only.name!r:.60} has shape {shape_text(only.shape)}, {_expected(schema)}"
            raise InvalidInput(Fault(detail))
        _check_datatype(only, schema, None)
        return Layout(rows, None)
    return Layout(rows, _columns(given, rows, schema))


def rows_at_once(tensor: Tensor, values: NDArray[Any], schema: Schema) -> NDArray[Any] | Steps[NDArray[Any]]:
    """The rows (rows, features) of the tensor that has all columns; steps if checking its ``values`` takes long.

    ``values`` (n,) have the tensor's dtype, or are the float64 numbers of its JSON. Raises `InvalidInput`.
    """
    if tensor.datatype == BOOL and values.size and values.max() > 1:
        raise _no_boolean(tensor)
    rows = values.reshape(-1, schema.width)
    if schema.fits(values):
        return rows
    return rows if tensor.datatype == BYTES else schema.checked_in_steps(rows)


def rows_of_columns(
    given: Sequence[Tensor], values: Sequence[NDArray[Any]], found: Layout, schema: Schema, faults: FirstBadRow
) -> Steps[NDArray[Any]]:
    """The rows (rows, features) of one tensor per column. Columns that were left out are missing values.

    ``faults`` are those of the strings. Raises `InvalidInput` with all errors of the first bad row.
    """
    assert found.columns is not None  # noqa: S101 - else there is one tensor of all columns
    rows = np.full((found.rows, schema.width), np.nan)
    trusted = np.zeros(schema.width, np.bool_)
    step_columns = max(1, _STEP_VALUES // found.rows)
    for count, (index, tensor, column) in enumerate(zip(found.columns, given, values, strict=True), 1):
        if tensor.datatype == BOOL and column.size and column.max() > 1:
            raise _no_boolean(tensor)
        if index != IGNORED:
            rows[:, index] = column
            trusted[index] = tensor.datatype == BYTES
        if count % step_columns == 0:
            yield
    try:
        rows = yield from schema.checked_in_steps(rows, trusted=trusted)
    except InvalidInput as error:
        if error.brief.row is None:
            raise
        faults.add(error.brief.row, error)
    faults.check()
    return rows


def converter(tensor: Tensor, index: int | None, schema: Schema, faults: FirstBadRow) -> Callable[[int, object], float]:
    """What turns the JSON value at an index of ``tensor`` into a number; ``index`` is that of its column.

    A tensor that is ignored is read as zeros. So are strings that do not fit their column, which are added to
    ``faults``. The function raises `InvalidInput` for a value that is not of the tensor's datatype.
    """
    if index == IGNORED:
        return lambda _at, _value: 0.0
    return _of_numbers(tensor) if tensor.datatype != BYTES else _of_texts(tensor, index, schema, faults)


def _of_texts(tensor: Tensor, index: int | None, schema: Schema, faults: FirstBadRow) -> Callable[[int, object], float]:
    columns, width = schema.columns, schema.width

    def of_text(at: int, value: object) -> float:
        if value is not None and not isinstance(value, str):
            raise _wrong_value(tensor, at, value)
        row, column = divmod(at, width) if index is None else (at, index)
        if faults.skips(row):
            return 0.0
        try:
            return columns[column].number(row, value)
        except InvalidInput as error:
            faults.add(row, error)
            return 0.0

    return of_text


def _of_numbers(tensor: Tensor) -> Callable[[int, object], float]:
    def of_number(at: int, value: object) -> float:
        if value is None:
            return math.nan
        if not isinstance(value, int | float) or (isinstance(value, bool) and tensor.datatype != BOOL):
            raise _wrong_value(tensor, at, value)
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf

    return of_number


def as_declared(tensor: Tensor, values: NDArray[np.float64]) -> Steps[NDArray[np.float64]]:
    """The numbers (n,) of a JSON tensor as its datatype holds them; NaN is a missing value in all datatypes.

    Raises `InvalidInput` for one that is not an integer, or out of range.
    """
    dtype = DTYPES[tensor.datatype]
    if dtype.kind == "f" and tensor.datatype != "FP16":
        return values  # the network rounds to FP32
    low, high = (0, 1) if tensor.datatype == BOOL else _range_of(dtype)
    declared = np.empty_like(values) if dtype.kind == "f" else values
    for first in range(0, len(values), _STEP_VALUES):
        if first:
            yield
        part = values[first : first + _STEP_VALUES]
        fits = ((low <= part) & (part <= high)) | np.isnan(part)
        if dtype.kind == "f":
            with np.errstate(over="ignore"):
                declared[first : first + _STEP_VALUES] = part.astype(dtype)
        else:
            fits &= (part == np.rint(part)) | np.isnan(part)
        if not fits.all():
            at = int(np.argmin(fits))
            raise _wrong_value(tensor, first + at, part[at].item())
    return declared


def _range_of(dtype: np.dtype[Any]) -> tuple[float, float]:
    info = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    return float(info.min), float(info.max)


def _datatype(column: Column, number: str) -> str:
    if isinstance(column, Category | DateTime):
        return BYTES
    return BOOL if isinstance(column, Boolean) else number


def _rows(tensor: Tensor, schema: Schema) -> int:
    shape = tensor.shape
    if not shape or len(shape) > _MAX_AXES or min(shape) < 0:
        raise InvalidInput(Fault(f"input {tensor.name!r:.60} has shape {shape_text(shape)}, {_expected(schema)}"))
    schema.check_count(shape[0])
    return shape[0]


def _columns(given: Sequence[Tensor], rows: int, schema: Schema) -> tuple[int, ...]:
    place = {name: index for index, name in enumerate(schema.names)}
    found: dict[int, str] = {}
    places: list[int] = []
    for tensor in given:
        index = IGNORED if tensor.name in schema.ignored else place.get(tensor.name)
        if index is None:
            near = difflib.get_close_matches(tensor.name[:60], list(place)[:200], n=1)
            hint = f"did you mean {near[0]!r:.60}?" if near else _expected(schema)
            raise InvalidInput(Fault(f"there is an unknown input {tensor.name!r:.60}; {hint}"))
        if index in found:
            raise InvalidInput(Fault(f"input {tensor.name!r:.60} is sent twice; send it once"))
        places.append(index)
        if tensor.shape not in ((rows,), (rows, 1)):
            detail = f"input {tensor.name!r:.60} has shape {shape_text(tensor.shape)}, expected [{rows}] or [{rows}, 1]"
            raise InvalidInput(Fault(f"{detail}, as the first input has {rows} rows"))
        if index == IGNORED:
            _check_known(tensor)
        else:
            _check_datatype(tensor, schema, schema.columns[index])
            found[index] = tensor.name
    for index, column in enumerate(schema.columns):
        if index not in found and not column.missing:
            raise InvalidInput(Fault(f"there is no input {column.name!r:.60}; {_expected(schema)}"))
    if not found:
        raise InvalidInput(Fault(f"there is no input of a feature; {_expected(schema)}"))
    return tuple(places)


def _check_datatype(tensor: Tensor, schema: Schema, column: Column | None) -> None:
    """Raise `InvalidInput` for an unknown datatype, or one that cannot hold the values of a column apart."""
    _check_known(tensor)
    datatype = tensor.datatype
    wide = "float32" not in schema.raw_dtypes and not isinstance(column, Category | Boolean)
    if wide and datatype in ("FP16", "FP32"):
        detail = f"input {tensor.name!r:.60} has datatype {datatype}, which cannot hold this model's values apart"
        raise InvalidInput(Fault(f"{detail}; send FP64, or an integer datatype"))


def _check_known(tensor: Tensor) -> None:
    if tensor.datatype != BYTES and tensor.datatype not in DTYPES:
        detail = f"input {tensor.name!r:.60} has datatype {tensor.datatype!r:.40}"
        raise InvalidInput(Fault(f"{detail}, expected one of {', '.join(DTYPES)}, {BYTES}"))


def _wrong_value(tensor: Tensor, at: int, value: object) -> InvalidInput:
    detail = f"input {tensor.name!r:.60}, value {at} is {number_or_type(value)}, which is no {tensor.datatype}"
    return InvalidInput(Fault(detail))


def _no_boolean(tensor: Tensor) -> InvalidInput:
    return InvalidInput(Fault(f"input {tensor.name!r:.60} has a byte that is neither 0 nor 1, expected BOOL"))


def _expected(schema: Schema) -> str:
    nested = f" or [rows, {', '.join(map(str, schema.shape))}]" if len(schema.shape) > 1 else ""
    one = f"expected one input of shape [rows, {schema.width}]{nested}"
    if schema.width > _SHOWN:
        return f"{one}, or one per feature, of shape [rows]"
    return f"{one}, or one of shape [rows] for each of {', '.join(repr(name)[:60] for name in schema.names)}"


def shape_text(shape: Sequence[int]) -> str:
    """A shape for messages; a client may send one of many dimensions."""
    return f"{list(shape[:8])!s:.60}"
