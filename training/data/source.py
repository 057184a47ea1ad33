"""A data set by the word it was asked for with."""

from __future__ import annotations

import difflib
from contextlib import nullcontext
from pathlib import Path

from training.data import bundled, fashion_mnist
from training.data.dataset import Dataset
from training.data.images import arrays, picture_folder
from training.data.images.picture_folder import Watch
from training.data.tables import table_file
from training.data.tables.reader import SUFFIXES
from training.data.tables.table_file import Choices
from training.errors import DataError, OptionError


def load(
    word: str,
    data_dir: Path | None = None,
    choices: Choices | None = None,
    image_size: tuple[int, int] | None = None,
    watch: Watch = lambda pictures, _count: nullcontext(pictures),
) -> Dataset:
    """The data set called ``word``, or what is in the file or the folder of that path: a table, or images.

    ``data_dir`` has the files of a data set that comes as files; ``choices`` say what a table's columns are; pictures
    are brought to ``image_size``, height and width, and ``watch`` sees them come. Raises `DataError`, and `OptionError`
    for choices that do not fit.
    """
    choices, path = choices or Choices(), Path(word)
    if data_dir is not None and word != fashion_mnist.NAME:
        raise OptionError(f"--data-dir is where {fashion_mnist.NAME}'s files are, and {word!r} takes none")
    named = word == fashion_mnist.NAME or word in bundled.LOADERS
    if image_size is not None and (named or not path.is_dir()):
        raise OptionError(f"--image-size is for a folder of pictures of your own, and {word!r} is none")
    if path.suffix.lower() in SUFFIXES:
        return table_file.load(path, choices)
    if choices != Choices():
        raise OptionError(
            "--target, --task, --categorical, --drop, --missing, --decimal and --thousands are for a table of your own "
            f"({', '.join(SUFFIXES)}), and {word!r} is none"
        )
    if word == fashion_mnist.NAME:
        return fashion_mnist.load(data_dir)
    if word in bundled.LOADERS:
        return bundled.load(word)
    if path.suffix.lower() == arrays.SUFFIX:
        return arrays.load(path)
    if path.is_dir():
        return picture_folder.load(path, image_size, watch)
    names = [fashion_mnist.NAME, *bundled.LOADERS]
    nearest = difflib.get_close_matches(word, names, n=1)
    remedy = (
        f"did you mean {nearest[0]}?"
        if nearest
        else f"there are: {', '.join(names)}, and what is yours: a table ({', '.join(SUFFIXES)}), arrays of images "
        f"({arrays.SUFFIX}), or a folder of pictures"
    )
    raise DataError(f"unknown data set {word!r}; {remedy}")
