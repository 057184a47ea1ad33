"""`make` passes users' values on unchanged, whatever characters they contain."""

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
# A fake Python that prints its arguments.
FAKE = f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n"


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that looks installed, with the fake Python."""
    venv = tmp_path_factory.mktemp("venv")
    (venv / "bin").mkdir()
    for name in (".installed-server-cpu", ".installed-train-cpu", ".installed-dev-cpu"):
        (venv / name).touch()
    for name in ("python", "pip"):
        (venv / "bin" / name).write_text(FAKE)
        (venv / "bin" / name).chmod(0o755)
    return venv


def arguments_of(venv: Path, target: str, *variables: str, **environment: str) -> list[str]:
    """The arguments that ``make target`` passes to Python, with variables on its command line or in the environment."""
    return calls_of(venv, target, *variables, **environment)[-1]


def calls_of(venv: Path, target: str, *variables: str, **environment: str) -> list[list[str]]:
    """The arguments of each call of Python."""
    done = subprocess.run(
        [
            *("make", "--no-print-directory", "-C", ROOT, target),
            *(f"VENV={venv}", "RUNTIME=cpu", f"LIBRARY={venv / 'library.so'}", *variables),
        ],
        env={"PATH": os.environ["PATH"]} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [
        json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")
    ]  # make prints its recipe, too


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
def test_awkward_values_arrive_unchanged(venv: Path, value: str) -> None:
    expected = ["-m", "training", f"{value}.csv", f"--target={value}"]
    assert arguments_of(venv, "train", f"DATA={value}.csv", f"TARGET={value}") == expected
    assert arguments_of(venv, "train", DATA=f"{value}.csv", TARGET=value) == expected
    assert arguments_of(venv, "serve", f"HOST={value}", f"PORT={value}")[2:] == ["--host", value, "--port", value]


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1)


@given(NAMES.filter(lambda name: name == name.strip()))
@settings(max_examples=10)
def test_any_target_arrives_unchanged(venv: Path, value: str) -> None:
    assert arguments_of(venv, "train", "DATA=x.csv", f"TARGET={value}")[3:] == [f"--target={value}"]


def test_args_are_split_like_shell_words(venv: Path) -> None:
    words = """--drop 'Body Mass (g)' "price ($)" it\\'s --epochs 5"""
    for command in ("train", "serve"):
        assert arguments_of(venv, command, f"ARGS={words}", "DATA=x.csv")[-6:] == [
            "--drop", "Body Mass (g)", "price ($)", "it's", "--epochs", "5"
        ]  # fmt: skip


def test_without_target_there_is_no_target_option(venv: Path) -> None:
    assert arguments_of(venv, "train", "DATA=my photographs") == ["-m", "training", "my photographs"]
    assert arguments_of(venv, "serve") == ["-m", "service", "--host", "127.0.0.1", "--port", "8000"]


def test_a_search_has_its_own_number_of_trials(venv: Path) -> None:
    module = ["-m", "training.cli.tune"]
    assert arguments_of(venv, "tune", "DATA=a b.csv", "TARGET=$x", "TRIALS=9") == [
        *module,
        "a b.csv",
        "--target=$x",
        "--trials=9",
    ]
    assert arguments_of(venv, "tune", "DATA=x.csv", "ARGS=--timeout-s 60") == [*module, "x.csv", "--timeout-s", "60"]
    assert arguments_of(venv, "tune") == [*module, "fashion-mnist", "--force"]


def test_training_without_arguments_replaces_the_better_bundled_model(venv: Path) -> None:
    assert arguments_of(venv, "train") == ["-m", "training", "fashion-mnist", "--force"]
    assert arguments_of(venv, "train", "ARGS=--epochs 5")[3:] == ["--force", "--epochs", "5"]


def test_managing_versions(venv: Path) -> None:
    assert arguments_of(venv, "models") == ["-m", "service.models", "list"]
    assert arguments_of(venv, "models", "ARGS=check 'my model'@1") == ["-m", "service.models", "check", "my model@1"]
    assert arguments_of(venv, "rollback", "NAME=mine") == ["-m", "service.models", "rollback", "mine"]
    assert arguments_of(venv, "rollback", "NAME=a b;c", "ARGS=--force")[3:] == ["a b;c", "--force"]
    assert arguments_of(venv, "rollback", NAME="the-host") == ["-m", "service.models", "rollback"]  # some shells set it


def test_the_image_of_a_model_has_the_tag_of_its_newest_version(venv: Path) -> None:
    engine = f"CONTAINER={venv}/bin/python"
    check, build = calls_of(venv, "model-image", "NAME=fashion-mnist", engine, "BUILD_ARGS=--pull")
    assert check == ["-m", "service.models", "check", "--models", "models", "fashion-mnist"]
    newest = max(int(path.name) for path in (ROOT / "models" / "fashion-mnist").iterdir() if path.name.isdigit())
    tag = f"mlp-serving-models:fashion-mnist-{newest}"
    assert build[:6] == ["build", "--pull", "--file", "deploy/models/Containerfile", "--tag", tag]
    assert build[6:8] == ["--build-arg", "NAME=fashion-mnist"]
    assert build[-1] == "."
    (_, build) = calls_of(venv, "model-image", "NAME=fashion-mnist", "MODEL_TAG=shop/m:3", engine)
    assert build[build.index("--tag") + 1] == "shop/m:3"


@pytest.mark.parametrize("value", AWKWARD)
def test_scoring(venv: Path, value: str) -> None:
    given = {"NAME": value, "DATA": f"{value}.csv", "OUT": f"{value}.parquet"}
    arguments = arguments_of(venv, "score", *(f"{name}={text}" for name, text in given.items()), "ARGS=--keep 'a b'")
    assert arguments == ["-m", "service.scoring", "--keep", "a b", "--", value, f"{value}.csv", f"{value}.parquet"]


def test_the_server_gets_the_compiled_reader_anew_after_a_change_of_its_source(venv: Path) -> None:
    """Without the library it is not compiled. Where it is older than its source, it is."""
    library = venv / "library.so"
    assert ["hatch_build.py"] not in calls_of(venv, "serve")
    library.touch()
    assert ["hatch_build.py"] not in calls_of(venv, "serve")
    os.utime(library, (0, 0))
    assert ["hatch_build.py"] in calls_of(venv, "serve")
    library.unlink()
    assert ["hatch_build.py"] in calls_of(venv, "compiled")


def test_the_fast_tests_skip_the_slow_ones(venv: Path) -> None:
    options = ["-m", "not slow and not image and not play and not ray", "--hypothesis-profile=fast"]
    arguments = arguments_of(venv, "test-fast", "ARGS=-k codecs")
    assert arguments[:2] == ["-m", "pytest"]
    assert arguments[-5:] == [*options, "-k", "codecs"]
