"""Trace context in a record's headers: W3C Trace Context level 1, and B3 as Zipkin's clients write it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from app.wire.codec import Headers

# Version 00 is exactly this long; later ones may go on after a dash.
_W3C = re.compile(rb"(?!ff|00.{54})[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_B3 = re.compile(rb"([0-9a-f]{16}|[0-9a-f]{32})-([0-9a-f]{16})(?:-([01d])(?:-[0-9a-f]{16})?)?")
_SAMPLED = (b"1", b"d", b"true")

_NAMES = frozenset(("traceparent", "ce_traceparent", "b3", "X-B3-TraceId", "x-b3-traceid"))


def trace_of(headers: Headers) -> bytes | None:
    """The trace context as a W3C `traceparent`, None without one; what is not well formed is as if absent."""
    found = dict(headers)
    if _NAMES.isdisjoint(found):
        return None
    return (
        _from_w3c(found.get("traceparent"))
        or _from_w3c(found.get("ce_traceparent"))
        or _from_b3(found.get("b3"))
        or _from_b3(_joined(found))
    )


def trace_headers(traceparent: bytes, b3: bool = False) -> list[tuple[str, bytes]]:
    """How it is written: as `traceparent`, and where the settings ask for it as `b3` too."""
    written = [("traceparent", traceparent)]
    if b3:
        _, trace_id, span_id, flags = traceparent.split(b"-")
        sampled = b"1" if int(flags, 16) & 1 else b"0"
        written.append(("b3", b"-".join((trace_id, span_id, sampled))))
    return written


def _from_w3c(text: bytes | None) -> bytes | None:
    match = _W3C.fullmatch(text) if text else None
    return _traceparent(match[1], match[2], match[3]) if match else None


def _from_b3(text: bytes | None) -> bytes | None:
    match = _B3.fullmatch(text.lower()) if text else None
    if match is None:
        return None
    return _traceparent(match[1].rjust(32, b"0"), match[2], b"01" if match[3] in _SAMPLED else b"00")


def _joined(found: Mapping[str, bytes]) -> bytes | None:
    """The `X-B3-*` headers as one `b3`."""
    parts = {name.lower(): value for name, value in found.items() if name.lower().startswith("x-b3-")}
    trace_id, span_id = parts.get("x-b3-traceid"), parts.get("x-b3-spanid")
    if not trace_id or not span_id:
        return None
    sampled = parts.get("x-b3-sampled") in _SAMPLED or parts.get("x-b3-flags") == b"1"
    return b"-".join((trace_id, span_id, b"1" if sampled else b"0"))


def _traceparent(trace_id: bytes, span_id: bytes, flags: bytes) -> bytes | None:
    if not trace_id.strip(b"0") or not span_id.strip(b"0"):
        return None
    return b"-".join((b"00", trace_id, span_id, flags))
