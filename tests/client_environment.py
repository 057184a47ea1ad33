"""Programs that use real clients, each run in an environment of its own from the package index."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

ENVIRONMENTS: Final = Path(sys.prefix) / "clients"
PROGRAMS: Final = Path(__file__).parent / "client_programs"
_SCRIPT: Final = re.compile(r"^# /// script\n(?P<content>(?:^#.*\n)+?)^# ///$", re.MULTILINE)


def run(program: str, *arguments: str) -> str:
    """The output of a program of ``client_programs``, which has to succeed."""
    script = PROGRAMS / program
    command = [_environment(script) / "bin/python", script, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, f"{program} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def _environment(script: Path) -> Path:
    """An environment with a script's dependencies: https://packaging.python.org/specifications/inline-script-metadata"""
    header = _SCRIPT.search(script.read_text())
    assert header is not None, f"{script} does not say what it needs"
    content = "".join(line[2:] or "\n" for line in header["content"].splitlines(keepends=True))
    needs = tomllib.loads(content)["dependencies"]
    folder = ENVIRONMENTS / f"{script.stem}-{hashlib.sha256(repr(needs).encode()).hexdigest()[:8]}"
    if not (folder / ".complete").exists():
        uv = Path(sys.prefix) / "bin/uv"
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", folder / "bin/python", *needs], check=True)
        (folder / ".complete").touch()
    return folder
