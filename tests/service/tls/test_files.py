"""The files of TLS: each fault is one sentence with the option, the file and the way out."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from service.errors import StartError
from service.tls.files import TlsFiles, tls_files
from tests.service.certificates import Authority, replace

AUTHORITY = Authority()


@pytest.fixture
def files(tmp_path: Path) -> TlsFiles:
    return TlsFiles(*AUTHORITY.write(tmp_path))


def fault(files: TlsFiles) -> str:
    with pytest.raises(StartError) as caught:
        files.load()
    return str(caught.value)


def encrypted(key: bytes, password: bytes) -> bytes:
    private = serialization.load_pem_private_key(key, None)
    form = serialization.BestAvailableEncryption(password)
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, form)


def test_good_files_make_a_context(files: TlsFiles) -> None:
    loaded = files.load()
    assert loaded.context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert loaded.context.verify_mode is ssl.CERT_NONE
    assert (loaded.certificate, loaded.key, loaded.client_ca) == (
        files.certificate.read_bytes(),
        files.key.read_bytes(),
        b"",
    )


def test_a_missing_file(files: TlsFiles, tmp_path: Path) -> None:
    for option, given in (
        ("--tls-cert", TlsFiles(tmp_path / "no.pem", files.key)),
        ("--tls-key", TlsFiles(files.certificate, tmp_path / "no.pem")),
        ("--tls-client-ca", TlsFiles(files.certificate, files.key, tmp_path / "no.pem")),
        ("--tls-key-password-file", TlsFiles(files.certificate, files.key, password=tmp_path / "no.pem")),
    ):
        assert fault(given) == f"{option} {tmp_path / 'no.pem'} cannot be read: No such file or directory"


def test_a_key_of_another_certificate(files: TlsFiles) -> None:
    replace(files.key, AUTHORITY.issue()[1])
    assert fault(files) == (
        f"--tls-key {files.key} does not belong to the certificate --tls-cert {files.certificate}; "
        "give both of one pair"
    )


def test_files_in_the_wrong_place(files: TlsFiles) -> None:
    assert fault(TlsFiles(files.key, files.certificate)) == (
        f"--tls-cert {files.key} is no certificate in PEM form: expected a line -----BEGIN CERTIFICATE-----"
    )
    assert fault(TlsFiles(files.certificate, files.certificate)) == (
        f"--tls-key {files.certificate} is no private key in PEM form: expected a line -----BEGIN PRIVATE KEY-----"
    )
    assert fault(TlsFiles(files.certificate, files.key, files.key)) == (
        f"--tls-client-ca {files.key} has no certificates in PEM form"
    )


def test_an_encrypted_key(files: TlsFiles, tmp_path: Path) -> None:
    replace(files.key, encrypted(files.key.read_bytes(), b"secret"))
    assert fault(files) == (
        f"--tls-key {files.key} is encrypted; name the file of its password with --tls-key-password-file"
    )
    password = tmp_path / "password"
    with_password = TlsFiles(files.certificate, files.key, password=password)
    for content in (b"wrong\n", b""):
        password.write_bytes(content)
        assert fault(with_password) == (
            f"--tls-key {files.key} cannot be read with the password in --tls-key-password-file {password}, "
            "or it is damaged"
        )
    password.write_bytes(b"secret\n")
    assert with_password.load().key_is_encrypted


def test_a_damaged_key(files: TlsFiles) -> None:
    replace(files.key, b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    assert fault(files).startswith(f"--tls-cert {files.certificate} with --tls-key {files.key} cannot be used: ")


def test_a_key_that_everybody_may_read_is_warned_about(files: TlsFiles, caplog: pytest.LogCaptureFixture) -> None:
    files.load_first()
    assert not caplog.records
    files.key.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        files.load_first()
    (record,) = caplog.records
    assert record.getMessage() == f"every user may read the private key {files.key} (mode 644); chmod 640 or stricter"


def test_options_that_lack_another_one(tmp_path: Path) -> None:
    assert tls_files(None, None, None, None) is None
    for given, message in (
        ((tmp_path, None, None, None), "--tls-cert without --tls-key"),
        ((None, tmp_path, None, None), "--tls-key without --tls-cert"),
        ((None, None, tmp_path, tmp_path), "--tls-client-ca, --tls-key-password-file without --tls-cert and --tls-key"),
    ):
        with pytest.raises(StartError) as caught:
            tls_files(*given)
        assert str(caught.value) == f"{message}: TLS needs a certificate and its key; give both, or neither"
