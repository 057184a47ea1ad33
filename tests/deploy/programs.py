"""The programs of Prometheus, from `make prometheus` or from the PATH."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path


def program(name: str) -> str:
    """The path of ``prometheus`` or ``promtool``."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    found = shutil.which(name, path=path)
    assert found, f"there is no {name}; run make prometheus, or install Prometheus"
    return found
