"""What a breaker would have done with calls that were made: its policy is tried on them, in their own time.

Each call asks for permission as a client would, and is recorded if it has it, both at the instant at which it was
reported. What a call that was not permitted then would have come to, nobody knows: it is not tried.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ..interval import MIDDLE
from .breaker import Breaker, Event, EventType, Outcome, Policy, State, Verdict, begun, expire, permit, record
from .kept import fraction
from .published import staying

SHUT = (State.OPEN, State.FORCED_OPEN)
EXCEEDED = (EventType.FAILURE_RATE_EXCEEDED, EventType.SLOW_CALL_RATE_EXCEEDED)
ERROR, SUCCESS = Verdict.ERROR, Verdict.SUCCESS


class Tally(msgspec.Struct, frozen=True):
    """Calls, by what the breaker would have spared and what it would have cost. `open_ms`: in OPEN and FORCED_OPEN."""

    calls: int
    good_rejected: int
    bad_rejected: int
    bad_permitted: int
    opened: int
    open_ms: int
    state: State


class Rehearsal:
    """Of one breaker, from the instant of its first call on. Time does not go back."""

    __slots__ = ("_bad", "_breaker", "_draws", "_name", "_now", "_open_ms", "_opened", "_policy", "_rejected", "calls")

    def __init__(self, name: str, policy: Policy, at: int) -> None:
        interval = policy.wait_interval_in_open_state
        self._draws = bool(interval and interval.factor)
        self._name, self._policy, self._now = name, policy, at
        self._breaker = begun(policy, at, fraction(name, Breaker(), policy))
        self.calls, self._bad, self._rejected = 0, 0, {SUCCESS: 0, ERROR: 0, Verdict.IGNORED: 0}
        shut = self._breaker.state in SHUT
        self._opened, self._open_ms = int(shut), -at * shut

    def call(self, at: int, verdict: Verdict, duration_ms: int, error: str) -> tuple[Event, ...]:
        """The changes of state that it brings, and those that came before it; in METRICS_ONLY, rates exceeded."""
        now = self._now = max(at, self._now)
        breaker, policy = self._breaker, self._policy
        changes: tuple[Event, ...] = ()
        if breaker.timed and now >= breaker.until_at:
            changes = tuple(self._expired(now))
            breaker = self._breaker
        self.calls += 1
        before, permitted, events = permit(breaker, now, policy)
        if permitted:
            draw = fraction(self._name, before, policy) if self._draws else MIDDLE
            self._breaker, recorded = record(before, Outcome(duration_ms, verdict, error), now, policy, draw)
            if verdict is ERROR:
                self._bad += 1
            if not events and len(recorded) <= 1:
                return changes
            return changes + self._noted(events + recorded)
        self._breaker = before
        self._rejected[verdict] += 1
        return changes + self._noted(events)

    def end(self) -> Iterator[Event]:
        """What timers do until the last call's instant."""
        return self._expired(self._now)

    def tally(self) -> Tally:
        shut = self._breaker.state in SHUT
        return Tally(
            self.calls,
            self._rejected[SUCCESS],
            self._rejected[ERROR],
            self._bad,
            self._opened,
            self._open_ms + self._now * shut,
            self._breaker.state,
        )

    def _expired(self, now: int) -> Iterator[Event]:
        while self._breaker.timed and self._breaker.until_at <= now:
            before, draw = self._breaker, fraction(self._name, self._breaker, self._policy)
            self._breaker, events = expire(before, before.until_at, self._policy, draw)
            if self._breaker is before:
                return
            yield from self._noted(events)

    def _noted(self, events: tuple[Event, ...]) -> tuple[Event, ...]:
        after = self._breaker
        if after.state is State.METRICS_ONLY:
            return tuple(staying(event, after, after.window) for event in events if event.type in EXCEEDED)
        changes = tuple(event for event in events if event.change)
        for event in changes:
            assert event.change
            if event.change.to in SHUT:
                self._opened += 1
                self._open_ms -= event.at
            if event.change.from_ in SHUT:
                self._open_ms += event.at
        return changes
