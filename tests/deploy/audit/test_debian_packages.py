"""The bill of Debian packages has what dpkg says is installed, and nothing that is not free."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deploy.audit import debian_packages

RELEASE = '# comment\nID=debian\nVERSION_ID="12"\n'
STATUS = """Package: libstdc++6
Status: install ok installed
Section: libs
Architecture: amd64
Source: gcc-12 (12.2.0-14)
Version: 1:12.2.0-14+deb12u1~rc1
Maintainer: Debian GCC Maintainers <gcc@example.org>
Description: library
 with two lines
 .
 Status: of nothing

Package: removed
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: adduser
Status: install ok installed
Architecture: all
Version: 3.134

"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path, text in {"etc/os-release": RELEASE, "var/lib/dpkg/status": STATUS}.items():
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def test_the_bill(root: Path) -> None:
    file = root / "bill.json"
    assert debian_packages.main([str(root), str(file)]) == 0
    first = file.read_bytes()
    document = json.loads(first)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert document["metadata"]["component"] == {"type": "operating-system", "name": "debian", "version": "12"}
    adduser, library = document["components"]
    assert (adduser["name"], adduser["version"]) == ("adduser", "3.134")
    assert adduser["properties"] == [{"name": "debian:source", "value": "adduser"}]
    assert library["purl"] == library["bom-ref"]
    assert library["purl"] == ("pkg:deb/debian/libstdc%2B%2B6@1%3A12.2.0-14%2Bdeb12u1~rc1?arch=amd64&distro=debian-12")
    assert library["supplier"] == {"name": "Debian GCC Maintainers <gcc@example.org>"}
    assert library["properties"] == [{"name": "debian:source", "value": "gcc-12"}]
    debian_packages.main([str(root), str(file)])
    assert file.read_bytes() == first


@pytest.mark.parametrize("section", ["non-free/libs", "contrib/net", "non-free-firmware/kernel"])
def test_what_is_not_free_is_refused(root: Path, section: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = root / "var/lib/dpkg/status"
    status.write_text(STATUS.replace("Section: libs", f"Section: {section}"))
    assert debian_packages.main([str(root), str(root / "bill.json")]) == 1
    assert "libstdc++6 is not from Debian's main archive" in capsys.readouterr().err
    assert not (root / "bill.json").exists()


def test_another_system_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert debian_packages.main([str(tmp_path), str(tmp_path / "bill.json")]) == 1
    assert "os-release" in capsys.readouterr().err
