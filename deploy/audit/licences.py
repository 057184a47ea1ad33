"""Whether each package's licence is allowed: `python -m deploy.audit.licences` for the locked ones that are installed.

With the report of ``pip install --dry-run --report``, it is for what that would install.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from deploy.audit import exceptions
from deploy.audit.exceptions import Exceptions
from deploy.audit.pins import LOCKS, normal, pins

# SPDX identifiers. Permissive licences, and the MPL, which asks only for changes of its own files.
ALLOWED: Final = frozenset(
    {
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSL-1.0", "CC0-1.0", "ISC", "LLVM-exception", "MIT"),
        *("MIT-0", "MIT-CMU", "MPL-2.0", "PSF-2.0", "Python-2.0", "Zlib"),
    }
)
# What packages write instead. Which BSD licence a classifier means it does not say; all of them are allowed.
SPELLINGS: Final[Mapping[str, str]] = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
_CLASSIFIER: Final = "License :: "
_NO_LICENCES: Final = ("OSI Approved", "DFSG approved")
_OPERATORS: Final = re.compile(r"\s+(?:AND|OR|WITH)\s+")

# Name and version of a package, and its core metadata as JSON: https://peps.python.org/pep-0566/
Package = tuple[str, str, Mapping[str, Any]]


def installed(locked: Container[str]) -> Iterator[Package]:
    """The packages of the running Python's environment that are among those ``locked``."""
    for found in metadata.distributions():
        if found.name and normal(found.name) in locked:
            yield found.name, found.version, found.metadata.json


def reported(report: Mapping[str, Any]) -> Iterator[Package]:
    """The packages of a report of pip."""
    for item in report["install"]:
        yield item["metadata"]["name"], item["metadata"]["version"], item["metadata"]


def declared(document: Mapping[str, Any]) -> str:
    """The licence that a package declares, as in its metadata: an expression, or its classifiers, or its licence field.

    Empty if it declares none.
    """
    if expression := document.get("license_expression"):
        return str(expression)
    classifiers = [line.split(" :: ")[-1] for line in document.get("classifier", []) if line.startswith(_CLASSIFIER)]
    named = [name for name in classifiers if name not in _NO_LICENCES]
    return " AND ".join(named) or str(document.get("license") or "").strip()


def refused(licence: str) -> list[str]:
    """The licences of an expression that are not allowed. Alternatives count, too: which one is taken is not said."""
    given = (name if name in SPELLINGS else name.strip("() ") for name in _OPERATORS.split(licence.strip()))
    return sorted({name for name in given if name and SPELLINGS.get(name, name) not in ALLOWED})


def faults(packages: Iterable[Package], excepted: Exceptions) -> list[str]:
    """One message for each package whose licence is neither allowed nor excepted, sorted."""
    found = []
    for name, version, document in packages:
        licence = declared(document)
        if (refused(licence) or not licence) and not excepted.allows(normal(name), licence):
            found.append(
                f"{name} {version} has the licence {licence[:80]!r}, expected one of those in deploy/audit/licences.py;"
                " take another package, or give the reason in deploy/audit/exceptions.toml"
            )
    return sorted(found)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what is refused, and what is not for this platform; 1 if anything is refused or nothing was read."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, help="of pip install --dry-run --report")
    parser.add_argument("--lock", type=Path, help="the file that it is a report of")
    options = parser.parse_args(arguments)
    packages = list(reported(json.loads(options.report.read_text())) if options.report else installed(names(LOCKS)))
    found = faults(packages, exceptions.read())
    print(*found, sep="\n", file=sys.stderr, end="\n" if found else "")
    if options.lock and (other := unread(packages, options.lock)):
        print(f"not for this platform, and so not checked: {', '.join(other)}")
    print(f"licences of {len(packages)} packages: {len(found)} not allowed")
    return 1 if found or not packages else 0


def unread(packages: Iterable[Package], lock: Path) -> list[str]:
    """The packages of a lock file that are not among ``packages``."""
    read = {normal(name) for name, _, _ in packages}
    return [pin for pin in pins([lock]) if pin.split("==")[0] not in read]


def names(lock_files: Iterable[Path]) -> frozenset[str]:
    """The names of the packages that are locked."""
    return frozenset(pin.split("==")[0] for pin in pins(lock_files))


if __name__ == "__main__":
    sys.exit(main())
