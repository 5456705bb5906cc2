"""Timers of breakers: one thread for all of them, which starts with the first."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from itertools import count

from . import forks
from .clock import CLOCK, Clock

Ring = Callable[[], object]


class Alarm:
    """Thread-safe. `set` never waits; what is rung finds out by itself whether it is still due."""

    _started: bool

    def __init__(self, clock: Clock = CLOCK) -> None:
        self._clock = clock
        self.forked()
        forks.keep(self)

    def forked(self) -> None:
        """Each breaker sets its timer again."""
        self._lock = threading.Lock()
        self._changed = threading.Event()
        self._due: list[tuple[int, int, Ring]] = []
        self._numbers = count()
        self._started = False

    def set(self, at_ms: int, ring: Ring) -> None:
        with self._lock:
            first = not self._due or at_ms < self._due[0][0]
            heapq.heappush(self._due, (at_ms, next(self._numbers), ring))
            if not self._started:
                self._started = True
                threading.Thread(target=self._run, name="iopt-breaker-timers", daemon=True).start()
        if first:
            self._changed.set()

    def next_at(self) -> int | None:
        with self._lock:
            return self._due[0][0] if self._due else None

    def ring(self, now_ms: int) -> None:
        """Everything that is due by then, in order."""
        while (ring := self._take(now_ms)) is not None:
            ring()

    def _take(self, now_ms: int) -> Ring | None:
        with self._lock:
            if not self._due or self._due[0][0] > now_ms:
                return None
            return heapq.heappop(self._due)[2]

    def _run(self) -> None:
        while True:
            self.ring(self._clock.wall_ms())
            at_ms = self.next_at()
            wait_ms = None if at_ms is None else max(0, at_ms - self._clock.wall_ms())
            self._clock.wait(self._changed, None if wait_ms is None else wait_ms * 1_000_000)
            self._changed.clear()


ALARM = Alarm()
