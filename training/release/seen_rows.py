"""Hashes of the rows that a version was trained on, so that the next one is compared with it on other rows.

Random splits of a table that grows differ from night to night: most test rows of one version are training rows of the
one before, which would look better on them than it is.
"""

from __future__ import annotations

import hashlib
import io
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Column, Dataset, label_string

FILE: Final = "seen-rows.npy"
# The file has 8 bytes a row, and the service copies none larger than 64 MiB.
MAX_ROWS: Final = 8_000_000
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)
_STEPS: Final = ((30, np.uint64(0xBF58476D1CE4E5B9)), (27, np.uint64(0x94D049BB133111EB)))


def file_of(dataset: Dataset, rows: NDArray[np.int64]) -> bytes | None:
    """The content of `FILE` for the ``rows`` that a network was fitted or tuned on; None for more than `MAX_ROWS`."""
    if len(rows) > MAX_ROWS:
        return None
    file = io.BytesIO()
    np.save(file, np.unique(hashes(dataset, rows)), allow_pickle=False)
    return file.getvalue()


def read(content: bytes) -> NDArray[np.uint64]:
    """The hashes in `FILE`."""
    found: NDArray[np.uint64] = np.load(io.BytesIO(content), allow_pickle=False)
    return found


def hashes(dataset: Dataset, rows: NDArray[np.int64]) -> NDArray[np.uint64]:
    """A hash of the inputs and targets of each of ``rows``, (rows,).

    Categories and labels count by name: their codes may differ from version to version.
    """
    targets = dataset.targets[rows]
    found = np.zeros(len(rows), np.uint64)
    for index, column in enumerate(dataset.columns):
        found = _mixed(found, _bits(column, dataset.inputs[rows, index]))
    if dataset.classifies:
        names = np.array([_of_text(label_string(label)) for label in dataset.labels], np.uint64)
        return _mixed(found, names[targets])
    for values in targets.T:
        found = _mixed(found, _float_bits(values))
    return found


def _bits(column: Column, values: NDArray[Any]) -> NDArray[np.uint64]:
    if column.type != "categorical":
        return _float_bits(values)
    names = np.array([*map(_of_text, column.categories), 0, 1], np.uint64)  # the last two: others, and missing
    missing = np.isnan(values)
    return names[np.where(missing, len(names) - 1, values).astype(np.int64)]


def _float_bits(values: NDArray[Any]) -> NDArray[np.uint64]:
    exact = values.astype(np.float64) + 0.0  # no negative zero
    exact[np.isnan(exact)] = np.nan  # one NaN of many
    return exact.view(np.uint64)


def _of_text(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "little")


def _mixed(found: NDArray[np.uint64], bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finalizer: https://doi.org/10.1145/2660193.2660195"""
    mixed = (found * _MULTIPLIER) ^ bits
    for shift, factor in _STEPS:
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * factor
    result: NDArray[np.uint64] = mixed ^ (mixed >> np.uint64(31))
    return result
