"""Commands of other packages."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from service import artifact
from service.models import parser, plugins
from service.models.__main__ import main
from service.models.command import CommandError
from service.models.commands import COMMANDS
from service.models.parser import Help
from tests.service.models.command_line import CommandLine

MODULE = """
from pathlib import Path
SUMMARY, DESCRIPTION, EXAMPLES = "greet a version", "Greets.", "  mlp-models greet --name small"
class GreetingError(Exception): pass
def add_arguments(parser):
    parser.add_argument("--name", required=True)
def run(options, models, prove, write):
    if options.name == "nobody":
        raise GreetingError("nobody is not greeted")
    if options.name == "bug":
        raise ZeroDivisionError
    prove(models / options.name / "3")
    write(f"hello {options.name}")
    return 0
"""


@pytest.fixture(autouse=True)
def greet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command greet of a package, and one whose package is not installed."""
    (tmp_path / "greeting.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    entries = [
        EntryPoint("greet", "greeting", plugins.GROUP),
        EntryPoint("lost", "not_installed.command", plugins.GROUP),
    ]
    monkeypatch.setattr(plugins, "entry_points", lambda group: [each for each in entries if each.group == group])


def test_a_command_of_another_package(mlp_models: CommandLine) -> None:
    ended = mlp_models("greet", "--name", "small")
    assert ended == (0, "hello small\n", "")
    assert mlp_models.fails("greet", "--name", "nobody") == "nobody is not greeted"
    path = mlp_models.models / "small" / "3" / artifact.MODEL
    path.write_bytes(b"")
    assert mlp_models.fails("greet", "--name", "small").startswith(
        f"{path} (0 bytes) is not the file that was published"
    )
    with pytest.raises(ZeroDivisionError):
        mlp_models("greet", "--name", "bug")


def test_its_help_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["greet", "--help"]) == 0
    assert "mlp-models greet --name small" in capsys.readouterr().out
    assert main(["greet", "--nmae", "x", "--name", "small"]) == 2
    assert "did you mean --name?" in capsys.readouterr().err
    assert main(["gret"]) == 2
    assert "did you mean greet?" in capsys.readouterr().err


def test_the_overview_lists_them() -> None:
    with pytest.raises(Help) as caught:
        parser.parse(["--help"], COMMANDS, plugins.find())
    assert "  greet     greet a version\n" in str(caught.value)
    assert (
        "  lost      (lost needs the package 'not_installed', which is not installed; install mlp-serving[train])\n"
        in str(caught.value)
    )


def test_a_package_that_is_not_installed(mlp_models: CommandLine) -> None:
    assert mlp_models.fails("lost") == (
        "lost needs the package 'not_installed', which is not installed; install mlp-serving[train]"
    )
    with pytest.raises(CommandError):
        plugins.find()["lost"]()
