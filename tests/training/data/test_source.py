"""Data sets are found by name or path; unknown ones and options of another kind are rejected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.training.data import numbered
from tests.training.data.errors import message_of
from training.data import bundled, source

NAMES = "fashion-mnist, digits, iris, wine, breast_cancer, diabetes"


TABLE = (
    "a table (.csv, .tsv, .txt, .tab, .data, .parquet, .pq, .feather, .arrow, .arrows, .ipc, .json, .jsonl, .ndjson, "
    ".xlsx, .xlsm, .xlsb, .xls, .ods, also compressed, or a folder of .parquet)"
)


@pytest.mark.parametrize("name", bundled.NAMES)
def test_bundled_set_is_loaded_by_name(name: str) -> None:
    dataset = source.load(name)
    assert dataset.inputs.shape == (len(dataset.targets), len(dataset.columns))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("fashionmnist", "unknown data set 'fashionmnist'; did you mean fashion-mnist?"),
        (
            "cifar",
            f"unknown data set 'cifar'; expected one of {NAMES}; or a path: {TABLE}, image arrays (.npz), a folder of "
            "pictures",
        ),
    ],
)
def test_unknown_data_set_is_rejected_with_the_known_names(data: str, message: str) -> None:
    assert message_of(source.load, data) == message


def test_images_are_loaded_by_path(tmp_path: Path) -> None:
    pixels = np.zeros((2, 3, 4), np.uint8)
    with (tmp_path / "mine.NPZ").open("wb") as file:
        np.savez(file, images=pixels, labels=["a", "b"])
    for name in ("a", "b"):
        (tmp_path / "digits" / name).mkdir(parents=True)
        Image.fromarray(pixels[0]).save(tmp_path / "digits" / name / "1.png")
    assert source.load(str(tmp_path / "mine.NPZ")).shape == (3, 4)
    assert source.load(str(tmp_path / "digits")).shape == (3, 4)
    assert source.load(str(tmp_path / "digits"), {"image_size": (2, 2)}).shape == (2, 2)


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ("iris", {"data_dir": Path()}, "--data-dir can only be used with fashion-mnist, which 'iris' is not"),
        (
            "iris",
            {"targets": ("class",), "decimal": ","},
            f"--target, --decimal can only be used with {TABLE}, which 'iris' is not",
        ),
        *(
            (
                data,
                {"image_size": (2, 2)},
                f"--image-size can only be used with a folder of pictures, which {data!r} is not",
            )
            for data in ("iris", "mine.npz", "houses.csv", "nowhere")
        ),
    ],
)
def test_option_of_another_kind_is_rejected(data: str, options: dict[str, Any], message: str) -> None:
    assert message_of(source.load, data, options) == message


def test_option_with_its_default_value_is_accepted_for_any_kind() -> None:
    source.load("iris", {"task": "auto"})


def test_new_kind_is_loaded_suggested_and_has_its_options() -> None:
    kinds = (*source.KINDS, numbered.KIND)
    assert len(source.load("numbered", kinds=kinds).inputs) == 10
    assert len(source.load("numbered", {"rows": 4}, kinds=kinds).inputs) == 4
    assert message_of(source.load, "numberd", kinds=kinds).endswith("; did you mean numbered?")
    assert message_of(source.load, "iris", {"rows": 4}, kinds=kinds) == (
        "--rows can only be used with rows that count up, which 'iris' is not"
    )
