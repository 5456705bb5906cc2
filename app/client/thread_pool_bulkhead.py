"""Plain functions in threads of their own, with a bounded queue: FixedThreadPoolBulkhead of Resilience4j 2.4."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar

from ..domain.bulkhead import ThreadPoolBulkheadPolicy
from .bulkhead import FINISHED, PERMITTED, REJECTED
from .clock import CLOCK, Clock
from .errors import BulkheadFull
from .part import AsyncWay, Part, Way
from .worker_pool import WorkerPool

P = ParamSpec("P")
T = TypeVar("T")


class ThreadPoolBulkhead(Part):
    """Raises BulkheadFull where threads and queue are full. Context variables go along into the thread.

    `call` waits for the result, `submit` gives a future, `await run(...)` waits without holding up the event loop.
    A call is permitted, in its events, once it begins. Coroutine functions belong in a Bulkhead: TypeError.
    """

    kind = "thread-pool-bulkhead"
    counted = (PERMITTED, REJECTED, FINISHED)

    def __init__(self, name: str, policy: ThreadPoolBulkheadPolicy | None = None, clock: Clock = CLOCK) -> None:
        self.policy = policy or ThreadPoolBulkheadPolicy()
        core, most = _sizes(self.policy)
        self.pool = WorkerPool(
            f"bulkhead-{name}", core, most, self.policy.queue_capacity, self.policy.keep_alive_duration_ms
        )
        super().__init__(name, clock)

    def gauges(self) -> dict[str, int]:
        pool = self.pool
        return {
            "threads": pool.threads,
            "core": pool.core,
            "most": pool.most,
            "queued": pool.queued,
            "queue_capacity": pool.queue_capacity,
        }

    def submit(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = self._submit(fn, args, kwargs)
        return future

    async def run(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.wrap_future(self.submit(fn, *args, **kwargs))

    def close(self) -> None:
        """What is queued is still done; nothing new is taken."""
        self.pool.close()

    def around(self, inner: Way) -> Way:
        def pooled(fn: Any, args: Any, kwargs: Any) -> Any:
            future = self._submit(inner, (fn, args, kwargs), {})
            try:
                return future.result()
            finally:
                future.cancel()  # whoever waited is gone

        return pooled

    def around_async(self, inner: AsyncWay) -> AsyncWay:  # noqa: ARG002
        async def refused(fn: Any, args: Any, kwargs: Any) -> Any:  # noqa: ARG001
            raise TypeError(f"{fn!r}: a thread pool holds plain functions: use Bulkhead, or ThreadPoolBulkhead.run")

        return refused

    def _submit(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[Any]:
        future = self.pool.submit(self._held, fn, args, kwargs)
        if future is None:
            self.events.publish(REJECTED)
            raise BulkheadFull(self.name)
        return future

    def _held(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.events.publish(PERMITTED)
        try:
            return fn(*args, **kwargs)
        finally:
            self.events.publish(FINISHED)


def _sizes(policy: ThreadPoolBulkheadPolicy) -> tuple[int, int]:
    """Core and most. ValueError where the core is said to be the larger."""
    processors = os.cpu_count() or 1
    most = policy.max_thread_pool_size or max(processors, policy.core_thread_pool_size)
    core = policy.core_thread_pool_size or min(most, max(1, processors - 1))
    if core > most:
        raise ValueError(f"coreThreadPoolSize {core}: expected at most maxThreadPoolSize {most}")
    return core, most
