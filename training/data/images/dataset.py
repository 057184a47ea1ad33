"""A data set from greyscale images of one size, uint8, and their labels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Column, Dataset, file_name, join_names, label_string, labels_of, last_rows_test
from training.errors import DataError

_MAX_LISTED: Final = 10


def pixels(height: int, width: int) -> tuple[Column, ...]:
    """Return the columns of an image, row by row."""
    return tuple(Column(f"pixel_{row}_{column}") for row in range(height) for column in range(width))


def dataset_of(
    path: Path,
    images: NDArray[np.uint8],
    labels: NDArray[Any],
    *,
    test_rows: int,
    source: Mapping[str, Any],
    notes: tuple[str, ...] = (),
) -> Dataset:
    """Return ``images`` (rows, height, width) and ``labels`` (rows,) as a data set named after ``path``.

    The last ``test_rows`` rows are the test split. Raises `DataError` if only the test split has some class.
    """
    height, width = images.shape[1:]
    classes, targets = np.unique(labels, return_inverse=True)
    class_labels = labels_of(classes)
    names = tuple(map(label_string, class_labels))
    untrained = np.setdiff1d(labels, labels[: len(labels) - test_rows])
    if len(untrained):
        raise DataError(
            f"{path} has class {str(untrained[0])!r} only in its test split; move some of its images to training"
        )
    digest = hashlib.sha256(repr((images.shape, names)).encode())
    for array in (images, targets):
        digest.update(np.ascontiguousarray(array).data)
    listed = join_names(names, _MAX_LISTED)
    return Dataset(
        name=file_name(path.resolve().stem, default="images"),
        inputs=images.reshape(len(images), -1),
        targets=targets.astype(np.int64),
        labels=class_labels,
        columns=pixels(height, width),
        target_names=("class",),
        shape=(height, width),
        division=last_rows_test(len(images), test_rows),
        source={"name": path.resolve().name, "sha256": digest.hexdigest(), **source},
        notes=(f"{len(images):,} images of {height} x {width} pixels, {len(names)} classes ({listed})", *notes),
    )
