"""The ratio of a change to an earlier commit, and its table."""

from __future__ import annotations

from benchmarks import change


def test_the_ratio_is_the_median_of_the_pairs_within_its_interval() -> None:
    pairs = [(100.0, 110.0), (50.0, 60.0), (200.0, 180.0), (100.0, 105.0), (10.0, 13.0)]
    median, low, high = change.ratio(pairs)
    assert median == 1.1
    assert 0.9 <= low < median < high <= 1.3


def test_equal_ratios_have_an_interval_of_one_value() -> None:
    assert change.ratio([(2.0, 3.0), (4.0, 6.0)]) == (1.5, 1.5, 1.5)


def test_the_table_has_both_medians_and_the_ratio_of_each_case() -> None:
    text = change.shown({"start, s": [(0.5, 0.25), (1.0, 0.5), (4.0, 2.0)], "requests/s": [(10_000.0, 20_000.0)]})
    assert text == (
        "| case | before | now | ratio | 95 % |\n"
        "|---|--:|--:|--:|--:|\n"
        "| start, s | 1 | 0.5 | 0.500 | 0.500 to 0.500 |\n"
        "| requests/s | 1e+04 | 2e+04 | 2.000 | 2.000 to 2.000 |"
    )
