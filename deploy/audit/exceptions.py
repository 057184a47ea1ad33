"""What the audit allows although its rules do not, each with its reason: ``exceptions.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).with_name("exceptions.toml")


@dataclass(frozen=True, slots=True)
class Exceptions:
    """Pairs of a package, or a pattern such as ``nvidia-*``, and its licence; a reason for each vulnerability's id."""

    licences: tuple[tuple[str, str], ...] = ()
    vulnerabilities: Mapping[str, str] = field(default_factory=dict)

    def allows(self, package: str, licence: str) -> bool:
        """Whether a licence, as it is declared, is allowed for a package; ``package`` as in `normal`."""
        return any(fnmatchcase(package, pattern) and licence == allowed for pattern, allowed in self.licences)


def read(path: Path = FILE) -> Exceptions:
    """Read the file. Raises `ValueError` if an exception has no reason."""
    document = tomllib.loads(path.read_text())
    licences, vulnerabilities = document.get("licence", []), document.get("vulnerability", [])
    for entry in [*licences, *vulnerabilities]:
        if not entry.get("reason", "").strip():
            raise ValueError(f"{path}: {entry} has no reason; say why it is allowed")
    return Exceptions(
        tuple((entry["package"], entry["licence"]) for entry in licences),
        {entry["id"]: entry["reason"] for entry in vulnerabilities},
    )
