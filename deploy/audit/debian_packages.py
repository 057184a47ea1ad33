"""The software bill of materials (CycloneDX) of a Debian system: `python -m deploy.audit.debian_packages ROOT FILE`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from email.parser import HeaderParser
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

_STATUS: Final = "var/lib/dpkg/status"
_RELEASE: Final = "etc/os-release"
# Sections of what is not free software by Debian's guidelines, or needs such.
_NOT_FREE: Final = ("non-free", "non-free-firmware", "contrib")


def installed(status: str) -> Iterator[Mapping[str, str]]:
    """The fields of each package that dpkg's status file says is installed."""
    parser = HeaderParser()
    for paragraph in status.split("\n\n"):
        fields = parser.parsestr(paragraph.lstrip("\n"))
        if str(fields.get("Status", "")).endswith(" installed"):
            yield {name: str(value) for name, value in fields.items()}


def release(text: str) -> dict[str, str]:
    """The variables of an os-release file."""
    lines = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))
    return {name: value.strip("\"'") for name, value in lines}


def not_free(package: Mapping[str, str]) -> bool:
    """Whether a package is outside Debian's main archive."""
    return package.get("Section", "").split("/")[0] in _NOT_FREE


def component(package: Mapping[str, str], system: Mapping[str, str]) -> dict[str, Any]:
    """A package as CycloneDX's component."""
    name, version = package["Package"], package["Version"]
    vendor = system.get("ID", "debian")
    url = f"pkg:deb/{vendor}/{quote(name)}@{quote(version, safe='')}?arch={package['Architecture']}"
    url += f"&distro={vendor}-{system.get('VERSION_ID', 'unknown')}"
    found: dict[str, Any] = {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url}
    if "Maintainer" in package:
        found["supplier"] = {"name": package["Maintainer"]}
    # The name in Debian's security tracker.
    source = package.get("Source", name).split(" ")[0]
    return found | {"properties": [{"name": "debian:source", "value": source}]}


def bill(root: Path) -> dict[str, Any]:
    """The bill of materials of the system below ``root``, the same for the same packages.

    Raises `OSError` if it is no Debian system, and `ValueError` for packages that are not free software.
    """
    system = release((root / _RELEASE).read_text())
    packages = list(installed((root / _STATUS).read_text()))
    if named := [package["Package"] for package in packages if not_free(package)]:
        raise ValueError(f"{', '.join(named)} is not from Debian's main archive; remove it, or ship another base")
    parts = sorted((component(package, system) for package in packages), key=lambda part: str(part["bom-ref"]))
    name, version = system.get("ID", "debian"), system.get("VERSION_ID", "unknown")
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "operating-system", "name": name, "version": version}},
        "components": parts,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the bill; 1 with a message if that is not possible."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root", type=Path, help="folder with the file system, such as /")
    parser.add_argument("file", type=Path, help="JSON file to write")
    options = parser.parse_args(arguments)
    try:
        document = bill(options.root)
        options.file.write_text(json.dumps(document, indent=2) + "\n")
    except (OSError, ValueError) as error:
        print(f"no bill of materials of {options.root}: {error}", file=sys.stderr)
        return 1
    print(f"{options.file}: {len(document['components'])} Debian packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
