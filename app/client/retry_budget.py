"""How many retries a service may be burdened with: Envoy's retry budget, with Finagle's memory of recent calls."""

from __future__ import annotations

import threading
from collections import deque

from . import forks
from .clock import CLOCK, Clock

MS = 1_000_000


class RetryBudget:
    """Shared by all calls of a service, also by several retries.

    A retry may begin while fewer than `percent` % of the calls that are in progress, or began in the last `window_ms`
    (whichever are more), have been retried within that window; `floor` retries are always allowed, so that a service
    with few calls is retried too. A call counts once, however often it is attempted; each of its retries counts.
    """

    def __init__(self, percent: float = 20, floor: int = 3, window_ms: int = 10_000, clock: Clock = CLOCK) -> None:
        self.percent = percent
        self.floor = floor
        self._window_ns = window_ms * MS
        self._clock = clock
        self._calls = Recent(self._window_ns)
        self._retries = Recent(self._window_ns)
        self.forked()
        forks.keep(self)

    def forked(self) -> None:
        """The calls in progress are the parent's."""
        self._in_progress = 0
        self._lock = threading.Lock()

    def begin(self) -> None:
        with self._lock:
            self._in_progress += 1
            self._calls.add(self._clock.now_ns())

    def end(self) -> None:
        with self._lock:
            self._in_progress = max(0, self._in_progress - 1)  # a call that forked ends in the child, too

    def withdraw(self) -> bool:
        """Whether one more retry may be made; then it is counted."""
        with self._lock:
            now_ns = self._clock.now_ns()
            calls = max(self._in_progress, self._calls.count(now_ns))
            allowed = max(self.floor, calls * self.percent / 100)
            if self._retries.count(now_ns) + 1 > allowed:
                return False
            self._retries.add(now_ns)
            return True


class Recent:
    """How many in the last `window_ns`, to a tenth of it. Not thread-safe."""

    def __init__(self, window_ns: int) -> None:
        self._slice_ns = max(1, window_ns // 10)
        self._slices: deque[list[int]] = deque()  # [number of the slice, count], oldest first
        self._total = 0

    def add(self, now_ns: int) -> None:
        number = now_ns // self._slice_ns
        if self._slices and self._slices[-1][0] == number:
            self._slices[-1][1] += 1
        else:
            self._slices.append([number, 1])
        self._total += 1
        self._forget(number)

    def count(self, now_ns: int) -> int:
        self._forget(now_ns // self._slice_ns)
        return self._total

    def _forget(self, number: int) -> None:
        while self._slices and self._slices[0][0] <= number - 10:
            self._total -= self._slices.popleft()[1]
