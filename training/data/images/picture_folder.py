"""Load a folder of pictures: one folder per class, or ``train`` and ``test`` with such folders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from service.pictures import PictureError, Pixels, Size, read
from training.data.dataset import Dataset, join_names
from training.data.images import dataset
from training.data.kind import DataKind, DataOption, Track, untracked
from training.errors import DataError, OptionError

SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".pgm")

_SPLIT: Final = ["test", "train"]
_MAX_UNRESIZED_PIXELS: Final = 128  # of an edge; a photograph's own size would make a network of gigabytes
_MAX_EDGE_PIXELS: Final = 1024
_MAX_LISTED: Final = 3


def load(folder: Path, size: Size | None, track: Track = untracked) -> Dataset:
    """Load the pictures in ``folder`` as greyscale, resized to ``size`` (height, width); folder names are the labels.

    Without ``size`` all pictures must have the same. Raises `DataError` if a picture cannot be read or the folders are
    not as expected.
    """
    split = _folders(folder) == _SPLIT
    train = _pictures(folder / "train" if split else folder)
    test = _pictures(folder / "test") if split else []
    paths = [*train, *test]
    with _pool() as pool, track(pool.map(partial(read_picture, size=size), paths), len(paths)) as pictures:
        pixels = np.stack(list(_check_sizes(pictures, paths, size)))
    ignored = _ignored_files(folder, set(paths))
    return dataset.dataset_of(
        folder,
        pixels,
        np.array([path.parent.name for path in paths]),
        test_rows=len(test),
        source={"pictures": len(paths)},
        notes=(_ignored_note(ignored),) if ignored else (),
    )


def read_picture(path: Path, size: Size | None) -> Pixels:
    """Read one picture as `service.pictures` does, greyscale, resized to ``size`` if given: (height, width) uint8.

    Raises `DataError`.
    """
    try:
        with Image.open(path) as image:
            return read(image, size)
    except PictureError as error:
        raise DataError(f"{path} {error}") from error
    except Exception as error:  # Pillow raises whatever a damaged file leads to
        raise DataError(f"{path} cannot be read as a picture ({error}); repair or remove it") from error


@contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    """Threads that skip the remaining pictures after an error."""
    pool = ThreadPoolExecutor()
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _folders(folder: Path) -> list[str]:
    try:
        return sorted(each.name for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))
    except OSError as error:
        raise DataError(f"{folder} cannot be read: {error.strerror}") from error


def _pictures(folder: Path) -> list[Path]:
    """Return the pictures of each class in ``folder``, sorted by class and name."""
    names = _folders(folder)
    if not names:
        raise DataError(f"{folder} has no folders, expected one per class, with its pictures")
    pictures = []
    for name in names:
        paths = sorted(path for path in (folder / name).iterdir() if _is_picture(path))
        if not paths:
            raise DataError(f"{folder / name} has no pictures ({' '.join(SUFFIXES)}); add some or remove the folder")
        pictures += paths
    return pictures


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _check_sizes(pictures: Iterable[Pixels], paths: list[Path], size: Size | None) -> Iterator[Pixels]:
    """Yield ``pictures``; raise `DataError` if one differs in size from the first or is too large."""
    expected = size
    for picture, path in zip(pictures, paths, strict=True):
        height, width = picture.shape
        expected = expected or (height, width)
        if (height, width) != expected:
            raise DataError(
                f"{path} is {height} x {width} pixels (height x width) and {paths[0]} {expected[0]} x {expected[1]}, "
                "expected one size for all; resize them with --image-size HEIGHT WIDTH"
            )
        if size is None and max(expected) > _MAX_UNRESIZED_PIXELS:
            raise DataError(
                f"{path} is {height} x {width} pixels, expected at most {_MAX_UNRESIZED_PIXELS} per edge; resize all, "
                "such as with --image-size 28 28"
            )
        yield picture


def _ignored_files(folder: Path, pictures: set[Path]) -> list[Path]:
    """Return visible files that are not among ``pictures``, relative to ``folder``."""
    others = (path for path in sorted(folder.rglob("*")) if path.is_file() and path not in pictures)
    return [path for path in (each.relative_to(folder) for each in others) if not any(p[0] == "." for p in path.parts)]


def _ignored_note(ignored: list[Path]) -> str:
    names = join_names(tuple(map(str, ignored)), _MAX_LISTED)
    return f"ignored, not pictures ({' '.join(SUFFIXES)}) in a class folder: {names}"


def _image_size(given: Sequence[int]) -> Size:
    height, width = given
    if not (1 <= height <= _MAX_EDGE_PIXELS and 1 <= width <= _MAX_EDGE_PIXELS):
        raise OptionError(f"--image-size is {height} {width}, expected 1 to {_MAX_EDGE_PIXELS:,} each")
    return height, width


KIND: Final = DataKind(
    description="a folder of pictures",
    load=lambda path, options, track: load(Path(path), options["image_size"], track),
    folders=lambda _path: True,
    options=(
        DataOption(
            "image_size",
            "--image-size",
            "resize all pictures, in pixels (default: keep their size)",
            type=int,
            nargs=2,
            metavar=("HEIGHT", "WIDTH"),
            convert=_image_size,
        ),
    ),
    options_help="one folder per class; pictures are converted to grayscale",
)
