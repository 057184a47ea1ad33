"""What a command is made of, and what it works with."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from service.inference.selection import Selection
from service.models.prover import Prover


class CommandError(Exception):
    """A command cannot do what it should. The message is one sentence with the reason and the way out."""


@dataclass(frozen=True, slots=True)
class Context:
    """The models folder, what proves versions as the server would, and a function that prints a line to stdout.

    ``selection`` has the server's pins, from ``MLP_MODEL_VERSIONS`` and ``MLP_MODEL``.
    """

    models: Path
    prover: Prover
    selection: Selection
    write: Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Command:
    """One command: ``run`` returns its exit status, and raises `CommandError`, `ArtifactError` or `StartError`.

    ``summary`` is its line in ``mlp-models --help``, ``description`` and ``examples`` are for its own help.
    """

    name: str
    summary: str
    description: str
    examples: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Context], int]
