"""Messages of errors: of several faults, and of what a library raised."""

from __future__ import annotations

import pytest

from training import errors


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("it is bad\nsee the log"), "it is bad"),
        (ValueError("\n  it is bad. \n"), "it is bad."),
        (ConnectionError(), "ConnectionError"),
        (ConnectionError(" \n"), "ConnectionError"),
    ],
)
def test_the_first_line_of_a_library_s_error(error: Exception, line: str) -> None:
    assert errors.first_line(error) == line


def test_one_fault_is_a_sentence_and_several_are_a_list() -> None:
    assert errors.joined("x.csv", ["it is empty"]) == "it is empty"
    assert errors.joined("x.csv", ["it is empty", "it is old"]) == "x.csv has 2 errors:\n- it is empty\n- it is old"
