"""Reads labelled rows of an .npz file, as numpy.savez writes it, in batches."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from service.errors import InvalidInput
from service.inference.columns import FLOAT32_MAX
from service.inference.steps import finish
from service.manifest import CLASSIFICATION, Label, Manifest
from service.models.command import CommandError
from service.models.labelled_rows import Batch, Skipped, View, batch_rows
from service.models.stored_array import NUMBERS, StoredArray

# The arrays of rows and targets. The others are those that training on images reads.
_PAIRS: Final = (("inputs", "targets"), ("test_images", "test_labels"), ("images", "labels"))
_LABELS: Final = "biufU"
_UNKNOWN: Final = -1


def batches(path: Path, views: Sequence[View], manifest: Manifest, skipped: Skipped) -> Iterator[Batch]:
    """The rows of an .npz file that have a target and that every view takes; the others are counted in ``skipped``.

    Raises `CommandError` if the file has no arrays that fit. Nothing is unpickled, and memory does not grow with the
    file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield from _batches(path, archive, views, manifest, skipped)
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror or error}; give a CSV or .npz file") from error
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
        raise CommandError(f"{path} is not a file of numpy.savez ({error}); save it again") from error


def _batches(
    path: Path, archive: zipfile.ZipFile, views: Sequence[View], manifest: Manifest, skipped: Skipped
) -> Iterator[Batch]:
    members = {name.removesuffix(".npy") for name in archive.namelist()}
    pair = next((pair for pair in _PAIRS if members.issuperset(pair)), None)
    if pair is None:
        raise CommandError(f"{path} has {', '.join(sorted(members)) or 'no arrays'}, expected inputs and targets")
    with ExitStack() as opened:
        files = [opened.enter_context(archive.open(f"{name}.npy")) for name in pair]
        inputs, targets = (StoredArray(path, name, file) for name, file in zip(pair, files, strict=True))
        _check(path, inputs, targets, views, manifest)
        find = _Labels(manifest) if manifest.task == CLASSIFICATION else _numbers
        size, first = batch_rows(views[0].schema.width), 0
        while first < inputs.rows:
            count = min(size, inputs.rows - first)
            rows, found = inputs.read(count).reshape(count, -1), find(targets.read(count))
            good = _known(found, first, skipped)
            parts = [_checked(view, rows, first, good, skipped) for view in views]
            if good.any():
                yield Batch(tuple(part[good] for part in parts), found[good])
            first += count


def _check(path: Path, inputs: StoredArray, targets: StoredArray, views: Sequence[View], manifest: Manifest) -> None:
    """Raise `CommandError` unless shapes and dtypes fit the models."""
    for array in (inputs, targets):
        if not array.rows:
            raise CommandError(f"{path}: {array.name} has shape {array.shape}, expected one or more rows")
    inputs.check_inputs(views[0].schema)
    columns = len(manifest.targets)
    fits = (columns == 1 and targets.shape == (inputs.rows,)) or targets.shape == (inputs.rows, columns)
    kinds = _LABELS if manifest.task == CLASSIFICATION else NUMBERS
    if not fits or targets.dtype.kind not in kinds:
        what = "labels" if manifest.task == CLASSIFICATION else "numbers"
        expected = (inputs.rows,) if columns == 1 else (inputs.rows, columns)
        raise CommandError(
            f"{path}: {targets.name} is {targets.dtype} of shape {targets.shape}, expected {what} of shape {expected}"
        )


class _Labels:
    """Finds the indices of labels, `_UNKNOWN` for others."""

    def __init__(self, manifest: Manifest) -> None:
        self._indices: dict[Label, int] = {label: index for index, label in enumerate(manifest.classes)}

    def __call__(self, labels: NDArray[Any]) -> NDArray[np.int64]:
        """Indices (rows,) of labels (rows,) or (rows, 1)."""
        distinct, places = np.unique(labels.reshape(-1), return_inverse=True)
        return np.array([self._indices.get(each, _UNKNOWN) for each in distinct.tolist()], np.int64)[places]


def _numbers(targets: NDArray[Any]) -> NDArray[np.float64]:
    """Targets (rows, targets) float64."""
    return targets.reshape(len(targets), -1).astype(np.float64)


def _known(targets: NDArray[Any], first: int, skipped: Skipped) -> NDArray[np.bool_]:
    """Which rows have a target."""
    known: NDArray[np.bool_]
    if targets.dtype == np.int64:
        known = targets != _UNKNOWN
        reason = "with a target that the models do not know"
    else:
        known = (np.abs(targets) <= FLOAT32_MAX).all(axis=1)  # NaN compares false
        reason = "without a finite target"
    if lacking := int((~known).sum()):
        skipped.add(reason, f"row {first + int(np.argmin(known))}", lacking)
    return known


def _checked(view: View, rows: NDArray[Any], first: int, good: NDArray[np.bool_], skipped: Skipped) -> NDArray[Any]:
    """``rows`` (rows, features) as the network takes them. Rows that the view rejects are removed from ``good``."""
    try:
        return _take(view, rows)
    except InvalidInput:
        pass
    result = np.zeros(rows.shape, np.float64)
    for row in np.flatnonzero(good).tolist():
        try:
            result[row] = _take(view, rows[row : row + 1])[0]
        except InvalidInput as error:
            skipped.add(f"rejected by {view.title}", error.fault.detail.replace("row 0", f"row {first + row}", 1))
            good[row] = False
    return result


def _take(view: View, rows: NDArray[Any]) -> NDArray[Any]:
    checked = view.schema.checked(rows.reshape(len(rows), *view.schema.shape))
    return checked if isinstance(checked, np.ndarray) else finish(checked)
