"""Who is let in: a known key in one of two headers, whole, once, and nothing else."""

from __future__ import annotations

import hashlib

import pytest

from service.errors import RateLimited, Unauthenticated
from service.http.messages import by_name
from service.keys import api_key
from service.keys.access import Access
from service.keys.buckets import Buckets
from service.requests import RequestRecord
from tests.service.keys.made import make

WEB, REPORTS = make("web"), make("reports")
KEY = WEB.secret.encode()
BEARER = b"Bearer " + KEY
NO_KEY = "the request has no key; send it as authorization: Bearer <key>, or as x-api-key"
UNKNOWN = "the key is not known here; check that it is whole and was not withdrawn"
OTHER_SCHEME = (
    "the authorization is not of the scheme Bearer, so there is no key; send it as authorization: Bearer <key>, or as "
    "x-api-key"
)


@pytest.fixture(scope="module")
def access() -> Access:
    return Access([WEB.key, REPORTS.key], Buckets())


def admitted(access: Access, *headers: tuple[bytes, bytes]) -> str:
    """The name of the key."""
    record = RequestRecord("GET", "/", "id", 0.0)
    access.admit(by_name(headers), record)
    return record.key


@pytest.mark.parametrize(
    "header",
    [
        (b"x-api-key", KEY),
        (b"authorization", BEARER),
        (b"authorization", b"bearer   " + KEY),
        (b"authorization", b"BEARER " + KEY + b" "),
    ],
)
def test_a_known_key_is_let_in(access: Access, header: tuple[bytes, bytes]) -> None:
    assert admitted(access, (b"accept", b"*/*"), header) == "web"


def test_each_key_has_its_name(access: Access) -> None:
    assert admitted(access, (b"x-api-key", REPORTS.secret.encode())) == "reports"


def test_a_key_of_its_own_header_stands_beside_another_authorization(access: Access) -> None:
    assert admitted(access, (b"authorization", b"Basic dTpw"), (b"x-api-key", KEY)) == "web"


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ([], NO_KEY),
        ([(b"authorization", b"")], NO_KEY),
        ([(b"x-api-key", b"")], UNKNOWN),
        ([(b"authorization", b"Bearer")], UNKNOWN),
        ([(b"authorization", b"Bearer ")], UNKNOWN),
        ([(b"authorization", KEY)], OTHER_SCHEME),
        ([(b"authorization", b"Basic " + KEY)], OTHER_SCHEME),
        ([(b"authorization", b"Bearer\t" + KEY)], OTHER_SCHEME),
        ([(b"authorization", BEARER), (b"authorization", BEARER)], UNKNOWN),
        ([(b"x-api-key", KEY), (b"x-api-key", KEY)], UNKNOWN),
        ([(b"x-api-key", b""), (b"x-api-key", KEY)], UNKNOWN),
        ([(b"x-api-key", b"wrong"), (b"authorization", BEARER)], UNKNOWN),
        ([(b"x-api-key", KEY[:-1])], UNKNOWN),
        ([(b"x-api-key", KEY + b"x")], UNKNOWN),
        ([(b"x-api-key", KEY[:-1] + b"\xe9")], UNKNOWN),
        ([(b"x-api-key", KEY[:-1] + b"\0")], UNKNOWN),
        ([(b"x-api-key", KEY.swapcase())], UNKNOWN),
        ([(b"x-api-key", b"\xff" * 47)], UNKNOWN),
        ([(b"x-api-key", b"a" * 60_000)], UNKNOWN),
        ([(b"authorization", b"Bearer " + b"\xc3\xa9" * 30_000)], UNKNOWN),
        ([(b"x-api-key", WEB.key.digest.hex().encode())], UNKNOWN),
        ([(b"x-api-key", WEB.key.digest)], UNKNOWN),
        ([(b"x-api-key", b"web")], UNKNOWN),
    ],
)
def test_anything_else_is_refused_without_repeating_it(
    access: Access, headers: list[tuple[bytes, bytes]], detail: str
) -> None:
    with pytest.raises(Unauthenticated) as caught:
        admitted(access, *headers)
    assert str(caught.value) == detail


def test_a_digest_that_begins_like_a_known_one_is_not_enough() -> None:
    known = WEB.key._replace(digest=WEB.key.digest[:-1] + b"\0")
    with pytest.raises(Unauthenticated):
        admitted(Access([known], Buckets()), (b"x-api-key", KEY))


def test_keys_come_and_go() -> None:
    access = Access([WEB.key], Buckets())
    access.replace([REPORTS.key])
    with pytest.raises(Unauthenticated):
        admitted(access, (b"x-api-key", KEY))
    assert admitted(access, (b"x-api-key", REPORTS.secret.encode())) == "reports"


def test_limits_count_requests_and_rows_of_each_key() -> None:
    now_s = 100.0
    buckets = Buckets(lambda: now_s)
    slow, fast = make("slow", requests_per_s=2, rows_per_s=10), make("fast")
    access = Access([slow.key, fast.key], buckets)
    header = (b"x-api-key", slow.secret.encode())
    record = RequestRecord("POST", "/predict", "id", 0.0)
    access.admit(dict([header]), record)
    assert record.take_rows is not None
    record.take_rows(25)  # more than a second allows: the debt is paid by waiting
    admitted(access, header)
    with pytest.raises(RateLimited) as requests:
        admitted(access, header)
    with pytest.raises(RateLimited) as rows:
        record.take_rows(1)
    assert str(requests.value) == "key slow has used up its 2 requests per second; send fewer, or retry after 0.5 s"
    assert requests.value.retry_after_s == pytest.approx(0.5)
    assert str(rows.value) == "key slow has used up its 10 rows per second; send fewer, or retry after 1.5 s"
    assert rows.value.retry_after_s == pytest.approx(1.5)
    assert admitted(access, (b"x-api-key", fast.secret.encode())) == "fast"
    now_s += 1.5
    record.take_rows(1)
    admitted(access, header)


def test_a_digest_is_sha_256_of_a_key_of_256_random_bits() -> None:
    keys = {api_key.new() for _ in range(1000)}
    assert len(keys) == 1000
    assert {len(key) for key in keys} == {api_key.KEY_BYTES}
    assert set("".join(key[4:] for key in keys)) == set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    )
    assert api_key.digest(KEY) == hashlib.sha256(KEY).digest()
