"""Programs that use real clients, each run in an environment of its own from the package index."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.environments import python_of

ENVIRONMENTS: Final = Path(sys.prefix) / "clients"
PROGRAMS: Final = Path(__file__).parent / "client_programs"


def run(program: str, *arguments: str) -> str:
    """The output of a program of ``client_programs``, which has to succeed."""
    script = PROGRAMS / program
    command = [python_of(script, ENVIRONMENTS), script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, f"{program} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout
