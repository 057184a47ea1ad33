"""Passwords are removed from the URLs of a text, and nothing else is."""

from __future__ import annotations

import pytest

from training.cli import parser
from training.run.secrets import without_passwords


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mlp-tune x --storage postgresql://me:s3cret@host/x", "mlp-tune x --storage postgresql://me:***@host/x"),
        ("--storage='mysql://me:a%40b@host:3306/x'", "--storage='mysql://me:***@host:3306/x'"),
        ("--mlflow https://:token@host", "--mlflow https://:***@host"),
        ("postgresql://h/x?user=me&password=p&sslmode=on", "postgresql://h/x?user=me&password=***&sslmode=on"),
        ("http://host:5000 and me@host", "http://host:5000 and me@host"),
        ("a:b@c.csv --target 'x:y@z'", "a:b@c.csv --target 'x:y@z'"),
        ("sqlite:///searches/a.db", "sqlite:///searches/a.db"),
    ],
)
def test_passwords_are_removed(text: str, expected: str) -> None:
    assert without_passwords(text) == expected


def test_the_command_that_cards_show_has_none() -> None:
    assert parser.parse(["iris", "--mlflow", "http://me:pw@host"]).text == (
        "python -m training iris --mlflow http://me:***@host"
    )
