"""Load images from numpy arrays in an ``.npz`` file."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Dataset
from training.data.images import dataset
from training.data.kind import DataKind
from training.errors import DataError

_TEST: Final = ("test_images", "test_labels")
_NAMES: Final = ("images", "labels", *_TEST)
_LABEL_DTYPES: Final = "biuU"  # booleans, integers, strings
_MAX_BYTES: Final = 4 * 2**30


def load(path: Path, max_bytes: int = _MAX_BYTES) -> Dataset:
    """Load ``images`` (rows, height, width) uint8 and ``labels`` (rows,), booleans, integers or strings.

    ``test_images`` and ``test_labels``, if present, are the test split. Nothing is unpickled. Raises `DataError`, also
    if compressed arrays expand to more than ``max_bytes``: a small file may expand to more than a machine holds.
    """
    arrays = _read(path, max_bytes)
    parts = [_part(path, arrays, "images", "labels")]
    if any(name in arrays for name in _TEST):
        parts.append(_part(path, arrays, *_TEST))
        if len({part[0].shape[1:] for part in parts}) > 1:
            shapes = " and ".join(str(part[0].shape) for part in parts)
            raise DataError(f"{path} has images and test_images of shapes {shapes}, expected the same height and width")
    return dataset.dataset_of(
        path,
        np.concatenate([part[0] for part in parts]),
        np.concatenate([part[1] for part in parts]),
        test_rows=len(parts[1][0]) if len(parts) > 1 else 0,
        source={},
    )


def _read(path: Path, max_bytes: int) -> dict[str, NDArray[Any]]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error
    try:
        if zipfile.is_zipfile(io.BytesIO(content)) and _unpacked_bytes(content) > max(max_bytes, 2 * len(content)):
            raise DataError(f"{path} is larger than {max_bytes:,} bytes when decompressed; save it with numpy.savez")
        file = np.load(io.BytesIO(content), allow_pickle=False)
        arrays = {name: file[name] for name in getattr(file, "files", ())}  # an .npy file has none
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path} is not a file of numpy.savez ({error}); save it again") from error
    except MemoryError as error:  # also of a damaged header
        raise DataError(f"{path} has arrays that do not fit into memory ({error}); save fewer images") from error
    if set(arrays) - set(_NAMES) or set(_NAMES[:2]) - set(arrays):
        raise DataError(
            f"{path} has {', '.join(arrays) or 'no named arrays'}, expected images and labels, and optionally "
            "test_images and test_labels"
        )
    return arrays


def _unpacked_bytes(archive: bytes) -> int:
    with zipfile.ZipFile(io.BytesIO(archive)) as file:
        return sum(item.file_size for item in file.infolist())


def _part(
    path: Path, arrays: dict[str, NDArray[Any]], images_name: str, labels_name: str
) -> tuple[NDArray[np.uint8], NDArray[Any]]:
    """Return images (rows, height, width) and their labels, validated."""
    for name in (images_name, labels_name):
        if name not in arrays:
            raise DataError(f"{path} has no {name}, expected both {images_name} and {labels_name}")
    pixels, labels = arrays[images_name], arrays[labels_name]
    if pixels.ndim == 4 and pixels.shape[3] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim != 3 or not pixels.size:
        raise DataError(
            f"{path}: {images_name} has shape {pixels.shape}, expected (rows, height, width) with one channel"
        )
    if pixels.dtype != np.uint8:
        raise DataError(
            f"{path}: {images_name} is {pixels.dtype}, expected uint8 from 0 to 255; convert values from 0 to 1 with "
            "(images * 255).round().astype('uint8')"
        )
    if labels.shape != (len(pixels),) or labels.dtype.kind not in _LABEL_DTYPES:
        raise DataError(
            f"{path}: {labels_name} is {labels.dtype} with shape {labels.shape}, expected an integer or a string for "
            f"each of the {len(pixels):,} rows of {images_name}"
        )
    return pixels, labels


KIND: Final = DataKind(
    description="image arrays (.npz)",
    load=lambda path, _options, _track: load(Path(path)),
    suffixes=(".npz",),
)
