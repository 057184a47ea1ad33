"""Environments for scripts that name their own dependencies: peers, and clients that cannot share ours."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

ENVIRONMENTS: Final = Path(__file__).parent / ".venvs"
_SCRIPT: Final = re.compile(r"^# /// script\n(?P<content>(?:^#.*\n)+?)^# ///$", re.MULTILINE)


def python_of(script: Path, environments: Path = ENVIRONMENTS) -> Path:
    """The Python of an environment below ``environments`` with a script's dependencies, installed at the first call.

    https://packaging.python.org/specifications/inline-script-metadata
    """
    header = _SCRIPT.search(script.read_text())
    assert header is not None, f"{script} has no script metadata"
    content = "".join(line[2:] or "\n" for line in header["content"].splitlines(keepends=True))
    needs = tomllib.loads(content)["dependencies"]
    folder = environments / f"{script.stem}-{hashlib.sha256(repr(needs).encode()).hexdigest()[:8]}"
    python = folder / "bin/python"
    if not (folder / ".complete").exists():
        print(f"installing {script.stem} ...", file=sys.stderr)
        uv = Path(sys.prefix) / "bin/uv"
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *needs], check=True)
        (folder / ".complete").touch()
    return python
