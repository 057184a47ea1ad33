"""Images and their labels, however they were read, as a data set: of one size, grey, a byte a pixel."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Column, Dataset, labels_of, plain_name, text_of
from training.errors import DataError

_LISTED: Final = 10


def pixels(height: int, width: int) -> tuple[Column, ...]:
    """The features of an image, row by row."""
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
    """``images`` (rows, height, width) and ``labels`` (rows,) of ``path``; the last ``test_rows`` are the test split.

    Raises `DataError` where the test split has a class that the others have not.
    """
    height, width = images.shape[1:]
    found, targets = np.unique(labels, return_inverse=True)
    known = labels_of(found)
    names = tuple(map(text_of, known))
    unknown = np.setdiff1d(labels, labels[: len(labels) - test_rows])
    if len(unknown):
        raise DataError(
            f"{path} has class {str(unknown[0])!r} in its test split alone; put some of its images with the others"
        )
    digest = hashlib.sha256(repr((images.shape, names)).encode())
    for array in (images, targets):
        digest.update(np.ascontiguousarray(array).data)
    listed = ", ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
    return Dataset(
        name=plain_name(path.resolve().stem, otherwise="images"),
        inputs=images.reshape(len(images), -1),
        targets=targets.astype(np.int64),
        labels=known,
        columns=pixels(height, width),
        target_names=("class",),
        shape=(height, width),
        test_rows=test_rows,
        source={"name": path.resolve().name, "sha256": digest.hexdigest(), **source},
        notes=(f"{len(images):,} images of {height} x {width} pixels, {len(names)} classes ({listed})", *notes),
    )
