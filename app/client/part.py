"""What all parts have in common: a name, events, and three ways to be put around a call."""

from __future__ import annotations

import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from types import CoroutineType
from typing import Any, ClassVar, NoReturn, ParamSpec, TypeVar

from .clock import CLOCK, Clock
from .events import Event, Events, Subscriber

P = ParamSpec("P")
T = TypeVar("T")

# A way to make a call: (fn, args, kwargs). Parts are put around one another by taking a way and giving another.
Way = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
AsyncWay = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Coroutine[Any, Any, Any]]


def straight(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Innermost, of plain and of coroutine functions."""
    return fn(*args, **kwargs)


class Caller:
    """What has ways, and so can make calls: as `.call`, `.acall`, or as a decorator of def and async def."""

    def __init__(self, way: Way, async_way: AsyncWay) -> None:
        self._way = way
        self._async_way = async_way

    def call(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        result: T = self._way(fn, args, kwargs)
        if type(result) is CoroutineType:
            refuse(result)
        return result

    def acall(self, fn: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, T]:
        return self._async_way(fn, args, kwargs)

    def __call__(self, fn: Callable[P, T]) -> Callable[P, T]:
        """TypeError for a generator: what it does comes after the call that makes it."""
        if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
            raise TypeError(f"{fn!r}: a generator cannot be guarded: guard the calls that it makes")
        way: Way = self._async_way if _is_async(fn) else self._way

        def called(*args: P.args, **kwargs: P.kwargs) -> Any:
            result = way(fn, args, kwargs)
            if type(result) is CoroutineType:
                refuse(result)
            return result

        async def acalled(*args: P.args, **kwargs: P.kwargs) -> Any:
            return await way(fn, args, kwargs)

        return functools.wraps(fn)(acalled if way is self._async_way else called)


def refuse(coroutine: Any) -> NoReturn:
    """What a plain call brought: nothing of it has been done, nor would any of it be guarded."""
    coroutine.close()
    raise TypeError(f"{coroutine.__qualname__} is a coroutine: await it by `acall`, or decorate an async def")


def _is_async(fn: Callable[..., Any]) -> bool:
    """An async def, or an object that is called as one."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None))  # noqa: B004


class Part(Caller, ABC):
    """One instance is shared by all callers, in threads and in event loops."""

    kind: ClassVar[str]
    counted: ClassVar[tuple[str, ...]]

    def __init__(self, name: str, clock: Clock = CLOCK) -> None:
        self.name = name
        self.clock = clock
        self.events = Events(name, self.counted, clock)
        super().__init__(self.around(straight), self.around_async(straight))

    @abstractmethod
    def around(self, inner: Way) -> Way: ...

    @abstractmethod
    def around_async(self, inner: AsyncWay) -> AsyncWay: ...

    def on_event(self, subscriber: Subscriber, *types: str) -> Callable[[], None]:
        return self.events.on_event(subscriber, *types)

    def recent_events(self) -> list[Event]:
        return self.events.recent()

    def counts(self) -> dict[str, int]:
        return self.events.counts()

    def gauges(self) -> dict[str, int]:
        """What is the case now."""
        return {}
