"""What a part has done: its newest events, their subscribers, and counters."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from msgspec import Struct

from . import forks
from .clock import Clock

RING_SIZE = 100

log = logging.getLogger("iopt_client")
Subscriber = Callable[["Event"], None]


class Event(Struct, frozen=True):
    """`type` is Resilience4j's word, `at` ms since the epoch; of `number`, `wait_ms` and `error` what applies.

    `number`: attempts of a retry, permits of a rate limiter.
    """

    type: str
    name: str
    at: int
    number: int = 0
    wait_ms: int | None = None
    error: str | None = None


class Events:
    """Thread-safe. The newest 100 are kept; `counts` has what was counted since the beginning."""

    def __init__(self, name: str, counted: tuple[str, ...], clock: Clock, size: int = RING_SIZE) -> None:
        self.name = name
        self._counts = dict.fromkeys(counted, 0)
        self._size = size
        self._subscribers: tuple[tuple[Subscriber, frozenset[str]], ...] = ()
        self._wall_ms = clock.wall_ms
        self.forked()
        forks.keep(self)

    def forked(self) -> None:
        """The child counts what it does itself."""
        self._counts = dict.fromkeys(self._counts, 0)
        self._ring: deque[tuple[str, int, int, int | None, str | None]] = deque(maxlen=self._size)
        self._lock = threading.Lock()

    def publish(
        self, type_: str, number: int = 0, wait_ms: int | None = None, error: BaseException | None = None
    ) -> None:
        """Also counts it, under its type."""
        raw = (type_, self._wall_ms(), number, wait_ms, None if error is None else described(error))
        with self._lock:
            self._ring.append(raw)
            self._counts[type_] += 1
        if self._subscribers:
            self._tell(_made(self.name, raw))

    def count(self, counter: str | None, attempts: int) -> None:
        with self._lock:
            self._counts["attempts"] += attempts
            if counter:
                self._counts[counter] += 1

    def counts(self) -> dict[str, int]:
        with self._lock:
            return self._counts.copy()

    def recent(self) -> list[Event]:
        """Oldest first."""
        with self._lock:
            kept = list(self._ring)
        return [_made(self.name, raw) for raw in kept]

    def on_event(self, subscriber: Subscriber, *types: str) -> Callable[[], None]:
        """Called in the thread of the call; without types, for all. What comes back ends the subscription."""
        entry = (subscriber, frozenset(types))
        with self._lock:
            self._subscribers = (*self._subscribers, entry)
        return lambda: self._forget(entry)

    def wakes(self, wake: Callable[[], object]) -> None:
        """With the next event, once. For `forked` alone: it takes no lock, which may not be made anew yet."""

        def woken(_: Event) -> None:
            self._forget(entry)
            wake()

        entry = (woken, frozenset[str]())
        self._subscribers = (*self._subscribers, entry)

    def _forget(self, entry: tuple[Subscriber, frozenset[str]]) -> None:
        with self._lock:
            self._subscribers = tuple(each for each in self._subscribers if each is not entry)

    def _tell(self, event: Event) -> None:
        for subscriber, types in self._subscribers:
            if not types or event.type in types:
                try:
                    subscriber(event)
                except Exception:
                    log.exception("a subscriber of %s failed", self.name)


def described(error: BaseException) -> str:
    """By its type alone, where it cannot be written: what it failed with must not take its place."""
    kind = type(error).__name__
    try:
        return f"{kind}: {error}"
    except Exception:  # noqa: BLE001  # of an error's own `__str__`
        return kind


def _made(name: str, raw: tuple[str, int, int, int | None, str | None]) -> Event:
    type_, at, number, wait_ms, error = raw
    return Event(type_, name, at, number, wait_ms, error)
