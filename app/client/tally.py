"""What parts did since it was told last, found out from what they count anyway: no call does anything for it."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator

from ..domain.client_events import TYPES, ClientEvents, parted
from .clock import Clock
from .part import Part
from .retry import Newest, Retry
from .scope import Who

EVERY_MS = 1_000
MS = 1_000_000


class Tally:
    """Of one part, which it does not keep alive."""

    def __init__(self, part: Part, at: int) -> None:
        self._part = weakref.ref(part)
        self._family, self._name, self._events = part.kind, part.name, part.events
        self._newest = part.newest if isinstance(part, Retry) else dict[str, Newest]()
        self._told = part.counts()
        self._since_at = at

    def forked(self, wake: Callable[[], object]) -> None:
        """What is told begins at nought, as do the counts of the part."""
        self._told = dict.fromkeys(self._told, 0)
        self._events.wakes(wake)

    def of(self, part: Part | None) -> bool:
        """None: whether nobody can use the part any more."""
        return self._part() is part

    def take(self, who: Who, at: int) -> Iterator[ClientEvents]:
        """Once: what came since the last time."""
        counts, newest = self._events.counts(), self._newest.copy()
        new = {type_: counts[type_] - self._told[type_] for type_ in TYPES[self._family]}
        from_at, self._told, self._since_at = min(self._since_at, at), counts, at
        for part in parted(new):
            of = {type_: newest[type_] for type_ in part if type_ in newest}
            yield ClientEvents(
                family=self._family,
                name=self._name,
                counts=part,
                attempts={type_: each.attempts for type_, each in of.items() if each.attempts} or None,
                errors={type_: each.error for type_, each in of.items() if each.error} or None,
                from_at=from_at,
                to_at=at,
                at=at,
                caller=who.caller,
                client=who.client,
            )


class Tallies:
    """Of the parts of a process. Thread-safe."""

    def __init__(self, who: Who, clock: Clock) -> None:
        self._who, self._clock = who, clock
        self._kept: list[Tally] = []
        self._due_ns = clock.now_ns() + EVERY_MS * MS
        self._lock = threading.Lock()

    def forked(self, who: Who, wake: Callable[[], object]) -> None:
        """`wake`: once there is something to tell."""
        self._who, self._lock = who, threading.Lock()
        for tally in self._kept:
            tally.forked(wake)

    def add(self, part: Part) -> None:
        """ValueError for one whose events nobody would ask for."""
        if part.kind not in TYPES:
            raise ValueError(f"{part.name} is a {part.kind}: expected one of {', '.join(TYPES)}")
        with self._lock:
            if not any(tally.of(part) for tally in self._kept):
                self._kept.append(Tally(part, self._clock.wall_ms()))

    def take(self, *, at_once: bool = False) -> list[ClientEvents]:
        """What parts did, at most once in a second."""
        with self._lock:
            now_ns = self._clock.now_ns()
            if now_ns < self._due_ns and not at_once:
                return []
            self._due_ns = now_ns + EVERY_MS * MS
            all_of, at = self._kept, self._clock.wall_ms()
            self._kept = [tally for tally in all_of if not tally.of(None)]
            return [said for tally in all_of for said in tally.take(self._who, at)]
