"""The command line: help, suggestions, exit status 2."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from service.models import parser
from service.models.__main__ import main
from service.models.commands import COMMANDS
from service.models.parser import Help, UsageError

NAMES = [command.name for command in COMMANDS]


def fault(*arguments: str) -> str:
    with pytest.raises(UsageError) as caught:
        parser.parse(arguments, COMMANDS, {})
    return str(caught.value)


def help_text(*arguments: str) -> str:
    with pytest.raises(Help) as caught:
        parser.parse(arguments, COMMANDS, {})
    return str(caught.value)


def test_the_overview_has_every_command() -> None:
    for arguments in (("--help",), ("-h",), ("help",)):
        listed = re.findall(r"^  (\w+)  +\w", help_text(*arguments), re.MULTILINE)
        assert listed == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_command_has_help_with_examples(name: str) -> None:
    text = help_text(name, "--help")
    assert help_text(name, "x", "-h") == text
    assert "--models FOLDER" in text
    examples = re.findall(r"^  (mlp-models .*?)(?: +#.*)?$", text, re.MULTILINE)
    assert examples
    for example in examples:
        command, _ = parser.parse(example.split()[1:], COMMANDS, {})
        assert command.name == name
    assert max(map(len, text.splitlines())) <= 90


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"mlp-models \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_unknown_words_are_answered_with_the_nearest() -> None:
    assert fault() == f"no command given; there are: {', '.join(NAMES)}"
    assert fault("rolback") == "unknown command 'rolback'; did you mean rollback?"
    assert fault("xyz") == f"unknown command 'xyz'; there are: {', '.join(NAMES)}"
    assert fault("--models", "x").startswith("unknown option '--models'; ")
    assert fault("list", "--jsn") == "unknown option --jsn; did you mean --json?"
    assert fault("prune", "a", "--keep", "1", "--dryrun=yes") == "unknown option --dryrun=yes; did you mean --dry-run?"
    assert fault("list", "a", "b") == "unexpected argument 'b'; see: mlp-models list --help"
    assert fault("rollback").startswith("the following arguments are required: NAME; see: mlp-models rollback --help")
    assert fault("prune", "small").startswith("the following arguments are required: --keep")
    assert fault("compare", "a", "b").startswith("the following arguments are required: --data")


def test_a_usage_error_has_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lst"]) == 2
    assert capsys.readouterr() == ("", "mlp-models: unknown command 'lst'; did you mean list?\n")


def test_options_and_variables_of_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLP_MODELS", str(tmp_path / "none"))
    assert main(["list"]) == 1
    assert str(tmp_path / "none") in capsys.readouterr().err
    assert main(["list", "--provider", "gpu"]) == 1
    assert "--provider (MLP_PROVIDER) is 'gpu'" in capsys.readouterr().err
    monkeypatch.setenv("MLP_MODLES", "x")
    assert main(["list"]) == 1
    assert capsys.readouterr().err == "mlp-models: unknown environment variable MLP_MODLES: did you mean MLP_MODELS?\n"
