"""The sentence on what was imputed in a request."""

from __future__ import annotations

import pytest

from service.imputed import Imputed


@pytest.mark.parametrize(
    ("imputed", "warning"),
    [
        (Imputed(1, 0, 1, {"age": 1}), "imputed 1 missing value in 1 row: 'age' (1)"),
        (Imputed(0, 2, 2, {"city": 2}), "imputed 2 unknown values in 2 rows: 'city' (2)"),
        (
            Imputed(3, 1, 2, {"Größe\u20ac": 3, "x": 1}),
            r"imputed 3 missing and 1 unknown values in 2 rows: 'Gr\xf6\xdfe\u20ac' (3), 'x' (1)",
        ),
    ],
)
def test_it_counts_values_rows_and_columns(imputed: Imputed, warning: str) -> None:
    assert imputed.warning() == warning


def test_it_is_short_and_ascii_whatever_the_names_are() -> None:
    warning = Imputed(10**9, 10**9, 10**6, {"\U0001f600" * 500 + str(index): 10**6 for index in range(2000)}).warning()
    assert warning.endswith(" and 1995 more")
    assert warning.isascii()
    assert warning.isprintable()
    assert len(warning) < 500
