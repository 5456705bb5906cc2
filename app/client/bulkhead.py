"""At most so many calls at once, the others wait a little or are refused: SemaphoreBulkhead of Resilience4j 2.4."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import msgspec

from ..domain.bulkhead import BulkheadPolicy
from .clock import CLOCK, Clock
from .errors import BulkheadFull
from .part import AsyncWay, Part, Way
from .permits import Permits

PERMITTED = "CALL_PERMITTED"
REJECTED = "CALL_REJECTED"
FINISHED = "CALL_FINISHED"


class Bulkhead(Part):
    """Raises BulkheadFull; those that wait come in turn. `with` and `async with` hold one permit."""

    kind = "bulkhead"
    counted = (PERMITTED, REJECTED, FINISHED)

    def __init__(self, name: str, policy: BulkheadPolicy | None = None, clock: Clock = CLOCK) -> None:
        self.policy = policy or BulkheadPolicy()
        self._permits = Permits(self.policy.max_concurrent_calls, clock)
        super().__init__(name, clock)

    @property
    def available(self) -> int:
        """Below 0 while more calls are at work than a limit that was lowered allows."""
        return self._permits.state.available

    @property
    def waiting(self) -> int:
        return self._permits.waiting

    def gauges(self) -> dict[str, int]:
        return {"available": self.available, "limit": self.policy.max_concurrent_calls, "waiting": self.waiting}

    def acquire(self) -> None:
        if not self._permits.take() and not self._waited():
            self._reject()
        self.events.publish(PERMITTED)

    async def acquire_async(self) -> None:
        if not self._permits.take() and not await self._waited_async():
            self._reject()
        self.events.publish(PERMITTED)

    def complete(self) -> None:
        """The call is over."""
        self._permits.give()
        self.events.publish(FINISHED)

    def release(self) -> None:
        """Without an event: the call was not made after all."""
        self._permits.give()

    def resize(self, max_concurrent_calls: int) -> None:
        """From now on; calls at work are never interrupted."""
        self._permits.resize(max_concurrent_calls)
        self.policy = msgspec.structs.replace(self.policy, max_concurrent_calls=max_concurrent_calls)

    def around(self, inner: Way) -> Way:
        acquire, complete = self.acquire, self.complete

        def held(fn: Any, args: Any, kwargs: Any) -> Any:
            acquire()
            try:
                return inner(fn, args, kwargs)
            finally:
                complete()

        return held

    def around_async(self, inner: AsyncWay) -> AsyncWay:
        take, full, publish, complete = self._permits.take, self.acquire_async, self.events.publish, self.complete

        async def held(fn: Any, args: Any, kwargs: Any) -> Any:
            if take():
                publish(PERMITTED)
            else:
                await full()
            try:
                return await inner(fn, args, kwargs)
            finally:
                complete()

        return held

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.complete()

    async def __aenter__(self) -> None:
        await self.acquire_async()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.complete()

    def _waited(self) -> bool:
        wait_ms = self.policy.max_wait_duration_ms
        return wait_ms > 0 and self._permits.wait(wait_ms * 1_000_000)

    async def _waited_async(self) -> bool:
        wait_ms = self.policy.max_wait_duration_ms
        return wait_ms > 0 and await self._permits.wait_async(wait_ms * 1_000_000)

    def _reject(self) -> None:
        self.events.publish(REJECTED)
        raise BulkheadFull(self.name)
