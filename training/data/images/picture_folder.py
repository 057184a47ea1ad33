"""A folder of pictures of your own: a folder for each class in it, or such folders in its ``train`` and ``test``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from training.data.dataset import Dataset
from training.data.images import dataset
from training.data.kind import DataKind, DataOption, Track, untracked
from training.errors import DataError, OptionError

SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".pgm")
Pixels = NDArray[np.uint8]

_SPLIT: Final = ["test", "train"]
_LARGEST: Final = 128  # pixels of an edge that nobody chose: a photograph's would make a network of gigabytes
_GREY: Final = "L"
_TAKEN: Final = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "CMYK", "YCbCr", "HSV", "LAB"})
_LISTED: Final = 3
_MAX_EDGE_PIXELS: Final = 1024


def load(folder: Path, size: tuple[int, int] | None, track: Track = untracked) -> Dataset:
    """The pictures in ``folder``, grey and brought to ``size`` (height, width); the folders' names are the labels.

    Without a ``size`` all have to be of the same. Raises `DataError` where a file cannot be read, or nothing can be
    learned from what is there.
    """
    split = _folders(folder) == _SPLIT
    train = _pictures(folder / "train" if split else folder)
    test = _pictures(folder / "test") if split else []
    paths = [*train, *test]
    with _pool() as pool, track(pool.map(partial(_read, size=size), paths), len(paths)) as read:
        pixels = np.stack(list(_alike(read, paths, size)))
    strangers = _strangers(folder, set(paths))
    return dataset.dataset_of(
        folder,
        pixels,
        np.array([path.parent.name for path in paths]),
        test_rows=len(test),
        source={"pictures": len(paths)},
        notes=(_left_out(strangers),) if strangers else (),
    )


@contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    """Threads that do not read the rest first where one picture is refused."""
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
    """Those of each class in ``folder``, in the order of their names."""
    names = _folders(folder)
    if not names:
        raise DataError(f"{folder} has no folders, expected one for each class, with its pictures in it")
    found = []
    for name in names:
        paths = sorted(path for path in (folder / name).iterdir() if _is_picture(path))
        if not paths:
            raise DataError(
                f"{folder / name} has no pictures ({' '.join(SUFFIXES)}); bring some, or take the folder away"
            )
        found += paths
    return found


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _read(path: Path, size: tuple[int, int] | None) -> Pixels:
    """One picture, upright, grey, of that size where there is one: uint8 (height, width)."""
    try:
        with Image.open(path) as image:
            if size is not None:
                image.draft(_GREY, (max(size), max(size)))  # a JPEG can be read smaller than it is, many times faster
            if image.mode not in _TAKEN:
                raise DataError(f"{path} has pixels of kind {image.mode!r}, expected 8 bits each; convert it")
            grey = _grey(path, ImageOps.exif_transpose(image))
            if size is not None:
                grey = grey.resize((size[1], size[0]), Image.Resampling.BILINEAR)
            return np.asarray(grey)
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} is no picture that can be read ({error}); mend it, or take it away") from error


def _grey(path: Path, image: Image.Image) -> Image.Image:
    """As it looks on a white page, which is what shows through where it is transparent, in grey."""
    if not image.has_transparency_data:
        return image.convert(_GREY)
    drawn = image.convert("RGBA")
    grey = Image.alpha_composite(Image.new("RGBA", drawn.size, "white"), drawn).convert(_GREY)
    opacity = drawn.getchannel("A").getextrema()
    if grey.getextrema() == (255, 255) and opacity[0] != opacity[1]:
        raise DataError(f"{path} is a white drawing on nothing, of which no white page shows anything; put it on black")
    return grey


def _alike(pictures: Iterable[Pixels], paths: list[Path], size: tuple[int, int] | None) -> Iterator[Pixels]:
    """The ``pictures``, as long as they are of the first one's size, and that is none too large."""
    expected = size
    for picture, path in zip(pictures, paths, strict=True):
        height, width = picture.shape
        expected = expected or (height, width)
        if (height, width) != expected:
            raise DataError(
                f"{path} is {height} x {width} pixels (height x width) and {paths[0]} {expected[0]} x {expected[1]}, "
                "expected one size for all; bring them to one with --image-size HEIGHT WIDTH"
            )
        if size is None and max(expected) > _LARGEST:
            raise DataError(
                f"{path} is {height} x {width} pixels, a lot for a perceptron; bring all to fewer with --image-size, "
                "such as: --image-size 28 28"
            )
        yield picture


def _strangers(folder: Path, taken: set[Path]) -> list[Path]:
    """Files that somebody may believe to be learned from, and are not, as seen from ``folder``."""
    others = (path for path in sorted(folder.rglob("*")) if path.is_file() and path not in taken)
    return [path for path in (each.relative_to(folder) for each in others) if not any(p[0] == "." for p in path.parts)]


def _left_out(strangers: list[Path]) -> str:
    more = f" and {len(strangers) - _LISTED} more" if len(strangers) > _LISTED else ""
    listed = ", ".join(map(str, strangers[:_LISTED]))
    return f"left out, as they are no pictures ({' '.join(SUFFIXES)}) in the folder of a class: {listed}{more}"


def _image_size(given: Sequence[int]) -> tuple[int, int]:
    height, width = given
    if not (1 <= height <= _MAX_EDGE_PIXELS and 1 <= width <= _MAX_EDGE_PIXELS):
        raise OptionError(f"--image-size is {height} {width}, expected 1 to {_MAX_EDGE_PIXELS:,} each")
    return height, width


KIND: Final = DataKind(
    description="a folder of pictures",
    load=lambda path, options, track: load(Path(path), options["image_size"], track),
    folders=True,
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
    options_help="one folder per class; pictures are converted to greyscale",
)
