"""`mlp-tune`: a search, the best settings trained again and released, and a search that goes on."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from training.cli import parser, tune_parser
from training.cli.search import main

ONE_THREAD = os.environ | {"OMP_NUM_THREADS": "1"}
QUICK = ("--hidden", "8", "--epochs", "5", "--members", "1")


def run(models: Path, *arguments: str) -> tuple[int, list[str]]:
    """The exit status and the lines of stderr."""
    with contextlib.redirect_stderr(io.StringIO()) as log:
        status = main([*arguments, "--models", str(models), "--storage", str(models.parent / "studies" / "s.db")])
    return status, log.getvalue().splitlines()


def record(models: Path, version: int = 1) -> dict[str, Any]:
    """The manifest."""
    found: dict[str, Any] = json.loads((models / "iris" / str(version) / "metadata.json").read_text())
    return found


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


def test_the_best_trial_is_trained_again_and_released(models: Path) -> None:
    status, lines = run(models, "iris", *QUICK, "--trials", "4")
    assert status == 0, lines
    (begun,) = [line for line in lines if line.startswith("study ")]
    assert begun.endswith(" begins; it searches lr, dropout, weight_decay, numeric_bins, activation")
    losses = [float(found[1]) for line in lines if (found := re.match(r"trial \d: validation loss ([\d.]+)", line))]
    assert len(losses) == 4
    found = record(models)
    search, config = found["search"], found["config"]
    assert (search["trials"], search["pruned"], search["study"]) == (4, 0, "iris")
    assert round(search["validation_loss"], 4) == min(losses)
    # Trained again, it is the same network: there is no note that the loss differs.
    assert not [line for line in lines if line.startswith("trained again")]
    assert any(line.endswith(f"(validation loss {min(losses):.4f})") for line in lines if line.startswith("trained "))
    assert {name: config[name] for name in search["settings"]} == search["settings"]
    assert config["hidden"] == [8]
    card = (models / "iris" / "1" / "README.md").read_text()
    for picture in re.findall(r"\((search-\w+\.png)\)", card):
        assert (models / "iris" / "1" / picture).exists()
    assert "search-slices.png" in card


def test_it_goes_on_and_publishes_only_if_it_is_asked_to(models: Path) -> None:
    options = ("iris", *QUICK, "--search", "lr", "dropout")
    status, lines = run(models, *options, "--trials", "2", "--no-publish")
    assert (status, models.exists()) == (0, False)
    status, lines = run(models, *options, "--trials", "3", "--mlflow", "no/such://place")
    assert (status, lines[-1].startswith("mlp-tune: --mlflow ")) == (1, True)
    status, lines = run(models, *options, "--trials", "3")
    assert any(line.endswith("goes on after 2 trials; it searches lr, dropout") for line in lines)
    assert [line.split(":")[0] for line in lines if line.startswith("trial ")] == ["trial 2"]
    assert record(models)["search"]["trials"] == 3
    status, lines = run(models, *options, "--trials", "3", "--epochs", "6")
    assert status == 1
    assert "is of other settings: --epochs was 5 and is 6; go on with the same" in lines[-1]


def test_what_cannot_be_searched_is_one_sentence(models: Path) -> None:
    for arguments, sentence in (
        (("--trials", "0"), "--trials is 0, expected an integer from 1 to 1,000,000"),
        (("--timeout-s", "0"), "--timeout-s is 0.0, expected a number above 0"),
        (("--lr", "0.1", "--search", "lr"), "--search has 'lr', and --lr gives its value; leave out one of them"),
    ):
        status, lines = run(models, "iris", *arguments)
        assert (status, [line for line in lines if line != "reading iris"]) == (1, [f"mlp-tune: {sentence}"])


def test_without_optuna_it_says_what_to_install(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.cli.search.find_spec", lambda _: None)
    remedy = "install it with: pip install 'mlp-serving[tune]'"
    assert run(models, "iris") == (1, [f"mlp-tune: optuna is not installed; {remedy}"])


def test_two_processes_share_a_study(models: Path) -> None:
    """Both begin at once, so that both make the database. One may begin a seventh trial as the other ends the sixth."""
    storage = models.parent / "s.db"
    command = [
        *(sys.executable, "-m", "training.cli.tune", "iris", *QUICK, "--models", str(models), "--trials", "6"),
        *("--storage", str(storage), "--search", "lr", "dropout"),
    ]
    helper = subprocess.Popen([*command, "--no-publish"], env=ONE_THREAD, stderr=subprocess.PIPE, text=True)
    done = subprocess.run(command, env=ONE_THREAD, stderr=subprocess.PIPE, text=True, check=False, timeout=200)
    stderr = helper.communicate(timeout=200)[1]
    assert (done.returncode, helper.returncode) == (0, 0), done.stderr + stderr
    numbers = re.findall(r"^trial (\d+):", done.stderr + stderr, re.MULTILINE)
    assert len(set(numbers)) == len(numbers)
    assert 6 <= record(models)["search"]["trials"] <= len(numbers) <= 7  # the seventh may end after the publication


def test_a_signal_keeps_what_was_found(models: Path) -> None:
    """1. A trial is finished. 2. SIGTERM in the next. 3. The study is kept, and nothing is published."""
    storage = models.parent / "s.db"
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from training.run.search import trials; from training.cli.tune import main\n"
        "class Stops(trials._Reports):\n"
        "    def on_epoch(self, epoch):\n"
        "        if self._trial.number == 2: signal.raise_signal(signal.SIGTERM)\n"
        "        super().on_epoch(epoch)\n"
        "trials._Reports = Stops\nmain()"
    )
    arguments = ["iris", *QUICK, "--models", str(models), "--storage", str(storage)]
    program = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(program, env=ONE_THREAD, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 128 + signal.SIGTERM
    assert done.stderr.endswith(
        f"2 finished trials are kept in {storage}; the same command goes on, and with --trials 2 it publishes the best "
        "so far\nmlp-tune: interrupted; nothing was published\n"
    )
    assert not [*models.rglob("*")]


def test_training_and_search_have_the_same_options(capsys: pytest.CaptureFixture[str]) -> None:
    def options(parse: Callable[[list[str]], object]) -> set[str]:
        with pytest.raises(SystemExit):
            parse(["--help"])
        return set(re.findall(r"^  (--[\w-]+)", capsys.readouterr().out, re.MULTILINE))

    training, tune = options(parser.parse), options(tune_parser.parse)
    assert training - tune == {"--ray", "--ray-workers", "--ray-storage", "--ray-logs"}
    assert tune - training == {"--trials", "--timeout-s", "--search", "--storage", "--study", "--publish"}
