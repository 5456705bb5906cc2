"""What a breaker has told, as Resilience4j's CircuitBreakerEvent; successes become events only when they are read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ..domain.breakers import breaker_events
from ..domain.breakers.breaker import State
from ..domain.breakers.breaker_events import EventType
from .clock import Clock
from .events import RING_SIZE, Event, Events

COUNTED = tuple(str(kind) for kind in EventType)


class BreakerEvent(Event, frozen=True):
    """`late`: of a call begun under another state. `from_`, `to` and `cause` are of a change of state."""

    duration_ms: float = 0.0
    late: bool = False
    rate: float = 0.0
    from_: State | None = None
    to: State | None = None
    cause: str | None = None


class Success(NamedTuple):
    at: int
    duration_ns: int


class BreakerEvents(Events):
    """Kept by a breaker under its own lock."""

    def __init__(self, name: str, clock: Clock) -> None:
        super().__init__(name, COUNTED, clock)

    def forked(self) -> None:
        super().forked()
        self._kept: list[breaker_events.Event | Success] = []

    @property
    def hears_successes(self) -> bool:
        return any(not types or EventType.SUCCESS in types for _, types in self._subscribers)

    def keep(self, events: Iterable[breaker_events.Event]) -> None:
        for event in events:
            self._counts[event.type] += 1
            self._kept.append(event)
        self._cut()

    def succeeded(self, newest: list[Success], count: int) -> None:
        """So many, of which the newest are kept."""
        self._counts[EventType.SUCCESS] += count
        self._kept += newest
        self._cut()

    def tell(self, events: Iterable[breaker_events.Event]) -> None:
        """To the subscribers; not under a lock."""
        if self._subscribers:
            for event in events:
                self._tell(_made(self.name, event))

    def recent(self) -> list[Event]:
        return [_made(self.name, kept) for kept in self._kept[-RING_SIZE:]]

    def _cut(self) -> None:
        if len(self._kept) > 2 * RING_SIZE:
            del self._kept[:-RING_SIZE]


def _made(name: str, told: breaker_events.Event | Success) -> BreakerEvent:
    if isinstance(told, Success):
        return BreakerEvent(EventType.SUCCESS, name, told.at, duration_ms=told.duration_ns / 1e6)
    changed: dict[str, Any] = {}
    if change := told.change:
        changed = {"from_": change.from_, "to": change.to, "cause": change.cause}
    return BreakerEvent(
        told.type,
        name,
        told.at,
        error=told.error or None,
        duration_ms=told.duration_ms,
        late=told.late,
        rate=told.rate,
        **changed,
    )
