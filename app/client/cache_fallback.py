"""Where a call fails, the last good result of the same call, if it is not too old."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

from msgspec import Struct

from ..domain.setting import AtLeast1, check_bounds, setting
from . import forks
from .clock import CLOCK, Clock
from .part import AsyncWay, Part, Way

HIT = "CACHE_HIT"
MISS = "CACHE_MISS"


class CachePolicy(Struct, frozen=True, kw_only=True, rename=setting):
    max_age_ms: AtLeast1 = 300_000
    max_entries: AtLeast1 = 1_000

    def __post_init__(self) -> None:
        check_bounds(self)


class CacheFallback(Part):
    """The result that was not needed for longest goes first where there are too many.

    Calls are the same where `key(*args, **kwargs)` is; without it, where function and arguments are (then they must be
    hashable: TypeError). The events are of failed calls only; their `number` is the age of the result in ms.
    """

    kind = "cache"
    counted = (HIT, MISS)

    def __init__(
        self,
        name: str,
        policy: CachePolicy | None = None,
        clock: Clock = CLOCK,
        *,
        on: tuple[type[Exception], ...] = (Exception,),
        key: Callable[..., Hashable] | None = None,
    ) -> None:
        self.policy = policy or CachePolicy()
        self._on = on
        self._key = key
        self._good: OrderedDict[Hashable, tuple[int | None, Any]] = OrderedDict()
        super().__init__(name, clock)
        self.forked()
        forks.keep(self)

    def forked(self) -> None:
        self._lock = threading.Lock()

    def around(self, inner: Way) -> Way:
        def remembered(fn: Any, args: Any, kwargs: Any) -> Any:
            key = self._key_of(fn, args, kwargs)
            try:
                result = inner(fn, args, kwargs)
            except self._on as error:
                if not (found := self._found(key, error)):
                    raise
                return found[0]
            self._keep(key, result)
            return result

        return remembered

    def around_async(self, inner: AsyncWay) -> AsyncWay:
        async def remembered(fn: Any, args: Any, kwargs: Any) -> Any:
            key = self._key_of(fn, args, kwargs)
            try:
                result = await inner(fn, args, kwargs)
            except self._on as error:
                if not (found := self._found(key, error)):
                    raise
                return found[0]
            self._keep(key, result)
            return result

        return remembered

    def _key_of(self, fn: Any, args: Any, kwargs: Any) -> Hashable:
        key = self._key(*args, **kwargs) if self._key else (fn, args, tuple(sorted(kwargs.items())))
        hash(key)
        return key

    def _keep(self, key: Hashable, result: Any) -> None:
        with self._lock:
            self._good[key] = self.clock.now_ns(), result
            self._good.move_to_end(key)
            if len(self._good) > self.policy.max_entries:
                self._good.popitem(last=False)

    def _found(self, key: Hashable, error: Exception) -> tuple[Any] | None:
        with self._lock:
            since_ns, result = self._good.pop(key, (None, None))
            age_ms = 0 if since_ns is None else (self.clock.now_ns() - since_ns) // 1_000_000
            good = since_ns is not None and age_ms <= self.policy.max_age_ms
            if good:
                self._good[key] = since_ns, result
        self.events.publish(HIT if good else MISS, age_ms, error=error)
        return (result,) if good else None
