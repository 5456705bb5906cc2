"""The state of one breaker, moved on under a short lock, and what was noted of calls that could not move it."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import msgspec

from ..domain.breakers import breaker as machine
from ..domain.breakers import member as members
from ..domain.breakers.breaker import Breaker, Outcome, Policy, State, Verdict
from ..domain.breakers.breaker_events import Event as Told
from ..domain.breakers.calm import by_second, calm, succeeded
from ..domain.breakers.member import Member
from ..domain.breakers.scopes import service_of
from . import forks
from .alarm import Alarm
from .breaker_events import BreakerEvents, Success
from .clock import Clock
from .errors import CallNotPermitted
from .events import RING_SIZE, described
from .judging import Judge
from .retry import Ended

MS = 1_000_000
MOST_NOTES = 1_000
FAR_NS = 1 << 63
OPEN_TO_ALL = (State.CLOSED, State.METRICS_ONLY, State.DISABLED)
UNKNOWN = -1  # the number of the state under which a call was permitted

Step = tuple[Member, tuple[Told, ...]]
Note = tuple[int, int, Any]  # when a call began and ended, and what it was about


class Call(NamedTuple):
    """That has ended, or was not permitted. `kind` is a word of contract 4.1; `about`: what its caller said of it.

    `urgent`: the fleet waits for it.
    """

    kind: str
    at: int
    duration_ms: float = 0.0
    slow: bool = False
    error: str = ""
    about: Any = None
    opens_until: int | None = None
    urgent: bool = False


class Listener(Protocol):
    """Called under the breaker's lock: it must neither wait nor use the breaker. `seen_seq`: of the fleet's state.

    `asleep`: it wants to hear of the next call at once, whatever it is.
    """

    @property
    def asleep(self) -> bool: ...

    def ended(self, breaker: str, call: Call, seen_seq: int | None) -> None: ...

    def succeeded(
        self, breaker: str, notes: list[Note], wall_ms: Callable[[int], int], seen_seq: int | None
    ) -> None: ...


class Notes(deque[Note]):
    """At most so many, of successes that were permitted in state `seq`, took at most `limit_ns`, and ended in time."""

    def __init__(self, seq: int, limit_ns: int) -> None:
        super().__init__()
        self.seq = seq
        self.limit_ns = limit_ns
        self.until_ns = FAR_NS
        self.most = MOST_NOTES


class Steps:
    """`notes` is there where a success changes nothing but the window, and nobody wants to hear of it at once.

    Who appends to them, and finds others in their place then, brings what is left of them by `settle`.
    """

    def __init__(
        self, policy: Policy, clock: Clock, events: BreakerEvents, alarm: Alarm, listener: Listener | None
    ) -> None:
        self.name, self.clock, self.events, self.listener = events.name, clock, events, listener
        self.notes: Notes | None = None
        self.policy, self.judge = policy, Judge(policy)
        self.member = Member(machine.begun(policy, clock.wall_ms(), clock.random()))
        self._alarm, self._alarm_at = alarm, 0
        self._now_ns = 0
        self._lock = threading.Lock()
        self.settle()
        forks.keep(self)

    def forked(self) -> None:
        """What was noted is the parent's to tell; the next step begins to note again, and sets the timer."""
        self._lock = threading.Lock()
        if self.notes is not None:
            self.notes.clear()
        self.notes, self._alarm_at = None, 0
        self.member = members.forked(self.member, self.clock.wall_ms(), self.policy)

    def acquire(self, about: Any) -> int:
        """The number of the state. Raises CallNotPermitted."""
        seq = self.permitted(about)
        if seq is None:
            member = self.member
            retry_after_ms = members.retry_after_ms(member, self.clock.wall_ms())
            raise CallNotPermitted(self.name, retry_after_ms, member.breaker.state)
        return seq

    def permitted(self, about: Any) -> int | None:
        """As `acquire`, with None where it raises."""
        breaker, permitted = self.member.breaker, False
        if breaker.state in OPEN_TO_ALL:
            return breaker.seq

        def ask(member: Member, now_ms: int) -> Step:
            nonlocal permitted
            after, permitted, events = members.permit(member, now_ms, self.policy)
            if not permitted and self.listener:
                asks = after.asked_at > member.asked_at
                self.listener.ended(self.name, Call("rejected", now_ms, about=about, urgent=asks), after.seen_seq())
            return after, events

        seq = self.step(ask).breaker.seq
        return seq if permitted else None

    def judged(self, ended: Ended, duration_ns: int, seq: int, about: Any) -> None:
        """With a call that has ended. One that a narrower breaker of the service did not permit was not made.

        What a predicate of the policy raises is raised, and is the call's error, as in Resilience4j.
        """
        judge, error = self.judge, ended.error
        if isinstance(error, CallNotPermitted) and self._is_kin(error.name):
            self.step(lambda member, now_ms: self._refused(members.release(member, seq), now_ms, about))
            return
        duration_ms = duration_ns / MS
        try:
            verdict = judge.result(ended.result) if error is None else judge.error(error)
            opens_until = judge.opens_until(verdict, ended, self.clock.wall_ms())
        except Exception as raised:
            self._record(Outcome(duration_ms, Verdict.ERROR, described(raised), seq), raised, about)
            raise
        told = "" if error is None else described(error)
        self._record(Outcome(duration_ms, verdict, told, seq, opens_until), error, about)

    def _record(self, outcome: Outcome, error: Exception | None, about: Any) -> None:
        def record(member: Member, now_ms: int) -> Step:
            if self.listener:
                slow = outcome.duration_ms > self.policy.slow_call_duration_threshold_ms
                told = "" if error is None else type(error).__name__
                call = Call(
                    kind_of(outcome.verdict, error),
                    now_ms,
                    outcome.duration_ms,
                    slow,
                    told,
                    about,
                    outcome.opens_until,
                    urgent=member.led and member.breaker.state is State.HALF_OPEN,
                )
                self.listener.ended(self.name, call, member.seen_seq(outcome.seq))
            return members.record(member, outcome, now_ms, self.policy, self.clock.random())

        self.step(record)

    def _is_kin(self, name: str) -> bool:
        return name != self.name and service_of(name) == service_of(self.name)

    def _refused(self, member: Member, now_ms: int, about: Any) -> Step:
        if self.listener:
            self.listener.ended(self.name, Call("rejected", now_ms, about=about), member.seen_seq())
        return member, ()

    def given_up(self, seq: int) -> None:
        self.step(lambda member, _: (members.release(member, seq), ()))

    def by_hand(self, act: Callable[[Breaker, int], machine.Step]) -> None:
        self.step(lambda member, now_ms: members.by_hand(member, act(member.breaker, now_ms)))

    def settle(self, left: Notes | None = None) -> Member:
        """Counts what is noted, or what was left of those notes."""
        return self.step(lambda member, _: (member, ()), left)

    def configure(self, policy: Policy) -> None:
        def change(member: Member, _: int) -> Step:
            self.policy, self.judge = policy, Judge(policy)
            self.notes = None
            return member, ()

        self.step(change)

    def step(self, act: Callable[[Member, int], Step], left: Notes | None = None) -> Member:
        with self._lock:
            self._now_ns = self.clock.now_ns()  # before the wall clock: a second is never taken for longer than it is
            now_ms = self.clock.wall_ms()
            told = self._count(left or self.notes, now_ms)
            member, events = act(self.member, now_ms)
            self.member = member
            if events:
                self.events.keep(events)
                told += events
            told += self._watch(now_ms)
        if told:
            self.events.tell(told)
        return member

    def _watch(self, now_ms: int) -> tuple[Told, ...]:
        """After each step: whether successes may be noted from now on, and when the next timer is due."""
        member, policy, notes = self.member, self.policy, self.notes
        due_at = members.due(member) or 0
        if due_at and due_at != self._alarm_at:
            self._alarm.set(due_at, self.expire)
        self._alarm_at = due_at
        told_at_once = self.judge.asks_results or self.events.hears_successes
        told_at_once = told_at_once or (self.listener is not None and self.listener.asleep)
        most = 0 if told_at_once else calm(member.breaker, policy, now_ms)
        if not most:
            self.notes = None
        elif notes is None or notes.seq != member.breaker.seq:
            self.notes = Notes(member.breaker.seq, policy.slow_call_duration_threshold_ms * MS)
        if self.notes is not None:
            self.notes.most = min(most, MOST_NOTES)
            self.notes.until_ns = self._second_ends_ns(now_ms) if by_second(member.breaker) else FAR_NS
        return self._count(notes, now_ms) if notes is not self.notes else ()

    def _second_ends_ns(self, now_ms: int) -> int:
        """Or up to a millisecond before."""
        return self._now_ns + (999 - now_ms % 1000) * MS - 1

    def expire(self) -> None:
        self.step(lambda member, now_ms: members.expire(member, now_ms, self.policy, self.clock.random()))

    def _count(self, notes: Notes | None, now_ms: int) -> tuple[Told, ...]:
        """Each note once, whoever comes first."""
        if not notes:
            return ()
        taken = [notes.popleft() for _ in range(len(notes))]
        ahead_ns = now_ms * MS - self._now_ns

        def wall_ms(ns: int) -> int:
            return (ns + ahead_ns) // MS

        if self.listener:
            self.listener.succeeded(self.name, taken, wall_ms, self.member.seen_seq(notes.seq))
        if calm(self.member.breaker, self.policy, wall_ms(taken[-1][1])) < len(taken):
            return self._count_late(taken, notes.seq, wall_ms)
        seconds = Counter({wall_ms(taken[-1][1]) // 1000: len(taken)})
        if wall_ms(taken[0][1]) // 1000 not in seconds:
            seconds = Counter(wall_ms(ended_ns) // 1000 for _, ended_ns, _ in taken)
        breaker = self.member.breaker
        for second, count in sorted(seconds.items()):
            breaker = succeeded(breaker, count, second * 1000, self.policy)
        self.member = msgspec.structs.replace(self.member, breaker=breaker)
        newest = [Success(wall_ms(ended_ns), ended_ns - began_ns) for began_ns, ended_ns, _ in taken[-RING_SIZE:]]
        self.events.succeeded(newest, len(taken))
        return ()

    def _count_late(self, taken: list[Note], seq: int, wall_ms: Callable[[int], int]) -> tuple[Told, ...]:
        """Those whose breaker has moved on while they were noted are judged as all others."""
        told: tuple[Told, ...] = ()
        for began_ns, ended_ns, _ in taken:
            outcome = Outcome((ended_ns - began_ns) / MS, seq=seq)
            self.member, events = members.record(self.member, outcome, wall_ms(ended_ns), self.policy)
            self.events.keep(events)
            told += events
        return told


def kind_of(verdict: Verdict, error: Exception | None) -> str:
    if verdict is Verdict.IGNORED:
        return "ignored"
    if not verdict:
        return "success"
    return "timeout" if isinstance(error, TimeoutError) else "failure"
