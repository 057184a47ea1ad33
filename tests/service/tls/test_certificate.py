"""When a certificate expires, compared with what the cryptography package reads."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import trustme
from cryptography import x509

from service.tls.certificate import expires_at_s


@pytest.mark.parametrize("year", [2020, 2049, 2050, 2999], ids=["expired", "last short form", "long form", "far"])
def test_it_is_what_cryptography_reads(year: int) -> None:
    """The form of a time has two digits for the year until 2049."""
    ends = datetime(year, 12, 31, 23, 59, 58, tzinfo=UTC)
    starts = datetime(2019, 1, 1, tzinfo=UTC)
    issued = trustme.CA().issue_cert("localhost", not_before=starts, not_after=ends)
    pem = issued.cert_chain_pems[0].bytes()
    assert expires_at_s(pem.decode()) == x509.load_pem_x509_certificate(pem).not_valid_after_utc.timestamp()
    assert expires_at_s(pem.decode()) == ends.timestamp()


def test_the_first_certificate_counts() -> None:
    authority = trustme.CA()
    ends = datetime(2030, 1, 1, tzinfo=UTC)
    first = authority.issue_cert("localhost", not_after=ends).cert_chain_pems[0].bytes()
    chain = b"some text before it\n" + first + authority.cert_pem.bytes()
    assert expires_at_s(chain.decode()) == ends.timestamp()


@pytest.mark.parametrize("content", ["AAAA", "MAA=", "MAMCAQE="], ids=["no element", "empty", "no certificate"])
def test_a_damaged_certificate_is_an_error(content: str) -> None:
    with pytest.raises(ValueError, match="damaged"):
        expires_at_s(f"-----BEGIN CERTIFICATE-----\n{content}\n-----END CERTIFICATE-----\n")


def test_another_file_is_an_error() -> None:
    with pytest.raises(ValueError, match="expected a line"):
        expires_at_s("-----BEGIN PRIVATE KEY-----")
