"""An environment with Ray above that of the tests, in which programs are run: the tests' own stays light."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[1]
_FOLDER: Final = Path(sys.prefix) / "ray"
_LINES: Final = 4000


def python() -> Path:
    """The Python of the environment, which is made at the first call from the package index."""
    python_of_it = _FOLDER / "bin/python"
    if not (_FOLDER / ".complete").exists():
        uv = Path(sys.prefix) / "bin/uv"
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, _FOLDER], check=True)
        packages = next(_FOLDER.glob("lib/python*/site-packages"))
        below = sysconfig.get_path("purelib")
        (packages / "below.pth").write_text(f"import site; site.addsitedir({below!r})\n")
        install = [uv, "pip", "install", "--quiet", "--python", python_of_it, "-c", ROOT / "constraints.txt"]
        subprocess.run([*install, "ray[data,train]"], check=True)
        subprocess.run([*install, "--no-deps", "--editable", ROOT], check=True)  # for its entry points
        (_FOLDER / ".complete").touch()
    return python_of_it


def run(program: str, *arguments: str | Path, timeout_s: float = 240) -> dict[str, Any]:
    """The JSON that a program of ``ray_programs`` prints last."""
    command = [python(), "-m", f"tests.ray_programs.{program}", *arguments]
    environment = os.environ | {"PYTHONWARNINGS": "default"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout_s, check=False, cwd=ROOT, env=environment
    )
    assert done.returncode == 0, f"{program} failed:\n{done.stdout[-_LINES:]}\n{done.stderr[-_LINES:]}"
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found | {"stderr": done.stderr}
