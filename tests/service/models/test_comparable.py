"""All reasons against a comparison are given at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from service import artifact
from service.cells import Cells
from service.manifest import Manifest
from service.models.comparable import differences
from tests.service.published import TABLE, publish


@pytest.fixture
def table(tmp_path: Path) -> Manifest:
    """The manifest of a model of a table."""
    publish(tmp_path, features=TABLE)
    return artifact.read_manifest(tmp_path / "small" / "1")


def test_alike(table: Manifest) -> None:
    other = replace(table, version=2, classes=table.classes[::-1], cells=Cells())
    assert differences(table, other, encoded=False) == []


def test_another_task(table: Manifest) -> None:
    other = replace(table, task="regression", classes=(), targets=("price",))
    assert differences(table, other, encoded=False) == ["the tasks are classification and regression"]


def test_every_difference_is_listed(table: Manifest) -> None:
    age, height, *_ = TABLE
    other = replace(
        table,
        targets=("beast",),
        classes=("ape", "bee", "dog"),
        features=(replace(age, kind="boolean"), replace(height, name="heigth"), *TABLE[2:4]),
        input_shape=(2, 2),
        cells=Cells(decimal=",", thousands="."),
    )
    assert differences(table, other, encoded=False) == [
        "the targets are 'animal' and 'beast'",
        "the labels differ: only the first has 'cat' and only the second has 'dog'",
        "the shapes of a row are (5,) and (2, 2)",
        "the features differ: only the first has 'height', 'job' and only the second has 'heigth' "
        "(renamed to 'heigth'?)",
        "feature 'age' is numeric and boolean",
        "the decimal marks of their tables are '.' and ','",
        "the thousands marks of their tables are '' and '.'",
    ]


def test_labels_of_other_types(table: Manifest) -> None:
    first, second = replace(table, classes=(0, 1)), replace(table, classes=(False, True))
    assert differences(first, second, encoded=False) == [
        "the labels differ: only the first has 0, 1 and only the second has False, True"
    ]


def test_files_need_dates_in_the_same_format(table: Manifest) -> None:
    when = replace(TABLE[1], kind="datetime", format="month-day-year")
    first, second = (
        replace(table, features=(TABLE[0], each, *TABLE[2:])) for each in (when, replace(when, format="day-month-year"))
    )
    assert differences(first, second, encoded=True) == []
    assert differences(first, second, encoded=False) == [
        "feature 'height' has dates in the formats month-day-year and day-month-year"
    ]


def test_arrays_need_the_same_codes_and_order(table: Manifest) -> None:
    other = replace(table, features=(*TABLE[:3], replace(TABLE[3], categories=("France", "Germany")), TABLE[4]))
    assert differences(table, other, encoded=False) == []
    assert differences(table, other, encoded=True) == [
        "feature 'country' has other codes for its categories; compare on a CSV file"
    ]
    swapped = replace(table, features=TABLE[::-1])
    assert differences(table, swapped, encoded=False) == []
    assert differences(table, swapped, encoded=True) == ["the features are in another order"]
