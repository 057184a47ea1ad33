"""When a certificate expires. Python's ``ssl`` tells that only of a peer's certificate."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_VERSION: Final = 0xA0
_LONG_LENGTH: Final = 0x80
# The tags of the two forms of a time: https://www.rfc-editor.org/rfc/rfc5280#section-4.1.2.5
_TIME_FORMATS: Final = {0x17: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}


def expires_at_s(pem: str) -> float:
    """The seconds since 1970 at which the first certificate of ``pem`` expires. Raises `ValueError` if it has none.

    A file begins with the certificate of the server; those of its issuers follow.
    """
    found = _PEM.search(pem)
    if found is None:
        raise ValueError("expected a line -----BEGIN CERTIFICATE-----")
    try:
        return _not_after(ssl.PEM_cert_to_DER_cert(found[0])).timestamp()
    except (IndexError, KeyError, StopIteration) as error:
        raise ValueError("the certificate is damaged") from error


def _not_after(der: bytes) -> datetime:
    """The end of the validity: https://www.rfc-editor.org/rfc/rfc5280#section-4.1."""
    ((_, certificate),) = _elements(der)
    _, signed = next(_elements(certificate))
    fields = [each for each in _elements(signed) if each[0] != _VERSION]
    _serial, _algorithm, _issuer, (_, validity), *_ = fields
    _not_before, (form, text) = _elements(validity)
    return datetime.strptime(text.decode("ascii"), _TIME_FORMATS[form]).replace(tzinfo=UTC)


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    """The tag and the content of each element, in the encoding of ITU-T X.690."""
    at = 0
    while at < len(der):
        tag, size = der[at], der[at + 1]
        at += 2
        if size >= _LONG_LENGTH:
            digits = size - _LONG_LENGTH
            size = int.from_bytes(der[at : at + digits])
            at += digits
        yield tag, der[at : at + size]
        at += size
