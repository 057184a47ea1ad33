"""Every figure of benchmarks/README.md equals the results, which have their provenance."""

from __future__ import annotations

import json
import re

import pytest

from benchmarks import report

MEASURED = sorted(file.stem for file in report.RESULTS.glob("*.json"))
ABOUT = {"command": "make bench", "commit": "f" * 40}


def test_each_training_method_has_its_mean_and_spread() -> None:
    runs = {"mae": [2.0, 4.0], "rmse": [3.0, 3.0], "r2": [0.5, 0.7], "fit_s": [10.0, 20.0]}
    by = [dict(zip(runs, values, strict=True)) for values in zip(*runs.values(), strict=True)]
    section = report.regression({"provenance": ABOUT, "runs": {"diabetes": {"Keras": by, "ours": by[:1]}}})
    assert "| diabetes | Keras | 3 ± 1.4 | 3 ± 0 | 0.6 ± 0.14 | 15 ± 7.1 |\n" in section
    assert section.endswith("| diabetes | ours | 2 | 3 | 0.5 | 10 |")


def test_epochs_are_compared_by_median_and_time_to_the_peers_best() -> None:
    def epochs(*found: tuple[float, float]) -> list[dict[str, float]]:
        return [{"epoch_s": epoch_s, "accuracy": accuracy} for epoch_s, accuracy in found]

    by = {
        "scikit-learn": epochs((9, 0.7), (4, 0.8), (3, 0.9), (5, 0.85)),
        "ours": epochs((9, 0.8), (2, 0.91)),
        "another": epochs((9, 0.6), (8, 0.7)),
        "the products alone": epochs((2, 0), (1, 0)),
    }
    fits = {"iris": {"ours": [1.0, 2.0, 9.0], "scikit-learn": [3.0, 2.0, 9.0]}}
    section = report.training({"provenance": ABOUT, "epochs": by, "fits": fits})
    assert "| scikit-learn | 4.00 (3.00 to 5.00) | 1.00 | 0.9000 | 12.0 | 1.00 |\n" in section
    assert "| ours | 2.00 (2.00 to 2.00) | 2.00 | 0.9100 | 4.0 | 3.00 |\n" in section
    assert "| another | 8.00 (8.00 to 8.00) | 0.50 | 0.7000 | not reached |  |\n" in section
    assert "| the products alone | 1.00 (1.00 to 1.00) | 4.00 |  |  |  |\n" in section
    assert "| iris | 2.000 | 3.000 | 1.50 |" in section


def test_a_section_is_replaced_between_its_marks() -> None:
    soak = {"provenance": ABOUT, "totals": {"requests": 12_345}, "verdict": "passed"}
    text = "above\n<!-- begin soak -->\nold\n<!-- end soak -->\nbelow\n"
    assert report.with_section(text, "soak", soak) == (
        "above\n<!-- begin soak -->\n- command: make bench\n"
        f"- commit: {'f' * 40}\n\n|  |  |\n|---|--:|\n| requests | 12,345 |\n\n**passed**\n<!-- end soak -->\nbelow\n"
    )


def test_the_readme_has_a_section_for_every_tool() -> None:
    text = report.README.read_text()
    for tool in report.SECTIONS:
        assert text.count(f"<!-- begin {tool} -->\n") == text.count(f"<!-- end {tool} -->\n") == 1


def test_scoring_is_compared_with_and_without_its_start() -> None:
    """Two million rows in 4 s, of which processors work 3 s and the start takes 1 s; alone a million takes 1.6 s."""
    scored = {"s": 4.0, "cpu_s": 3.0, "peak_mb": 99.4}
    case = {
        "case": "csv → csv",
        "rows": 2_000_000,
        "input_mb": 7.0,
        "scored": [scored],
        "alone": [{"s": 1.6, "cpu_s": 0.9}],
    }
    text = report.scoring({"provenance": ABOUT, "start": [{"s": 0.5, "cpu_s": 1.0}], "cases": [case]})
    assert "ONNX Runtime alone: 625,000 rows/s (625,000 to 625,000), 0.90 µs of a processor a row." in text
    assert "takes mlp-score 0.50 s, and 1.00 s of a processor." in text
    cells = "| csv → csv | 2,000,000 | 7 | 500,000 (500,000 to 500,000) | 0.80 | 1.50 | 0.60 | 0.90 | 99 |"
    assert text.endswith(cells)


@pytest.mark.parametrize("tool", report.SECTIONS)
def test_every_section_of_the_readme_equals_its_results(tool: str) -> None:
    text, file = report.README.read_text(), report.RESULTS / f"{tool}.json"
    if file.exists():
        assert report.with_section(text, tool, json.loads(file.read_text())) == text
    else:
        assert f"<!-- begin {tool} -->\nNot measured yet.\n<!-- end {tool} -->" in text


@pytest.mark.parametrize("tool", MEASURED)
def test_results_have_their_provenance(tool: str) -> None:
    about = json.loads((report.RESULTS / f"{tool}.json").read_text())["provenance"]
    assert re.fullmatch("[0-9a-f]{40}", about["commit"]), "measure what is committed"
    assert all(about.values())
