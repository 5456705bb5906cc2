"""Python cannot stop a thread, so it is told: a function that may be given up on asks `cancelled()` now and then."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any


class Stop:
    """Set once nobody waits for the result any more; those of the calls around it count too."""

    __slots__ = ("_set", "around")

    def __init__(self) -> None:
        self.around = _current.get()
        self._set = False

    def set(self) -> None:
        self._set = True

    def is_set(self) -> bool:
        return self._set or (self.around is not None and self.around.is_set())

    def run(self, fn: Callable[..., Any], *args: Any) -> Any:
        """In a context of its own, as a worker's: it is not taken back."""
        _current.set(self)
        return fn(*args)


_current: ContextVar[Stop | None] = ContextVar("iopt_client_stop", default=None)


def cancelled() -> bool:
    """Whether the time limit of this call is over, or another attempt of it has won."""
    stop = _current.get()
    return stop is not None and stop.is_set()
