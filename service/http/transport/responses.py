"""A response as bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from service.http import problems
from service.http.messages import NOSNIFF, Header, Headers, Response

_CLOSE: Final = b"connection: close\r\n"
_MAX_HEADS: Final = 32


class ResponseEncoder:
    """Encodes responses. Status line and headers that repeat are encoded once for each second's date.

    Clients are told that an idle connection is kept for ``keep_alive_s``, unless that is 0: some, such as Node's, then
    send no request while it is closed. ``kept`` is the header that says so.
    """

    def __init__(self, keep_alive_s: int = 0) -> None:
        self.kept: Headers = ((b"keep-alive", b"timeout=%d" % keep_alive_s),) if keep_alive_s else ()
        self._kept = _lines(self.kept)
        self._default_headers: Sequence[Header] = ()
        self._heads: dict[tuple[int, Headers], tuple[bytes, bytes]] = {}

    def encode(
        self,
        response: Response,
        request_id: str,
        default_headers: Sequence[Header],
        *,
        keep_alive: bool,
        has_body: bool = True,
    ) -> bytes:
        """Return the whole response; without its body if not ``has_body``, as HEAD asks.

        uvicorn replaces the list of ``default_headers`` each second, and never changes it.
        """
        headers = response.headers
        if default_headers is not self._default_headers or len(self._heads) >= _MAX_HEADS:
            self._default_headers = default_headers
            self._heads.clear()
        head = self._heads.get((response.status, headers))
        if head is None:
            status_line = STATUS_LINE[response.status] + _lines(default_headers)
            head = self._heads[response.status, headers] = status_line, _lines((*headers, NOSNIFF))
        return b"%bcontent-length: %d\r\n%bx-request-id: %b\r\n%b\r\n%b" % (
            head[0],
            len(response.body),
            head[1],
            request_id.encode(),
            self._kept if keep_alive else b"" if problems.CLOSE in headers else _CLOSE,
            response.body if has_body else b"",
        )


def _lines(headers: Iterable[Header]) -> bytes:
    return b"".join([b"%b: %b\r\n" % header for header in headers])
