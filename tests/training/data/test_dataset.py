"""Labels keep their type if JSON has it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from training.data.dataset import Label, label_string, labels_of


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (np.array([0, 1]), (0, 1)),
        (np.array([-(2**53) + 1, 2**53 - 1]), (-(2**53) + 1, 2**53 - 1)),
        (np.array([0, 200], np.uint8), (0, 200)),
        (np.array([False, True]), (False, True)),
        ([True, False], (True, False)),
        (np.array([0.0, 1.0]), (0, 1)),
        (np.array([0.0, 0.5]), ("0.0", "0.5")),
        (np.array([0, 2**53]), ("0", "9007199254740992")),
        (np.array([0, 2**64 - 1], np.uint64), ("0", "18446744073709551615")),
        (np.array([0.0, np.inf]), ("0.0", "inf")),
        (np.array([0.0, np.nan]), ("0.0", "nan")),
        (np.array(["01", "1"]), ("01", "1")),
        (np.array(["a", "b"], object), ("a", "b")),
        (np.array([1, 2], object), (1, 2)),
    ],
)
def test_labels_keep_a_type_that_json_has(values: Any, labels: tuple[Label, ...]) -> None:
    found = labels_of(values)
    assert found == labels
    assert [type(label) for label in found] == [type(label) for label in labels]


def test_label_strings_are_as_in_json() -> None:
    assert [label_string(label) for label in ("a", 7, True, False)] == ["a", "7", "true", "false"]
