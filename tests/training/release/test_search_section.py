"""The card's section on a search: its text, its pictures, and the manifest's record."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from training.release import search_section
from training.release.search_result import SearchResult, Trial


def trial(number: int, loss: float | None, activation: str = "relu") -> Trial:
    settings = {"lr": 0.001 * (1 + number), "members": 4, "activation": activation}
    return Trial(number, "complete" if number % 2 == 0 else "pruned", settings, loss)


def result(trials: list[Trial], importances: dict[str, float]) -> SearchResult:
    best = min((each for each in trials if each.state == "complete"), key=lambda each: each.validation_loss or 0.0)
    choices: dict[str, Any] = {"members": (1, 4, 8), "activation": ("relu", "gelu")}
    return SearchResult("houses", "here.db", trials, best, trials[0], importances, choices, frozenset({"lr"}))


FOUND = result(
    [trial(0, 0.5), trial(1, 0.7), trial(2, 0.25, "gelu"), trial(3, None), trial(4, 90.0)], {"lr": 0.7, "members": 0.3}
)


def test_the_section_says_what_was_chosen_and_how() -> None:
    text = search_section.section(FOUND)
    assert text.startswith(
        "## Search\n\nThe options were chosen in 5 trials, 2 of them ended early, by their loss on the validation rows."
        " Trial 2 was the best with 0.25, with the default settings 0.5: lr 0.003, members 4, activation gelu."
    )
    assert "the test rows were not used" in text


def test_the_record_of_the_manifest() -> None:
    assert search_section.summary(FOUND) == {
        "study": "houses",
        "storage": "here.db",
        "trials": 5,
        "pruned": 2,
        "best_trial": 2,
        "validation_loss": 0.25,
        "default_validation_loss": 0.5,
        "settings": {"lr": 0.003, "members": 4, "activation": "gelu"},
        "importances": {"lr": 0.7, "members": 0.3},
    }


@pytest.mark.parametrize("found", [FOUND, result([trial(0, 0.5)], {})])
def test_every_picture_that_the_section_shows_is_drawn(found: SearchResult) -> None:
    pictures, text = search_section.pictures(found), search_section.section(found)
    assert pictures.keys() == {name for name in (*search_section.pictures(FOUND),) if f"]({name})" in text}
    for content in pictures.values():
        with Image.open(io.BytesIO(content)) as image:
            assert np.asarray(image.convert("L")).std() > 5
    assert search_section.pictures(found) == pictures
