"""Replaced files: good ones are used from the next handshake on, and others are logged once."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from service.tls.files import TlsFiles
from service.tls.rotation import Rotation
from tests.service.certificates import Authority, replace

DAY_S = 86_400.0
AUTHORITY = Authority()


class Counted:
    """What was counted."""

    def __init__(self) -> None:
        self.expires_s: dict[str, float] = {}

    def expires(self, file: str, at_s: float) -> None:
        self.expires_s[file] = at_s

    def handshake_failed(self, reason: str) -> None:
        raise AssertionError(reason)


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    caplog.clear()
    return found


def started(files: TlsFiles) -> Rotation:
    return Rotation(files, files.load(), Counted())


def test_new_files_are_used(tmp_path: Path) -> None:
    rotation = started(TlsFiles(*AUTHORITY.write(tmp_path)))
    first = rotation.context()
    rotation.look()
    assert rotation.context() is first
    AUTHORITY.write(tmp_path)
    rotation.look()
    assert rotation.context() is not first
    assert rotation.current.key == (tmp_path / "key.pem").read_bytes()


def test_a_mounted_secret_is_followed(tmp_path: Path) -> None:
    """As Kubernetes does: the files are links through ..data, which is replaced by a link to another folder."""
    for number in (1, 2):
        (tmp_path / f"..{number}").mkdir()
        AUTHORITY.write(tmp_path / f"..{number}")
    (tmp_path / "..data").symlink_to("..1")
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    rotation = started(TlsFiles(tmp_path / "cert.pem", tmp_path / "key.pem"))
    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").rename(tmp_path / "..data")
    rotation.look()
    assert rotation.current.key == (tmp_path / "..2" / "key.pem").read_bytes()


def test_a_broken_pair_is_logged_once_and_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = TlsFiles(*AUTHORITY.write(tmp_path))
    rotation = started(files)
    first = rotation.context()
    certificate, key = AUTHORITY.issue()
    replace(files.certificate, certificate)  # its key comes later
    for _ in range(3):
        rotation.look()
    assert messages(caplog) == [
        f"the new TLS files are not used, the old ones stay in use: --tls-key {files.key} does not belong to the "
        f"certificate --tls-cert {files.certificate}; give both of one pair"
    ]
    files.key.unlink()
    for _ in range(3):
        rotation.look()
    assert messages(caplog) == [
        "the new TLS files are not used, the old ones stay in use: "
        f"--tls-key {files.key} cannot be read: No such file or directory"
    ]
    assert rotation.context() is first
    replace(files.key, key)
    rotation.look()
    assert not messages(caplog)
    assert rotation.current.key == key


def test_a_worker_that_starts_later_uses_what_is_good(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It replaces one that died, and has the first credentials from its parent."""
    files = TlsFiles(*AUTHORITY.write(tmp_path))
    first = files.load()
    AUTHORITY.write(tmp_path)
    assert Rotation(files, first, Counted()).current.key == files.key.read_bytes() != first.key
    replace(files.key, AUTHORITY.issue()[1])
    assert Rotation(files, first, Counted()).current is first
    assert len(messages(caplog)) == 1


def test_a_certificate_that_expires_is_warned_about(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ends_s = datetime(2030, 1, 1, tzinfo=UTC).timestamp()
    issued = trustme.CA().issue_cert("localhost", not_after=datetime(2030, 1, 1, tzinfo=UTC))
    files = TlsFiles(tmp_path / "cert.pem", tmp_path / "key.pem")
    replace(files.certificate, issued.cert_chain_pems[0].bytes())
    replace(files.key, issued.private_key_pem.bytes())
    counted, left_days = Counted(), 100.0
    rotation = Rotation(files, files.load(), counted, wall_s=lambda: ends_s - left_days * DAY_S)
    assert counted.expires_s == {str(files.certificate): ends_s}
    assert not messages(caplog)
    said = []
    for left_days in (20.0, 13.9, 13.0, 2.5, 2.5, 0.5, -1.0, -2.0):  # noqa: B007 - the clock reads it
        rotation.look()
        said += messages(caplog)
    soon = f"the certificate {files.certificate} expires in"
    assert said == [
        f"{soon} 13.9 days; replace it",
        f"{soon} 2.5 days; replace it",
        f"{soon} 0.5 days; replace it",
        f"the certificate {files.certificate} has expired: clients refuse it; replace it",
    ]
