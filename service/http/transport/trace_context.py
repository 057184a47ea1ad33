"""W3C trace context: which trace a request belongs to. https://www.w3.org/TR/trace-context/."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from service.requests import RequestRecord

TRACEPARENT: Final = b"traceparent"
TRACESTATE: Final = b"tracestate"

# Later versions may add fields after those of version 00.
_TRACEPARENT: Final = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_INVALID_VERSION: Final = b"ff"
_NO_TRACE: Final = 32 * b"0"
_NO_SPAN: Final = 16 * b"0"
_SAMPLED: Final = 0x01


def note(record: RequestRecord, headers: Mapping[bytes, bytes]) -> None:
    """Note in ``record`` the trace that ``headers``, by lower-case name, continue; an invalid one is ignored.

    Values of a repeated header are joined by commas, as by `service.http.messages.by_name`: a repeated traceparent is
    invalid, and a repeated tracestate is one list.
    """
    sent = _TRACEPARENT.fullmatch(headers.get(TRACEPARENT, b""))
    if sent is None:
        return
    version, trace_id, span_id, flags, more = sent.groups()
    if version == _INVALID_VERSION or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return
    if version == b"00" and more is not None:
        return
    record.trace_id = trace_id.decode("ascii")
    record.parent_span_id = span_id.decode("ascii")
    record.sampled = bool(int(flags, 16) & _SAMPLED)
    record.tracestate = headers.get(TRACESTATE, b"").decode("latin-1")
