"""Certificates for tests: an authority that signs them, and what its clients use."""

from __future__ import annotations

import os
import ssl
from pathlib import Path

import trustme

NAMES = ("localhost", "127.0.0.1")
CLIENT = "client@example.org"


class Authority:
    """Signs certificates for this machine."""

    def __init__(self) -> None:
        self._ca = trustme.CA()
        self.pem: bytes = self._ca.cert_pem.bytes()

    def issue(self) -> tuple[bytes, bytes]:
        """A new certificate and its key."""
        issued = self._ca.issue_cert(*NAMES)
        return b"".join(each.bytes() for each in issued.cert_chain_pems), issued.private_key_pem.bytes()

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Put a new certificate and its key into ``folder``, in the place of earlier ones."""
        paths = folder / "cert.pem", folder / "key.pem"
        for path, content in zip(paths, self.issue(), strict=True):
            replace(path, content)
        return paths

    def client_pair(self) -> tuple[bytes, bytes]:
        """The key and the certificate of a new client."""
        issued = self._ca.issue_cert(CLIENT)
        return issued.private_key_pem.bytes(), issued.cert_chain_pems[0].bytes()

    def client(self, signed_by: Authority | None = None) -> ssl.SSLContext:
        """What a client uses that trusts this authority, with a certificate if ``signed_by`` is given."""
        context = ssl.create_default_context(cadata=self.pem.decode())
        if signed_by is not None:
            signed_by._ca.issue_cert(CLIENT).configure_cert(context)
        return context


def replace(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, and put it in the place of an earlier one."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
        file.write(content)
    new.rename(path)


def options(cert: Path, key: Path) -> list[str]:
    return [f"--tls-cert={cert}", f"--tls-key={key}"]
