"""W3C trace context: which trace a request belongs to. https://www.w3.org/TR/trace-context/."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from service.requests import RequestRecord

TRACEPARENT: Final = b"traceparent"
TRACESTATE: Final = b"tracestate"

# Ids of zeros are invalid, and so is version ff. Versions after 00 may add fields.
_IDS: Final = rb"-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
_TRACEPARENT: Final = re.compile(rb"00%b|(?!00|ff)[0-9a-f]{2}%b(?:-.*)?" % (_IDS, _IDS), re.DOTALL)
_TRACE_ID: Final = slice(3, 35)
_SPAN_ID: Final = slice(36, 52)
_FLAGS: Final = slice(53, 55)
_SAMPLED: Final = 0x01
# Of tracestate, as many have to be passed on: https://www.w3.org/TR/trace-context/#tracestate-limits
_MOST_STATE_BYTES: Final = 512


def note(record: RequestRecord, headers: Mapping[bytes, bytes]) -> None:
    """Note in ``record`` the trace that ``headers``, by lower-case name, continue; an invalid one is ignored.

    Values of a repeated header are joined by commas, as by `service.http.messages.by_name`: a repeated traceparent is
    invalid, and a repeated tracestate is one list. A long one is ignored.
    """
    sent = headers.get(TRACEPARENT, b"")
    if _TRACEPARENT.fullmatch(sent) is None:
        return
    fields = sent.decode("latin-1")
    record.trace_id = fields[_TRACE_ID]
    record.parent_span_id = fields[_SPAN_ID]
    record.sampled = bool(int(fields[_FLAGS], 16) & _SAMPLED)
    state = headers.get(TRACESTATE, b"")
    if len(state) <= _MOST_STATE_BYTES:
        record.tracestate = state.decode("latin-1")
