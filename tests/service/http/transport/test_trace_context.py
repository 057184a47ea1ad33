"""traceparent and tracestate, by the rules of https://www.w3.org/TR/trace-context/."""

from __future__ import annotations

import pytest

from service.http.messages import by_name
from service.http.transport import trace_context
from service.requests import RequestRecord

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def noted(*headers: tuple[bytes, bytes]) -> RequestRecord:
    record = RequestRecord("POST", "/predict", "an-id", 0.0)
    trace_context.note(record, by_name(headers))
    return record


@pytest.mark.parametrize(
    ("traceparent", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),  # the second bit says that the id is random
        (f"00-{TRACE}-{SPAN}-fe", False),
        (f"01-{TRACE}-{SPAN}-01", True),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", True),
        (f"cc-{TRACE}-{SPAN}-01-", True),
    ],
)
def test_a_valid_trace_is_continued(traceparent: str, sampled: bool) -> None:
    record = noted((b"traceparent", traceparent.encode()))
    assert (record.trace_id, record.parent_span_id, record.sampled) == (TRACE, SPAN, sampled)
    assert record.tracestate == ""


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{32 * '0'}-{SPAN}-01",
        f"00-{TRACE}-{16 * '0'}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN.upper()}-01",
        f"0A-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0A",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-010",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}0-{SPAN}-01",
        f"00-{TRACE}-{SPAN[1:]}-01",
        f"00-{TRACE[1:]}.-{SPAN}-01",
        f"0-{TRACE}-{SPAN}-01",
        f"cc-{TRACE}-{SPAN}-01.what",
        f"00_{TRACE}_{SPAN}_01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-01,00-{TRACE}-{SPAN}-01",
    ],
)
def test_an_invalid_one_is_ignored_with_its_tracestate(traceparent: str) -> None:
    record = noted((b"traceparent", traceparent.encode()), (b"tracestate", b"a=1"))
    assert record == RequestRecord("POST", "/predict", "an-id", 0.0)


def test_a_repeated_traceparent_is_invalid_and_a_repeated_tracestate_one_list() -> None:
    sent = (b"traceparent", f"00-{TRACE}-{SPAN}-01".encode())
    assert noted(sent, sent).trace_id == ""
    assert noted(sent, (b"tracestate", b"a=1,b=2"), (b"tracestate", b"c=3")).tracestate == "a=1,b=2, c=3"


def test_a_long_state_is_ignored() -> None:
    sent = (b"traceparent", f"00-{TRACE}-{SPAN}-01".encode())
    states = [b"a=" + b"x" * (size - 2) for size in (512, 513)]
    assert [len(noted(sent, (b"tracestate", state)).tracestate) for state in states] == [512, 0]


def test_without_the_header_nothing_is_noted() -> None:
    assert noted((b"tracestate", b"a=1")).tracestate == ""
