"""Messages name keywords of Python instead of options of the command line."""

from __future__ import annotations

import pytest

from training.run.keywords import in_python

LISTS = ("target", "categorical", "drop", "missing")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("use --drop a 'b c'", "use drop=['a', 'b c']"),
        (
            "in both --target and --drop; to predict it, do not drop it",
            "in both target and drop; to predict it, do not drop it",
        ),
        ("use --thousands . to read it as 19, or --decimal .", "use thousands='.' to read it as 19, or decimal='.'"),
        (
            "use --decimal , to read it, or --thousands ' ' or --decimal '.'",
            "use decimal=',' to read it, or thousands=' ' or decimal='.'",
        ),
        ("--decimal and --thousands are both '.'", "decimal and thousands are both '.'"),
        ("--task is 'x', which takes one --target, not 2", "task is 'x', which takes one target, not 2"),
        ("use --missing NA '?', which applies to all", "use missing=['NA', '?'], which applies to all"),
        ("try a smaller --lr (it is 0.1)", "try a smaller lr (it is 0.1)"),
        ("use --task classification to treat each value", "use task='classification' to treat each value"),
        ("--categorical: it has no column 'x'", "categorical: it has no column 'x'"),
        ("--batch-size is 1, expected 2 with --batch-norm", "batch_size is 1, expected 2 with batch_norm"),
        ("such as: --hidden 256 128", "such as: hidden=(256, 128)"),
        ("nothing to replace - here -- or there", "nothing to replace - here -- or there"),
    ],
)
def test_an_option_becomes_a_keyword(message: str, expected: str) -> None:
    assert in_python(message, LISTS) == expected
