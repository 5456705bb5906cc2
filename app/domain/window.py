"""The newest calls of a breaker, as Resilience4j's FixedSizeSlidingWindowMetrics counts them."""

from __future__ import annotations

import struct

import msgspec

FAILED = 1
SLOW = 2

NEVER = -1.0  # a rate below the minimum number of calls

_CODES = (b"\x00", b"\x01", b"\x02", b"\x03")
_SINGLE = struct.Struct("<f")


def single(number: float) -> float:
    """The nearest 32-bit float: Resilience4j's rates and thresholds are such."""
    rounded: float = _SINGLE.unpack(_SINGLE.pack(number))[0]
    return rounded


def shown(rate: float) -> float:
    """A 32-bit rate as Java prints it: the shortest decimal that is still that float."""
    return next(short for digits in range(6, 10) if single(short := float(f"{rate:.{digits}g}")) == rate)


class Window(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """At most `size` calls, a byte each (FAILED | SLOW), oldest first, with running counts."""

    size: int = 0
    calls: bytes = b""
    failed: int = 0
    slow: int = 0
    slow_failed: int = 0

    @property
    def buffered(self) -> int:
        return len(self.calls)

    def add(self, call: int, size: int) -> Window:
        """With that call as the newest; where `size` has shrunk, more than one leaves."""
        calls = self.calls + _CODES[call]
        failed, slow, slow_failed = _counts(call)
        for gone in calls[:-size]:
            gone_failed, gone_slow, gone_both = _counts(gone)
            failed, slow, slow_failed = failed - gone_failed, slow - gone_slow, slow_failed - gone_both
        return Window(size, calls[-size:], self.failed + failed, self.slow + slow, self.slow_failed + slow_failed)

    def rates(self, minimum: int) -> tuple[float, float]:
        """Failed and slow calls in percent, NEVER below the minimum (which the size bounds)."""
        total = len(self.calls)
        if total < min(minimum, self.size) or not total:
            return NEVER, NEVER
        return single(self.failed * 100 / total), single(self.slow * 100 / total)


def _counts(call: int) -> tuple[int, int, int]:
    return call & FAILED, call >> 1, call & call >> 1
