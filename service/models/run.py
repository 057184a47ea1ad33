"""Runs one command from its command line: settings, output, errors as one sentence, exit status."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TextIO

from service.errors import StartError
from service.inference import selection
from service.inference.loader import Bounds, Placement
from service.manifest import ArtifactError
from service.models import parser, plugins
from service.models.command import CommandError, Context
from service.models.commands import COMMANDS
from service.models.parser import Help, UsageError
from service.models.prover import Prover
from service.settings import Settings, load


class _Output:
    """Lines to ``stream``. A reader that stops early, such as head, ends the output and not the command."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream  # None if stdout is closed

    def write(self, text: str) -> None:
        """Print ``text`` and a line break. Raises `CommandError` if the disk is full."""
        if self._stream is None:
            return
        try:
            self._stream.write(f"{text}\n")
            self._stream.flush()
        except BrokenPipeError:
            self._discard()
        except OSError as error:
            self._discard()
            raise CommandError(f"the output cannot be written: {error.strerror}; free some space") from error

    def _discard(self) -> None:
        """Give up on the stream; what it still buffers must not fail again when the process ends."""
        if self._stream is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
        self._stream = None


def run(arguments: Sequence[str]) -> int:
    """Run the command in ``arguments`` and return the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # names in a terminal that is not UTF-8
    output = _Output(sys.stdout)
    logging.basicConfig(format=f"{parser.PROGRAM}: %(message)s", level=logging.WARNING)
    try:
        command, options = parser.parse(arguments, COMMANDS, plugins.find())
        return command.run(options, _context(load(parser.server_arguments(options)), output))
    except Help as help_text:
        output.write(str(help_text).rstrip("\n"))
        return 0
    except UsageError as error:
        return _failed(error, 2)
    except (CommandError, ArtifactError, StartError) as error:
        return _failed(error, 1)


def _context(settings: Settings, output: _Output) -> Context:
    max_rows = min(settings.max_request_rows, settings.max_queue_rows)
    placement = Placement(settings.provider, settings.precision)
    prover = Prover(placement, Bounds(max_rows, settings.max_queue_rows, settings.max_queue_s))
    shadows = selection.parse("--shadow (MLP_SHADOW)", settings.shadow) if settings.shadow else {}
    chosen = selection.Selection.of(settings.model, settings.model_versions, shadows)
    return Context(settings.models, prover, chosen, output.write)


def _failed(error: Exception, status: int) -> int:
    lines = "".join(f"{parser.PROGRAM}: {line}\n" for line in str(error).splitlines())
    with suppress(CommandError):  # stderr is full, too
        _Output(sys.stderr).write(lines.rstrip("\n"))
    return status
