"""The task's clock: the wall clock at start, and monotonic from there on. A jump of the wall fires nothing (C1)."""

from __future__ import annotations

import time

from app.telemetry import metrics
from app.telemetry.logs import log

JUMP_MS = 5_000


class Clock:
    def __init__(self) -> None:
        self._wall_ms, self._monotonic = int(time.time() * 1000), time.monotonic()
        self._drift_ms = 0

    def now_ms(self) -> int:
        return self._wall_ms + int((time.monotonic() - self._monotonic) * 1000)

    def jumped_ms(self) -> int:
        """How far the wall clock has jumped since the last call, 0 for less than five seconds."""
        drift = int(time.time() * 1000) - self.now_ms()
        jump, self._drift_ms = drift - self._drift_ms, drift
        return jump if abs(jump) > JUMP_MS else 0

    def tell_of_jump(self) -> None:
        if jump := self.jumped_ms():
            metrics.CLOCK_JUMPS.add()
            log.warning("wall_clock_jumped", by_ms=jump)


class TaskClock:
    """A task's time never goes back. Where it has been ahead of the worker's, it goes on at half speed.

    So timers neither stand still for an hour nor fire early when a worker ran under a clock that was an hour ahead.
    """

    def __init__(self) -> None:
        self._began_ms, self._clock_ms = 0, 0

    def start(self, now_ms: int, clock_ms: int) -> None:
        """From the newest time that the task has decided at."""
        self._began_ms, self._clock_ms = max(now_ms, self.now_ms(clock_ms)), clock_ms

    def now_ms(self, clock_ms: int) -> int:
        return max(clock_ms, self._began_ms + (clock_ms - self._clock_ms) // 2)
