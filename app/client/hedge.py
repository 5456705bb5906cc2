"""A call that takes long is made once more, and the first good result wins: Polly's hedging, Resilience4j's Hedge."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

from msgspec import Struct

from ..domain.setting import AtLeast0, AtLeast1, check_bounds, setting
from .clock import CLOCK, Clock
from .part import AsyncWay, Part, Way
from .stopping import Stop
from .worker_pool import WORKERS


class HedgePolicy(Struct, frozen=True, kw_only=True, rename=setting):
    """Polly's defaults: one more attempt after 2 s."""

    delay_ms: AtLeast0 = 2_000
    max_attempts: AtLeast1 = 2

    def __post_init__(self) -> None:
        check_bounds(self)


class Hedge(Part):
    """Only for what may be done twice. An attempt that fails is followed by the next at once.

    `good(result)` says what may win, without it every result may; where none does, the last to end is the answer.
    The other attempts are cancelled; a plain function runs in a worker thread, where `cancelled()` tells it.
    The events' `number` is that of the attempt.
    """

    kind = "hedge"
    counted = ("PRIMARY_SUCCESS", "SECONDARY_SUCCESS", "PRIMARY_FAILURE", "SECONDARY_FAILURE")

    def __init__(
        self,
        name: str,
        policy: HedgePolicy | None = None,
        clock: Clock = CLOCK,
        *,
        good: Callable[[Any], bool] | None = None,
    ) -> None:
        self.policy = policy or HedgePolicy()
        self._good = good
        super().__init__(name, clock)

    def around(self, inner: Way) -> Way:
        delay_ns, most = self.policy.delay_ms * 1_000_000, self.policy.max_attempts

        def hedged(fn: Any, args: Any, kwargs: Any) -> Any:
            race, last = Race(self.clock), None
            try:
                for attempt in range(1, most + 1):
                    race.begin(inner, fn, args, kwargs)
                    for number, last in race.ended(delay_ns if attempt < most else None):
                        if self._wins(number, last):
                            return last.result()
            finally:
                race.stop()
            assert last, "all have ended"
            return last.result()

        return hedged

    def around_async(self, inner: AsyncWay) -> AsyncWay:
        delay_s, most = self.policy.delay_ms / 1000, self.policy.max_attempts

        async def hedged(fn: Any, args: Any, kwargs: Any) -> Any:
            tasks: list[asyncio.Task[Any]] = []
            pending: set[asyncio.Task[Any]] = set()
            try:
                while pending or len(tasks) < most:
                    if len(tasks) < most:
                        tasks.append(asyncio.create_task(inner(fn, args, kwargs)))
                        pending.add(tasks[-1])
                    limit_s = delay_s if len(tasks) < most else None
                    done, pending = await asyncio.wait(pending, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
                    for last in sorted(done, key=tasks.index):
                        if self._wins(tasks.index(last) + 1, last):
                            return last.result()
            finally:
                for task in tasks:
                    _abandon(task)
            return last.result()

        return hedged

    def _wins(self, number: int, ended: Future[Any] | asyncio.Task[Any]) -> bool:
        error = None if ended.cancelled() else ended.exception()
        good = error is None and not ended.cancelled() and (self._good is None or self._good(ended.result()))
        who = "PRIMARY" if number == 1 else "SECONDARY"
        self.events.publish(f"{who}_{'SUCCESS' if good else 'FAILURE'}", number, error=error)
        return good


class Race:
    """Attempts in threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stops: list[Stop] = []
        self._open = 0
        self._arrived = threading.Event()
        self._arrivals: deque[tuple[int, Future[Any]]] = deque()

    def begin(self, inner: Way, fn: Any, args: Any, kwargs: Any) -> None:
        stop = Stop()
        self._stops.append(stop)
        self._open += 1
        number = len(self._stops)
        future = WORKERS.submit(stop.run, inner, fn, args, kwargs)
        assert future, "workers without a bound"
        future.add_done_callback(lambda future: self._arrive(number, future))

    def ended(self, limit_ns: int | None) -> Iterator[tuple[int, Future[Any]]]:
        """With a limit, the first that end within it; without, all that are still at work."""
        while self._open and self._clock.wait(self._arrived, limit_ns):
            self._arrived.clear()
            while self._arrivals:
                self._open -= 1
                yield self._arrivals.popleft()
            if limit_ns is not None:
                return

    def stop(self) -> None:
        for stop in self._stops:
            stop.set()

    def _arrive(self, number: int, future: Future[Any]) -> None:
        self._arrivals.append((number, future))
        self._arrived.set()


def _abandon(task: asyncio.Task[Any]) -> None:
    if not task.done():
        task.cancel()
    task.add_done_callback(lambda task: task.cancelled() or task.exception())  # a lost race is nobody's error
