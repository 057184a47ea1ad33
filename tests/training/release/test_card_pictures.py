"""Which pictures a card has."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training import small
from training.release import card_pictures


@pytest.mark.parametrize(
    ("most", "names"), [(2, ["confusion.png", "reliability.png"]), (1, ["reliability.png"])], ids=["few", "many"]
)
def test_a_confusion_matrix_is_drawn_of_few_classes(
    most: int, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(card_pictures, "MAX_CONFUSED", most)
    dataset = small.sides(20)
    outputs = [np.full((20, 2), 0.5, np.float32), np.zeros(20, np.int64)]
    drawn = card_pictures.of_classes(outputs, dataset.targets, dataset.inputs, dataset, None)
    assert sorted(drawn.files) == names
    assert ("confusion" in drawn.errors) == (most > 1)
