"""A package passes with allowed licences only; what is excepted has a reason, and is locked."""

from __future__ import annotations

import json
from fnmatch import filter as matching
from pathlib import Path

import pytest

from deploy.audit import exceptions, licences
from deploy.audit.exceptions import Exceptions
from deploy.audit.pins import LOCKS

NONE = Exceptions()


@pytest.mark.parametrize(
    ("document", "declared"),
    [
        (
            {"license_expression": "MIT OR Zlib", "classifier": ["License :: OSI Approved :: BSD License"]},
            "MIT OR Zlib",
        ),
        ({"classifier": ["License :: OSI Approved", "License :: OSI Approved :: MIT License"]}, "MIT License"),
        ({"license": "see LICENSE", "classifier": ["License :: A", "License :: OSI Approved :: B"]}, "A AND B"),
        ({"license": " BSD-3-Clause\n", "classifier": ["Topic :: A"]}, "BSD-3-Clause"),
        ({}, ""),
    ],
)
def test_what_a_package_declares(document: dict[str, object], declared: str) -> None:
    assert licences.declared(document) == declared


@pytest.mark.parametrize(
    ("licence", "refused"),
    [
        ("MIT", []),
        ("Mozilla Public License 2.0 (MPL 2.0)", []),
        ("MIT License AND Mozilla Public License 2.0 (MPL 2.0)", []),
        ("Apache-2.0 WITH LLVM-exception AND (MIT OR Zlib)", []),
        ("MIT OR GPL-3.0-only", ["GPL-3.0-only"]),
        ("(AGPL-3.0-only AND MIT) OR SSPL-1.0", ["AGPL-3.0-only", "SSPL-1.0"]),
        ("MIT WITH a-clause", ["a-clause"]),
        ("whatever you like", ["whatever you like"]),
    ],
)
def test_each_licence_of_an_expression_must_be_allowed(licence: str, refused: list[str]) -> None:
    assert licences.refused(licence) == refused


def test_an_unknown_licence_fails_unless_that_very_licence_is_excepted() -> None:
    packages = [("Own_Lib", "1.0", {"license": "Own 1"}), ("bare", "2", {}), ("good", "3", {"license": "MIT"})]
    messages = licences.faults(packages, NONE)
    assert [message.split(", expected")[0] for message in messages] == [
        "Own_Lib 1.0 has the licence 'Own 1'",
        "bare 2 has the licence ''",
    ]
    assert licences.faults(packages, Exceptions((("own-*", "Own 1"), ("bare", "")))) == []
    assert len(licences.faults(packages, Exceptions((("own-lib", "Own 2"), ("bare", ""))))) == 1


def test_the_program_fails_for_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report, lock = tmp_path / "report.json", tmp_path / "lock.txt"
    lock.write_text("bad==1\nwindows-only==2 ; sys_platform == 'win32'\n")
    report.write_text(json.dumps({"install": [{"metadata": {"name": "bad", "version": "1", "license": "GPL-3.0"}}]}))
    assert licences.main(["--report", str(report), "--lock", str(lock)]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("bad 1 has the licence 'GPL-3.0', expected one of ")
    assert printed.out == (
        "not for this platform, and so not checked: windows-only==2\nlicences of 1 packages: 1 not allowed\n"
    )
    report.write_text('{"install": []}')
    assert licences.main(["--report", str(report)]) == 1  # nothing was read, so nothing was checked


def test_what_is_installed_here_is_allowed() -> None:
    packages = list(licences.installed(licences.names(LOCKS)))
    assert len(packages) > 100
    assert licences.faults(packages, exceptions.read()) == []


def test_each_exception_is_for_a_locked_package() -> None:
    locked = licences.names(LOCKS)
    assert [pattern for pattern, _ in exceptions.read().licences if not matching(locked, pattern)] == []


def test_an_exception_needs_a_reason(tmp_path: Path) -> None:
    file = tmp_path / "exceptions.toml"
    file.write_text('[[vulnerability]]\nid = "CVE-1"\nreason = " "\n')
    with pytest.raises(ValueError, match=r"CVE-1.* has no reason; say why"):
        exceptions.read(file)
