"""The ratio of a change to an earlier commit, and its table."""

from __future__ import annotations

from benchmarks import change


def test_the_table_has_both_medians_and_the_ratio_of_each_case() -> None:
    text = change.shown({"start, s": [(0.5, 0.25), (1.0, 0.5), (4.0, 2.0)], "requests/s": [(10_000.0, 20_000.0)]})
    assert text == (
        "| case | before | now | ratio | 95 % |\n"
        "|---|--:|--:|--:|--:|\n"
        "| start, s | 1 | 0.5 | 0.500 | 0.500 to 0.500 |\n"
        "| requests/s | 1e+04 | 2e+04 | 2.000 | 2.000 to 2.000 |"
    )
