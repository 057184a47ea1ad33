"""The pictures of a search."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from training.release import search_plots
from training.release.search_result import SearchResult, Trial


def test_there_is_no_panel_without_a_parameter() -> None:
    """Five parameters take a row of four panels, and one of the next row."""
    settings = {"lr": 0.01, "dropout": 0.1, "whiten": 0.0, "weight_decay": 0.03, "hidden_layers": 2}
    trial = Trial(0, "complete", settings, 0.5)
    found = SearchResult("houses", "here.db", [trial], trial, trial, {}, {}, frozenset())
    with Image.open(io.BytesIO(search_plots.slices(found))) as image:
        pixels = np.asarray(image.convert("L"))  # (height, width)
    height, width = pixels.shape
    assert (pixels[height * 6 // 10 :, width // 3 :] == 255).all()
