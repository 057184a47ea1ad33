"""The files of a certificate and its key: checked, and made into what HTTP and gRPC need."""

from __future__ import annotations

import logging
import ssl
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.errors import StartError
from service.tls import certificate

_log = logging.getLogger(__name__)

CERT: Final = "--tls-cert"
KEY: Final = "--tls-key"
CLIENT_CA: Final = "--tls-client-ca"
PASSWORD: Final = "--tls-key-password-file"  # noqa: S105 - an option's name
_KEY_MARK: Final = b"PRIVATE KEY-----"
_ENCRYPTED_MARK: Final = b"ENCRYPTED"
# HTTP/2 is for gRPC, on its own port.
_ALPN: Final = ("http/1.1",)

# What tells whether a file was replaced, also where links lead to another one.
Signature = tuple[tuple[int, ...] | None, ...]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What was read from the files of ``signature``. ``client_ca`` is empty unless clients need a certificate."""

    signature: Signature
    context: ssl.SSLContext
    expires_at_s: float
    certificate: bytes
    key: bytes
    client_ca: bytes

    @property
    def key_is_encrypted(self) -> bool:
        """Whether the key needs a password."""
        return _ENCRYPTED_MARK in self.key


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the PEM files are. With ``client_ca``, clients must have a certificate that these issuers signed."""

    certificate: Path
    key: Path
    client_ca: Path | None = None
    password: Path | None = None

    def signature(self) -> Signature:
        """What changes when a file is replaced; None stands for a missing file."""
        return tuple(_signature(path) for path in (self.certificate, self.key, self.client_ca, self.password) if path)

    def load_first(self) -> Credentials:
        """Load, and warn if every user may read the key. Raises `StartError` as `load` does."""
        loaded = self.load()
        mode = stat.S_IMODE(self.key.stat().st_mode)
        if mode & stat.S_IROTH:
            _log.warning("every user may read the private key %s (mode %03o); chmod 640 or stricter", self.key, mode)
        return loaded

    def load(self) -> Credentials:
        """Read and check the files. Raises `StartError` with the option, the file and what is wrong with it."""
        signature = self.signature()
        cert, key = _read(CERT, self.certificate), _read(KEY, self.key)
        client_ca = b"" if self.client_ca is None else _read(CLIENT_CA, self.client_ca)
        password = None if self.password is None else _read(PASSWORD, self.password).rstrip(b"\r\n")
        try:
            expires_at_s = certificate.expires_at_s(cert.decode("ascii", "replace"))
        except ValueError as error:
            raise StartError(f"{CERT} {self.certificate} is no certificate in PEM form: {error}") from error
        if _KEY_MARK not in key:
            raise StartError(
                f"{KEY} {self.key} is no private key in PEM form: expected a line -----BEGIN PRIVATE KEY-----"
            )
        if _ENCRYPTED_MARK in key and password is None:
            raise StartError(f"{KEY} {self.key} is encrypted; name the file of its password with {PASSWORD}")
        return Credentials(signature, self._context(password), expires_at_s, cert, key, client_ca)

    def _context(self, password: bytes | None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(_ALPN)
        try:
            # Without a password OpenSSL would ask for it at the terminal.
            context.load_cert_chain(self.certificate, self.key, password=password or b"")
        except (ssl.SSLError, OSError, ValueError) as error:
            raise StartError(self._fault(error, has_password=password is not None)) from error
        if self.client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            try:
                context.load_verify_locations(self.client_ca)
            except OSError as error:
                raise StartError(f"{CLIENT_CA} {self.client_ca} has no certificates in PEM form") from error
        return context

    def _fault(self, error: Exception, *, has_password: bool) -> str:
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            return (
                f"{KEY} {self.key} does not belong to the certificate {CERT} {self.certificate}; give both of one pair"
            )
        if has_password:
            return f"{KEY} {self.key} cannot be read with the password in {PASSWORD} {self.password}, or it is damaged"
        return f"{CERT} {self.certificate} with {KEY} {self.key} cannot be used: {error}"


def tls_files(cert: Path | None, key: Path | None, client_ca: Path | None, password: Path | None) -> TlsFiles | None:
    """The files that the options name, or None without TLS. Raises `StartError` if an option lacks another one."""
    given = {CERT: cert, KEY: key, CLIENT_CA: client_ca, PASSWORD: password}
    if not any(given.values()):
        return None
    if cert is None or key is None:
        missing = " and ".join(option for option in (CERT, KEY) if given[option] is None)
        names = ", ".join(option for option, path in given.items() if path is not None)
        raise StartError(f"{names} without {missing}: TLS needs a certificate and its key; give both, or neither")
    return TlsFiles(cert, key, client_ca, password)


def _read(option: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StartError(f"{option} {path} cannot be read: {error.strerror or error}") from error


def _signature(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
