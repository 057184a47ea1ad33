"""The card's paragraph on values that training never saw."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from training.data.dataset import Column, Dataset
from training.release.unseen_values import paragraph


def run(columns: tuple[Column, ...], inputs: Any) -> Any:
    rows = np.array(inputs, np.float32)
    source = {"name": "people.csv", "dropped": ["id", "left"]}
    targets = np.arange(len(rows)) % 2
    dataset = Dataset("people", rows, targets, ("no", "yes"), columns, ("left",), (len(columns),), source=source)
    return SimpleNamespace(dataset=dataset, split=SimpleNamespace(train=np.arange(len(rows))))


def test_it_lists_the_defaults_and_what_is_ignored() -> None:
    columns = (
        Column("size"),
        Column("age", missing=True),
        Column("member", "boolean"),
        Column("city", "categorical", categories=("Köln", "Rome")),
        Column("job", "categorical", categories=("cook",), other=True),
    )
    assert paragraph(run(columns, [[1, np.nan, 1, 1, 0], [2.5, 7, 0, 1, 1]])) == (
        "Training saw no missing values in these features. The server refuses rows without them, or with an unknown "
        "category; with `--unseen-values impute` it answers with these defaults instead, and says so in the response: "
        "size (1.75), member (50% true), city ('Rome'), job (the rare categories). Values of 'age' may be missing: "
        "training saw such rows. The target and dropped columns are ignored when they are sent: 'left', 'id'."
    )


def test_it_is_short_for_many_features() -> None:
    columns = tuple(Column(f"f{index}") for index in range(500))
    found = paragraph(run(columns, np.zeros((2, 500))))
    assert "f19 (0) and 480 more, see `metadata.json`." in found
    assert len(found) < 1000
