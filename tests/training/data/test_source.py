"""A data set by its name, and what is said where there is none of that name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from training.data import bundled, source
from training.data.tables.table_file import Choices
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
        (
            "cifar",
            f"unknown data set 'cifar'; there are: {NAMES}, and what is yours: a table (.csv, .tsv, .parquet), arrays "
            "of images (.npz), or a folder of pictures",
        ),
    ],
)
def test_an_unknown_name_is_answered_with_the_known_ones(word: str, message: str) -> None:
    with pytest.raises(DataError) as caught:
        source.load(word)
    assert str(caught.value) == message


def test_images_of_ones_own_come_by_their_path(tmp_path: Path) -> None:
    pixels = np.zeros((2, 3, 4), np.uint8)
    with (tmp_path / "mine.NPZ").open("wb") as file:
        np.savez(file, images=pixels, labels=["a", "b"])
    for name in ("a", "b"):
        (tmp_path / "digits" / name).mkdir(parents=True)
        Image.fromarray(pixels[0]).save(tmp_path / "digits" / name / "1.png")
    assert source.load(str(tmp_path / "mine.NPZ")).shape == (3, 4)
    assert source.load(str(tmp_path / "digits")).shape == (3, 4)
    assert source.load(str(tmp_path / "digits"), image_size=(2, 2)).shape == (2, 2)


def test_choices_for_what_they_do_not_fit_are_refused() -> None:
    with pytest.raises(OptionError, match="--data-dir is where fashion-mnist's files are, and 'iris' takes none"):
        source.load("iris", Path())
    with pytest.raises(OptionError, match="are for a table of your own"):
        source.load("iris", choices=Choices(targets=("class",)))
    for word in ("iris", "mine.npz", "houses.csv"):
        with pytest.raises(OptionError, match=f"--image-size is for a folder of pictures of your own, and '{word}' is"):
            source.load(word, image_size=(2, 2))
