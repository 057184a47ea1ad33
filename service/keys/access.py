"""Decides on each request by its key: whose it is, whether it is known, and whether its limits allow the request."""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from typing import Final

from service.errors import RateLimited, Unauthenticated
from service.keys import api_key
from service.keys.buckets import Bucket, Buckets
from service.keys.key_file import Key
from service.requests import RequestRecord

KEY_HEADER: Final = b"x-api-key"
AUTHORIZATION: Final = b"authorization"
_HOW: Final = "send it as authorization: Bearer <key>, or as x-api-key"
# Keys are found by the first bytes of their digests, and compared by all of them.
_INDEX_BYTES: Final = 16


class Grant:
    """What a key allows: the name that the log shows, and the limits of requests and rows."""

    __slots__ = ("_requests", "_rows", "digest", "limits_rows", "name")

    def __init__(self, key: Key, requests: Bucket | None, rows: Bucket | None) -> None:
        self.name = key.name
        self.digest = key.digest
        self.limits_rows = rows is not None
        self._requests = requests
        self._rows = rows

    def take_request(self) -> None:
        """Count a request. Raises `RateLimited`."""
        if self._requests is not None and (wait_s := self._requests.take()):
            raise self._limited("requests", self._requests.rate_per_s, wait_s)

    def take_rows(self, rows: int) -> None:
        """Count the rows of a request. Raises `RateLimited` if earlier ones used up the limit."""
        if self._rows is not None and (wait_s := self._rows.take(rows)):
            raise self._limited("rows", self._rows.rate_per_s, wait_s)

    def _limited(self, what: str, rate_per_s: float, wait_s: float) -> RateLimited:
        used_up = f"key {self.name} has used up its {rate_per_s:g} {what} per second"
        return RateLimited(f"{used_up}; send fewer, or retry after {wait_s:.3g} s", wait_s)


class Access:
    """The keys that are known. `replace` may be called at any time; a request sees the keys of before or after."""

    def __init__(self, keys: Sequence[Key], buckets: Buckets) -> None:
        self._buckets = buckets
        self.replace(keys)

    def replace(self, keys: Sequence[Key]) -> None:
        """Know these keys from now on, and no others."""
        buckets = self._buckets.of(keys)
        grants = [Grant(key, *buckets.get(key.name, (None, None))) for key in keys]
        self._grants = {grant.digest[:_INDEX_BYTES]: grant for grant in grants}

    def admit(self, headers: Mapping[bytes, bytes], record: RequestRecord) -> None:
        """Note whose request it is in ``record``. Raises `Unauthenticated` or `RateLimited`.

        ``headers`` are by lower-case name; values of a repeated one are joined, and make no valid key.
        """
        grant = self._grant(headers)
        record.key = grant.name
        if grant.limits_rows:
            record.take_rows = grant.take_rows
        grant.take_request()

    def _grant(self, headers: Mapping[bytes, bytes]) -> Grant:
        """Raises `Unauthenticated`. What was sent is never repeated: it may be a secret of something else.

        How long it takes could tell about the digest of what was sent, and with that about the digests of the keys:
        no key can be computed from them. The last comparison takes the same time for all digests.
        """
        sent = headers.get(KEY_HEADER)
        if sent is None:
            scheme, _, sent = headers.get(AUTHORIZATION, b"").partition(b" ")
            if not scheme:
                raise Unauthenticated(f"the request has no key; {_HOW}")
            if scheme.lower() != b"bearer":
                raise Unauthenticated(f"the authorization is not of the scheme Bearer, so there is no key; {_HOW}")
            sent = sent.strip(b" ")
        if len(sent) == api_key.KEY_BYTES:  # a longer one is not worth its digest
            digest = api_key.digest(sent)
            grant = self._grants.get(digest[:_INDEX_BYTES])
            if grant is not None and hmac.compare_digest(grant.digest, digest):
                return grant
        raise Unauthenticated("the key is not known here; check that it is whole and was not withdrawn")
