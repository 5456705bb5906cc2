"""The newest calls of a breaker: FixedSizeSlidingWindowMetrics and SlidingTimeWindowMetrics of Resilience4j 2.4.

A call is FAILED | SLOW, or 0. Windows are frozen, since they are stored with every call; adding a call costs
the same whatever they hold, but for the copy of a few bytes.
"""

from __future__ import annotations

import struct
from enum import StrEnum
from typing import ClassVar

import msgspec

FAILED = 1
SLOW = 2
BOTH = FAILED | SLOW

NEVER = -1.0  # a rate below the minimum number of calls

_CODES = (b"\x00", b"\x01", b"\x02", b"\x03")
_NONE = (0, 0, 0, 0)
_MORE = 0x80  # this byte is not the last of its number
_SINGLE = struct.Struct("<f")

Counts = tuple[int, int, int, int]  # calls, failed, slow, slow and failed


class WindowType(StrEnum):
    COUNT_BASED = "COUNT_BASED"
    TIME_BASED = "TIME_BASED"


def single(number: float) -> float:
    """The nearest 32-bit float: Resilience4j's rates and thresholds are such."""
    rounded: float = _SINGLE.unpack(_SINGLE.pack(number))[0]
    return rounded


def shown(rate: float) -> float:
    """A 32-bit rate as Java prints it: the shortest decimal that is still that float."""
    return next(short for digits in range(6, 10) if single(short := float(f"{rate:.{digits}g}")) == rate)


def percent(part: int, total: int) -> float:
    return single(part * 100 / total)


class CountWindow(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=0):
    """At most `size` calls, a byte each, oldest first, with running counts."""

    type: ClassVar[WindowType] = WindowType.COUNT_BASED

    size: int = 0  # 0: not begun
    buffered: int = 0
    failed: int = 0
    slow: int = 0
    slow_failed: int = 0
    calls: bytes = b""

    def add(self, call: int, _now_ms: int, size: int) -> CountWindow:
        """With that call as the newest; where `size` has shrunk, more than one leaves."""
        calls, buffered, gone = self.calls + _CODES[call], self.buffered + 1, 0
        if buffered > size:
            if buffered > size + 1:
                return _counted(calls[-size:])
            buffered, gone, calls = size, calls[0], calls[1:]
        if call == gone:
            return CountWindow(size, buffered, self.failed, self.slow, self.slow_failed, calls)
        return CountWindow(
            size,
            buffered,
            self.failed + (call & FAILED) - (gone & FAILED),
            self.slow + (call >> 1) - (gone >> 1),
            self.slow_failed + (call == BOTH) - (gone == BOTH),
            calls,
        )

    def add_successes(self, count: int, _now_ms: int, size: int) -> CountWindow:
        """With so many more calls, as `add` makes it of each."""
        return _counted((self.calls + bytes(min(count, size)))[-size:], size)

    def at(self, _now_ms: int, size: int) -> CountWindow:
        """As it stands under that size: with the newest calls that fit into it."""
        if self.buffered > size:
            return _counted(self.calls[-size:])
        return CountWindow(size, self.buffered, self.failed, self.slow, self.slow_failed, self.calls)

    def enough(self, minimum: int) -> bool:
        """Whether the rates say anything: the minimum is at most what the window can hold."""
        return self.buffered > 0 and self.buffered >= min(minimum, self.size)

    def rates(self, minimum: int) -> tuple[float, float]:
        """Failed and slow calls in percent, NEVER below the minimum."""
        return _rates(self, minimum)


class TimeWindow(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=1):
    """The calls of epoch second `second` and of the `size` - 1 before it.

    `calls`, `failed_calls` ... are those of `second`; `older` has the same four counts of each of the `seconds`
    before it, oldest first, as `_packed` writes them.
    """

    type: ClassVar[WindowType] = WindowType.TIME_BASED

    size: int = 0  # 0: not begun
    buffered: int = 0
    failed: int = 0
    slow: int = 0
    slow_failed: int = 0
    second: int = 0
    calls: int = 0
    failed_calls: int = 0
    slow_calls: int = 0
    slow_failed_calls: int = 0
    seconds: int = 0
    older: bytes = b""

    def add(self, call: int, now_ms: int, size: int) -> TimeWindow:
        """With that call. A clock that goes back does not move the window: the call is one of the newest second."""
        if now_ms // 1000 > self.second or size != self.size:
            return self.at(now_ms, size).add(call, now_ms, size)
        failed, slow, both = call & FAILED, call >> 1, int(call == BOTH)
        return TimeWindow(
            size,
            self.buffered + 1,
            self.failed + failed,
            self.slow + slow,
            self.slow_failed + both,
            self.second,
            self.calls + 1,
            self.failed_calls + failed,
            self.slow_calls + slow,
            self.slow_failed_calls + both,
            self.seconds,
            self.older,
        )

    def add_successes(self, count: int, now_ms: int, size: int) -> TimeWindow:
        """With so many more calls, as `add` makes it of each."""
        window = self.at(now_ms, size)
        return msgspec.structs.replace(window, buffered=window.buffered + count, calls=window.calls + count)

    def at(self, now_ms: int, size: int) -> TimeWindow:
        """As it stands at that instant, under that size."""
        second = max(now_ms // 1000, self.second)
        passed = second - self.second
        if passed >= size:
            return TimeWindow(size, second=second)
        newest = (self.calls, self.failed_calls, self.slow_calls, self.slow_failed_calls)
        seconds, older = self.seconds + passed, self.older
        if passed:
            older, newest = older + _packed(newest) + bytes(passed - 1), (0, 0, 0, 0)
        totals, at = (self.buffered, self.failed, self.slow, self.slow_failed), 0
        while seconds >= size:
            gone, at = _counts(older, at)
            totals = _less(totals, gone)
            seconds -= 1
        return TimeWindow(size, *totals, second, *newest, seconds, older[at:])

    def enough(self, minimum: int) -> bool:
        return self.buffered > 0 and self.buffered >= minimum

    def rates(self, minimum: int) -> tuple[float, float]:
        return _rates(self, minimum)


Window = CountWindow | TimeWindow


def _less(totals: Counts, gone: Counts) -> Counts:
    return totals[0] - gone[0], totals[1] - gone[1], totals[2] - gone[2], totals[3] - gone[3]


def _packed(counts: Counts) -> bytes:
    """One 0 for a second without calls; else four numbers, 7 bits a byte, the lowest first (LEB128)."""
    return b"".join(map(_number, counts)) if counts[0] else b"\0"


def _number(number: int) -> bytes:
    if number < _MORE:
        return bytes((number,))
    return bytes((number % _MORE | _MORE,)) + _number(number // _MORE)


def _counts(packed: bytes, at: int) -> tuple[Counts, int]:
    """Of the second that begins there, and where the next one does."""
    calls, at = _read(packed, at)
    if not calls:
        return _NONE, at
    failed, at = _read(packed, at)
    slow, at = _read(packed, at)
    slow_failed, at = _read(packed, at)
    return (calls, failed, slow, slow_failed), at


def _read(packed: bytes, at: int) -> tuple[int, int]:
    number, place = packed[at] % _MORE, 1
    while packed[at] >= _MORE:
        at, place = at + 1, place * _MORE
        number += packed[at] % _MORE * place
    return number, at + 1


def _counted(calls: bytes, size: int = 0) -> CountWindow:
    both, buffered = calls.count(BOTH), len(calls)
    return CountWindow(size or buffered, buffered, calls.count(FAILED) + both, calls.count(SLOW) + both, both, calls)


def _rates(window: Window, minimum: int) -> tuple[float, float]:
    if not window.enough(minimum):
        return NEVER, NEVER
    return percent(window.failed, window.buffered), percent(window.slow, window.buffered)
