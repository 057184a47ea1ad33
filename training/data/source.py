"""A data set by the word it was asked for with."""

from __future__ import annotations

import difflib
from pathlib import Path

from training.data import bundled, fashion_mnist
from training.data.dataset import Dataset
from training.errors import DataError


def load(word: str, data_dir: Path | None = None) -> Dataset:
    """The data set called ``word``; ``data_dir`` has the files of one that comes as files. Raises `DataError`."""
    if word == fashion_mnist.NAME:
        return fashion_mnist.load(data_dir)
    if word in bundled.LOADERS:
        return bundled.load(word)
    names = [fashion_mnist.NAME, *bundled.LOADERS]
    nearest = difflib.get_close_matches(word, names, n=1)
    remedy = f"did you mean {nearest[0]}?" if nearest else f"there are: {', '.join(names)}"
    raise DataError(f"unknown data set {word!r}; {remedy}")
