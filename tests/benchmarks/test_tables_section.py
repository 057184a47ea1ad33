"""The section on tables: ranks, mean losses, and calibration beside what is due to chance."""

from __future__ import annotations

import numpy as np

from benchmarks import tables, tables_section

SETS = {
    "letters": {"source": "keel::letters", "rows": 10_000, "features": 16, "classes": 26},
    "homes": {"source": "r::homes", "rows": 930, "features": 8, "classes": 0},
}


def run(loss: float, ece: float | None = None) -> dict[str, float]:
    figures = {"loss": loss, "score": 1 - loss, "cpu_s": 10 * loss}
    return figures if ece is None else figures | {"ece": ece, "ece_by_chance": ece / 2}


def test_methods_are_ranked_with_and_without_those_that_take_longer() -> None:
    runs = {
        "ours": {"letters": [run(0.2, 0.01), run(0.4, 0.02)], "homes": [run(0.5), run(0.5)]},
        "ours, best": {"letters": [run(0.1, 0.02), run(0.1, 0.02)], "homes": [run(0.3), run(0.3)]},
        "LightGBM": {"letters": [run(0.3), run(0.3)], "homes": [run(0.6), run(0.6)]},
    }
    section = tables_section.tables({"provenance": {"commit": "f" * 40}, "sets": SETS, "runs": runs})
    assert "| ours, best | 1.00 | 1.00 |  |  | 0.447 | 2.0 (to 3) |\n" in section
    assert "| ours | 2.25 | 2.25 | 1.25 | 1.25 |  | 4.5 (to 5) |\n" in section
    assert "| LightGBM | 2.75 | 2.75 | 1.75 | 1.75 | 1.095 | 4.5 (to 6) |\n" in section
    assert "over 2 seeds:" in section
    assert "| letters | keel::letters | 10,000 | 16 | 26 classes | 0.3 | **0.1** | 0.3 |\n" in section
    assert section.endswith("|---|--:|--:|--:|--:|--:|\n| letters | 2,000 | 0.0150 | 0.0075 | 0.0200 | 0.0100 |")


def test_the_calibration_error_by_chance_is_that_of_perfectly_calibrated_probabilities() -> None:
    """Rows of a probability of 0.7 are in one bin, whose accuracy has a standard deviation of sqrt(0.21 / rows)."""
    probabilities = np.tile(np.array([[0.3, 0.7]], np.float32), (1000, 1))
    by_chance = tables.ece_by_chance(probabilities, np.random.default_rng(0))
    expected = np.sqrt(2 / np.pi) * np.sqrt(0.21 / 1000)
    assert abs(by_chance - expected) < 4 * expected / np.sqrt(tables.DRAWS)
