"""Whether pip-audit knows a vulnerability of a locked package: `python -m deploy.audit.vulnerabilities`.

A package that the vulnerability service does not answer for is not taken for a good one, as pip-audit itself does:
then the audit says so and fails. pip-audit runs beside this Python, and gets the arguments given here.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from deploy.audit import exceptions
from deploy.audit.pins import LOCKS, pins

_TIMEOUT_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Findings:
    """What pip-audit found: a line for each vulnerability, and packages it could not ask about with the reason."""

    vulnerable: tuple[str, ...]
    unknown: Mapping[str, str]
    packages: int


def findings(document: Mapping[str, Any], accepted: Mapping[str, str]) -> Findings:
    """Those of pip-audit's JSON; ``accepted`` has the ids of vulnerabilities that were judged to do no harm."""
    vulnerable, unknown = [], {}
    for package in document["dependencies"]:
        if "skip_reason" in package:
            unknown[str(package["name"])] = str(package["skip_reason"])
        for fault in package.get("vulns", []):
            if accepted.keys().isdisjoint([fault["id"], *fault.get("aliases", [])]):
                mended = ", ".join(fault["fix_versions"]) or "no version"
                vulnerable.append(f"{package['name']} {package['version']}: {fault['id']}, mended in {mended}")
    return Findings(tuple(sorted(vulnerable)), unknown, len(document["dependencies"]))


def verdict(found: Findings, expected: int) -> tuple[int, list[str]]:
    """The exit status, and what to print: 0 only if each of ``expected`` packages was asked about and is good."""
    lines = list(found.vulnerable)
    if found.vulnerable:
        lines.append(
            f"known vulnerabilities: {len(found.vulnerable)}; make lock ARGS='--upgrade-package NAME' upgrades"
        )
    if missing := len(found.unknown) + expected - found.packages:
        reason = next(iter(found.unknown.values()), "pip-audit left them out")
        lines.append(f"NOT AUDITED against known vulnerabilities: {missing} of {expected} packages ({reason})")
    return (1, lines) if lines else (0, [f"no known vulnerability in {expected} packages"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Audit the packages of all lock files."""
    pinned = pins(LOCKS)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join(pinned))
        file.flush()
        command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "--progress-spinner", "off"]
        command += ["--format", "json", "--requirement", file.name, *(sys.argv[1:] if arguments is None else arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)  # noqa: S603
    try:
        found = findings(json.loads(done.stdout), exceptions.read().vulnerabilities)
    except ValueError:
        reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
        print(f"NOT AUDITED against known vulnerabilities: pip-audit gave no result ({reason})", file=sys.stderr)
        return 1
    status, lines = verdict(found, len(pinned))
    print(*lines, sep="\n", file=sys.stderr if status else sys.stdout)
    return status


if __name__ == "__main__":
    sys.exit(main())
