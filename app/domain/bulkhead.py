"""So many calls at once: SemaphoreBulkhead and FixedThreadPoolBulkhead of Resilience4j 2.4."""

from __future__ import annotations

import msgspec

from .setting import AtLeast0, check_bounds, setting


class BulkheadPolicy(msgspec.Struct, frozen=True, kw_only=True, rename=setting):
    """Under Resilience4j's names, with its defaults; a wait of 0 does not wait at all. Always fair, as its default."""

    max_concurrent_calls: AtLeast0 = 25
    max_wait_duration_ms: AtLeast0 = 0

    def __post_init__(self) -> None:
        check_bounds(self)


class ThreadPoolBulkheadPolicy(msgspec.Struct, frozen=True, kw_only=True, rename=setting):
    """Sizes of 0 are the machine's: as many threads as processors, one fewer of them kept."""

    max_thread_pool_size: AtLeast0 = 0
    core_thread_pool_size: AtLeast0 = 0
    queue_capacity: AtLeast0 = 100
    keep_alive_duration_ms: AtLeast0 = 20

    def __post_init__(self) -> None:
        check_bounds(self)


class Bulkhead(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`available` goes above the limit where more is released than was acquired, as a semaphore does,
    and below 0 where the limit shrank under the calls at work.
    """

    available: int
    limit: int


def acquire(bulkhead: Bulkhead) -> Bulkhead | None:
    """None: it is full."""
    return Bulkhead(bulkhead.available - 1, bulkhead.limit) if bulkhead.available > 0 else None


def release(bulkhead: Bulkhead) -> Bulkhead:
    return Bulkhead(bulkhead.available + 1, bulkhead.limit)


def resize(bulkhead: Bulkhead, limit: int) -> Bulkhead:
    """Resilience4j's changeConfig waits for calls to end before it shrinks; here the next ones wait instead."""
    return Bulkhead(bulkhead.available + limit - bulkhead.limit, limit)
