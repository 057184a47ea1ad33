"""Hashes of rows: published values, spread, and the same for the same value wherever it stands."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from training.data.tables.streams import row_hash

OTHERWISE = np.arange(4, dtype=np.uint64)


def test_numbers_are_hashed_by_split_mix() -> None:
    # The first outputs of java.util.SplittableRandom's generator for the seed 0, as Vigna's splitmix64.c gives them.
    expected = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert row_hash.of_rows(0, 3).tolist() == expected
    assert row_hash.of_rows(1, 2).tolist() == expected[1:]


def test_texts_are_hashed_by_their_bytes() -> None:
    array = pa.chunked_array([["", "a", " foobar ", "grün"]])
    # https://datatracker.ietf.org/doc/rfc9923/ has those of "a" and "foobar".
    fnv = [0xCBF29CE484222325, 0xAF63DC4C8601EC8C, 0x85944171F73967E8]
    found = row_hash.of_values(array, OTHERWISE)
    assert found[:3].tolist() == row_hash.of_numbers(np.array(fnv, np.uint64)).tolist()
    assert row_hash.of_values(array.slice(2), OTHERWISE[:2]).tolist() == found[2:].tolist()
    assert (
        row_hash.of_values(pa.chunked_array([array.chunk(0).slice(1, 2)]), OTHERWISE[:2]).tolist()
        == found[1:3].tolist()
    )


@pytest.mark.parametrize(
    "array",
    [
        pa.array([1, None, 1, 2]),
        pa.array([0.5, None, 0.5, -0.0]),
        pa.array(["x", None, "x", "y"]),
        pa.array([True, None, True, False]),
        pa.array([1, None, 1, 2], pa.timestamp("s")),
    ],
)
def test_equal_values_have_one_hash_and_missing_ones_that_of_their_row(array: pa.Array) -> None:
    first, missing, again, other = row_hash.of_values(pa.chunked_array([array]), OTHERWISE).tolist()
    assert first == again != other
    assert missing == OTHERWISE[1]


def test_shares_are_even() -> None:
    shares = row_hash.shares(row_hash.of_rows(0, 100_000))
    counts = np.bincount((shares * 10).astype(int), minlength=10)
    assert abs(counts - 10_000).max() < 400  # four standard deviations
