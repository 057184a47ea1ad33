"""A package that nobody answers for is never taken for a good one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from deploy.audit.pins import LOCKS, pins
from deploy.audit.vulnerabilities import findings, verdict

GOOD = {"name": "good", "version": "1", "vulns": []}
BAD = {"name": "bad", "version": "2", "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["3", "4"]}]}
UNKNOWN = {"name": "lost", "skip_reason": "Dependency not found"}


@pytest.mark.parametrize(
    ("dependencies", "expected", "status", "lines"),
    [
        ([GOOD], 1, 0, ["no known vulnerability in 1 packages"]),
        ([GOOD], 3, 1, ["NOT AUDITED against known vulnerabilities: 2 of 3 packages (pip-audit left them out)"]),
        ([GOOD, UNKNOWN], 2, 1, ["NOT AUDITED against known vulnerabilities: 1 of 2 packages (Dependency not found)"]),
        (
            [BAD, UNKNOWN],
            2,
            1,
            [
                "bad 2: PYSEC-1, mended in 3, 4",
                "known vulnerabilities: 1; make lock ARGS='--upgrade-package NAME' upgrades",
                "NOT AUDITED against known vulnerabilities: 1 of 2 packages (Dependency not found)",
            ],
        ),
    ],
)
def test_the_verdict(dependencies: list[object], expected: int, status: int, lines: list[str]) -> None:
    assert verdict(findings({"dependencies": dependencies}, {}), expected) == (status, lines)


def test_a_vulnerability_is_accepted_by_any_of_its_ids() -> None:
    document = {"dependencies": [BAD]}
    for known in ("PYSEC-1", "CVE-1"):
        assert verdict(findings(document, {known: "not reached"}), 1)[0] == 0
    assert verdict(findings(document, {"CVE-2": "another"}), 1)[0] == 1


def test_the_pins_of_all_platforms_are_read_once(tmp_path: Path) -> None:
    lock, hashed = tmp_path / "a.txt", tmp_path / "b.txt"
    lock.write_text("# by make lock\nA_b==1.0\nc==2 ; sys_platform == 'win32'\n")
    hashed.write_text("a-b==1.0 \\\n    --hash=sha256:00\n")
    assert pins([lock, hashed]) == ["a-b==1.0", "c==2"]
    hashed.write_text("nothing\n")
    with pytest.raises(ValueError, match="pins no package"):
        pins([lock, hashed])


def test_the_images_install_what_the_lock_file_has() -> None:
    everything, *images = LOCKS
    assert len(images) >= 3
    assert set(pins(images)) <= set(pins([everything]))


def test_an_audit_that_leaves_them_out_says_so(tmp_path: Path) -> None:
    installed = tmp_path / "installed"  # stands for the tools
    installed.touch()
    command = ["make", "--silent", "audit-vulnerabilities", "OFFLINE=1", f"AUDITORS={installed}"]
    done = subprocess.run(command, cwd=LOCKS[0].parent, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "NOT AUDITED against known vulnerabilities: OFFLINE=1\n"), done.stderr
