"""A data set by the word it was asked for with."""

from __future__ import annotations

import difflib
from pathlib import Path

from training.data import bundled, fashion_mnist, tables
from training.data.dataset import Dataset
from training.data.reading import SUFFIXES
from training.data.tables import Choices
from training.errors import DataError, OptionError


def load(word: str, data_dir: Path | None = None, choices: Choices | None = None) -> Dataset:
    """The data set called ``word``, or the table in the file of that path.

    ``data_dir`` has the files of a data set that comes as files; ``choices`` say what a table's columns are. Raises
    `DataError`, and `OptionError` for choices that do not fit.
    """
    choices = choices or Choices()
    if data_dir is not None and word != fashion_mnist.NAME:
        raise OptionError(f"--data-dir is where {fashion_mnist.NAME}'s files are, and {word!r} takes none")
    if Path(word).suffix.lower() in SUFFIXES:
        return tables.load(Path(word), choices)
    if choices != Choices():
        raise OptionError(
            f"--target, --task, --categorical and --drop are for a table of your own ({', '.join(SUFFIXES)}), and "
            f"{word!r} is none"
        )
    if word == fashion_mnist.NAME:
        return fashion_mnist.load(data_dir)
    if word in bundled.LOADERS:
        return bundled.load(word)
    names = [fashion_mnist.NAME, *bundled.LOADERS]
    nearest = difflib.get_close_matches(word, names, n=1)
    remedy = (
        f"did you mean {nearest[0]}?"
        if nearest
        else f"there are: {', '.join(names)}, and your own files ({', '.join(SUFFIXES)})"
    )
    raise DataError(f"unknown data set {word!r}; {remedy}")
