"""A call may take so long: TimeLimiterImpl of Resilience4j 2.4."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import Any

from ..domain.time_limiter import TimeLimiterPolicy
from .clock import CLOCK, Clock
from .deadlines import ByThread, Deadlines
from .errors import TimeLimitExceeded
from .part import AsyncWay, Part, Way
from .stopping import Stop
from .worker_pool import WORKERS

SUCCESS = "SUCCESS"
ERROR = "ERROR"
TIMEOUT = "TIMEOUT"


class TimeLimiter(Part):
    """Raises TimeLimitExceeded. A coroutine is cancelled then; a plain function runs in a worker thread, where
    `cancelled()` tells it, and what it still brings is dropped. Without `cancelRunningFuture` both go on undisturbed.
    """

    kind = "timelimiter"
    counted = (SUCCESS, ERROR, TIMEOUT)

    def __init__(self, name: str, policy: TimeLimiterPolicy | None = None, clock: Clock = CLOCK) -> None:
        self.policy = policy or TimeLimiterPolicy()
        self._left: set[asyncio.Task[Any]] = set()
        super().__init__(name, clock)

    def around(self, inner: Way) -> Way:
        limit_ns = self.policy.timeout_duration_ms * 1_000_000

        def limited(fn: Any, args: Any, kwargs: Any) -> Any:
            stop, done = Stop(), threading.Event()
            future = WORKERS.submit(stop.run, inner, fn, args, kwargs)
            assert future, "workers without a bound"
            future.add_done_callback(lambda _: done.set())
            in_time = False
            try:
                in_time = self.clock.wait(done, limit_ns)
            finally:
                if not in_time and self.policy.cancel_running_future:
                    stop.set()
                    future.cancel()
            return self._settled(future) if in_time else self._timed_out()

        return limited

    def around_async(self, inner: AsyncWay) -> AsyncWay:
        return self._cancelling(inner) if self.policy.cancel_running_future else self._leaving(inner)

    def _cancelling(self, inner: AsyncWay) -> AsyncWay:
        publish, running = self.events.publish, asyncio.get_running_loop
        by_thread = ByThread(self.policy.timeout_duration_ms / 1000)
        deadlines: Deadlines | None = None  # that were used last: mostly there is one event loop

        async def limited(fn: Any, args: Any, kwargs: Any) -> Any:
            nonlocal deadlines
            here = deadlines
            if here is None or here.loop is not running():
                here = deadlines = by_thread.here()
            deadline = here.begin()
            try:
                result = await inner(fn, args, kwargs)
            except asyncio.CancelledError:
                if deadline.end():
                    self._timed_out()
                raise
            except Exception as error:
                deadline.end()
                publish(ERROR, error=error)
                raise
            except BaseException:
                deadline.end()
                raise
            deadline.end()
            publish(SUCCESS)
            return result

        return limited

    def _leaving(self, inner: AsyncWay) -> AsyncWay:
        limit_s = self.policy.timeout_duration_ms / 1000

        async def limited(fn: Any, args: Any, kwargs: Any) -> Any:
            task = asyncio.create_task(inner(fn, args, kwargs))
            try:
                done, _ = await asyncio.wait({task}, timeout=limit_s)
            except asyncio.CancelledError:
                task.cancel()
                raise
            if not done:
                self._leave(task)
                self._timed_out()
            return self._settled(task)

        return limited

    def _settled(self, ended: Future[Any] | asyncio.Task[Any]) -> Any:
        try:
            result = ended.result()
        except Exception as error:
            self.events.publish(ERROR, error=error)
            raise
        self.events.publish(SUCCESS)
        return result

    def _timed_out(self) -> None:
        self.events.publish(TIMEOUT)
        raise TimeLimitExceeded(self.name)

    def _leave(self, task: asyncio.Task[Any]) -> None:
        """The loop itself would forget it."""
        self._left.add(task)
        task.add_done_callback(self._left.discard)
        task.add_done_callback(lambda task: task.cancelled() or task.exception())
