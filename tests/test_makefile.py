"""make as a real process: what is given to it arrives as it was given, whatever is in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

ROOT = Path(__file__).parents[1]
# Told to whoever runs it instead of Python: its own arguments.
FAKE = f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n"


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What looks installed, with a Python that tells what it was asked."""
    venv = tmp_path_factory.mktemp("venv")
    (venv / "bin").mkdir()
    for name in ("bin/pip", ".installed-server-cpu", ".installed-dev-cpu"):
        (venv / name).touch()
    python = venv / "bin" / "python"
    python.write_text(FAKE)
    python.chmod(0o755)
    return venv


def told(venv: Path, target: str, *variables: str, **environment: str) -> list[str]:
    """The arguments of Python under ``make target``, its variables given in its words or in the environment."""
    asked = subprocess.run(
        ["make", "--no-print-directory", "-C", ROOT, target, f"VENV={venv}", "RUNTIME=cpu", *variables],
        env={"PATH": os.environ["PATH"]} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (asked.returncode, asked.stderr) == (0, "")
    arguments: list[str] = json.loads(asked.stdout)
    return arguments


AWKWARD = [
    "Body Mass (g)",
    "it's",
    'a "quoted" one',
    "price ($)",
    "$HOME",
    "$$",
    "$(shell id)",
    "${PATH",
    "a;b & c | d > e",
    "`id`",
    "back\\slash",
    "#1",
    "*",
    "größe = 5%",
    "-x",
    "a  b",
]


@pytest.mark.parametrize("value", AWKWARD)
def test_any_column_and_any_file_arrive_as_they_are(venv: Path, value: str) -> None:
    expected = ["-m", "training", f"{value}.csv", f"--target={value}"]
    assert told(venv, "train", f"DATA={value}.csv", f"TARGET={value}") == expected
    assert told(venv, "train", DATA=f"{value}.csv", TARGET=value) == expected
    assert told(venv, "serve", f"HOST={value}", f"PORT={value}")[2:] == ["--host", value, "--port", value]


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1)


@given(NAMES.filter(lambda name: name == name.strip()))
@settings(max_examples=10)
def test_whatever_a_column_is_called(venv: Path, value: str) -> None:
    assert told(venv, "train", "DATA=x.csv", f"TARGET={value}")[3:] == [f"--target={value}"]


def test_more_options_are_the_shells_words(venv: Path) -> None:
    words = """--drop 'Body Mass (g)' "price ($)" it\\'s --epochs 5"""
    for command in ("train", "serve"):
        assert told(venv, command, f"ARGS={words}", "DATA=x.csv")[-6:] == [
            "--drop", "Body Mass (g)", "price ($)", "it's", "--epochs", "5"
        ]  # fmt: skip


def test_no_target_is_no_option(venv: Path) -> None:
    assert told(venv, "train", "DATA=my photographs") == ["-m", "training", "my photographs"]
    assert told(venv, "serve") == ["-m", "service", "--host", "127.0.0.1", "--port", "8000"]
