from __future__ import annotations

import pytest

from app.wire.codec import Headers
from app.wire.headers import trace_headers, trace_of

TRACE = b"4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = b"00f067aa0ba902b7"
W3C = b"00-" + TRACE + b"-" + SPAN + b"-01"
UNSAMPLED = W3C[:-2] + b"00"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("traceparent", W3C)], W3C),
        ([("ce_traceparent", W3C)], W3C),
        ([("b3", TRACE + b"-" + SPAN + b"-1-" + SPAN)], W3C),
        ([("b3", TRACE.upper() + b"-" + SPAN + b"-d")], W3C),
        ([("b3", TRACE + b"-" + SPAN)], UNSAMPLED),
        ([("b3", SPAN + b"-" + SPAN + b"-0")], b"00-0000000000000000" + SPAN + b"-" + SPAN + b"-00"),
        ([("X-B3-TraceId", TRACE), ("X-B3-SpanId", SPAN), ("X-B3-Sampled", b"1")], W3C),
        ([("x-b3-traceid", TRACE), ("x-b3-spanid", SPAN), ("x-b3-flags", b"1")], W3C),
        ([("X-B3-TraceId", TRACE), ("X-B3-SpanId", SPAN)], UNSAMPLED),
        ([("b3", TRACE + b"-" + SPAN + b"-0"), ("traceparent", W3C)], W3C),
        ([("traceparent", b"rubbish"), ("b3", TRACE + b"-" + SPAN + b"-1")], W3C),
        ([("traceparent", UNSAMPLED), ("traceparent", W3C)], W3C),
        ([("traceparent", b"cc" + W3C[2:] + b"-more")], W3C),
    ],
)
def test_each_form_becomes_a_traceparent_in_the_order_of_the_contract(headers: Headers, expected: bytes) -> None:
    assert trace_of(headers) == expected


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("ce_type", b"x")],
        [("traceparent", b"")],
        [("traceparent", W3C + b"-more")],
        [("traceparent", b"ff" + W3C[2:])],
        [("traceparent", W3C.upper())],
        [("traceparent", b"00-" + b"0" * 32 + b"-" + SPAN + b"-01")],
        [("traceparent", b"00-" + TRACE + b"-" + b"0" * 16 + b"-01")],
        [("b3", b"0")],
        [("X-B3-TraceId", TRACE)],
        [("X-B3-TraceId", TRACE), ("X-B3-SpanId", b"\xff")],
    ],
)
def test_what_is_absent_or_not_well_formed_is_no_trace(headers: Headers) -> None:
    assert trace_of(headers) is None


def test_it_is_written_as_traceparent_and_as_b3_where_asked() -> None:
    assert trace_headers(W3C) == [("traceparent", W3C)]
    assert trace_headers(UNSAMPLED, b3=True) == [("traceparent", UNSAMPLED), ("b3", TRACE + b"-" + SPAN + b"-0")]
    assert trace_of(trace_headers(W3C, b3=True)[1:]) == W3C
