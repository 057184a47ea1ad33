"""A run that is not promoted: its own exit status, all reasons, and a last line that says how to overrule them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from service import artifact
from tests.training.trained import run

QUICK = ("--hidden", "8", "--epochs", "2")
GOOD = ("digits", "--hidden", "32", "--epochs", "15", "--lr", "0.02")
BAD = ("digits", "--hidden", "2", "--epochs", "1")


def versions(models: Path, name: str) -> list[int]:
    return artifact.versions(models / name)


def test_a_worse_version_ends_with_3_and_a_line_that_publishes_it(models: Path) -> None:
    assert run(models, *GOOD)[0] == 0
    status, log = run(models, *BAD)
    kept = models / "digits" / ".refused" / "digits" / "1"
    *_, accuracy, log_loss, last = log.splitlines()
    assert status == 3
    assert accuracy.startswith("- its accuracy is ")
    assert log_loss.startswith("- its log-loss is ")
    assert last == (
        "mlp-train: not published: digits is worse than version 1; it is kept; to publish it all the same: "
        f"mlp-models publish {kept}"
    )
    assert artifact.read(kept).manifest.name == "digits"
    assert versions(models, "digits") == [1]


def test_force_publishes_a_worse_version(models: Path) -> None:
    assert run(models, *GOOD)[0] == 0
    status, log = run(models, *BAD, "--force")
    assert status == 0
    compared, accuracy, _, published = log.splitlines()[-4:]
    assert compared.startswith("compared with version 1 on ")
    assert accuracy.startswith("published all the same: its accuracy is ")
    assert published.startswith(f"published {models}/digits/2; ")


def test_a_breaking_version_is_refused_before_training(models: Path) -> None:
    assert run(models, "iris", *QUICK)[0] == 0
    status, log = run(models, "wine", *QUICK, "--name", "iris", "--force")
    assert status == 3
    assert "trained" not in log
    *_, last = log.splitlines()
    assert last == (
        "mlp-train: not published: iris would break clients of version 1; publish it under another name, or with "
        "--breaking (breaking=True in Python) once no client needs it"
    )
    assert "\n- a row has 13 features, and had 4\n" in log
    assert "\n- its labels are " in log or "\n- it lacks the label" in log
    assert not (models / "iris" / ".refused").exists()


def test_breaking_publishes_a_breaking_version(models: Path) -> None:
    assert run(models, "iris", *QUICK)[0] == 0
    status, log = run(models, "wine", *QUICK, "--name", "iris", "--breaking")
    assert status == 0
    assert "\nbreaks clients of version 1: a row has 13 features, and had 4\n" in log
    assert versions(models, "iris") == [1, 2]


def test_another_category_is_published_with_a_note(models: Path, tmp_path: Path) -> None:
    rows = [f"{index % 50},{'ab'[index % 2]},{'no' if index % 4 < 2 else 'yes'}" for index in range(400)]
    more = [*rows, *(f"{index},c,{'no' if index % 2 else 'yes'}" for index in range(40))]
    for version, lines in enumerate((rows, more), 1):
        (tmp_path / "table.csv").write_text("\n".join(["x,letter,answer", *lines]) + "\n")
        status, log = run(models, str(tmp_path / "table.csv"), "--target", "answer", *QUICK, "--force")
        assert status == 0, log
        assert versions(models, "table")[-1] == version
    assert "\nchanged since version 1: 'letter' also knows 'c'\n" in log


def test_the_status_of_the_command(models: Path) -> None:
    """As a CronJob sees it."""
    assert run(models, "iris", *QUICK)[0] == 0
    command = [sys.executable, "-m", "training", "wine", *QUICK, "--name", "iris", "--models", str(models)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("mlp-train: not published: iris would break clients of version 1; ")
