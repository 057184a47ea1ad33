"""Values that a client left out, or that training never saw, where the model's defaults stand for them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.imputed import Imputed
from service.inference.columns import UNKNOWN
from service.inference.schema import Schema, fits_float32
from service.inference.steps import Steps

_STEP_VALUES: Final = 32_768


def impute(rows: NDArray[Any], schema: Schema, imputed: Imputed) -> NDArray[Any]:
    """``rows`` (rows, features) with defaults for missing and unknown values, counted in ``imputed``.

    A value that is missing where training saw such values stays NaN, and an unknown one becomes NaN there.
    """
    assert schema.defaults is not None  # noqa: S101 - else nothing is imputed
    if rows.dtype.kind != "f" or (rows.flags.c_contiguous and fits_float32(rows.reshape(-1))):
        return rows
    unknown = rows == UNKNOWN
    missing = np.isnan(rows) & ~np.isnan(schema.defaults)
    replaced = unknown | missing
    if not replaced.any():
        return rows
    imputed.missing += int(missing.sum())
    imputed.unknown += int(unknown.sum())
    imputed.rows += int(replaced.any(axis=1).sum())
    counts = replaced.sum(axis=0)
    for index in np.flatnonzero(counts).tolist():
        name = schema.columns[index].name
        imputed.by_column[name] = imputed.by_column.get(name, 0) + int(counts[index])
    return np.where(replaced, schema.defaults, rows)


def impute_in_steps(rows: NDArray[Any], schema: Schema, imputed: Imputed) -> Steps[NDArray[Any]]:
    """The same for many rows."""
    step_rows = max(1, _STEP_VALUES // schema.width)
    if len(rows) <= step_rows:
        return impute(rows, schema, imputed)
    parts = []
    for first in range(0, len(rows), step_rows):
        parts.append(impute(rows[first : first + step_rows], schema, imputed))
        yield
    return np.concatenate(parts) if imputed.rows else rows


def is_large(rows: NDArray[Any]) -> bool:
    """Whether `impute` would take long."""
    return rows.size > _STEP_VALUES
