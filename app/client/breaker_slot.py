"""Where a circuit breaker goes: whatever keeps to this protocol."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from .clock import Clock
from .part import AsyncWay, Way


@runtime_checkable
class BreakerSlot(Protocol):
    """Each `acquire` that returns is followed by exactly one of the others."""

    name: str

    def acquire(self) -> None:
        """Raises CallNotPermitted."""

    def success(self, duration_ns: int, result: Any) -> None: ...

    def error(self, duration_ns: int, error: Exception) -> None: ...

    def release(self) -> None:
        """The call ended otherwise: it was cancelled, or the process is going down."""


def around(breaker: BreakerSlot, clock: Clock, inner: Way) -> Way:
    acquire, success, error, release = breaker.acquire, breaker.success, breaker.error, breaker.release
    now_ns = clock.now_ns

    def guarded(fn: Any, args: Any, kwargs: Any) -> Any:
        acquire()
        began_ns = now_ns()
        try:
            result = inner(fn, args, kwargs)
        except Exception as raised:
            error(now_ns() - began_ns, raised)
            raise
        except BaseException:
            release()
            raise
        success(now_ns() - began_ns, result)
        return result

    return guarded


def around_async(breaker: BreakerSlot, clock: Clock, inner: AsyncWay) -> AsyncWay:
    acquire, success, error, release = breaker.acquire, breaker.success, breaker.error, breaker.release
    now_ns = clock.now_ns

    async def guarded(fn: Any, args: Any, kwargs: Any) -> Any:
        acquire()
        began_ns = now_ns()
        try:
            result = await inner(fn, args, kwargs)
        except Exception as raised:
            error(now_ns() - began_ns, raised)
            raise
        except BaseException:
            release()
            raise
        success(now_ns() - began_ns, result)
        return result

    return guarded


class Entry:
    """One block of code under the breaker."""

    def __init__(self, breaker: BreakerSlot, clock: Clock) -> None:
        self._breaker = breaker
        self._clock = clock
        self._began_ns = 0

    def __enter__(self) -> None:
        self._breaker.acquire()
        self._began_ns = self._clock.now_ns()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        duration_ns = self._clock.now_ns() - self._began_ns
        if error is None:
            self._breaker.success(duration_ns, None)
        elif isinstance(error, Exception):
            self._breaker.error(duration_ns, error)
        else:
            self._breaker.release()
