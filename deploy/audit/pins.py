"""The packages that the lock files pin, with all platforms' markers left out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
# All packages, and those of each image, with hashes.
LOCKS: Final = (ROOT / "constraints.txt", *sorted((ROOT / "deploy/image").glob("requirements-*.txt")))

_PIN: Final = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


def pins(lock_files: Iterable[Path]) -> list[str]:
    """Each ``name==version`` of the files once, sorted. Raises `OSError`, and `ValueError` for a file without any."""
    found: set[str] = set()
    for path in lock_files:
        of_file = {f"{normal(name)}=={version}" for name, version in _PIN.findall(path.read_text())}
        if not of_file:
            raise ValueError(f"{path} pins no package, expected lines name==version; write it with make lock")
        found |= of_file
    return sorted(found)


def normal(name: str) -> str:
    """The name as package indexes compare it: lower case, one hyphen between words."""
    return re.sub(r"[-_.]+", "-", name).lower()
