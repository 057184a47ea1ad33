"""Columns that are read by rules of their own: in the manifest, at serving, and when versions are compared."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from service import artifact
from service.cells import MARKS, Cells
from service.errors import InvalidInput
from service.inference import columns
from service.manifest import Feature, format_of
from service.models.comparable import differences
from tests.service.errors import artifact_error
from tests.service.published import rewrite

MONEY = Cells((*MARKS, "refused"), (), ",", ".", symbols=True)
PRICE = Feature("price", "numeric", True, (), False, 1.0, 1.0, 0.0, 9.0, cells=MONEY)
OWN = json.loads(json.dumps({"missing_numbers": ["NA"], "missing_texts": [], "decimal": ",", "thousands": "."}))


def test_column_is_read_by_its_own_rules() -> None:
    column = columns.of(PRICE, Cells())
    assert column.number(0, "1.234,50 €") == column.cell(0, "1.234,50 €") == 1234.5
    assert column.number(0, 1234.5) == 1234.5
    assert column.number(0, "refused") != column.number(0, "refused")  # NaN
    with pytest.raises(InvalidInput):
        column.number(0, "1234.50")
    with pytest.raises(InvalidInput):
        columns.of(replace(PRICE, cells=None), Cells()).number(0, "1.234,50 €")


def test_a_number_in_another_unit_is_no_number() -> None:
    column = columns.of(replace(PRICE, cells=Cells(symbols=True, units=("kg", "kilograms"))), Cells())
    for text in ("12.5 kg", "12.5kg", "12.5 kilograms", "12.5"):
        assert column.number(0, text) == column.cell(0, text) == 12.5
    with pytest.raises(InvalidInput) as caught:
        column.number(0, "12.5 lb")
    assert str(caught.value) == "row 0, feature 'price' is the string '12.5 lb', expected a number in kg"


def test_older_releases_refuse_a_manifest_that_they_would_misread() -> None:
    assert format_of([PRICE]) == 2
    assert format_of([replace(PRICE, cells=None)]) == 1


def test_a_record_has_what_its_kind_of_column_needs() -> None:
    when = replace(PRICE, kind="datetime", cells=None, format="year-month")
    assert format_of([when]) == 2
    assert not {"format", "has_time"} & PRICE.to_record().keys()
    assert "cells" not in when.to_record()
    assert {"format", "has_time", "cells"} <= replace(when, cells=Cells()).to_record().keys()


def test_rules_are_read_back_from_the_manifest(version_dir: Path) -> None:
    rewrite(version_dir, lambda document: document["features"][0].update(cells=OWN))
    manifest = artifact.read_manifest(version_dir)
    assert manifest.features[0].cells == Cells(("NA",), (), ",", ".")
    assert manifest.features[1].cells is None
    written = json.loads(manifest.to_json())
    assert written["features"][0]["cells"] == OWN | {"symbols": False, "units": [], "multiples": False}
    assert "cells" not in written["features"][1]


@pytest.mark.parametrize(
    "change", [{"decimal": "."}, {"thousands": "_"}, {"missing_numbers": [" NA"]}, {"units": ["-"]}]
)
def test_unsound_rules_are_refused(version_dir: Path, change: dict[str, Any]) -> None:
    rewrite(version_dir, lambda document: document["features"][0].update(cells=OWN | change))
    assert "'cells' is " in artifact_error(artifact.read_manifest, version_dir)
    rewrite(version_dir, lambda document: document["features"][0].pop("cells"))
    rewrite(version_dir, lambda document: document.update(target_cells={document["targets"][0]: OWN | change}))
    assert "'target_cells' is " in artifact_error(artifact.read_manifest, version_dir)


def test_versions_with_other_marks_cannot_be_compared(version_dir: Path) -> None:
    manifest = artifact.read_manifest(version_dir)
    first, *others = manifest.features
    own = replace(manifest, features=(replace(first, cells=MONEY), *others))
    assert differences(own, own, encoded=False) == []
    assert f"the decimal marks of feature {first.name!r} are '.' and ','" in differences(manifest, own, encoded=False)
