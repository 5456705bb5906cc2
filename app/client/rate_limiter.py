"""At most so many calls in each period, the others wait or are refused: AtomicRateLimiter of Resilience4j 2.4.

It leaves it in one thing: acquirePermission sleeps out the whole timeout before it refuses; here, what cannot
be permitted in time is refused at once, as its reservePermission does.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

import msgspec

from ..domain import rate_limiter
from ..domain.rate_limiter import RateLimiterPolicy, refreshed, wait_for
from . import forks
from .clock import CLOCK, Clock
from .errors import RequestNotPermitted
from .part import AsyncWay, Part, Way

ACQUIRED = "SUCCESSFUL_ACQUIRE"
REFUSED = "FAILED_ACQUIRE"
DRAINED = "DRAINED"

Weight = Callable[..., int]


class RateLimiter(Part):
    """Raises RequestNotPermitted with `retry_after_ms`. `with limiter:` and `async with limiter:` take one permit.

    `weight(*args, **kwargs)` says how many permits a call takes; without it, 1. `drain_on` looks at the result, or at
    the error, of a call; where it is true nobody else is permitted until the next period.
    """

    kind = "ratelimiter"
    counted = (ACQUIRED, REFUSED, DRAINED)

    def __init__(
        self,
        name: str,
        policy: RateLimiterPolicy | None = None,
        clock: Clock = CLOCK,
        *,
        weight: Weight | None = None,
        drain_on: Callable[[Any], bool] | None = None,
    ) -> None:
        self.policy = policy or RateLimiterPolicy()
        self._born_ns = clock.now_ns()
        self._limiter = rate_limiter.born(self.policy)
        self._weight = weight
        self._drain_on = drain_on
        super().__init__(name, clock)
        self.forked()
        forks.keep(self)

    def forked(self) -> None:
        """From now on parent and child have a limit each."""
        self._lock = threading.Lock()

    @property
    def available(self) -> int:
        """Below 0 while permits are reserved ahead."""
        with self._lock:
            return refreshed(self._limiter, self._age_ns(), self.policy).permits

    def gauges(self) -> dict[str, int]:
        return {"available": self.available, "limit": self.policy.limit_for_period}

    def reserve(self, permits: int = 1) -> int:
        """Nanoseconds to wait before the call may be made; RequestNotPermitted where that passes the timeout."""
        with self._lock:
            now_ns = self.clock.now_ns() - self._born_ns
            self._limiter, wait_ns = rate_limiter.reserve(self._limiter, permits, now_ns, self.policy)
        if wait_ns == rate_limiter.REFUSED:
            self._refuse(permits, now_ns)
        self.events.publish(ACQUIRED, permits)
        return wait_ns

    def acquire(self, permits: int = 1) -> None:
        if wait_ns := self.reserve(permits):
            self.clock.sleep(wait_ns)

    async def acquire_async(self, permits: int = 1) -> None:
        if wait_ns := self.reserve(permits):
            await self.clock.asleep(wait_ns)

    def drain(self) -> None:
        """Takes what was left; what a new period brings is free again."""
        with self._lock:
            left = self._limiter.permits
            self._limiter = rate_limiter.drain(self._limiter, self._age_ns(), self.policy)
        self.events.publish(DRAINED, max(left, 0))

    def change_limit(self, limit_for_period: int) -> None:
        """What is available stays; the next period has the new limit."""
        self._change(limit_for_period=limit_for_period)

    def change_timeout(self, timeout_duration_ns: int) -> None:
        self._change(timeout_duration_ns=timeout_duration_ns)

    def around(self, inner: Way) -> Way:
        reserve, sleep, weight = self.reserve, self.clock.sleep, self._weight

        def limited(fn: Any, args: Any, kwargs: Any) -> Any:
            if wait_ns := reserve(weight(*args, **kwargs) if weight else 1):
                sleep(wait_ns)
            return inner(fn, args, kwargs)

        return self._draining(limited) if self._drain_on else limited

    def around_async(self, inner: AsyncWay) -> AsyncWay:
        reserve, asleep, weight = self.reserve, self.clock.asleep, self._weight

        async def limited(fn: Any, args: Any, kwargs: Any) -> Any:
            if wait_ns := reserve(weight(*args, **kwargs) if weight else 1):
                await asleep(wait_ns)
            return await inner(fn, args, kwargs)

        return self._draining_async(limited) if self._drain_on else limited

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        pass

    async def __aenter__(self) -> None:
        await self.acquire_async()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        pass

    def _draining(self, inner: Way) -> Way:
        def drained(fn: Any, args: Any, kwargs: Any) -> Any:
            try:
                result = inner(fn, args, kwargs)
            except Exception as error:
                self._look(error)
                raise
            self._look(result)
            return result

        return drained

    def _draining_async(self, inner: AsyncWay) -> AsyncWay:
        async def drained(fn: Any, args: Any, kwargs: Any) -> Any:
            try:
                result = await inner(fn, args, kwargs)
            except Exception as error:
                self._look(error)
                raise
            self._look(result)
            return result

        return drained

    def _look(self, outcome: Any) -> None:
        if self._drain_on and not isinstance(outcome, RequestNotPermitted) and self._drain_on(outcome):
            self.drain()

    def _age_ns(self) -> int:
        return self.clock.now_ns() - self._born_ns

    def _change(self, **fields: int) -> None:
        with self._lock:
            self.policy = msgspec.structs.replace(self.policy, **fields)

    def _refuse(self, permits: int, now_ns: int) -> None:
        self.events.publish(REFUSED, permits)
        with self._lock:
            seen = refreshed(self._limiter, now_ns, self.policy)
            wait_ns = wait_for(seen, permits, now_ns, self.policy)
        until_permitted_ns = max(0, wait_ns - self.policy.timeout_duration_ns)
        raise RequestNotPermitted(self.name, -(-until_permitted_ns // 1_000_000))
