"""What is done instead, by the type of the error: the most specific type wins, as in Resilience4j's fallbackMethod."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import isawaitable
from typing import Any

from .clock import CLOCK, Clock
from .part import AsyncWay, Part, Way

FALLBACK = "FALLBACK"
Instead = Callable[..., Any]


class Fallback(Part):
    """`by_type[...]` is called with the error, then with the call's own arguments, and gives the result instead.

    In async calls it may be a coroutine function. What no type covers is raised; what a fallback raises, too.
    """

    kind = "fallback"
    counted = (FALLBACK,)

    def __init__(self, name: str, by_type: Mapping[type[Exception], Instead], clock: Clock = CLOCK) -> None:
        self._by_type = dict(by_type)
        super().__init__(name, clock)

    def around(self, inner: Way) -> Way:
        def saved(fn: Any, args: Any, kwargs: Any) -> Any:
            try:
                return inner(fn, args, kwargs)
            except Exception as error:
                if (instead := self._instead(error)) is None:
                    raise
                return instead(error, *args, **kwargs)

        return saved

    def around_async(self, inner: AsyncWay) -> AsyncWay:
        async def saved(fn: Any, args: Any, kwargs: Any) -> Any:
            try:
                return await inner(fn, args, kwargs)
            except Exception as error:
                if (instead := self._instead(error)) is None:
                    raise
                result = instead(error, *args, **kwargs)
                return await result if isawaitable(result) else result

        return saved

    def _instead(self, error: Exception) -> Instead | None:
        for kind in type(error).__mro__:
            if (found := self._by_type.get(kind)) is not None:
                self.events.publish(FALLBACK, error=error)
                return found
        return None
