"""A data set by its name, and what is said where there is none of that name."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.data import bundled, source
from training.data.tables import Choices
from training.errors import DataError, OptionError

NAMES = "fashion-mnist, digits, iris, wine, breast_cancer, diabetes"


@pytest.mark.parametrize("name", bundled.LOADERS)
def test_a_bundled_set_comes_by_its_name(name: str) -> None:
    dataset = source.load(name)
    assert dataset.inputs.shape == (len(dataset.targets), len(dataset.columns))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("fashionmnist", "unknown data set 'fashionmnist'; did you mean fashion-mnist?"),
        ("cifar", f"unknown data set 'cifar'; there are: {NAMES}, and your own files (.csv, .tsv, .parquet)"),
    ],
)
def test_an_unknown_name_is_answered_with_the_known_ones(word: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        source.load(word)
    assert str(caught.value) == message


def test_choices_for_what_they_do_not_fit_are_refused() -> None:
    with pytest.raises(OptionError, match="--data-dir is where fashion-mnist's files are, and 'iris' takes none"):
        source.load("iris", Path())
    with pytest.raises(OptionError, match="are for a table of your own"):
        source.load("iris", choices=Choices(targets=("class",)))
