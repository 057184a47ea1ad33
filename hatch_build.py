"""Adds the compiled reader of regular JSON to a wheel, on Linux on x86-64 or ARM, if the package ziglang is installed.

    python hatch_build.py

compiles it into this folder instead. ziglang brings the C compiler.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_SOURCE: Final = Path("service/http/codecs/regular_json.c")
_LIBRARY: Final = Path("service/http/codecs/libregular_json.so")
# By platform, the compiler's target and the wheel's tag: with the oldest C library that either knows.
_TARGETS: Final = {
    "linux-x86_64": ("x86_64-linux-gnu.2.17", "manylinux_2_17_x86_64"),
    "linux-aarch64": ("aarch64-linux-gnu.2.17", "manylinux_2_17_aarch64"),
}


class CompiledReader(BuildHookInterface[Any]):
    """Adds the library to a wheel, which is then for one platform and all versions of Python."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile for a wheel of the ``standard`` version; an editable one leaves that to `main`."""
        target = _TARGETS.get(sysconfig.get_platform())
        if version != "standard" or target is None or find_spec("ziglang") is None:
            return
        _compile(Path(self.root), target[0])
        build_data["artifacts"].append(str(_LIBRARY))
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{target[1]}"


def _compile(root: Path, target: str) -> None:
    options = ("-O3", "-Wall", "-Wextra", "-Werror", "-std=c11", "-shared", "-s", "-target", target)
    with tempfile.TemporaryDirectory() as cache:
        caches = {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
        command = [sys.executable, "-m", "ziglang", "cc", *options, "-o", str(_LIBRARY), str(_SOURCE)]
        subprocess.run(command, cwd=root, env=os.environ | caches, check=True)  # noqa: S603 - only names from this file


def main() -> None:
    """Compile the library into this folder, or say why not."""
    platform = sysconfig.get_platform()
    if platform not in _TARGETS:
        sys.exit(f"the platform is {platform}, expected {' or '.join(_TARGETS)}; the server works without the library")
    _compile(Path(__file__).parent, _TARGETS[platform][0])


if __name__ == "__main__":
    main()
