"""Parses the command line: a command, then its options."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final, NoReturn

from service.models.command import Command, CommandError
from service.models.references import suggestion

PROGRAM: Final = "mlp-models"
_HELP: Final = ("-h", "--help", "help")
_EXAMPLES: Final = """examples:
  mlp-models list
  mlp-models rollback fashion-mnist
  mlp-models check --help
"""


class UsageError(Exception):
    """The command line is not valid. The message says why and what is."""


class Help(Exception):
    """The text that was requested instead of a command."""


class Parser(argparse.ArgumentParser):
    """A parser that raises `UsageError` instead of printing."""

    def error(self, message: str) -> NoReturn:
        """Raise."""
        raise UsageError(f"{message}; see: {self.prog} --help")


class _CommandParser(Parser):
    """A parser of one command, which knows its options."""

    def __init__(self, command: Command) -> None:
        self.flags: list[str] = []
        super().__init__(
            f"{PROGRAM} {command.name}",
            description=command.description,
            epilog=f"examples:\n{command.examples}",
            formatter_class=_Formatter,
            allow_abbrev=False,
        )

    def add_argument(self, *names: Any, **settings: Any) -> argparse.Action:
        """Add an argument and note its flags."""
        action = super().add_argument(*names, **settings)
        self.flags += action.option_strings
        return action


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Wraps the description, and leaves the examples as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if text.startswith("examples:"):
            return super()._fill_text(text, width, indent)
        return argparse.HelpFormatter._fill_text(self, text, width, indent)  # noqa: SLF001 - its base class


def parse(
    arguments: Sequence[str], commands: Sequence[Command], plugins: Mapping[str, Callable[[], Command]]
) -> tuple[Command, argparse.Namespace]:
    """The command and its options. Raises `UsageError` with the nearest known word, or `Help`.

    A command of ``plugins`` is imported if it is used, or listed; `CommandError` says that it cannot be.
    """
    names = [*(each.name for each in commands), *plugins]
    if not arguments:
        raise UsageError(f"no command given; there are: {', '.join(names)}")
    first, *rest = arguments
    if first in _HELP:
        raise Help(_overview([*((each.name, each.summary) for each in commands), *map(_summary, plugins.items())]))
    if first == "--version":
        raise Help(f"{PROGRAM} {version('mlp-serving')}\n")
    if first not in names:
        what = "option" if first.startswith("-") else "command"
        raise UsageError(f"unknown {what} {first!r}; {suggestion(first, names)}")
    command = next((each for each in commands if each.name == first), None) or plugins[first]()
    parser = _parser(command)
    if set(rest) & set(_HELP[:2]):
        raise Help(parser.format_help())
    options, unknown = parser.parse_known_args(rest)
    for each in unknown:
        if each.startswith("-"):
            raise UsageError(f"unknown option {each}; {suggestion(each.partition('=')[0], parser.flags)}")
        raise UsageError(f"unexpected argument {each!r}; see: {parser.prog} --help")
    return command, options


def _parser(command: Command) -> _CommandParser:
    parser = _CommandParser(command)
    command.add_arguments(parser)
    group = parser.add_argument_group("as the server", "options of mlp-serve; MLP_* variables apply, too")
    for flag, settings in SERVER.items():
        parser.flags += group.add_argument(flag, **settings).option_strings
    return parser


# Options of the server, with what `argparse` is told of them.
SERVER: Final[dict[str, dict[str, Any]]] = {
    "--models": {"metavar": "FOLDER", "help": "models folder (default: $MLP_MODELS, or models)"},
    "--provider": {"metavar": "NAME", "help": "where to run: auto, cpu or cuda (default: $MLP_PROVIDER, or auto)"},
    "--precision": {"metavar": "NAME", "help": "arithmetic: auto, fp32 or int8 (default: $MLP_PRECISION, or auto)"},
}


def server_arguments(options: argparse.Namespace, flags: Iterable[str] = SERVER) -> list[str]:
    """Those ``flags`` of the server that are given, as `service.settings.load` takes them."""
    given = {flag: getattr(options, flag.removeprefix("--").replace("-", "_")) for flag in flags}
    return [f"{flag}={value}" for flag, value in given.items() if value is not None]


def _summary(plugin: tuple[str, Callable[[], Command]]) -> tuple[str, str]:
    """The name and the summary of a command, or why it cannot be used."""
    name, load = plugin
    try:
        return name, load().summary
    except CommandError as error:
        return name, f"({error})"


def _overview(summaries: Sequence[tuple[str, str]]) -> str:
    width = max(len(name) for name, _ in summaries)
    listed = "\n".join(f"  {name:{width}}  {summary}" for name, summary in summaries)
    return (
        f"usage: {PROGRAM} COMMAND [option ...]\n\n"
        f"Look after published versions. {shlex.quote(PROGRAM)} COMMAND --help explains a command.\n\n"
        f"commands:\n{listed}\n\n{_EXAMPLES}"
    )
