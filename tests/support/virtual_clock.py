"""A clock that only moves when somebody waits, and an event loop that lives by it."""

from __future__ import annotations

import asyncio
import heapq
import math
import selectors
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from app.client.clock import Clock

T = TypeVar("T")
MS = 1_000_000


class VirtualClock(Clock):
    """`slept` are the waits in ms, in order. `later` runs something at its time, on the way of whoever waits.

    Threads do not live by it: a patient one waits until they come, without an impatient one's jump to the limit.
    """

    def __init__(self, fraction: float = 0.5, *, patient: bool = False) -> None:
        self.patient = patient
        self.ns = 0
        self.fraction = fraction
        self.slept: list[float] = []
        self._due: list[tuple[int, int, Callable[[], object]]] = []

    def now_ns(self) -> int:
        return self.ns

    def wall_ms(self) -> int:
        return self.ns // MS

    def sleep(self, ns: int) -> None:
        self.slept.append(ns / MS)
        self.advance(ns)

    async def asleep(self, ns: int) -> None:
        self.slept.append(ns / MS)
        await asyncio.sleep(ns / 1e9)

    def wait(self, event: threading.Event, ns: int | None) -> bool:
        if ns is None or self.patient:
            return event.wait()
        until_ns = self.ns + ns
        while not event.is_set() and self._due and self._due[0][0] <= until_ns:
            self.ns, _, run = heapq.heappop(self._due)
            run()
        if not event.is_set():
            self.ns = until_ns
        return event.is_set()

    def random(self) -> float:
        return self.fraction

    def later(self, ms: int, run: Callable[[], object]) -> None:
        heapq.heappush(self._due, (self.ns + ms * MS, len(self._due), run))

    def advance(self, ns: int) -> None:
        until_ns = self.ns + ns
        while self._due and self._due[0][0] <= until_ns:
            self.ns, _, run = heapq.heappop(self._due)
            run()
        self.ns = until_ns

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """To its end, in a loop whose time is this clock's: it jumps to the next timer when all wait."""
        with asyncio.Runner(loop_factory=lambda: VirtualLoop(self)) as runner:
            return runner.run(main)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(JumpingSelector(clock))
        self._clock = clock

    def time(self) -> float:
        return self._clock.ns / 1e9


class JumpingSelector(selectors.DefaultSelector):
    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout:
            self._clock.ns += math.ceil(timeout * 1e9)
        return ready or super().select(None if timeout is None else 0)
